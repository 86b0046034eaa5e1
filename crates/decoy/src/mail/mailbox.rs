//! Mailboxes of one account: messages with ids, flags and times, and what selecting, storing and expunging do.
//!
//! Ids of keyed mail are minutes since a keyed day, counted on when two arrive in one minute: they are the same after a
//! restart although nothing is stored. Delivered mail has those of `feed`. Sequence numbers belong to a session.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::{body::Body, feed::Feed};

/// Bytes that clients may put into one account.
const BYTES_MAX: usize = 8 << 20;
/// Mailboxes of one account.
const MAILBOXES_MAX: usize = 100;
/// Keywords of one mailbox.
const KEYWORDS_MAX: usize = 50;

/// A message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Unique id.
    pub uid: u32,
    /// Where its bytes are.
    pub body: Body,
    /// How many they are, with CRLF.
    pub size: usize,
    /// Arrival.
    pub at: DateTime<Utc>,
    /// Flags and keywords; `\Seen` and the like in this spelling.
    pub flags: BTreeSet<String>,
    /// No session has been told of it yet.
    pub recent: bool,
    /// What a delivered message is known by.
    pub key: Option<Arc<str>>,
}

impl Message {
    /// A message from memory that has no id yet.
    pub fn of(raw: Arc<[u8]>, at: DateTime<Utc>, flags: BTreeSet<String>) -> Self {
        let size = raw.len();
        Self { uid: 0, body: Body::Memory(raw), size, at, flags, recent: true, key: None }
    }

    /// Flags in Dovecot's order; `recent` is the session's view.
    pub fn flag_list(&self, recent: bool) -> String {
        let mut out: Vec<&str> = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"]
            .into_iter()
            .filter(|flag| self.flags.contains(*flag))
            .collect();
        if recent {
            out.push("\\Recent");
        }
        out.extend(self.flags.iter().map(String::as_str).filter(|flag| !flag.starts_with('\\')));
        out.join(" ")
    }

    /// Whether it has a flag.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.contains(flag)
    }
}

/// A mailbox.
#[derive(Debug, Clone, Default)]
pub struct Mailbox {
    /// UIDVALIDITY.
    pub validity: u32,
    /// UIDNEXT.
    pub next: u32,
    /// Messages by ascending id.
    pub messages: Vec<Message>,
    /// Keywords ever used.
    pub keywords: Vec<String>,
    /// `\Sent` and the like.
    pub special_use: Option<&'static str>,
    /// Subscribed.
    pub subscribed: bool,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new(validity: u32, special_use: Option<&'static str>) -> Self {
        Self { validity, next: 1, special_use, subscribed: special_use.is_some(), ..Self::default() }
    }

    /// Adds a message with at least this id; returns the id.
    pub fn add(&mut self, message: Message, least: u32) -> u32 {
        let uid = least.max(self.next);
        self.learn(&message.flags);
        self.insert(Message { uid, ..message });
        uid
    }

    /// Puts a message at the place of its id.
    pub fn insert(&mut self, message: Message) {
        self.next = self.next.max(message.uid.saturating_add(1));
        let at = self.messages.partition_point(|one| one.uid < message.uid);
        self.messages.insert(at, message);
    }

    /// Remembers keywords; true if one is new.
    pub fn learn(&mut self, flags: &BTreeSet<String>) -> bool {
        let before = self.keywords.len();
        for flag in flags.iter().filter(|flag| !flag.starts_with('\\')) {
            if !self.keywords.contains(flag) && self.keywords.len() < KEYWORDS_MAX {
                self.keywords.push(flag.clone());
            }
        }
        self.keywords.len() > before
    }

    /// The message of an id.
    pub fn get(&self, uid: u32) -> Option<&Message> {
        self.messages
            .binary_search_by_key(&uid, |message| message.uid)
            .ok()
            .and_then(|at| self.messages.get(at))
    }

    /// The message of an id, to be changed.
    pub fn get_mut(&mut self, uid: u32) -> Option<&mut Message> {
        let at = self.messages.binary_search_by_key(&uid, |message| message.uid).ok()?;
        self.messages.get_mut(at)
    }

    /// Flags of the mailbox with its keywords.
    pub fn flag_names(&self) -> String {
        let mut out = String::from("\\Answered \\Flagged \\Deleted \\Seen \\Draft");
        for keyword in &self.keywords {
            out.push(' ');
            out.push_str(keyword);
        }
        out
    }

    /// Messages without `\Seen`.
    pub fn unseen(&self) -> usize {
        self.messages.iter().filter(|message| !message.has("\\Seen")).count()
    }
}

/// All mailboxes of an account.
#[derive(Debug, Clone, Default)]
pub struct Account {
    boxes: BTreeMap<String, Mailbox>,
    /// Where ids are counted from.
    pub base: DateTime<Utc>,
    next_validity: u32,
    bytes: usize,
    /// What is delivered into which mailbox; none where mail is keyed.
    pub(super) feeds: BTreeMap<String, Feed>,
    /// Ids are counted one by one.
    dense: bool,
}

/// Why an operation is refused, in Dovecot's words without the mailbox name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No such mailbox.
    Missing,
    /// There is one already.
    Exists,
    /// INBOX cannot be deleted.
    Inbox,
    /// The account is full.
    Quota,
}

impl Account {
    /// An account with the usual mailboxes; their validity is the time they were made.
    pub fn new(base: DateTime<Utc>, dense: bool) -> Self {
        let made = u32::try_from(base.timestamp()).unwrap_or(1);
        let mut account = Self { base, next_validity: made, dense, ..Self::default() };
        for (name, special) in [
            ("INBOX", None),
            ("Drafts", Some("\\Drafts")),
            ("Sent", Some("\\Sent")),
            ("Trash", Some("\\Trash")),
            ("Archive", Some("\\Archive")),
        ] {
            let validity = account.validity();
            account.boxes.insert(name.to_owned(), Mailbox::new(validity, special));
        }
        account
    }

    fn validity(&mut self) -> u32 {
        self.next_validity = self.next_validity.saturating_add(1);
        self.next_validity
    }

    /// The least id of a message of this time.
    pub fn uid_at(&self, at: DateTime<Utc>) -> u32 {
        if self.dense {
            return 1;
        }
        u32::try_from((at - self.base).num_minutes().max(1)).unwrap_or(u32::MAX - 1)
    }

    /// A mailbox; INBOX in any case.
    pub fn get(&self, name: &str) -> Option<&Mailbox> {
        self.boxes.get(canonical(name))
    }

    /// A mailbox, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Mailbox> {
        self.boxes.get_mut(canonical(name))
    }

    /// Mailboxes by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Mailbox)> {
        self.boxes.iter().map(|(name, mailbox)| (name.as_str(), mailbox))
    }

    /// Whether other mailboxes lie below this one.
    pub fn has_children(&self, name: &str) -> bool {
        let prefix = format!("{name}.");
        self.boxes.keys().any(|known| known.starts_with(&prefix))
    }

    /// Makes a mailbox.
    pub fn create(&mut self, name: &str, now: DateTime<Utc>) -> Result<(), Refused> {
        if self.get(name).is_some() {
            return Err(Refused::Exists);
        }
        if self.boxes.len() >= MAILBOXES_MAX {
            return Err(Refused::Quota);
        }
        self.next_validity = self.next_validity.max(u32::try_from(now.timestamp()).unwrap_or(1));
        let validity = self.validity();
        self.boxes.insert(name.to_owned(), Mailbox::new(validity, None));
        Ok(())
    }

    /// Removes a mailbox.
    pub fn delete(&mut self, name: &str) -> Result<(), Refused> {
        if canonical(name) == "INBOX" {
            return Err(Refused::Inbox);
        }
        self.boxes.remove(name).map(|_| ()).ok_or(Refused::Missing)
    }

    /// Renames a mailbox.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), Refused> {
        if self.get(to).is_some() {
            return Err(Refused::Exists);
        }
        let mailbox = self.boxes.remove(canonical(from)).ok_or(Refused::Missing)?;
        if canonical(from) == "INBOX" {
            let validity = self.validity();
            self.boxes.insert("INBOX".to_owned(), Mailbox::new(validity, None));
        }
        self.boxes.insert(to.to_owned(), mailbox);
        Ok(())
    }

    /// Adds a client's message.
    pub fn append(
        &mut self,
        name: &str,
        message: Message,
        now: DateTime<Utc>,
    ) -> Result<(u32, u32), Refused> {
        let least = self.uid_at(now);
        if self.get(name).is_none() {
            return Err(Refused::Missing);
        }
        if self.bytes + message.size > BYTES_MAX {
            return Err(Refused::Quota);
        }
        self.bytes += message.size;
        let mailbox = self.get_mut(name).ok_or(Refused::Missing)?;
        // A copy is not the delivered message.
        let uid = mailbox.add(Message { key: None, recent: true, ..message }, least);
        let (validity, next) = (mailbox.validity, mailbox.next);
        self.used(name, next);
        Ok((validity, uid))
    }
}

/// Name as it is kept: INBOX is the same in any case.
pub fn canonical(name: &str) -> &str {
    if name.eq_ignore_ascii_case("inbox") { "INBOX" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_mailboxes_keep_rules() {
        let base = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut account = Account::new(base, false);
        let message = |raw: &[u8], flags: BTreeSet<String>| Message::of(raw.into(), base, flags);
        let (_, first) = account.append("inbox", message(b"a", BTreeSet::new()), base).unwrap();
        let (_, second) =
            account.append("INBOX", message(b"b", BTreeSet::from(["kw".to_owned()])), base).unwrap();
        assert!(second > first);
        assert_eq!(
            account.get("INBOX").unwrap().flag_names(),
            "\\Answered \\Flagged \\Deleted \\Seen \\Draft kw"
        );
        assert_eq!(account.append("Nope", message(b"", BTreeSet::new()), base), Err(Refused::Missing));
        assert_eq!(
            account.append("Sent", message(&vec![0; 9 << 20], BTreeSet::new()), base),
            Err(Refused::Quota)
        );
        assert_eq!(account.create("sent", base), Ok(()));
        assert_eq!(account.create("Sent", base), Err(Refused::Exists));
        assert_eq!(account.delete("Inbox"), Err(Refused::Inbox));
        assert_eq!(account.rename("Archive", "Old"), Ok(()));
        assert!(account.get("Archive").is_none() && account.get("Old").is_some());
    }
}
