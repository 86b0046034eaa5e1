//! The folders that a number of files goes through: opened once, made where they are missing, and with times that tell the
//! story of what was put into them, not of when.
//!
//! A folder has the time of the newest entry that came into it. One that had a later time keeps it.

use std::{
    collections::{BTreeMap, HashMap},
    os::fd::{AsFd, OwnedFd},
};

use chrono::{DateTime, TimeDelta, Utc};
use rustix::{
    fs::{
        Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, fchmod, fchown, fstat, futimens, mkdirat,
    },
    io::Errno,
};
use sha2::{Digest, Sha256};

use super::{MAILBOXES, Tree, bad, mtime, refusal};
use crate::{FileSpec, RuntimeError, error::io_error};

/// Folders that are open at once.
const MOST_OPEN: usize = 128;
/// Longest passwd file that is read to find whose a home is.
const MAX_PASSWD: u64 = 1 << 20;
/// How much older a folder is than the first file in it, at least and at most.
const OLDER_S: (u64, u64) = (3, 1500);
/// What programs make for their owner's eyes only.
const PRIVATE: [&str; 5] = [".ssh", ".gnupg", ".cache", ".config", ".local"];

/// An open folder.
#[derive(Debug)]
struct Folder {
    open: OwnedFd,
    /// The time that it is to have.
    time: DateTime<Utc>,
    is_touched: bool,
}

/// Who owns what is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maker {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: DateTime<Utc>,
}

/// The folders of one call.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    folders: HashMap<String, Folder>,
    /// The time of the oldest file of the call below each folder.
    oldest: HashMap<String, DateTime<Utc>>,
    /// Whose each home is.
    homes: Option<BTreeMap<String, (u32, u32)>>,
}

impl Batch {
    /// For these files.
    pub(crate) fn of(files: &[FileSpec]) -> Self {
        let mut oldest: HashMap<String, DateTime<Utc>> = HashMap::new();
        for file in files {
            let Ok((parents, _)) = super::place(&file.path) else { continue };
            let mut folder = String::new();
            for part in parents {
                grow(&mut folder, part);
                let time = oldest.entry(folder.clone()).or_insert(file.mtime);
                *time = (*time).min(file.mtime);
            }
        }
        Self { folders: HashMap::new(), oldest, homes: None }
    }

    /// Opens the folder of these parts and makes what is missing; `None` if that is not `wanted` and something is missing.
    /// The answer is its name for the other functions.
    pub(super) fn enter(
        &mut self,
        tree: &Tree,
        parts: &[&str],
        maker: Option<Maker>,
        path: &str,
    ) -> Result<Option<String>, RuntimeError> {
        if self.folders.len() > MOST_OPEN {
            self.settle();
        }
        let mut name = String::new();
        let mut above: Option<String> = None;
        for part in std::iter::once(&"").chain(parts) {
            if !part.is_empty() {
                above = Some(name.clone());
                grow(&mut name, part);
            }
            if self.folders.contains_key(&name) {
                continue;
            }
            let relative = if name.is_empty() { "." } else { &name };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let folder = match (tree.enter(relative, flags), &above, maker) {
                (Ok(open), ..) => Folder::of(open).map_err(|error| refusal(error, path))?,
                (Err(Errno::NOENT), Some(_), None) => return Ok(None),
                (Err(Errno::NOENT), Some(above), Some(maker)) => {
                    self.make(tree, (above, part, &name), maker, path)?
                }
                (Err(error), ..) => return Err(refusal(error, path)),
            };
            self.folders.insert(name.clone(), folder);
        }
        Ok(Some(name))
    }

    fn make(
        &mut self,
        tree: &Tree,
        (above, part, name): (&str, &str, &str),
        maker: Maker,
        path: &str,
    ) -> Result<Folder, RuntimeError> {
        let fail = |error: Errno| io_error("put", path)(error.into());
        let first = self.oldest.get(name).copied().unwrap_or(maker.mtime);
        let time = first - older(name);
        let is_mail = format!("/{name}/").starts_with(MAILBOXES);
        let mode = if is_mail || PRIVATE.contains(&part) { 0o700 } else { 0o755 };
        let (uid, gid) = if is_mail { (maker.uid, maker.gid) } else { self.owner(tree, name) };
        let parent = self.folders.get(above).ok_or_else(|| fail(Errno::NOENT))?;
        match mkdirat(&parent.open, part, Mode::from_raw_mode(0o700)) {
            // Somebody was faster, and it is his; or it is a link to nowhere.
            Err(Errno::EXIST) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                let open = tree.enter(name, flags).map_err(|error| match error {
                    Errno::NOENT => bad(path, "a link in it leads nowhere"),
                    error => refusal(error, path),
                })?;
                return Folder::of(open).map_err(fail);
            }
            made => made.map_err(fail)?,
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let open = tree.enter_from(parent.open.as_fd(), part, flags).map_err(|error| refusal(error, path))?;
        // Under the process runtime without root it is the agent's user's.
        let _ = fchown(&open, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        fchmod(&open, Mode::from_raw_mode(mode)).map_err(fail)?;
        self.touch(above, time);
        Ok(Folder { open, time, is_touched: true })
    }

    pub(super) fn open(&self, name: &str) -> Result<&OwnedFd, RuntimeError> {
        let folder = self.folders.get(name).map(|folder| &folder.open);
        folder.ok_or_else(|| RuntimeError::Internal("a folder of a batch is not open".to_owned()))
    }

    /// Something came into a folder at `time`.
    pub(super) fn touch(&mut self, name: &str, time: DateTime<Utc>) {
        if let Some(folder) = self.folders.get_mut(name) {
            folder.time = folder.time.max(time);
            folder.is_touched = true;
        }
    }

    /// Something in a folder was replaced: to be as if it had been changed in its place.
    pub(super) fn disturb(&mut self, name: &str) {
        if let Some(folder) = self.folders.get_mut(name) {
            folder.is_touched = true;
        }
    }

    /// What happens to the folders happens now, and they may show it.
    pub(super) fn leave_times(&mut self) {
        self.folders.values_mut().for_each(|folder| folder.is_touched = false);
    }

    /// Gives the folders their times. Also when it is dropped.
    pub(crate) fn settle(&mut self) {
        for (_, folder) in self.folders.drain().filter(|(_, folder)| folder.is_touched) {
            let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
            let nanos = i64::from(folder.time.timestamp_subsec_nanos().min(999_999_999));
            let time = Timespec { tv_sec: folder.time.timestamp(), tv_nsec: nanos };
            let times = Timestamps { last_access: omit, last_modification: time };
            // A weak tell, and no reason to fail.
            if let Err(error) = futimens(&folder.open, &times) {
                tracing::debug!(%error, "the age of a folder stays");
            }
        }
    }

    /// Whose a folder is that is made: the home's owner's, else root's.
    fn owner(&mut self, tree: &Tree, name: &str) -> (u32, u32) {
        let homes = self.homes.get_or_insert_with(|| homes(tree));
        let path = format!("/{name}/");
        let owner = homes.iter().find(|(home, _)| path.starts_with(&format!("{home}/")));
        owner.map_or((0, 0), |(_, ids)| *ids)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.settle();
    }
}

impl Folder {
    fn of(open: OwnedFd) -> Result<Self, Errno> {
        let time = mtime(&fstat(&open)?);
        Ok(Self { open, time, is_touched: false })
    }
}

fn grow(folder: &mut String, part: &str) {
    if !folder.is_empty() {
        folder.push('/');
    }
    folder.push_str(part);
}

/// How much older a folder is than what is first in it: some minutes, always the same for a name, and deeper ones later.
fn older(name: &str) -> TimeDelta {
    let hash = Sha256::digest(name.as_bytes());
    let number = hash.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let depth = name.split('/').count().min(32) as u64;
    let (least, most) = OLDER_S;
    let nanos = number % ((most - least) * 1_000_000_000 / 32) + least * 1_000_000_000;
    let nanos = nanos + (32 - depth) * ((most - least) * 1_000_000_000 / 32);
    TimeDelta::nanoseconds(i64::try_from(nanos).unwrap_or(0))
}

/// Whose each home is.
fn homes(tree: &Tree) -> BTreeMap<String, (u32, u32)> {
    let Ok(Some((bytes, _))) = tree.read("/etc/passwd", MAX_PASSWD) else { return BTreeMap::new() };
    let text = String::from_utf8_lossy(&bytes);
    let home = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, uid, gid, _, home, _] = fields.as_slice() else { return None };
        // A service's home, such as `/` or `/var/www`, is not his to make folders in.
        let is_home = home.starts_with("/home/") || *home == "/root";
        is_home.then_some(((*home).to_owned(), (uid.parse().ok()?, gid.parse().ok()?)))
    };
    text.lines().filter_map(home).collect()
}
