//! The files of one decky as a tree that is never left: a container's root as the host sees it, or the folder that stands
//! for `/` under the process runtime.
//!
//! Every path is resolved by the kernel within the tree (`openat2`), so a link that leads out ends within it or is refused,
//! whoever made it. No process is started in the decky and no engine is asked. Everything here blocks.

mod batch;
mod look;
mod put;
mod tidy;

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat2},
    io::Errno,
};

pub(crate) use self::{
    batch::Batch,
    put::{PLAIN_MODE, Put},
    tidy::Tidied,
};
use crate::{FileStat, RuntimeError, error::io_error};

/// The system's bounds, `PATH_MAX` and `NAME_MAX`.
const MAX_PATH: usize = 4095;
const MAX_NAME: usize = 255;
/// A link that changes while it is followed makes the kernel ask to try again.
const TRIES: usize = 16;
/// What mail is delivered to.
pub(crate) const MAILBOXES: &str = "/var/mail/vhosts/";

/// Whose tree it is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A running container's: its links are its own, files are completed beside their place.
    Container,
    /// A folder of the host's: whatever leads out is refused, and files are completed in another one. Without root, files
    /// belong to the agent's user; set-id bits would be live on the host and are left out.
    Folder {
        /// Where files are completed.
        staging: PathBuf,
    },
}

/// A tree that is open.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    kind: Kind,
}

impl Tree {
    pub(crate) fn new(root: OwnedFd, kind: Kind) -> Self {
        Self { root, kind }
    }

    /// The tree of a folder.
    pub(crate) fn of_folder(root: &Path, staging: PathBuf) -> Result<Self, RuntimeError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = open(root, flags, Mode::empty()).map_err(|error| io_error("open", root)(error.into()))?;
        Ok(Self::new(open, Kind::Folder { staging }))
    }

    /// The first `max` bytes of a file and what the system says of it; `None` if there is none.
    pub(crate) fn read(&self, path: &str, max: u64) -> Result<Option<(Bytes, FileStat)>, RuntimeError> {
        let parts = split(path)?;
        if parts.is_empty() {
            return Err(bad(path, "it names no file"));
        }
        // Not blocking: a FIFO without a writer must not keep us. And its times stay.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match self.enter_unseen(&parts.join("/"), flags) {
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
        Ok(Some((bytes.into(), of_stat(&stat))))
    }

    /// Opens for reading without moving the time of last access, where that is allowed.
    fn enter_unseen(&self, relative: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        match self.enter(relative, flags | OFlags::NOATIME) {
            Err(Errno::PERM) => self.enter(relative, flags),
            outcome => outcome,
        }
    }

    fn enter(&self, relative: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.enter_from(self.root.as_fd(), relative, flags)
    }

    fn enter_from(
        &self,
        folder: std::os::fd::BorrowedFd<'_>,
        relative: &str,
        flags: OFlags,
    ) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::NO_MAGICLINKS
            | match self.kind {
                // Neither the kernel's own files nor memory: nothing of ours belongs there.
                Kind::Container => ResolveFlags::IN_ROOT | ResolveFlags::NO_XDEV,
                Kind::Folder { .. } => ResolveFlags::BENEATH,
            };
        let mut outcome = Err(Errno::AGAIN);
        for _ in 0..TRIES {
            outcome = openat2(folder, relative, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
            if !matches!(outcome, Err(Errno::AGAIN | Errno::INTR)) {
                break;
            }
        }
        outcome
    }
}

/// What the system says of a file.
fn of_stat(stat: &Stat) -> FileStat {
    FileStat {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: mtime(stat),
    }
}

fn mtime(stat: &Stat) -> DateTime<Utc> {
    let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    DateTime::from_timestamp(stat.st_mtime, nanos).unwrap_or_default()
}

fn bad(path: &str, reason: &'static str) -> RuntimeError {
    RuntimeError::BadPath { path: path.chars().take(200).collect(), reason }
}

fn refusal(error: Errno, path: &str) -> RuntimeError {
    match error {
        Errno::XDEV => bad(path, "it leads out of the decky, or onto another of its file systems"),
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

/// The folders of a path and the name in the last of them.
fn place(path: &str) -> Result<(Vec<&str>, &str), RuntimeError> {
    let mut parts = split(path)?;
    let name = parts.pop().ok_or_else(|| bad(path, "it names no file"))?;
    Ok((parts, name))
}

/// A path in its plain form.
pub(crate) fn plain(path: &str) -> Result<String, RuntimeError> {
    Ok(format!("/{}", split(path)?.join("/")))
}
