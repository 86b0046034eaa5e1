//! The Maildirs of the machine, `/var/mail/vhosts/<domain>/<local part>/{cur,new,tmp}` with Maildir++ folders below
//! (`.Sent`): what others deliver there, read without changing it.
//!
//! A folder is listed again when its modification time moves, and at most every few seconds otherwise. A file that is
//! shorter or longer than its name says (`,S=`) is still being written and is left for the next look; one that is no
//! mail is skipped.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    entry::{Entry, Marks, Stamp},
    spool::modified,
};

/// Mailboxes that are looked at.
const BOXES_MAX: usize = 400;
/// Files of one mailbox.
const FILES_MAX: usize = 4000;
/// Bytes of a file's name.
const NAME_MAX: usize = 255;

/// All mailboxes on disk.
#[derive(Debug)]
pub struct Maildirs {
    top: PathBuf,
    every: TimeDelta,
    listed: Option<DateTime<Utc>>,
    folders: BTreeMap<PathBuf, Option<SystemTime>>,
    boxes: BTreeMap<(String, String), Maildir>,
}

/// One of them.
#[derive(Debug)]
struct Maildir {
    folder: PathBuf,
    scanned: Option<(DateTime<Utc>, [Option<SystemTime>; 2])>,
    files: BTreeMap<Arc<str>, Looked>,
}

/// A file as it was last looked at; without an entry if it is no mail.
type Looked = (Stamp, Option<Entry>);

impl Maildirs {
    /// The mailboxes below a root folder.
    pub fn new(root: &Path, every: Duration) -> Self {
        Self {
            top: root.join("var/mail/vhosts"),
            every: TimeDelta::from_std(every).unwrap_or_else(|_| TimeDelta::seconds(5)),
            listed: None,
            folders: BTreeMap::new(),
            boxes: BTreeMap::new(),
        }
    }

    /// Looks at what has changed; true if it listed anything anew.
    pub fn refresh(&mut self, now: DateTime<Utc>) -> bool {
        let current = self.listed.is_some_and(|at| now >= at && now - at < self.every)
            && self.folders.iter().all(|(folder, stamp)| modified(folder) == *stamp);
        if !current {
            self.list();
            self.listed = Some(now);
        }
        let every = self.every;
        let mut changed = !current;
        for maildir in self.boxes.values_mut() {
            changed |= maildir.refresh(now, every);
        }
        changed
    }

    /// `(address, mailbox, mail)` of all mails; the mailbox is `INBOX` or the name of a folder.
    pub fn mails(&self) -> impl Iterator<Item = (&str, &str, &Entry)> {
        self.boxes.iter().flat_map(|((address, name), maildir)| {
            let entries = maildir.files.values().filter_map(|(_, entry)| entry.as_ref());
            entries.map(move |entry| (address.as_str(), name.as_str(), entry))
        })
    }

    /// Where the mailboxes of an address lie.
    pub fn folder_of(&self, address: &str) -> Option<PathBuf> {
        let (local, domain) = address.rsplit_once('@')?;
        let plain = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains('/');
        (plain(local) && plain(domain)).then(|| self.top.join(domain).join(local))
    }

    fn list(&mut self) {
        self.folders.clear();
        let mut found: Vec<((String, String), PathBuf)> = Vec::new();
        for (domain, domain_folder) in self.folders_in(&self.top.clone()) {
            for (local, folder) in self.folders_in(&domain_folder) {
                let address = format!("{local}@{domain}").to_lowercase();
                for (name, sub) in self.folders_in(&folder) {
                    if let Some(name) = name.strip_prefix('.').filter(|name| !name.is_empty()) {
                        found.push(((address.clone(), name.to_owned()), sub));
                    }
                }
                found.push(((address, "INBOX".to_owned()), folder));
            }
        }
        found.truncate(BOXES_MAX);
        let mut boxes = BTreeMap::new();
        for (name, folder) in found {
            let kept = self.boxes.remove(&name).filter(|kept| kept.folder == folder);
            boxes.insert(name, kept.unwrap_or(Maildir { folder, scanned: None, files: BTreeMap::new() }));
        }
        self.boxes = boxes;
    }

    /// Folders in a folder by name, remembered with the time of its last change.
    fn folders_in(&mut self, folder: &Path) -> Vec<(String, PathBuf)> {
        self.folders.insert(folder.to_owned(), modified(folder));
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut found: Vec<(String, PathBuf)> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
            .take(BOXES_MAX)
            .collect();
        found.sort();
        found
    }
}

impl Maildir {
    fn refresh(&mut self, now: DateTime<Utc>, every: TimeDelta) -> bool {
        // Both before both are listed: what comes meanwhile is a change.
        let stamps = ["new", "cur"].map(|name| modified(&self.folder.join(name)));
        let current = self
            .scanned
            .as_ref()
            .is_some_and(|(at, seen)| *seen == stamps && now >= *at && now - *at < every);
        if current {
            return false;
        }
        let mut found = BTreeMap::new();
        // In this order a file that a client moves from one to the other is seen at least once.
        for (name, fresh) in [("new", true), ("cur", false)] {
            for entry in fs::read_dir(self.folder.join(name)).into_iter().flatten().flatten() {
                if found.len() >= FILES_MAX {
                    break;
                }
                let Ok(name) = entry.file_name().into_string() else { continue };
                if let Some((key, file)) = self.look(&name, &entry.path(), fresh) {
                    found.insert(key, file);
                }
            }
        }
        self.files = found;
        self.scanned = Some((now, stamps));
        true
    }

    fn look(&mut self, name: &str, path: &Path, fresh: bool) -> Option<(Arc<str>, Looked)> {
        if name.starts_with('.') || name.len() > NAME_MAX || name.chars().any(char::is_control) {
            return None;
        }
        let (base, info) = name.split_once(':').unwrap_or((name, ""));
        let stamp = Stamp::of(path)?;
        let wanted = base.split(',').find_map(|word| word.strip_prefix("S=")?.parse::<u64>().ok());
        if wanted.is_some_and(|wanted| wanted != stamp.length) {
            return None;
        }
        let key: Arc<str> = base.into();
        let known = self.files.remove(&key).filter(|(seen, _)| *seen == stamp);
        let (_, mut entry) = known.unwrap_or_else(|| (stamp, Entry::read(key.clone(), path, stamp)));
        if let Some(entry) = &mut entry {
            if *entry.path != *path {
                entry.path = path.into();
            }
            entry.fresh = fresh;
            entry.marks = Marks::of(info);
            // Whose mailbox it lies in is whose mail it is.
            entry.to = Vec::new();
            let time: String = base.chars().take_while(char::is_ascii_digit).collect();
            entry.order = time.parse().unwrap_or(entry.order);
        }
        Some((key, (stamp, entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::spool::tests::plant, *};

    const TEXT: &str =
        "From: Bob <bob@x.lan>\r\nTo: anna@x.lan\r\nMessage-ID: <1@x.lan>\r\nSubject: s\r\n\r\nhi\r\n";

    fn names(boxes: &Maildirs) -> Vec<(String, bool, Vec<String>)> {
        boxes
            .mails()
            .map(|(address, name, entry)| {
                (
                    format!("{address}/{name}/{}", entry.key),
                    entry.fresh,
                    entry.marks.flags().into_iter().collect(),
                )
            })
            .collect()
    }

    #[test]
    fn deliveries_flags_folders_and_unfinished_files() {
        let root = tempfile::tempdir().unwrap();
        let inbox = root.path().join("var/mail/vhosts/x.lan/anna");
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let mut boxes = Maildirs::new(root.path(), Duration::from_secs(5));
        boxes.refresh(now);
        assert!(names(&boxes).is_empty());
        plant(&inbox.join("new/1795000000.M1P1.mx"), TEXT, 1_795_000_000);
        plant(&inbox.join("cur/1794000000.M1P1.mx:2,RS"), TEXT, 1_794_000_000);
        plant(&inbox.join("tmp/1795000001.M1P1.mx"), TEXT, 1);
        plant(&inbox.join("cur/dovecot.bad"), "\0", 1);
        plant(&inbox.join(format!("new/1795000002.M1P1.mx,S={}", TEXT.len() + 1)), TEXT, 1);
        plant(&inbox.join(".Sent/cur/1795000003.M1P1.mx:2,S"), TEXT, 1_795_000_003);
        assert!(boxes.refresh(now), "a new folder is seen at once");
        let seen = |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
        let inbox_of = |name: &str| format!("anna@x.lan/INBOX/{name}");
        let mut want = vec![
            (inbox_of("1794000000.M1P1.mx"), false, seen(&["\\Answered", "\\Seen"])),
            (inbox_of("1795000000.M1P1.mx"), true, seen(&[])),
            ("anna@x.lan/Sent/1795000003.M1P1.mx".to_owned(), false, seen(&["\\Seen"])),
        ];
        assert_eq!(names(&boxes), want);
        assert!(!boxes.refresh(now + TimeDelta::seconds(1)));
        // Delivered as a mail server does it: written in tmp, then renamed.
        fs::rename(inbox.join("tmp/1795000001.M1P1.mx"), inbox.join("new/1795000001.M1P1.mx")).unwrap();
        assert!(boxes.refresh(now + TimeDelta::seconds(1)));
        want.insert(2, (inbox_of("1795000001.M1P1.mx"), true, seen(&[])));
        assert_eq!(names(&boxes), want);
        fs::rename(inbox.join("new/1795000001.M1P1.mx"), inbox.join("cur/1795000001.M1P1.mx:2,F")).unwrap();
        boxes.refresh(now + TimeDelta::seconds(2));
        want[2] = (inbox_of("1795000001.M1P1.mx"), false, seen(&["\\Flagged"]));
        assert_eq!(names(&boxes), want);
        assert!(boxes.mails().all(|(_, _, entry)| entry.path.is_file()));
        assert_eq!(boxes.folder_of("anna@x.lan"), Some(inbox));
        assert_eq!(boxes.folder_of("../x@y"), None);
        assert_eq!(boxes.folder_of("x@../y"), None);
    }
}
