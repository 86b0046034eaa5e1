//! The folder of images: what is in it, and putting a finished file into its place in one step.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use rustix::fs::{FlockOperation, flock};
use tempfile::{NamedTempFile, TempDir};

/// How names of unfinished work begin.
const UNFINISHED: &str = ".unfinished-";

pub(super) struct Store {
    folder: PathBuf,
}

/// An image that is there.
pub(super) struct Image {
    pub(super) slug: String,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) made: DateTime<Utc>,
}

/// The right to change the folder; one at a time.
pub(super) struct Locked<'a> {
    store: &'a Store,
    _lock: File,
}

impl Store {
    pub(super) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every `<slug>.tar`, by name.
    pub(super) fn list(&self) -> Result<Vec<Image>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| self.folder.display().to_string()),
        };
        let mut images = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(slug) = name.strip_suffix(".tar").filter(|slug| !slug.starts_with('.')) else {
                continue;
            };
            let metadata = fs::metadata(&path)?;
            if metadata.is_file() {
                let made = metadata.modified()?.into();
                images.push(Image { slug: slug.to_owned(), bytes: metadata.len(), made, path });
            }
        }
        images.sort_by(|a, b| a.slug.cmp(&b.slug));
        Ok(images)
    }

    /// Waits for nobody: two builds at once are a mistake. Clears what an earlier run left unfinished.
    pub(super) fn lock(&self) -> Result<Locked<'_>> {
        let shown = self.folder.display();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&self.folder)
            .with_context(|| shown.to_string())?;
        let lock = File::create(self.folder.join(".lock")).with_context(|| {
            format!("{shown} may not be written; run this as the owner of DECNET_IMAGES_DIR")
        })?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another `decnet images` is working in {shown}; wait for it");
        }
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                let path = entry.path();
                let removed = if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(&path)
                } else {
                    fs::remove_file(&path)
                };
                removed.with_context(|| path.display().to_string())?;
            }
        }
        Ok(Locked { store: self, _lock: lock })
    }
}

impl Locked<'_> {
    /// A folder to work in; it goes when it is dropped.
    pub(super) fn work_folder(&self) -> Result<TempDir> {
        Ok(tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&self.store.folder)?)
    }

    /// A file that becomes an image with [`Self::finish`], and goes when it is dropped.
    pub(super) fn work_file(&self) -> Result<NamedTempFile> {
        Ok(tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.store.folder)?)
    }

    /// Puts a complete file into its place.
    pub(super) fn finish(&self, slug: &str, file: NamedTempFile) -> Result<PathBuf> {
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        let path = self.store.folder.join(format!("{slug}.tar"));
        file.persist(&path).with_context(|| path.display().to_string())?;
        File::open(&self.store.folder)?.sync_all()?;
        Ok(path)
    }

    /// False if there was none.
    pub(super) fn remove(&self, slug: &str) -> Result<bool> {
        let path = self.store.folder.join(format!("{slug}.tar"));
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn unfinished_work_is_neither_listed_nor_kept_and_only_one_works_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(&folder.path().join("images"));
        assert!(store.list().unwrap().is_empty());
        let locked = store.lock().unwrap();
        assert!(store.lock().is_err());
        let mut file = locked.work_file().unwrap();
        file.write_all(b"tar").unwrap();
        assert!(store.list().unwrap().is_empty());
        locked.finish("debian", file).unwrap();
        // As a kill would leave them.
        let _ = locked.work_folder().unwrap().keep();
        let _ = locked.work_file().unwrap().keep().unwrap();
        drop(locked);
        let locked = store.lock().unwrap();
        let names: Vec<_> = fs::read_dir(store.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        let listed = store.list().unwrap();
        assert_eq!((listed[0].slug.as_str(), listed[0].bytes, listed.len()), ("debian", 3, 1));
        assert_eq!(fs::metadata(&listed[0].path).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(locked.remove("debian").unwrap() && !locked.remove("debian").unwrap());
    }
}
