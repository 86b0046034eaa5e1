//! What is delivered into a mailbox, kept in step with the messages that clients see: new files become messages, files
//! that are gone take theirs along, and what a client removed stays removed although its file is still there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    body::Body,
    entry::{Entry, Marks},
    mailbox::{Account, Message, canonical},
    uidlist::UidList,
};

/// One mailbox's deliveries.
#[derive(Debug, Clone)]
pub struct Feed {
    ids: UidList,
    /// Flags on disk of every mail that was made a message, whether or not it still is one.
    placed: BTreeMap<Arc<str>, Marks>,
}

/// A mail for a mailbox.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The file.
    pub entry: &'a Entry,
    /// It is the sender's own copy.
    pub sent: bool,
}

impl Arrival<'_> {
    fn flags(&self) -> BTreeSet<String> {
        let mut flags = self.entry.marks.flags();
        if self.sent {
            flags.insert("\\Seen".to_owned());
        }
        flags
    }

    fn message(&self, uid: u32) -> Message {
        Message {
            uid,
            body: Body::File(self.entry.path.clone()),
            size: self.entry.size,
            at: self.entry.at,
            flags: self.flags(),
            recent: self.entry.fresh && !self.sent,
            key: Some(self.entry.key.clone()),
        }
    }
}

impl Account {
    /// Starts deliveries into a mailbox, which is made if there is none.
    pub fn attach(&mut self, name: &str, open: impl FnOnce(u32) -> UidList) {
        if self.feeds.contains_key(name) {
            return;
        }
        // A name that is taken or one too many: the mailbox stays as it is.
        let _ = self.create(name, self.base);
        let Some(mailbox) = self.get_mut(name) else { return };
        let ids = open(mailbox.validity);
        mailbox.validity = ids.validity;
        mailbox.next = mailbox.next.max(ids.next);
        self.feeds.insert(name.to_owned(), Feed { ids, placed: BTreeMap::new() });
    }

    /// Makes a mailbox's messages what is delivered.
    pub fn take_in(&mut self, name: &str, mut arrivals: Vec<Arrival<'_>>) {
        let Some(mut feed) = self.feeds.remove(name) else { return };
        arrivals.sort_by(|a, b| (a.entry.order, &a.entry.key).cmp(&(b.entry.order, &b.entry.key)));
        let there: BTreeSet<&str> = arrivals.iter().map(|one| &*one.entry.key).collect();
        let gone: Vec<Arc<str>> = feed.ids.keys().filter(|key| !there.contains(&***key)).cloned().collect();
        for key in gone {
            feed.ids.forget(&key);
            feed.placed.remove(&key);
        }
        if let Some(mailbox) = self.get_mut(name) {
            mailbox.messages.retain(|message| message.key.as_deref().is_none_or(|key| there.contains(key)));
            for arrival in &arrivals {
                let entry = arrival.entry;
                let uid = feed.ids.give(&entry.key, mailbox.next);
                match feed.placed.insert(entry.key.clone(), entry.marks) {
                    None => mailbox.insert(arrival.message(uid)),
                    Some(before) => {
                        // What a client removed has no message any more.
                        let known = mailbox.get_mut(uid).filter(|one| one.key.as_ref() == Some(&entry.key));
                        if let Some(message) = known {
                            message.body = Body::File(entry.path.clone());
                            message.size = entry.size;
                            if before != entry.marks {
                                message.flags = arrival.flags();
                            }
                        }
                    }
                }
            }
            feed.ids.used_below(mailbox.next);
        }
        feed.ids.save();
        self.feeds.insert(name.to_owned(), feed);
    }

    /// Ids below `next` are used: a mailbox that mail is delivered into remembers it.
    pub(super) fn used(&mut self, name: &str, next: u32) {
        if let Some(feed) = self.feeds.get_mut(canonical(name)) {
            feed.ids.used_below(next);
            feed.ids.save();
        }
    }

    /// Mailboxes that mail is delivered into.
    pub fn fed(&self) -> Vec<String> {
        self.feeds.keys().cloned().collect()
    }
}
