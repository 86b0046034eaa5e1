//! A folder of `.eml` files that an operator names: all mail of the machine, handed out by the addresses in it.
//!
//! Read again when one of its folders changes, and at most every few seconds otherwise. A file that cannot be read or
//! is no mail is skipped. Only what `entry` keeps stays in memory; who gets a mail is decided by `world`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::entry::{Entry, Stamp};

/// Files that are looked at.
const FILES_MAX: usize = 2000;
/// Folders below the spool.
const DEPTH_MAX: usize = 4;

/// The spool and what was last seen in it.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    every: TimeDelta,
    scanned: Option<DateTime<Utc>>,
    folders: BTreeMap<PathBuf, Option<SystemTime>>,
    /// Every file with its stamp; none of its own if it is no mail.
    files: BTreeMap<PathBuf, (Stamp, Option<Entry>)>,
}

impl Spool {
    /// A spool at this folder, which need not exist.
    pub fn new(folder: PathBuf, every: Duration) -> Self {
        let every = TimeDelta::from_std(every).unwrap_or_else(|_| TimeDelta::seconds(5));
        Self { folder, every, scanned: None, folders: BTreeMap::new(), files: BTreeMap::new() }
    }

    /// Scans if it is time to; true if it did.
    pub fn refresh(&mut self, now: DateTime<Utc>) -> bool {
        // An empty scan is never trusted: the first file may be on its way.
        let fresh = self.mails().next().is_some()
            && self.scanned.is_some_and(|at| now >= at && now - at < self.every)
            && self.folders.iter().all(|(folder, stamp)| modified(folder) == *stamp);
        if !fresh {
            self.scan();
            self.scanned = Some(now);
        }
        !fresh
    }

    /// The mails in no order.
    pub fn mails(&self) -> impl Iterator<Item = &Entry> {
        self.files.values().filter_map(|(_, entry)| entry.as_ref())
    }

    fn scan(&mut self) {
        let (mut paths, mut folders) = (Vec::new(), BTreeMap::new());
        collect(&self.folder, 0, &mut paths, &mut folders);
        self.folders = folders;
        let mut found = BTreeMap::new();
        for path in paths {
            let Some(stamp) = Stamp::of(&path) else { continue };
            let known = self.files.remove(&path).filter(|(seen, _)| *seen == stamp);
            let known = known.unwrap_or_else(|| {
                let name = path.strip_prefix(&self.folder).unwrap_or(&path).to_string_lossy();
                // A line of the list of ids holds one name.
                let key: Arc<str> = name.chars().filter(|c| !c.is_control()).collect::<String>().into();
                (stamp, Entry::read(key, &path, stamp))
            });
            found.insert(path, known);
        }
        self.files = found;
    }
}

/// Time of the last change of a folder.
pub(super) fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn collect(
    folder: &Path,
    depth: usize,
    out: &mut Vec<PathBuf>,
    folders: &mut BTreeMap<PathBuf, Option<SystemTime>>,
) {
    // Looked at before it is listed: what comes meanwhile is a change.
    folders.insert(folder.to_owned(), modified(folder));
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if out.len() >= FILES_MAX {
            return;
        }
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        // Links are not followed: the spool must not become a way to other files.
        if kind.is_dir() && depth < DEPTH_MAX && folders.len() < FILES_MAX {
            collect(&path, depth + 1, out, folders);
        } else if kind.is_file() && path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("eml"))
        {
            out.push(path);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes a file with this time.
    pub(in crate::mail) fn plant(path: &Path, text: &str, at: i64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        let time = std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap());
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn files_appear_bad_ones_are_skipped_and_an_empty_scan_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let mut spool = Spool::new(folder.path().join("spool"), Duration::from_secs(5));
        let put = |name: &str, text: &str, at| plant(&folder.path().join(name), text, at);
        assert!(spool.refresh(now) && spool.mails().next().is_none());
        put("spool/t1/b.eml", "From: A <a@x>\nTo: B <B@x>\nSubject: two\n\nhi\n", 200);
        put("spool/t2/a.EML", "From: b@x\nTo: a@x\nSubject: one\n\nhi\n", 100);
        put("spool/t2/bad.eml", "\0\0\0", 100);
        put("spool/t2/note.txt", "From: b@x\n\n", 100);
        assert!(spool.refresh(now));
        let mails: Vec<_> = spool.mails().cloned().collect();
        assert_eq!(mails.iter().map(|mail| &*mail.key).collect::<Vec<_>>(), ["t1/b.eml", "t2/a.EML"]);
        assert_eq!((mails[0].from.as_str(), mails[0].to.as_slice()), ("a@x", &["b@x".to_owned()][..]));
        assert_eq!(mails[0].size, "From: A <a@x>  To: B <B@x>  Subject: two    hi  ".len());
        assert!(!spool.refresh(now + TimeDelta::seconds(1)), "nothing has changed");
        // A new file deep inside changes its own folder: seen at once.
        put("spool/t2/c.eml", "From: b@x\nSubject: three\n\nhi\n", 300);
        assert!(spool.refresh(now + TimeDelta::seconds(1)));
        assert_eq!(spool.mails().count(), 3);
        // Another content under the same name leaves the folder alone: seen after the interval.
        put("spool/t2/bad.eml", "From: b@x\nSubject: mended\n\nhi\n", 400);
        assert!(spool.refresh(now + TimeDelta::seconds(7)));
        assert_eq!(spool.mails().count(), 4);
    }
}
