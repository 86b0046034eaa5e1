//! Tar archives, the way files go into and out of containers without a process in them: with owner, mode, and a time of
//! change exact to the nanosecond (a PAX record, since the plain header knows only seconds).

use std::io::{self, Read};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tar::{Builder, EntryType, Header};

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// A folder.
    Folder,
    /// A regular file.
    File(Bytes),
    /// A symbolic link.
    Link(String),
}

/// One entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Path from the root, with or without the leading slash.
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: DateTime<Utc>,
    pub(super) content: Content,
}

impl Entry {
    /// A file of root's.
    pub(super) fn file(path: &str, mode: u32, mtime: DateTime<Utc>, content: impl Into<Bytes>) -> Self {
        Self { path: path.to_owned(), mode, uid: 0, gid: 0, mtime, content: Content::File(content.into()) }
    }

    /// A folder of root's.
    pub(super) fn folder(path: &str, mode: u32, mtime: DateTime<Utc>) -> Self {
        Self { path: path.to_owned(), mode, uid: 0, gid: 0, mtime, content: Content::Folder }
    }

    /// A symbolic link of root's.
    pub(super) fn link(path: &str, target: &str, mtime: DateTime<Utc>) -> Self {
        let content = Content::Link(target.to_owned());
        Self { path: path.to_owned(), mode: 0o777, uid: 0, gid: 0, mtime, content }
    }

    /// The same, of this owner.
    pub(super) fn of(self, uid: u32, gid: u32) -> Self {
        Self { uid, gid, ..self }
    }
}

/// What ends an archive.
pub(super) const TRAILER: usize = 1024;
/// Contents are filled up to a multiple of this.
const BLOCK: u64 = 512;

/// How much follows a content of this size before the next entry.
pub(super) fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK) - size
}

/// The beginning of an archive with these entries that ends in a file of this size, without its content: that, its
/// [`padding`] and the [`TRAILER`] are to follow.
pub(super) fn pack_until(entries: &[Entry], last: &Entry, size: u64) -> io::Result<Vec<u8>> {
    let mut packed = pack_sized(entries.iter().map(|entry| (entry, None)).chain([(last, Some(size))]))?;
    packed.truncate(packed.len() - TRAILER);
    Ok(packed)
}

/// The archive of these entries, in this order.
pub(super) fn pack(entries: &[Entry]) -> io::Result<Vec<u8>> {
    pack_sized(entries.iter().map(|entry| (entry, None)))
}

fn pack_sized<'a>(entries: impl Iterator<Item = (&'a Entry, Option<u64>)>) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (entry, size) in entries {
        let mut header = Header::new_ustar();
        header.set_mode(entry.mode);
        header.set_uid(entry.uid.into());
        header.set_gid(entry.gid.into());
        header.set_mtime(u64::try_from(entry.mtime.timestamp()).unwrap_or(0));
        let path = entry.path.trim_start_matches('/');
        let mtime = format!("{}.{:09}", entry.mtime.timestamp(), entry.mtime.timestamp_subsec_nanos());
        let mut records: Vec<(&str, &[u8])> = vec![("mtime", mtime.as_bytes())];
        // Whatever the length and the letters, the PAX record is what counts.
        records.push(("path", path.as_bytes()));
        if let Content::Link(target) = &entry.content {
            records.push(("linkpath", target.as_bytes()));
        }
        builder.append_pax_extensions(records)?;
        let short = |text: &str, limit: usize| -> String {
            text.chars().filter(char::is_ascii).take(limit).collect()
        };
        header.set_path(short(path, 80).trim_end_matches('/'))?;
        let data: &[u8] = match &entry.content {
            Content::Folder => {
                header.set_entry_type(EntryType::Directory);
                &[]
            }
            Content::File(bytes) => bytes,
            Content::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_link_name_literal(short(target, 90))?;
                &[]
            }
        };
        if let Content::File(_) = entry.content {
            header.set_entry_type(EntryType::Regular);
        }
        header.set_size(size.unwrap_or(data.len() as u64));
        header.set_cksum();
        builder.append(&header, data)?;
    }
    builder.into_inner()
}

/// The entries of an archive that `wanted` asks for, files cut at `max` bytes. Other kinds of entries are left out.
pub(super) fn unpack(archive: impl Read, max: u64, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        if !wanted(&path) {
            continue;
        }
        let header = entry.header();
        let number = |value: io::Result<u64>| u32::try_from(value.unwrap_or(0)).unwrap_or(0);
        let seconds = i64::try_from(header.mtime().unwrap_or(0)).unwrap_or(0);
        let (mode, uid, gid) =
            (header.mode().unwrap_or(0o644) & 0o7777, number(header.uid()), number(header.gid()));
        let content = match header.entry_type() {
            EntryType::Directory => Content::Folder,
            EntryType::Regular => {
                let mut bytes = Vec::new();
                entry.by_ref().take(max).read_to_end(&mut bytes)?;
                Content::File(bytes.into())
            }
            EntryType::Symlink => {
                let target = entry.link_name()?.map(|target| target.to_string_lossy().into_owned());
                Content::Link(target.unwrap_or_default())
            }
            _ => continue,
        };
        let mtime = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        found.push(Entry { path, mode, uid, gid, mtime, content });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_mode_and_long_names_come_back() {
        let at = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();
        let long = format!("/home/ana/{}/ünïcode {}.txt", "d".repeat(120), "n".repeat(150));
        let entries = vec![
            Entry::folder("/home/ana/", 0o750, at).of(1000, 1000),
            Entry::file(&long, 0o640, at, "text").of(1000, 100),
            Entry::link("/etc/localtime", &format!("/usr/{}", "z".repeat(200)), at),
        ];
        let packed = pack(&entries).unwrap();
        let found = unpack(&packed[..], 1 << 20, |_| true).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!((found[1].path.as_str(), found[1].uid, found[1].mode), (&long[1..], 1000, 0o640));
        assert_eq!(found[1].content, Content::File("text".into()));
        assert_eq!(found[2].content, entries[2].content);
        let text = String::from_utf8_lossy(&packed);
        assert!(text.contains("mtime=1700000000.123456789\n"), "nanoseconds are in a PAX record");
    }
}
