//! What is known to be on one machine: the files that life has planted and the mail that may be answered. The planner reads it,
//! whoever acts keeps it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::{Action, Class, FileWrite, Planned, mail::KnownMail};

/// How long a letter may wait for its answer.
pub(super) const WAITS: TimeDelta = TimeDelta::days(8);
/// Letters that are remembered at most.
const LETTERS: usize = 600;

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

/// How many files were made and changed here, which keeps the mix where it should be. Zeros are fine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Creates.
    pub creates: u32,
    /// Edits.
    pub edits: u32,
}

/// One machine's files and mail.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    /// By path.
    pub files: BTreeMap<String, KnownFile>,
    /// Oldest first.
    pub mails: Vec<KnownMail>,
    /// The beginning of the machine's history: no file is older.
    pub since: Option<DateTime<Utc>>,
    /// People's files.
    pub by_people: Tally,
    /// The machine's files.
    pub by_machine: Tally,
}

impl Shelf {
    /// Notes that an action of this machine was done.
    pub fn apply(&mut self, done: &Planned) {
        match &done.action {
            Action::Traffic { .. } => {}
            Action::Create(write) => {
                self.count(write.class, false);
                let login =
                    done.persona.as_ref().and_then(|persona| persona.login.clone()).unwrap_or_default();
                self.files.insert(write.path.clone(), known(write, login));
            }
            Action::Edit { write, .. } => {
                self.count(write.class, true);
                let login = self.files.remove(&write.path).map(|file| file.login).unwrap_or_default();
                self.files.insert(write.path.clone(), known(write, login));
            }
            Action::Rotate { path, to, body, .. } => {
                if let Some(mut file) = self.files.remove(path) {
                    if let Some(body) = body {
                        file.sha256 = sha256(body);
                        file.body.clone_from(body);
                    }
                    self.files.insert(to.clone(), file);
                }
            }
            Action::Delete { path, .. } => {
                self.files.remove(path);
            }
            Action::Email(message) => {
                if let Some(parent) = &message.in_reply_to {
                    // By this person: a letter has one recipient, so nobody else can answer it.
                    for mail in self.mails.iter_mut().filter(|mail| mail.message_id == *parent) {
                        mail.answered = true;
                    }
                }
                self.mails.retain(|mail| !mail.answered && done.at - mail.at < WAITS);
                if self.mails.len() >= LETTERS {
                    self.mails.remove(0);
                }
                self.mails.push(KnownMail::of(message));
            }
        }
    }

    fn count(&mut self, class: Class, edit: bool) {
        let tally = if class.is_user() { &mut self.by_people } else { &mut self.by_machine };
        let count = if edit { &mut tally.edits } else { &mut tally.creates };
        *count = count.saturating_add(1);
    }
}

fn known(write: &FileWrite, login: String) -> KnownFile {
    KnownFile {
        class: write.class,
        login,
        mtime: write.mtime,
        mode: write.mode,
        uid: write.uid,
        gid: write.gid,
        body: write.body.clone(),
        sha256: sha256(&write.body),
        diverged: false,
    }
}

/// SHA-256 (hex), the form in which contents are compared.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
