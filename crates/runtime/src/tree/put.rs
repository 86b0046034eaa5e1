//! Puts one file: completed elsewhere and renamed into its place, so that nobody sees half of one. What is only longer than
//! before is lengthened where it is, as a log is, by whoever has it open.

use std::{
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
};

use rustix::{
    fs::{
        AtFlags, Gid, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid, fchmod, fchown, fstat, ftruncate,
        futimens, openat, renameat, renameat_with, unlinkat,
    },
    io::Errno,
};
use sha2::{Digest, Sha256};

use super::{
    Batch, Kind, MAILBOXES, MAX_NAME, Tree, bad,
    batch::Maker,
    look::{Found, There},
    place, refusal,
};
use crate::{Diverged, Expect, FileSpec, RuntimeError, error::io_error};

/// Bits that a file on the host really gets. Set-id bits would be live there.
pub(crate) const PLAIN_MODE: u32 = 0o1777;
/// Names tried for a file that is not complete yet.
const NAMES: u32 = 64;
/// Letters of such a name.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is there.
    Written {
        /// False if its owner could not be set.
        is_owned: bool,
    },
    /// Something else is.
    Diverged(Diverged),
}

/// A file that is complete and not in its place yet.
enum Staged {
    /// In the folder of the batch with this name.
    Within { folder: String, name: String },
    /// In a folder of the host's.
    Outside(tempfile::TempPath),
}

impl Tree {
    /// Puts a file, whole or not at all.
    pub(crate) fn put(&self, batch: &mut Batch, file: &FileSpec) -> Result<Put, RuntimeError> {
        match self.try_put(batch, file) {
            // Where somebody has put something in the way, the file is not as expected and the others go on.
            Err(RuntimeError::BadPath { .. }) if file.expect.is_some() && place(&file.path).is_ok() => {
                let found = Some("something in its way".to_owned());
                Ok(Put::Diverged(Diverged { path: file.path.clone(), found }))
            }
            outcome => outcome,
        }
    }

    fn try_put(&self, batch: &mut Batch, file: &FileSpec) -> Result<Put, RuntimeError> {
        let (parents, name) = place(&file.path)?;
        let times = times(file)?;
        let fail = |error: io::Error| io_error("put", &file.path)(error);
        let maker = Maker { uid: file.uid, gid: file.gid, mtime: file.mtime };
        let may_make = !matches!(file.expect, Some(Expect::Sha256(_)));
        let entered = batch.enter(self, &parents, may_make.then_some(maker), &file.path)?;
        let Some(folder) = entered else {
            return Ok(Put::Diverged(Diverged { path: file.path.clone(), found: None }));
        };
        let mut there = There::look(self, batch.open(&folder)?, name).map_err(|error| fail(error.into()))?;
        if let Some(expect) = &file.expect {
            let found = there.against(expect, &file.path, file.content.len()).map_err(fail)?;
            let content = match found {
                Ok(content) => content,
                Err(diverged) => return Ok(Put::Diverged(diverged)),
            };
            if let There::File(found) = &there
                && let Some(tail) = file.content.strip_prefix(content.as_slice())
                && !content.is_empty()
                && !tail.is_empty()
                && self.lengthen(batch.open(&folder)?, name, found, (file, tail, &times)).map_err(fail)?
            {
                return Ok(Put::Written { is_owned: true });
            }
        } else if matches!(there, There::Other("folder")) {
            return Err(bad(&file.path, "it is a folder"));
        }
        let (staged, is_owned) = self.stage(batch, &parents, (&folder, name), (file, &times))?;
        let is_new = matches!(there, There::Nothing);
        let must_be_new = file.expect == Some(Expect::Absent);
        let moved = move_in(batch, &staged, (&folder, name), must_be_new);
        match moved {
            Ok(()) => {
                if let Staged::Outside(path) = staged {
                    // Its name is gone with the rename; there is nothing left to remove.
                    let _ = path.keep();
                }
            }
            Err(error) => {
                if let Staged::Within { folder, name } = &staged {
                    let _ = unlinkat(batch.open(folder)?, name, AtFlags::empty());
                    batch.disturb(folder);
                }
                if error == Errno::EXIST && must_be_new {
                    let found = Some("something that came meanwhile".to_owned());
                    return Ok(Put::Diverged(Diverged { path: file.path.clone(), found }));
                }
                return Err(fail(error.into()));
            }
        }
        if is_new {
            batch.touch(&folder, file.mtime);
        } else {
            batch.disturb(&folder);
        }
        Ok(Put::Written { is_owned })
    }

    /// Lengthens the file that was `found`; false if it is another one by now, or is to change in other ways as well.
    fn lengthen(
        &self,
        folder: &OwnedFd,
        name: &str,
        found: &Found,
        (file, tail, times): (&FileSpec, &[u8], &Timestamps),
    ) -> io::Result<bool> {
        let is_same = |stat: &rustix::fs::Stat| {
            (stat.st_dev, stat.st_ino, stat.st_size)
                == (found.stat.st_dev, found.stat.st_ino, found.stat.st_size)
        };
        let stat = &found.stat;
        if (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777) != (file.uid, file.gid, file.mode & 0o7777) {
            return Ok(false);
        }
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let Ok(open) = self.enter_from(folder.as_fd(), name, flags) else { return Ok(false) };
        if !fstat(&open).is_ok_and(|stat| is_same(&stat)) {
            return Ok(false);
        }
        let mut open = File::from(open);
        if let Err(error) = open.write_all(tail) {
            let _ = ftruncate(&open, u64::try_from(stat.st_size).unwrap_or(0));
            let before =
                Timespec { tv_sec: stat.st_mtime, tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0) };
            let _ = futimens(&open, &Timestamps { last_access: before, last_modification: before });
            return Err(error);
        }
        futimens(&open, times)?;
        Ok(true)
    }

    /// Completes a file. True if it has its owner.
    fn stage(
        &self,
        batch: &mut Batch,
        parents: &[&str],
        (folder, name): (&str, &str),
        (file, times): (&FileSpec, &Timestamps),
    ) -> Result<(Staged, bool), RuntimeError> {
        let fail = |error: io::Error| io_error("put", &file.path)(error);
        let mut within = (folder.to_owned(), false);
        // Mail is delivered through `tmp`, as a Maildir's readers expect.
        if file.path.starts_with(MAILBOXES)
            && let Some((&("new" | "cur"), mailbox)) = parents.split_last()
        {
            let maker = Maker { uid: file.uid, gid: file.gid, mtime: file.mtime };
            for part in ["cur", "new", "tmp"] {
                let parts: Vec<&str> = mailbox.iter().copied().chain([part]).collect();
                if let Some(tmp) = batch.enter(self, &parts, Some(maker), &file.path)? {
                    within = (tmp, true);
                }
            }
        }
        if let Kind::Folder { staging } = &self.kind {
            let mut staged = tempfile::Builder::new()
                .permissions(std::fs::Permissions::from_mode(0o600))
                .tempfile_in(staging)
                .map_err(fail)?;
            let is_owned = complete(staged.as_file_mut(), file, times, PLAIN_MODE).map_err(fail)?;
            return Ok((Staged::Outside(staged.into_temp_path()), is_owned));
        }
        let (folder, is_mail) = within;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for attempt in 0..NAMES {
            let temporary = if is_mail && attempt == 0 {
                name.split(":2,").next().unwrap_or(name).to_owned()
            } else {
                beside(name, file, attempt)
            };
            match openat(batch.open(&folder)?, &temporary, flags, Mode::from_raw_mode(0o600)) {
                Ok(open) => {
                    let mut open = File::from(open);
                    batch.disturb(&folder);
                    if is_mail {
                        batch.touch(&folder, file.mtime);
                    }
                    return match complete(&mut open, file, times, 0o7777) {
                        Ok(is_owned) => Ok((Staged::Within { folder, name: temporary }, is_owned)),
                        Err(error) => {
                            let _ = unlinkat(batch.open(&folder)?, &temporary, AtFlags::empty());
                            Err(fail(error))
                        }
                    };
                }
                Err(Errno::EXIST | Errno::LOOP) => {}
                Err(error) => return Err(refusal(error, &file.path)),
            }
        }
        Err(bad(&file.path, "its folder is full of names like those of unfinished files"))
    }
}

/// Writes content, owner, mode and times. True if it has its owner.
fn complete(open: &mut File, file: &FileSpec, times: &Timestamps, bits: u32) -> io::Result<bool> {
    open.write_all(&file.content)?;
    let has_owner = fchown(&*open, Some(Uid::from_raw(file.uid)), Some(Gid::from_raw(file.gid)));
    match has_owner {
        Ok(()) => {}
        // The process runtime without root. In a container it would be a tell.
        Err(Errno::PERM) if bits == PLAIN_MODE => {}
        Err(error) => return Err(error.into()),
    }
    // After the owner, whose change may clear bits; and the times last, since everything else moves them.
    fchmod(&*open, Mode::from_raw_mode(file.mode & bits))?;
    futimens(&*open, times)?;
    Ok(has_owner.is_ok())
}

fn move_in(
    batch: &Batch,
    staged: &Staged,
    (folder, name): (&str, &str),
    must_be_new: bool,
) -> Result<(), Errno> {
    let target = batch.open(folder).map_err(|_| Errno::NOENT)?;
    let flags = if must_be_new { RenameFlags::NOREPLACE } else { RenameFlags::empty() };
    let rename = |flags: RenameFlags| match staged {
        Staged::Within { folder, name: from } => {
            let from_folder = batch.open(folder).map_err(|_| Errno::NOENT)?;
            if flags.is_empty() {
                return renameat(from_folder, from, target, name);
            }
            renameat_with(from_folder, from, target, name, flags)
        }
        Staged::Outside(path) if flags.is_empty() => renameat(rustix::fs::CWD, &**path, target, name),
        Staged::Outside(path) => renameat_with(rustix::fs::CWD, &**path, target, name, flags),
    };
    match rename(flags) {
        // A file system that knows no such flag: it was looked at a moment ago.
        Err(Errno::INVAL | Errno::NOSYS) if must_be_new => rename(RenameFlags::empty()),
        outcome => outcome,
    }
}

/// The name that a file has while it comes, such as copying programs give it: `.notes.txt.k3XbQ9`.
fn beside(name: &str, file: &FileSpec, attempt: u32) -> String {
    let hash = Sha256::new()
        .chain_update(&file.path)
        .chain_update(file.mtime.timestamp_nanos_opt().unwrap_or(0).to_le_bytes())
        .chain_update(attempt.to_le_bytes())
        .chain_update(&file.content)
        .finalize();
    let letter = |byte: &u8| LETTERS.get(usize::from(*byte) % LETTERS.len()).copied().map_or('x', char::from);
    let tail: String = hash.iter().take(6).map(letter).collect();
    let mut head = name.trim_start_matches('.');
    while head.len() > MAX_NAME - 8 {
        head = head.char_indices().next_back().and_then(|(at, _)| head.get(..at)).unwrap_or_default();
    }
    format!(".{head}.{tail}")
}

fn times(file: &FileSpec) -> Result<Timestamps, RuntimeError> {
    let nanos = i64::from(file.mtime.timestamp_subsec_nanos());
    if nanos >= 1_000_000_000 {
        return Err(bad(&file.path, "its time is a leap second, which a file system cannot hold"));
    }
    let time = Timespec { tv_sec: file.mtime.timestamp(), tv_nsec: nanos };
    Ok(Timestamps { last_access: time, last_modification: time })
}
