//! What is at a path before it is touched, and whether it is what was expected.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, OFlags, Stat, fstat, statat},
    io::Errno,
};
use sha2::{Digest, Sha256};

use super::Tree;
use crate::{Diverged, Expect};

/// A larger file is none of ours.
const MAX_HASHED: u64 = 64 << 20;
/// Read at once.
const CHUNK: usize = 64 * 1024;

/// What is at a path.
#[derive(Debug)]
pub(super) enum There {
    Nothing,
    File(Box<Found>),
    /// Something else, in a word.
    Other(&'static str),
}

/// A regular file.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: File,
    pub(super) stat: Stat,
}

impl There {
    /// What is in `folder` under this name; a link is not followed.
    pub(super) fn look(tree: &Tree, folder: &OwnedFd, name: &str) -> Result<Self, Errno> {
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Self::Nothing),
            Err(error) => return Err(error),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Ok(Self::Other("folder")),
            FileType::Symlink => return Ok(Self::Other("link")),
            _ => return Ok(Self::Other("special file")),
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
        let opened = match tree.enter_from(folder.as_fd(), name, flags | OFlags::NOATIME) {
            Err(Errno::PERM) => tree.enter_from(folder.as_fd(), name, flags),
            outcome => outcome,
        };
        let file = match opened {
            Ok(file) => file,
            // It changed under our eyes, or something is mounted over it.
            Err(Errno::LOOP) => return Ok(Self::Other("link")),
            Err(Errno::XDEV) => return Ok(Self::Other("mount")),
            Err(Errno::NOENT) => return Ok(Self::Nothing),
            Err(error) => return Err(error),
        };
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(Self::Other("special file"));
        }
        Ok(Self::File(Box::new(Found { file: file.into(), stat })))
    }

    /// What is there instead of what was expected; `None` if that is there. `keep`: the content is wanted if it has at most
    /// so many bytes.
    pub(super) fn against(
        &mut self,
        expect: &Expect,
        path: &str,
        keep: usize,
    ) -> io::Result<Result<Vec<u8>, Diverged>> {
        let diverged = |found: Option<String>| Ok(Err(Diverged { path: path.to_owned(), found }));
        match (self, expect) {
            (Self::Nothing, Expect::Absent) => Ok(Ok(Vec::new())),
            (Self::Nothing, Expect::Sha256(_)) => diverged(None),
            (Self::Other(what), _) => diverged(Some((*what).to_owned())),
            (Self::File(found), expect) => {
                let Some((hash, content)) = found.hash(keep)? else {
                    return diverged(Some("large file".to_owned()));
                };
                match expect {
                    Expect::Sha256(wanted) if wanted.eq_ignore_ascii_case(&hash) => Ok(Ok(content)),
                    _ => diverged(Some(hash)),
                }
            }
        }
    }
}

impl Found {
    /// Its SHA-256, and its content if that has at most `keep` bytes; `None` if it is too large.
    fn hash(&mut self, keep: usize) -> io::Result<Option<(String, Vec<u8>)>> {
        let mut hasher = Sha256::new();
        let mut content = Vec::new();
        let mut read = 0_u64;
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let chunk = buffer.get(..count).unwrap_or_default();
            read += count as u64;
            if read > MAX_HASHED {
                return Ok(None);
            }
            hasher.update(chunk);
            if read <= keep as u64 {
                content.extend_from_slice(chunk);
            }
        }
        if read > keep as u64 {
            content.clear();
        }
        Ok(Some((hex::encode(hasher.finalize()), content)))
    }
}
