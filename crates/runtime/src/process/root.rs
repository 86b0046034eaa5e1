//! The folder that stands for `/` of a decky: putting and reading files in it, and never outside of it.
//!
//! Every path is resolved by the kernel beneath the folder (`openat2`, `RESOLVE_BENEATH`), so a symbolic link that
//! leads out is refused whoever made it. A file is completed outside the root and renamed into it: nobody in the decky
//! sees half of one, or a temporary name.
//!
//! Owner and set-id bits: without root, a file belongs to the agent's user. What the file system does not hold is in
//! `owners.json` beside the root, for whoever shows the decky's files to an intruder.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
};

use bytes::Bytes;
use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, fchmod, fchown, fstat,
        futimens, mkdirat, open, openat2, renameat, statat,
    },
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::{folder::Folder, read_record, write_record};
use crate::{FileSpec, RuntimeError, error::io_error};

/// The system's bounds, `PATH_MAX` and `NAME_MAX`.
const MAX_PATH: usize = 4095;
const MAX_NAME: usize = 255;
/// Bits that a file on the host really gets. Set-id bits would be live there.
const PLAIN_MODE: u32 = 0o1777;
/// A link that changes while it is followed makes the kernel ask to try again.
const TRIES: usize = 16;

/// What the file system does not hold of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

/// A decky's root. All methods block.
pub(super) struct Root {
    folder: Folder,
    root: OwnedFd,
}

impl Root {
    pub(super) fn open(folder: &Folder) -> Result<Self, RuntimeError> {
        let path = folder.root();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = open(&path, flags, Mode::empty()).map_err(|error| io_error("open", path)(error.into()))?;
        Ok(Self { folder: folder.clone(), root })
    }

    /// Puts each file whole or not at all; stops at the first that cannot be put.
    pub(super) fn put(&self, files: &[FileSpec]) -> Result<(), RuntimeError> {
        let path = self.folder.owners();
        let before: BTreeMap<String, Owner> = read_record(&path)?.unwrap_or_default();
        let mut owners = before.clone();
        let outcome = files.iter().try_for_each(|file| self.put_one(file, &mut owners));
        if owners != before {
            write_record(&path, &owners)?;
        }
        outcome
    }

    fn put_one(&self, file: &FileSpec, owners: &mut BTreeMap<String, Owner>) -> Result<(), RuntimeError> {
        let parts = split(&file.path)?;
        let Some((name, parents)) = parts.split_last() else {
            return Err(bad(&file.path, "it names no file"));
        };
        let times = times(file)?;
        let folder = self.make_folders(parents, &times, &file.path)?;
        if statat(&folder, *name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
        {
            return Err(bad(&file.path, "it is a folder"));
        }
        let fail = |error: io::Error| io_error("put", &file.path)(error);
        let mut staged = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(self.folder.staging())
            .map_err(fail)?;
        staged.write_all(&file.content).map_err(fail)?;
        let has_owner = fchown(&staged, Some(Uid::from_raw(file.uid)), Some(Gid::from_raw(file.gid)));
        match has_owner {
            Ok(()) | Err(Errno::PERM) => {}
            Err(error) => return Err(fail(error.into())),
        }
        // After the owner, whose change may clear bits; and the times last, since everything else moves them.
        fchmod(&staged, Mode::from_raw_mode(file.mode & PLAIN_MODE)).map_err(|error| fail(error.into()))?;
        futimens(&staged, &times).map_err(|error| fail(error.into()))?;
        let key = format!("/{}", parts.join("/"));
        if has_owner.is_err() || file.mode & 0o7777 & !PLAIN_MODE != 0 {
            owners.insert(key, Owner { uid: file.uid, gid: file.gid, mode: file.mode & 0o7777 });
        } else {
            owners.remove(&key);
        }
        renameat(rustix::fs::CWD, staged.path(), &folder, *name).map_err(|error| fail(error.into()))?;
        // Its name is gone with the rename; there is nothing left to remove.
        drop(staged.into_temp_path().keep());
        Ok(())
    }

    /// Opens the folder of these parts, making what is missing. A folder made for an old file is as old as the file.
    fn make_folders(&self, parts: &[&str], times: &Timestamps, path: &str) -> Result<OwnedFd, RuntimeError> {
        let mut folder = self.beneath(".", OFlags::PATH | OFlags::DIRECTORY, path)?;
        let mut sofar = String::new();
        for part in parts {
            if !sofar.is_empty() {
                sofar.push('/');
            }
            sofar.push_str(part);
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            folder = match self.try_beneath(&sofar, flags) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => {
                    match mkdirat(&folder, *part, Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(io_error("put", path)(error.into())),
                    }
                    let made = self.beneath(&sofar, flags, path)?;
                    // The umask may have taken bits. Neither is worth failing for.
                    let _ = fchmod(&made, Mode::from_raw_mode(0o755));
                    let _ = futimens(&made, times);
                    made
                }
                Err(error) => return Err(refusal(error, path)),
            };
        }
        Ok(folder)
    }

    /// The first `max` bytes of a file; `None` if there is none.
    pub(super) fn read(&self, path: &str, max: u64) -> Result<Option<Bytes>, RuntimeError> {
        let parts = split(path)?;
        if parts.is_empty() {
            return Err(bad(path, "it names no file"));
        }
        // Not blocking: a FIFO without a writer must not keep us.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match self.try_beneath(&parts.join("/"), flags) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(refusal(error, path)),
        };
        let stat = fstat(&file).map_err(|error| io_error("read", path)(error.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(bad(path, "it is no regular file"));
        }
        let mut bytes = Vec::new();
        File::from(file).take(max).read_to_end(&mut bytes).map_err(io_error("read", path))?;
        Ok(Some(bytes.into()))
    }

    fn beneath(&self, relative: &str, flags: OFlags, path: &str) -> Result<OwnedFd, RuntimeError> {
        self.try_beneath(relative, flags).map_err(|error| refusal(error, path))
    }

    fn try_beneath(&self, relative: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let mut outcome = Err(Errno::AGAIN);
        for _ in 0..TRIES {
            outcome = openat2(self.root.as_fd(), relative, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
            if !matches!(outcome, Err(Errno::AGAIN | Errno::INTR)) {
                break;
            }
        }
        outcome
    }
}

fn times(file: &FileSpec) -> Result<Timestamps, RuntimeError> {
    let nanos = i64::from(file.mtime.timestamp_subsec_nanos());
    if nanos >= 1_000_000_000 {
        return Err(bad(&file.path, "its time is a leap second, which a file system cannot hold"));
    }
    let time = Timespec { tv_sec: file.mtime.timestamp(), tv_nsec: nanos };
    Ok(Timestamps { last_access: time, last_modification: time })
}

fn bad(path: &str, reason: &'static str) -> RuntimeError {
    RuntimeError::BadPath { path: path.chars().take(200).collect(), reason }
}

fn refusal(error: Errno, path: &str) -> RuntimeError {
    match error {
        Errno::XDEV => bad(path, "it leads out of the decky"),
        Errno::LOOP => bad(path, "its links lead in a circle"),
        Errno::NOTDIR => bad(path, "a part of it is no folder"),
        error => io_error("reach", path)(error.into()),
    }
}

/// The parts of an absolute path.
fn split(path: &str) -> Result<Vec<&str>, RuntimeError> {
    let Some(rest) = path.strip_prefix('/') else { return Err(bad(path, "it does not begin with /")) };
    if path.len() > MAX_PATH || path.contains('\0') {
        return Err(bad(path, "it is too long or holds a NUL"));
    }
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(bad(path, "it holds .."));
    }
    if parts.iter().any(|part| part.len() > MAX_NAME) {
        return Err(bad(path, "a name in it is too long"));
    }
    if rest.ends_with('/') {
        return Err(bad(path, "it names a folder"));
    }
    Ok(parts)
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
