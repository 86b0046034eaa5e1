//! One delivered file: what is known of it without keeping its bytes, and how that is read from its headers.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::SystemTime};

use chrono::{DateTime, Utc};
use mail_parser::MessageParser;

use super::body::{SIZE_MAX, read};

/// A delivered message.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What names it for good: a Maildir name without flags, or the path below the folder.
    pub key: Arc<str>,
    /// Where it lies now.
    pub path: Arc<Path>,
    /// Time of the file.
    pub at: DateTime<Utc>,
    /// What orders deliveries: the time in a Maildir name, else the file's.
    pub order: i64,
    /// Bytes with CRLF.
    pub size: usize,
    /// Sender's address in lower case.
    pub from: String,
    /// Addresses it went to, in lower case.
    pub to: Vec<String>,
    /// Message-ID.
    pub id: Option<String>,
    /// Nobody has looked at it yet (it lies in `new`).
    pub fresh: bool,
    /// Flags in the file's name.
    pub marks: Marks,
}

/// The flags of a Maildir name, in one byte: there are thousands of names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks(u8);

/// Letters of a name in the order of the bits.
const LETTERS: [(char, &str); 5] =
    [('D', "\\Draft"), ('F', "\\Flagged"), ('R', "\\Answered"), ('S', "\\Seen"), ('T', "\\Deleted")];

impl Marks {
    /// What follows the colon of a name: `2,` and letters.
    pub fn of(info: &str) -> Self {
        let letters = info.strip_prefix("2,").unwrap_or_default();
        let set = LETTERS.iter().zip(0..).filter(|((letter, _), _)| letters.contains(*letter));
        Self(set.fold(0, |marks, (_, bit)| marks | 1 << bit))
    }

    /// The flags as clients name them.
    pub fn flags(self) -> BTreeSet<String> {
        let set = LETTERS.iter().zip(0..).filter(|(_, bit)| self.0 & 1 << bit != 0);
        set.map(|((_, flag), _)| (*flag).to_owned()).collect()
    }
}

/// What a file's state shows without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Time of the last change.
    pub modified: SystemTime,
    /// Bytes on disk.
    pub length: u64,
}

impl Stamp {
    /// The stamp of a regular file of a size that is served.
    pub fn of(path: &Path) -> Option<Self> {
        let meta = fs::symlink_metadata(path).ok().filter(|meta| meta.is_file() && meta.len() <= SIZE_MAX)?;
        Some(Self { modified: meta.modified().ok()?, length: meta.len() })
    }
}

impl Entry {
    /// Reads a file's headers; `None` if it is no mail.
    pub fn read(key: Arc<str>, path: &Path, stamp: Stamp) -> Option<Self> {
        let raw = read(path)?;
        let parsed = MessageParser::default().parse_headers(&raw)?;
        // A file without a single header of mail is none.
        if parsed.from().is_none() && parsed.subject().is_none() && parsed.message_id().is_none() {
            return None;
        }
        let addresses = |list: Option<&mail_parser::Address<'_>>| -> Vec<String> {
            list.map(|list| {
                list.iter().filter_map(|one| one.address.as_deref().map(str::to_lowercase)).collect()
            })
            .unwrap_or_default()
        };
        let at: DateTime<Utc> = stamp.modified.into();
        Some(Self {
            key,
            path: path.into(),
            at,
            order: at.timestamp(),
            size: raw.len(),
            from: addresses(parsed.from()).into_iter().next().unwrap_or_default(),
            to: [parsed.to(), parsed.cc(), parsed.bcc()].into_iter().flat_map(addresses).collect(),
            id: parsed.message_id().map(str::to_owned),
            fresh: true,
            marks: Marks::default(),
        })
    }
}
