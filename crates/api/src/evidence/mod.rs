//! The folder of evidence on disk, opened so that nothing of a request or of a decky leads out of it: names are checked by
//! their form, and the kernel resolves the rest beneath the folder and through no symbolic link.
//!
//! Read-only. What writes here are the agent and the decoys; their files are taken for hostile.

mod shard;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use decnet_core::DeckyName;
use moka::sync::Cache;
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use tokio::sync::Semaphore;

use self::shard::Shard;
pub(crate) use self::shard::{Event, Header, MAX_EVENTS};

/// Shards of transcripts whose index is kept.
const KEPT_SHARDS: u64 = 32;
/// Days that are looked through for a session, newest first.
const MAX_SHARDS: usize = 400;
/// Transcripts that are searched at the same time; each keeps a thread busy.
const SEARCHES: usize = 4;
/// Files that are sent at the same time.
const DOWNLOADS: usize = 32;

/// The folder of evidence.
pub(crate) struct Evidence {
    root: PathBuf,
    shards: Cache<PathBuf, Arc<Mutex<Shard>>>,
    pub(crate) searches: Arc<Semaphore>,
    pub(crate) downloads: Arc<Semaphore>,
}

/// A part of one recorded session.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    pub(crate) header: Option<Header>,
    pub(crate) events: Vec<Event>,
    pub(crate) total: u64,
    pub(crate) truncated: bool,
}

impl Evidence {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            shards: Cache::new(KEPT_SHARDS),
            searches: Arc::new(Semaphore::new(SEARCHES)),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
        }
    }

    /// Opens a file below the folder; `None` if there is no regular file of that name, and none is reached by a link.
    pub(crate) fn open(&self, below: &Path) -> io::Result<Option<File>> {
        let root = match open(&self.root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(root) => root,
            Err(error) => return absent(error),
        };
        // Without NONBLOCK, opening a pipe that somebody put there would wait for ever.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let file = match openat2(&root, below, flags, Mode::empty(), resolve) {
            Ok(file) => file,
            Err(error) => return absent(error),
        };
        let kind = FileType::from_raw_mode(fstat(&file)?.st_mode);
        Ok((kind == FileType::RegularFile || kind == FileType::Directory).then(|| File::from(file)))
    }

    /// Opens a captured file.
    pub(crate) fn open_file(&self, below: &Path) -> io::Result<Option<File>> {
        let Some(file) = self.open(below)? else { return Ok(None) };
        Ok(file.metadata()?.is_file().then_some(file))
    }

    /// Events `offset..offset + limit` of a session; `None` if no shard knows it. Reads files: not for async threads.
    pub(crate) fn recording(
        &self,
        decky: &DeckyName,
        sid: &str,
        offset: u64,
        limit: usize,
    ) -> io::Result<Option<Recording>> {
        let folder = Path::new(decky.as_str()).join("transcripts");
        // A session that goes on past midnight may go on in the next day's shard.
        let mut parts = Vec::new();
        for name in self.shard_names(&folder)? {
            let path = folder.join(name);
            let Some(file) = self.open_file(&path)? else { continue };
            let shard = self.shards.get_with(path, || Arc::new(Mutex::new(Shard::default())));
            let found = shard.lock().unwrap_or_else(PoisonError::into_inner).find(&file, sid)?;
            if let Some(found) = found {
                let begins = found.header.is_some();
                parts.push((file, found));
                if begins {
                    break;
                }
            }
        }
        if parts.is_empty() {
            return Ok(None);
        }
        let mut recording = Recording::default();
        let (mut skip, mut full) = (offset, false);
        for (file, found) in parts.iter().rev() {
            recording.total += found.total;
            recording.truncated |= found.truncated;
            if recording.header.is_none() {
                recording.header.clone_from(&found.header);
            }
            let wanted = limit.saturating_sub(recording.events.len());
            if skip < found.total && wanted > 0 && !full {
                let before = recording.events.len();
                shard::read(file, sid, found, skip, wanted, &mut recording.events)?;
                // Fewer than there are: the page is full, and nothing of a later day may close the gap.
                full = ((recording.events.len() - before) as u64) < found.total - skip;
            }
            skip = skip.saturating_sub(found.total);
        }
        Ok(Some(recording))
    }

    /// Names of the day files, newest first.
    fn shard_names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let Some(folder) = self.open(folder)? else { return Ok(Vec::new()) };
        if !folder.metadata()?.is_dir() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for entry in Dir::read_from(&folder)? {
            if let Ok(name) = entry?.file_name().to_str()
                && is_shard(name)
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        names.truncate(MAX_SHARDS);
        Ok(names)
    }
}

/// `sessions-YYYY-MM-DD.jsonl`
fn is_shard(name: &str) -> bool {
    let day = name.strip_prefix("sessions-").and_then(|rest| rest.strip_suffix(".jsonl"));
    day.is_some_and(|day| day.len() == 10 && chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok())
}

/// What is not there, or is not a way into the folder, is absent; the rest is a failure.
fn absent<T>(error: rustix::io::Errno) -> io::Result<Option<T>> {
    use rustix::io::Errno;
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG | Errno::NXIO => {
            Ok(None)
        }
        other => Err(other.into()),
    }
}
