//! Copies captured files into the artifacts of their decky, within its limits. Names come from
//! [`decnet_core::shell::stored_name`]; content is hashed on its way and never looked at.
//!
//! The decky's front may write to the same folder and be in an intruder's hands one day, so nothing is found by its path:
//! the folder is opened once, no link is followed, and everything happens within it.

use std::{
    fs::File,
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::Path,
};

use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::shell::stored_name;
use rustix::{
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, fchmod, fstatvfs, mkdirat, openat,
        openat2, renameat_with, statat, unlinkat,
    },
    io::Errno,
};
use sha2::{Digest, Sha256};

use super::CaptureLimits;

const CHUNK: usize = 64 * 1024;
/// What a copy is called until it is whole; a number follows.
const PART: &str = ".part-";
/// A part this old was left by a crash.
const PART_DEAD: TimeDelta = TimeDelta::hours(1);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o750);
const FILE_MODE: Mode = Mode::from_raw_mode(0o640);

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
    folder: OwnedFd,
    limits: CaptureLimits,
    /// Bytes that are kept.
    used: u64,
    /// Number of the last copy.
    copies: u64,
}

impl Store {
    /// The folder `<artifacts>/<decky>/ssh`, made if there is none, with what it holds already.
    pub(super) fn open(
        artifacts: &Path,
        decky: &str,
        limits: CaptureLimits,
        now: DateTime<Utc>,
    ) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut folder = openat(rustix::fs::CWD, artifacts, flags, Mode::empty())?;
        for name in [decky, "ssh"] {
            match mkdirat(&folder, name, FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            folder = openat2(&folder, name, flags, Mode::empty(), within)?;
        }
        let mut used = 0_u64;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let Ok(stat) = statat(&folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                continue;
            }
            let written = DateTime::from_timestamp(stat.st_mtime, 0);
            let part = entry.file_name().to_bytes().starts_with(PART.as_bytes());
            if part && written.is_some_and(|written| written < now - PART_DEAD) {
                unlinkat(&folder, entry.file_name(), AtFlags::empty())?;
            } else {
                used = used.saturating_add(u64::try_from(stat.st_size).unwrap_or(0));
            }
        }
        Ok(Self { folder, limits, used, copies: 0 })
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
        let (part, mut to) = self.part().map_err(Skip::Failed)?;
        let kept = self.copy(file, &mut to).and_then(|(sha256, size)| {
            if let Some(stored_as) = known(&sha256) {
                return Ok((Kept { stored_as: Some(stored_as), sha256, size }, false));
            }
            to.sync_all().map_err(Skip::Failed)?;
            let stored_as = stored_name(now, &sha256, path);
            let is_new =
                match renameat_with(&self.folder, &part, &self.folder, &stored_as, RenameFlags::NOREPLACE) {
                    Ok(()) => true,
                    // The same content under the same name within the same second.
                    Err(Errno::EXIST) => false,
                    Err(errno) => return Err(Skip::Failed(errno.into())),
                };
            Ok((Kept { stored_as: Some(stored_as), sha256, size }, is_new))
        });
        match kept {
            Ok((kept, true)) => {
                self.used = self.used.saturating_add(kept.size);
                Ok(kept)
            }
            kept => {
                if let Err(error) = unlinkat(&self.folder, &part, AtFlags::empty()) {
                    tracing::warn!(%error, "a part of a captured file stays for an hour");
                }
                kept.map(|(kept, _)| kept)
            }
        }
    }

    /// A new file of its own name. The mask of this process must not take the group's right to read.
    fn part(&mut self) -> io::Result<(String, File)> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            self.copies += 1;
            let name = format!("{PART}{}-{}", std::process::id(), self.copies);
            match openat(&self.folder, &name, flags, FILE_MODE) {
                Ok(file) => {
                    fchmod(&file, FILE_MODE)?;
                    return Ok((name, file.into()));
                }
                // Left by an agent before us, or by a watch that is just ending.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
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
        let stat = fstatvfs(&self.folder)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

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
        let mut store = Store::open(root.path(), "web-01", CaptureLimits::default(), now()).unwrap();
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
        assert_eq!(Store::open(root.path(), "web-01", CaptureLimits::default(), now()).unwrap().used, 5);
    }

    #[test]
    fn limits_hold_and_leave_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let limits = CaptureLimits { file_bytes: 10, total_bytes: 15, ..CaptureLimits::default() };
        let mut store = Store::open(root.path(), "web-01", limits, now()).unwrap();
        let mut keep = |content: &[u8]| store.keep(&file(content), Path::new("/x"), now(), |_| None);
        assert!(matches!(keep(&[1; 11]), Err(Skip::TooLarge)));
        keep(&[1; 10]).unwrap();
        assert!(matches!(keep(&[2; 6]), Err(Skip::Quota)));
        keep(&[2; 5]).unwrap();
        assert_eq!(names(&root.path().join("web-01/ssh")).len(), 2);
        let full = CaptureLimits { free_bytes: u64::MAX, ..CaptureLimits::default() };
        let mut store = Store::open(root.path(), "web-01", full, now()).unwrap();
        let kept = store.keep(&file(b"x"), Path::new("/x"), now(), |_| None);
        assert!(matches!(kept, Err(Skip::DiskPressure)));
    }

    #[test]
    fn a_link_in_place_of_the_folder_is_not_followed() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(root.path().join("web-01")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join("web-01/ssh")).unwrap();
        Store::open(root.path(), "web-01", CaptureLimits::default(), now()).unwrap_err();
        // Nor is one that is put there later.
        fs::remove_file(root.path().join("web-01/ssh")).unwrap();
        let mut store = Store::open(root.path(), "web-01", CaptureLimits::default(), now()).unwrap();
        fs::rename(root.path().join("web-01/ssh"), root.path().join("web-01/old")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join("web-01/ssh")).unwrap();
        store.keep(&file(b"x"), Path::new("/x"), now(), |_| None).unwrap();
        assert_eq!(names(elsewhere.path()), Vec::<String>::new());
        assert_eq!(names(&root.path().join("web-01/old")).len(), 1);
    }
}
