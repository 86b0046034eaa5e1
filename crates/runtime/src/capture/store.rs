//! Copies captured files into the artifacts of their decky, within its limits. Names come from
//! [`decnet_core::shell::stored_name`]; content is hashed on its way and never looked at.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt},
    path::{Path, PathBuf},
};

use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::shell::stored_name;
use sha2::{Digest, Sha256};

use super::CaptureLimits;

const CHUNK: usize = 64 * 1024;
/// What a copy is called until it is whole.
const PART: &str = ".part-";
/// A part this old was left by a crash.
const PART_DEAD: TimeDelta = TimeDelta::hours(1);

/// A file that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its name; `None` for an empty one, of which there is nothing to keep.
    pub(super) stored_as: Option<String>,
    pub(super) sha256: String,
    pub(super) size: u64,
}

/// Why a file is not kept. The words are those of the field `reason`.
#[derive(Debug)]
pub(super) enum Skip {
    TooLarge,
    Quota,
    DiskPressure,
    Failed(io::Error),
}

impl Skip {
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Quota => "quota",
            Self::DiskPressure => "disk_pressure",
            Self::Failed(_) => "copy_failed",
        }
    }
}

/// The captured files of one decky.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    limits: CaptureLimits,
    /// Bytes that are kept.
    used: u64,
}

impl Store {
    /// The folder, made if there is none, with what it holds already.
    pub(super) fn open(folder: PathBuf, limits: CaptureLimits, now: DateTime<Utc>) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(&folder)?;
        let mut used = 0_u64;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            let part = entry.file_name().to_str().is_some_and(|name| name.starts_with(PART));
            if part && DateTime::<Utc>::from(meta.modified()?) < now - PART_DEAD {
                fs::remove_file(entry.path())?;
            } else if meta.is_file() {
                used = used.saturating_add(meta.len());
            }
        }
        Ok(Self { folder, limits, used })
    }

    /// Copies `file`, which was `path`, unless `known` already has that content under some name.
    pub(super) fn keep(
        &mut self,
        file: &File,
        path: &Path,
        now: DateTime<Utc>,
        known: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Kept, Skip> {
        let size = file.metadata().map_err(Skip::Failed)?.len();
        if size > self.limits.file_bytes {
            return Err(Skip::TooLarge);
        }
        if size == 0 {
            let sha256 = hex::encode(Sha256::digest([]));
            return Ok(Kept { stored_as: None, sha256, size });
        }
        if self.used.saturating_add(size) > self.limits.total_bytes {
            return Err(Skip::Quota);
        }
        if self.free().map_err(Skip::Failed)? < self.limits.free_bytes.saturating_add(size) {
            return Err(Skip::DiskPressure);
        }
        let builder = |part: &mut tempfile::Builder<'_, '_>| {
            part.prefix(PART).permissions(Permissions::from_mode(0o640)).tempfile_in(&self.folder)
        };
        let mut part = builder(&mut tempfile::Builder::new()).map_err(Skip::Failed)?;
        let (sha256, size) = self.copy(file, part.as_file_mut())?;
        if let Some(stored_as) = known(&sha256) {
            // The part is deleted as it is dropped.
            return Ok(Kept { stored_as: Some(stored_as), sha256, size });
        }
        // The mask of this process may have taken the group's right to read.
        part.as_file().set_permissions(Permissions::from_mode(0o640)).map_err(Skip::Failed)?;
        part.as_file().sync_all().map_err(Skip::Failed)?;
        let stored_as = stored_name(now, &sha256, path);
        match part.persist_noclobber(self.folder.join(&stored_as)) {
            Ok(_) => self.used = self.used.saturating_add(size),
            // The same content under the same name within the same second.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Skip::Failed(error.error)),
        }
        Ok(Kept { stored_as: Some(stored_as), sha256, size })
    }

    /// Copies from the start to the end, which the writer may move meanwhile, but not beyond the limit.
    fn copy(&self, from: &File, to: &mut File) -> Result<(String, u64), Skip> {
        let mut hash = Sha256::new();
        let mut chunk = vec![0; CHUNK];
        let mut at = 0_u64;
        loop {
            let read = match from.read_at(&mut chunk, at) {
                Ok(0) => break,
                Ok(read) => chunk.get(..read).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Skip::Failed(error)),
            };
            at += read.len() as u64;
            if at > self.limits.file_bytes {
                return Err(Skip::TooLarge);
            }
            hash.update(read);
            to.write_all(read).map_err(Skip::Failed)?;
        }
        Ok((hex::encode(hash.finalize()), at))
    }

    fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.folder)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_659, 0).unwrap()
    }

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_kept_once_with_its_hash_and_mode() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("web-01/ssh");
        let mut store = Store::open(folder.clone(), CaptureLimits::default(), now()).unwrap();
        let path = Path::new("/tmp/../a b\n.sh");
        let kept = store.keep(&file(b"hello"), path, now(), |_| None).unwrap();
        assert_eq!(kept.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        let name = kept.stored_as.clone().unwrap();
        assert_eq!(fs::read(folder.join(&name)).unwrap(), b"hello");
        assert_eq!(fs::metadata(folder.join(&name)).unwrap().permissions().mode() & 0o777, 0o640);
        let again = store.keep(&file(b"hello"), path, now(), |_| Some(name.clone())).unwrap();
        assert_eq!(again, kept);
        assert_eq!(store.keep(&file(b"hello"), path, now(), |_| None).unwrap(), kept);
        assert_eq!(store.keep(&file(b""), path, now(), |_| None).unwrap().stored_as, None);
        assert_eq!(names(&folder), [name]);
        assert_eq!(store.used, 5);
        assert_eq!(Store::open(folder, CaptureLimits::default(), now()).unwrap().used, 5);
    }

    #[test]
    fn limits_hold_and_leave_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let limits = CaptureLimits { file_bytes: 10, total_bytes: 15, ..CaptureLimits::default() };
        let mut store = Store::open(root.path().to_owned(), limits, now()).unwrap();
        let mut keep = |content: &[u8]| store.keep(&file(content), Path::new("/x"), now(), |_| None);
        assert!(matches!(keep(&[1; 11]), Err(Skip::TooLarge)));
        keep(&[1; 10]).unwrap();
        assert!(matches!(keep(&[2; 6]), Err(Skip::Quota)));
        keep(&[2; 5]).unwrap();
        assert_eq!(names(root.path()).len(), 2);
        let full = CaptureLimits { free_bytes: u64::MAX, ..CaptureLimits::default() };
        let mut store = Store::open(root.path().to_owned(), full, now()).unwrap();
        let kept = store.keep(&file(b"x"), Path::new("/x"), now(), |_| None);
        assert!(matches!(kept, Err(Skip::DiskPressure)));
    }
}
