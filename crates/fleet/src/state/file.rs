//! Files that are replaced whole or not at all: temporary file in the same folder, fsync, rename, fsync of the folder.
//!
//! Knows nothing of what is in them.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};

use super::{MAX_BYTES, StateError};

/// Mode of the state file: unprivileged workers read it.
pub(super) const SHARED: u32 = 0o644;
/// Mode of plan files: they hold seeds and planted passwords.
pub(super) const PRIVATE: u32 = 0o600;

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> StateError + '_ {
    |source| StateError::Io { path: path.to_owned(), source }
}

/// The folder of `path`, `.` for a bare name.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The name of `path` without its extension.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "decnet-state".to_owned(), |s| s.to_string_lossy().into_owned())
}

/// Reads a document; `None` if there is no file.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path)(error)),
    };
    let unreadable = |reason: String| StateError::Unreadable { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io_error(path))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(unreadable(format!("it is larger than {MAX_BYTES} bytes")));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| unreadable(error.to_string()))
}

/// Replaces the document at `path`, making its folder if need be.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T, mode: u32) -> Result<(), StateError> {
    let temporary = prepare(path, value, mode)?;
    commit(temporary, path)
}

/// The new document under a temporary name, safely on the disk. Until [`commit`], the old one counts.
pub(super) fn prepare<T: Serialize>(
    path: &Path,
    value: &T,
    mode: u32,
) -> Result<tempfile::NamedTempFile, StateError> {
    let folder = folder(path);
    fs::create_dir_all(folder).map_err(io_error(folder))?;
    let mut file = tempfile::Builder::new()
        .prefix(".decnet-")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(io_error(folder))?;
    let write = |file: &mut File| -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        file.write_all(&text)?;
        // Exact, whatever the umask left of it.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()
    };
    write(file.as_file_mut()).map_err(io_error(path))?;
    Ok(file)
}

/// Puts a prepared document in its place.
pub(super) fn commit(file: tempfile::NamedTempFile, path: &Path) -> Result<(), StateError> {
    file.persist(path).map_err(|error| io_error(path)(error.error))?;
    sync_folder(path)
}

/// Removes `path` if it is there.
pub(super) fn remove(path: &Path) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(path)(error)),
    }
}

/// The plan files beside the state file `state`, lowest generation first.
pub(super) fn plans(state: &Path) -> Vec<(u64, PathBuf)> {
    let prefix = format!("{}-plan-", stem(state));
    let Ok(entries) = fs::read_dir(folder(state)) else { return Vec::new() };
    let mut plans: Vec<(u64, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix(&prefix)?.strip_suffix(".json")?;
            Some((number.parse().ok()?, entry.path()))
        })
        .collect();
    plans.sort();
    plans
}

/// Removes the plan files of the state file `state` except `keep`. Best effort: a leftover does no harm and is removed
/// by the next write.
pub(super) fn remove_old_plans(state: &Path, keep: &Path) {
    for (_, path) in plans(state) {
        if path.file_name() != keep.file_name() {
            let _ = fs::remove_file(path);
        }
    }
}

/// Renames `path` to `<path>.corrupt-<time>`, never over an older one.
pub(super) fn set_aside(path: &Path, now: DateTime<Utc>) -> Result<Option<PathBuf>, StateError> {
    let time = now.format("%Y%m%dT%H%M%SZ");
    for attempt in 0..1000u32 {
        let suffix = if attempt == 0 { String::new() } else { format!("-{attempt}") };
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".corrupt-{time}{suffix}"));
        let aside = PathBuf::from(aside);
        // A hard link fails where the name exists, unlike a rename.
        match fs::hard_link(path, &aside) {
            Ok(()) => {
                fs::remove_file(path).map_err(io_error(path))?;
                sync_folder(path)?;
                return Ok(Some(aside));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(path)(error)),
        }
    }
    Err(io_error(path)(io::Error::other("too many files set aside in this second")))
}

fn sync_folder(path: &Path) -> Result<(), StateError> {
    let folder = folder(path);
    File::open(folder).and_then(|f| f.sync_all()).map_err(io_error(folder))
}
