//! How far a watch has come, on disk: up to which moment everything that was closed is told, what was told since, who was
//! there, and which files are our own. The next agent learns from it what was left while nobody looked.
//!
//! Each state replaces the last one whole. It is not synced: a machine that loses power loses its containers' processes too,
//! and nothing is looked for in a container that did not live on.

use std::{
    collections::{HashMap, VecDeque},
    fs::{Metadata, Permissions},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    process::{self, Identity},
    session::Session,
};

/// Longest record that is read.
const MAX_RECORD: u64 = 1 << 20;
/// Files of ours that are remembered: those that a sweep may meet, and some that were put before and may be met when somebody
/// has changed their names or modes.
const MOST_PLACED: usize = 8192;
const MOST_OLD_PLACED: usize = 512;
/// Files told since the last moment that are remembered; more are told twice after a crash.
const MOST_TOLD: usize = 256;
/// Sessions that are remembered.
const MOST_SESSIONS: usize = 64;

/// A file that we put there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Placed {
    /// As [`placed`] has it.
    key: String,
    at: DateTime<Utc>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Record {
    /// Process 1 of the watched container.
    process: Option<Identity>,
    /// Everything that was closed before is told.
    seen: Option<DateTime<Utc>>,
    /// Who was there then.
    sessions: Vec<Session>,
    /// What was told since, by [`key`], and when.
    told: HashMap<String, DateTime<Utc>>,
    #[serde(default)]
    ours: VecDeque<Placed>,
}

/// What nobody has looked at yet.
#[derive(Debug, Clone)]
pub(super) struct Gap {
    pub(super) since: DateTime<Utc>,
    /// Who was there at its beginning.
    pub(super) sessions: Vec<Session>,
}

/// The journal of one decky.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    record: Mutex<Record>,
}

impl Journal {
    /// The one at `path`, or a new one.
    pub(super) fn open(path: &Path) -> Self {
        let bytes = path.to_str().and_then(|path| process::read(path, MAX_RECORD));
        let record = bytes.and_then(|bytes| {
            let understood = serde_json::from_slice(&bytes);
            understood
                .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "the journal of a capture cannot be understood and is begun anew"))
                .ok()
        });
        Self { path: path.to_owned(), record: Mutex::new(record.unwrap_or_default()) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A watch of the container of `process` begins at `now`. What nobody has looked at before, if the container was there
    /// before (`is_fresh`: it was not).
    pub(super) fn begin(&self, process: Identity, is_fresh: bool, now: DateTime<Utc>) -> Option<Gap> {
        let mut record = self.lock();
        // Without any record nothing is known of which files are ours.
        let gap = record.seen.filter(|_| !is_fresh).map(|seen| {
            let is_same = record.process == Some(process);
            let since = if is_same { seen } else { process.started_at(now).unwrap_or(seen).max(seen) };
            let sessions = if is_same { record.sessions.clone() } else { Vec::new() };
            Gap { since, sessions }
        });
        if record.process != Some(process) {
            record.told.clear();
            record.sessions.clear();
        }
        record.process = Some(process);
        // Until it is looked at: the next agent must look again if this one does not come to its end.
        record.seen = Some(gap.as_ref().map_or(now, |gap| gap.since));
        self.write(&record);
        gap
    }

    /// Everything that was closed in the container of `process` before `moment` is told.
    pub(super) fn seen(&self, process: Identity, moment: DateTime<Utc>, sessions: Vec<Session>) {
        let mut record = self.lock();
        if record.process != Some(process) {
            return;
        }
        record.seen = Some(moment);
        record.sessions = sessions;
        record.sessions.truncate(MOST_SESSIONS);
        // A file that changed after the moment was told after it.
        record.told.retain(|_, at| *at >= moment);
        // And what was put before it has been seen to be ours.
        while record.ours.len() > MOST_OLD_PLACED && record.ours.front().is_some_and(|ours| ours.at < moment)
        {
            record.ours.pop_front();
        }
        self.write(&record);
    }

    /// A file was told.
    pub(super) fn told(&self, process: Identity, key: String, now: DateTime<Utc>) {
        let mut record = self.lock();
        if record.process == Some(process) && record.told.len() < MOST_TOLD {
            record.told.insert(key, now);
            self.write(&record);
        }
    }

    pub(super) fn is_told(&self, key: &str) -> bool {
        self.lock().told.contains_key(key)
    }

    /// Files of ours are about to be put somewhere, `keys` as [`placed`] has them.
    pub(super) fn placing(&self, keys: impl IntoIterator<Item = String>, now: DateTime<Utc>) {
        let mut record = self.lock();
        for key in keys {
            record.ours.retain(|ours| ours.key != key);
            while record.ours.len() >= MOST_PLACED {
                record.ours.pop_front();
            }
            record.ours.push_back(Placed { key, at: now });
        }
        self.write(&record);
    }

    /// Whether a file is one of ours and as we put it.
    pub(super) fn is_placed(&self, path: &Path, meta: &Metadata) -> bool {
        let Some(name) = path.file_name() else { return false };
        let key = placed(name.as_bytes(), stamp(meta.mtime(), meta.mtime_nsec()), meta.len());
        self.lock().ours.iter().any(|ours| ours.key == key)
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, record: &Record) {
        if let Err(error) = self.try_write(record) {
            // After a removal there is no folder any more.
            tracing::debug!(path = %self.path.display(), %error, "the journal of a capture is not written: a crash now means that files are told twice or not at all");
        }
    }

    fn try_write(&self, record: &Record) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".captured-")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.persist(&self.path)?;
        Ok(())
    }
}

/// What stands for a file of ours: its name, its time and its size.
pub(super) fn placed(name: &[u8], mtime: Option<DateTime<Utc>>, size: u64) -> String {
    let nanos = mtime.and_then(|mtime| mtime.timestamp_nanos_opt()).unwrap_or(0);
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([0])
        .chain_update(nanos.to_le_bytes())
        .chain_update(size.to_le_bytes())
        .finalize();
    hex::encode(hash.get(..16).unwrap_or_default())
}

/// What stands for a told file: its path and its content, or why it was not kept.
pub(super) fn key(path: &Path, content: &str) -> String {
    let hash =
        Sha256::new().chain_update(path.as_os_str().as_bytes()).chain_update([0]).chain_update(content);
    hex::encode(hash.finalize())
}

/// A time stamp of the system's.
pub(super) fn stamp(seconds: i64, nanos: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, u32::try_from(nanos).ok()?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_659 + seconds, 5).unwrap()
    }

    #[test]
    fn the_next_agent_looks_at_what_this_one_has_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("captured.json");
        let ours = process::identity(std::process::id()).unwrap();
        let journal = Journal::open(&path);
        assert!(journal.begin(ours, false, at(0)).is_none(), "nothing was known");
        journal.seen(ours, at(5), Vec::new());
        let told = key(Path::new("/tmp/x"), "sha");
        journal.told(ours, told.clone(), at(6));
        let journal = Journal::open(&path);
        assert!(journal.is_told(&told) && !journal.is_told(&key(Path::new("/tmp/y"), "sha")));
        // The moment stays until everything was looked at.
        for _ in 0..2 {
            assert_eq!(journal.begin(ours, false, at(9)).unwrap().since, at(5));
        }
        journal.seen(ours, at(6), Vec::new());
        assert!(journal.is_told(&told), "it may have changed after the moment");
        journal.seen(ours, at(10), Vec::new());
        assert!(!journal.is_told(&told), "seen anyway");
        assert!(journal.begin(ours, true, at(20)).is_none(), "there was nothing before");
        assert_eq!(Journal::open(&path).begin(ours, false, at(30)).unwrap().since, at(20));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no parts are left");
    }

    #[test]
    fn ours_is_what_is_still_as_we_put_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, record) = (folder.path().join("planted"), folder.path().join("captured.json"));
        fs::write(&path, b"planted").unwrap();
        let meta = fs::metadata(&path).unwrap();
        let mtime = stamp(meta.mtime(), meta.mtime_nsec()).unwrap();
        Journal::open(&record).placing([placed(b"planted", Some(mtime), 7)], at(0));
        let journal = Journal::open(&record);
        assert!(journal.is_placed(&path, &meta) && journal.is_placed(Path::new("/a/planted"), &meta));
        assert!(!journal.is_placed(Path::new("/a/other"), &meta));
        fs::write(&path, b"changed").unwrap();
        assert!(!journal.is_placed(&path, &fs::metadata(&path).unwrap()));
    }
}
