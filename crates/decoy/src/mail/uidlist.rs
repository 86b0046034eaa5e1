//! Which message has which id: Dovecot's own `dovecot-uidlist`, version 3, in the Maildir where Dovecot keeps it.
//!
//! Ids go up in the order in which messages are first seen and are never given twice, not even when an older file turns
//! up later or the machine starts again. Where the folder cannot be written the list lives in memory, and a start gives
//! the ids anew in the order of delivery.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes of the largest list that is read.
const SIZE_MAX: u64 = 4 << 20;
/// Bytes of a name.
const NAME_MAX: usize = 1000;

/// The ids of one mailbox.
#[derive(Debug, Clone, Default)]
pub struct UidList {
    path: Option<PathBuf>,
    guid: [u8; 16],
    /// UIDVALIDITY.
    pub validity: u32,
    /// The next id.
    pub next: u32,
    ids: BTreeMap<Arc<str>, u32>,
    changed: bool,
}

impl UidList {
    /// The list in this file, or an empty one with this validity and guid.
    pub fn open(path: Option<PathBuf>, validity: u32, guid: [u8; 16]) -> Self {
        let fresh = Self { guid, validity, next: 1, ..Self::default() };
        let kept = path
            .as_deref()
            .filter(|path| fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= SIZE_MAX))
            .and_then(|path| fs::read_to_string(path).ok())
            .and_then(|text| parse(&text, guid));
        Self { path, ..kept.unwrap_or(fresh) }
    }

    /// The id of a message: the one it has, or the next that is at least `least`.
    pub fn give(&mut self, key: &Arc<str>, least: u32) -> u32 {
        if let Some(uid) = self.ids.get(key) {
            return *uid;
        }
        let uid = self.next.max(least).max(1);
        self.next = uid.saturating_add(1);
        self.ids.insert(key.clone(), uid);
        self.changed = true;
        uid
    }

    /// Forgets a message that is gone; its id stays used.
    pub fn forget(&mut self, key: &str) {
        self.changed |= self.ids.remove(key).is_some();
    }

    /// Ids below this one were given to messages that are not in the list.
    pub fn used_below(&mut self, next: u32) {
        if next > self.next {
            self.next = next;
            self.changed = true;
        }
    }

    /// The names in the list.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.ids.keys()
    }

    /// Writes the list if it has changed and can be written.
    pub fn save(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        if let Some(path) = &self.path
            && write(path, &self.text()).is_err()
        {
            // A folder that cannot be written will not become so: the ids live on in memory.
            self.path = None;
        }
    }

    fn text(&self) -> String {
        let mut out = format!("3 V{} N{} G{}\n", self.validity, self.next, hex::encode(self.guid));
        let mut rows: Vec<(u32, &str)> = self.ids.iter().map(|(key, uid)| (*uid, &**key)).collect();
        rows.sort_unstable();
        for (uid, key) in rows {
            let _ = writeln!(out, "{uid} :{key}");
        }
        out
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Dovecot's way: the lock is the new list.
    let lock = path.with_extension("lock");
    fs::write(&lock, text)?;
    fs::rename(&lock, path)
}

fn parse(text: &str, guid: [u8; 16]) -> Option<UidList> {
    let mut lines = text.lines();
    let mut list = UidList { guid, ..UidList::default() };
    for (at, word) in lines.next()?.split(' ').enumerate() {
        match (at, word.split_at_checked(1)?) {
            (0, ("3", "")) => {}
            (0, _) => return None,
            (_, ("V", number)) => list.validity = number.parse().ok()?,
            (_, ("N", number)) => list.next = number.parse().ok()?,
            (_, ("G", digits)) => {
                let bytes = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
                list.guid = bytes.unwrap_or(guid);
            }
            _ => {}
        }
    }
    if list.validity == 0 || list.next == 0 {
        return None;
    }
    for line in lines {
        // `1 W147 :name`
        let Some((numbers, key)) = line.split_once(" :").or_else(|| line.split_once(':')) else { continue };
        let uid = numbers.split(' ').next().and_then(|number| number.parse().ok());
        let Some(uid) = uid.filter(|uid| (1..u32::MAX).contains(uid) && key.len() <= NAME_MAX) else {
            continue;
        };
        list.next = list.next.max(uid + 1);
        list.ids.insert(key.into(), uid);
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kept_in_the_form_of_dovecot_and_never_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new-box/dovecot-uidlist");
        let open = || UidList::open(Some(path.clone()), 1_700_000_000, [7; 16]);
        let mut list = open();
        let key = |name: &str| Arc::<str>::from(name);
        assert_eq!((list.give(&key("b"), 1), list.give(&key("a"), 1), list.give(&key("b"), 9)), (1, 2, 1));
        list.forget("a");
        list.save();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("3 V1700000000 N3 G{}\n1 :b\n", "07".repeat(16))
        );
        let mut list = open();
        assert_eq!((list.give(&key("a"), 1), list.give(&key("b"), 1), list.give(&key("c"), 10)), (3, 1, 10));
        list.used_below(40);
        list.save();
        assert_eq!(open().give(&key("d"), 1), 40);
    }

    /// As Dovecot 2.3.19.1 wrote it.
    #[test]
    fn a_list_of_dovecot_is_read_and_a_broken_one_is_none() {
        let text = "3 V1795587646 N4 Gb5edc1193e7e066b8871000083ecc375\n1 W147 :1795420800.M100P1.mx\n2 :x,S=1\nbad\n";
        let list = parse(text, [0; 16]).unwrap();
        assert_eq!((list.validity, list.next), (1_795_587_646, 4));
        assert_eq!(list.keys().map(|key| &**key).collect::<Vec<_>>(), ["1795420800.M100P1.mx", "x,S=1"]);
        assert_eq!(hex::encode(list.guid), "b5edc1193e7e066b8871000083ecc375");
        for bad in ["", "2 V1 N1", "3 V0 N1", "3 Vx N1\n", "\u{e4}", "3  V1"] {
            assert!(parse(bad, [0; 16]).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_costs_nothing() {
        let mut list = UidList::open(Some(PathBuf::from("/proc/none/dovecot-uidlist")), 5, [0; 16]);
        list.give(&Arc::from("a"), 1);
        list.save();
        assert_eq!(list.give(&Arc::from("a"), 1), 1);
    }
}
