//! The `.eml` spool: mail that the orchestrator plants in `<root>/var/spool/decnet-emails/<thread>/<msg>.eml`.
//!
//! Read again when the folder's modification time changes, and at most every few seconds otherwise. A file that
//! cannot be read or is no mail is skipped. What the spool holds is handed out as it is; who gets it is decided by
//! `world`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use mail_parser::MessageParser;

/// Files that are looked at.
const FILES_MAX: usize = 2000;
/// Largest file.
const FILE_MAX: u64 = 1 << 20;
/// Bytes of all files together.
const TOTAL_MAX: usize = 16 << 20;
/// Folders below the spool.
const DEPTH_MAX: usize = 4;

/// A planted mail.
#[derive(Debug, Clone)]
pub struct Planted {
    /// Where it lies: its identity.
    pub path: PathBuf,
    /// Time of the file.
    pub at: DateTime<Utc>,
    /// Bytes with CRLF.
    pub raw: Arc<[u8]>,
    /// Sender's address in lower case.
    pub from: String,
    /// Addresses it went to, in lower case.
    pub to: Vec<String>,
}

/// The spool and what was last seen in it.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    every: TimeDelta,
    scanned: Option<(DateTime<Utc>, Option<DateTime<Utc>>)>,
    mails: BTreeMap<PathBuf, Planted>,
}

impl Spool {
    /// A spool at this folder, which need not exist.
    pub fn new(folder: PathBuf, every: Duration) -> Self {
        let every = TimeDelta::from_std(every).unwrap_or_else(|_| TimeDelta::seconds(5));
        Self { folder, every, scanned: None, mails: BTreeMap::new() }
    }

    /// Mails by the time of their files; scans if it is time to.
    pub fn mails(&mut self, now: DateTime<Utc>) -> Vec<Planted> {
        let stamp = modified(&self.folder);
        // An empty scan is never trusted: the first file may be on its way.
        let fresh = self.scanned.is_some_and(|(at, seen)| {
            !self.mails.is_empty() && seen == stamp && now >= at && now - at < self.every
        });
        if !fresh {
            self.scan();
            self.scanned = Some((now, stamp));
        }
        let mut mails: Vec<Planted> = self.mails.values().cloned().collect();
        mails.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.path.cmp(&b.path)));
        mails
    }

    fn scan(&mut self) {
        let mut files = Vec::new();
        collect(&self.folder, 0, &mut files);
        let mut total = 0;
        let mut found = BTreeMap::new();
        for path in files {
            let Some(at) = modified(&path) else { continue };
            let mail = match self.mails.get(&path) {
                Some(known) if known.at == at => Some(known.clone()),
                _ => read(&path, at),
            };
            let Some(mail) = mail else { continue };
            total += mail.raw.len();
            if total > TOTAL_MAX {
                break;
            }
            found.insert(path, mail);
        }
        self.mails = found;
    }
}

fn modified(path: &Path) -> Option<DateTime<Utc>> {
    Some(fs::metadata(path).ok()?.modified().ok()?.into())
}

fn collect(folder: &Path, depth: usize, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if out.len() >= FILES_MAX {
            return;
        }
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        // Links are not followed: the spool must not become a way to other files.
        if kind.is_dir() && depth < DEPTH_MAX {
            collect(&path, depth + 1, out);
        } else if kind.is_file() && path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("eml"))
        {
            out.push(path);
        }
    }
}

fn read(path: &Path, at: DateTime<Utc>) -> Option<Planted> {
    if fs::metadata(path).ok()?.len() > FILE_MAX {
        return None;
    }
    let raw = crlf(&fs::read(path).ok()?);
    let parsed = MessageParser::default().parse_headers(&raw)?;
    // A file without a single header of mail is none.
    if parsed.from().is_none() && parsed.subject().is_none() && parsed.message_id().is_none() {
        return None;
    }
    let addresses = |list: Option<&mail_parser::Address<'_>>| -> Vec<String> {
        list.map(|list| list.iter().filter_map(|one| one.address.as_deref().map(str::to_lowercase)).collect())
            .unwrap_or_default()
    };
    let from = addresses(parsed.from()).into_iter().next().unwrap_or_default();
    let to = [parsed.to(), parsed.cc(), parsed.bcc()].into_iter().flat_map(addresses).collect();
    Some(Planted { path: path.to_owned(), at, raw: raw.into(), from, to })
}

/// The bytes with every line end as CRLF.
pub fn crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 30);
    let mut before = 0;
    for byte in bytes {
        if *byte == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(*byte);
        before = *byte;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plant(folder: &Path, name: &str, text: &str, at: i64) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let time = std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(at).unwrap());
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn files_appear_bad_ones_are_skipped_and_an_empty_scan_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let mut spool = Spool::new(folder.path().join("spool"), Duration::from_secs(5));
        assert!(spool.mails(now).is_empty());
        plant(folder.path(), "spool/t1/b.eml", "From: A <a@x>\nTo: B <B@x>\nSubject: two\n\nhi\n", 200);
        plant(folder.path(), "spool/t2/a.EML", "From: b@x\nTo: a@x\nSubject: one\n\nhi\n", 100);
        plant(folder.path(), "spool/t2/bad.eml", "\0\0\0", 100);
        plant(folder.path(), "spool/t2/note.txt", "From: b@x\n\n", 100);
        let mails = spool.mails(now);
        let subjects: Vec<_> =
            mails.iter().map(|mail| String::from_utf8_lossy(&mail.raw).contains("one")).collect();
        assert_eq!(subjects, [true, false]);
        assert_eq!((mails[1].from.as_str(), mails[1].to.as_slice()), ("a@x", &["b@x".to_owned()][..]));
        assert!(mails[1].raw.ends_with(b"\r\n\r\nhi\r\n"));
        // A new file deep inside leaves the spool's own time alone: it is seen after the interval.
        plant(folder.path(), "spool/t2/c.eml", "From: b@x\nSubject: three\n\nhi\n", 300);
        assert_eq!(spool.mails(now + TimeDelta::seconds(1)).len(), 2);
        assert_eq!(spool.mails(now + TimeDelta::seconds(6)).len(), 3);
        // A new folder changes it: seen at once.
        plant(folder.path(), "spool/t3/d.eml", "From: b@x\nSubject: four\n\nhi\n", 400);
        assert_eq!(spool.mails(now + TimeDelta::seconds(7)).len(), 4);
    }
}
