//! The accounts of a machine and their mailboxes, shared by all connections: made at the first login, fed by what is
//! delivered on disk or, where nothing is, by the keyed stream.
//!
//! What lies in an address's Maildir is its mail, and what it wrote to others lies in its Sent. As soon as anything is
//! delivered, the keyed stream ends; accounts that get none then keep what programs and suppliers wrote to them. Mail of
//! a named folder goes to the accounts that its headers name, and to everybody if they name none.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use decnet_core::{HostPersona, Seed};

use super::{
    corpus,
    entry::Entry,
    feed::Arrival,
    mailbox::{Account, Message},
    maildir::Maildirs,
    spool::Spool,
    uidlist::UidList,
};

/// Where mail comes from besides the keyed stream.
#[derive(Debug, Default)]
pub struct Sources {
    /// A folder that the operator names.
    pub folder: Option<Spool>,
    /// The Maildirs of the machine, unless there is such a folder.
    pub maildirs: Option<Maildirs>,
    /// Where lists of ids are kept.
    pub lists: Option<Maildirs>,
}

/// All accounts.
#[derive(Debug)]
pub struct World {
    seed: Seed,
    persona: Arc<HostPersona>,
    sources: Sources,
    accounts: BTreeMap<String, Holder>,
    /// Mail was delivered at some time.
    replaced: bool,
}

/// What an account's mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fed {
    /// The keyed stream.
    Keyed,
    /// The part of it that nobody with an account here wrote.
    Alone,
    /// What is delivered.
    Disk,
}

#[derive(Debug)]
struct Holder {
    account: Account,
    fed: Fed,
    /// Keyed mail up to here is in it.
    until: Option<DateTime<Utc>>,
}

type Boxes<'a> = BTreeMap<String, Vec<Arrival<'a>>>;

impl World {
    /// The accounts of a persona; `seed` is the host's, so that all mail services agree.
    pub fn new(seed: &Seed, persona: Arc<HostPersona>, sources: Sources) -> Self {
        Self { seed: seed.clone(), persona, sources, accounts: BTreeMap::new(), replaced: false }
    }

    /// The login that a name and password open.
    pub fn login(&self, name: &[u8], password: &[u8]) -> Option<String> {
        let account = self.persona.accounts.iter().find(|account| {
            (account.login.as_bytes() == name || account.email.as_bytes().eq_ignore_ascii_case(name))
                && account.password.as_bytes() == password
        })?;
        Some(account.login.clone())
    }

    /// An account, with all mail that has arrived by `now`.
    pub fn account(&mut self, login: &str, now: DateTime<Utc>) -> Option<&mut Account> {
        self.deliver(now);
        self.accounts.get_mut(login).map(|holder| &mut holder.account)
    }

    fn deliver(&mut self, now: DateTime<Utc>) {
        let mut changed = self.accounts.is_empty();
        if let Some(folder) = &mut self.sources.folder {
            changed |= folder.refresh(now);
        }
        if let Some(maildirs) = &mut self.sources.maildirs {
            changed |= maildirs.refresh(now);
        }
        if changed {
            let sources = std::mem::take(&mut self.sources);
            self.take_in(&sources);
            self.sources = sources;
        }
        self.keyed(now);
    }

    /// Decides what each account's mail is and hands out what is delivered.
    fn take_in(&mut self, sources: &Sources) {
        let mut delivered = self.sorted(sources);
        self.replaced |= !delivered.is_empty();
        let persona = self.persona.clone();
        for person in &persona.accounts {
            let boxes = delivered.remove(&person.login).unwrap_or_default();
            let known = self.accounts.get(&person.login).map(|holder| holder.fed);
            let fed = match known {
                _ if !self.replaced => Fed::Keyed,
                Some(Fed::Disk) => Fed::Disk,
                _ if !boxes.is_empty() => Fed::Disk,
                _ => Fed::Alone,
            };
            if known != Some(fed) {
                let account = Account::new(self.base(&person.login, fed), fed == Fed::Disk);
                self.accounts.insert(person.login.clone(), Holder { account, fed, until: None });
            }
            if fed == Fed::Disk
                && let Some(holder) = self.accounts.get_mut(&person.login)
            {
                let lists = sources.lists.as_ref().and_then(|lists| lists.folder_of(&person.email));
                hand_in(&self.seed, &person.login, lists.as_ref(), &mut holder.account, boxes);
            }
        }
    }

    /// What is delivered, by login and mailbox.
    fn sorted<'a>(&self, sources: &'a Sources) -> BTreeMap<String, Boxes<'a>> {
        let mut out: BTreeMap<String, Boxes<'a>> = BTreeMap::new();
        let logins: BTreeMap<String, &str> = self
            .persona
            .accounts
            .iter()
            .map(|person| (person.email.to_lowercase(), person.login.as_str()))
            .collect();
        let mut put = |login: &str, name: &str, arrival: Arrival<'a>| {
            out.entry(login.to_owned()).or_default().entry(name.to_owned()).or_default().push(arrival);
        };
        for entry in sources.folder.iter().flat_map(Spool::mails) {
            let (inboxes, sender) = self.readers(entry);
            for login in inboxes {
                put(login, "INBOX", Arrival { entry, sent: false });
            }
            if let Some(login) = sender {
                put(login, "Sent", Arrival { entry, sent: true });
            }
        }
        let mut copies: Vec<(&str, &Entry)> = Vec::new();
        let mut filed: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (address, name, entry) in sources.maildirs.iter().flat_map(Maildirs::mails) {
            if let Some(login) = logins.get(address) {
                put(login, name, Arrival { entry, sent: false });
            }
            match &entry.id {
                // A sender's own copy.
                Some(id) if name != "INBOX" && entry.from == address => {
                    filed.insert((address, id));
                }
                _ => copies.push((entry.from.as_str(), entry)),
            }
        }
        // Every mail from here once, whoever else got it.
        copies.sort_by(|(_, a), (_, b)| (a.order, &a.key).cmp(&(b.order, &b.key)));
        for (from, entry) in copies {
            let once = entry.id.as_deref().is_none_or(|id| filed.insert((from, id)));
            if let Some(login) = logins.get(from).filter(|_| once) {
                put(login, "Sent", Arrival { entry, sent: true });
            }
        }
        out
    }

    /// Who has a mail of a named folder: logins with it in INBOX, and the one with it in Sent.
    fn readers(&self, entry: &Entry) -> (Vec<&str>, Option<&str>) {
        let people = || self.persona.accounts.iter();
        let sender = people().find(|person| person.email.eq_ignore_ascii_case(&entry.from));
        let named: Vec<&str> = people()
            .filter(|person| entry.to.iter().any(|to| person.email.eq_ignore_ascii_case(to)))
            .map(|person| person.login.as_str())
            .collect();
        let for_nobody = named.is_empty() && sender.is_none();
        let inboxes = if for_nobody { people().map(|person| person.login.as_str()).collect() } else { named };
        (inboxes, sender.map(|person| person.login.as_str()))
    }

    /// The keyed mail up to now, into the accounts that have it.
    fn keyed(&mut self, now: DateTime<Utc>) {
        // To the minute: a time of arrival belongs to one delivery only.
        let now_minute = now.with_second(0).and_then(|at| at.with_nanosecond(0)).unwrap_or(now);
        let mut streams: BTreeMap<DateTime<Utc>, Vec<corpus::Mail>> = BTreeMap::new();
        let persona = self.persona.clone();
        let ours =
            |address: &str| persona.accounts.iter().any(|person| person.email.eq_ignore_ascii_case(address));
        for person in &persona.accounts {
            let Some(holder) = self.accounts.get_mut(&person.login) else { continue };
            let first = holder.until.is_none();
            let after = holder.until.unwrap_or_else(|| now_minute - TimeDelta::days(corpus::DAYS));
            if holder.fed == Fed::Disk || after >= now_minute {
                continue;
            }
            holder.until = Some(now_minute);
            let alone = holder.fed == Fed::Alone;
            let stream = streams
                .entry(after)
                .or_insert_with(|| corpus::between(&self.seed, &persona, after, now_minute));
            for mail in stream.iter() {
                let old = now - mail.at > TimeDelta::hours(36);
                let raw: Arc<[u8]> = mail.raw.as_slice().into();
                let mut put = |name: &str, flags: BTreeSet<String>, recent: bool| {
                    let account = &mut holder.account;
                    let least = account.uid_at(mail.at);
                    if let Some(mailbox) = account.get_mut(name) {
                        let message = Message::of(raw.clone(), mail.at, flags);
                        mailbox.add(Message { recent, ..message }, least);
                    }
                };
                let to_me = mail.to.iter().any(|to| to.eq_ignore_ascii_case(&person.email));
                if to_me && !(alone && ours(&mail.from)) {
                    let set =
                        [("\\Seen", old), ("\\Answered", mail.answered && old), ("\\Flagged", mail.flagged)];
                    let flags =
                        set.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag.to_owned()).collect();
                    // What lay there when the machine came up is not news.
                    put("INBOX", flags, !(first && old));
                }
                if mail.from.eq_ignore_ascii_case(&person.email)
                    && !(alone && mail.to.iter().any(|to| ours(to)))
                {
                    put("Sent", seen(), false);
                }
            }
        }
    }

    /// When an account's mailboxes were made: a keyed day, from which keyed ids are counted. Where mail is delivered it is
    /// another one, since other ids need another validity.
    fn base(&self, login: &str, fed: Fed) -> DateTime<Utc> {
        // 2024-01-01.
        const FIRST: i64 = 1_704_067_200;
        let seed = self.seed.child("mailbox").child(login);
        let seed = if fed == Fed::Disk { seed.child("vhosts") } else { seed };
        let offset = seed.range(0..=300 * 86_400);
        DateTime::from_timestamp(FIRST + i64::try_from(offset).unwrap_or(0), 0).unwrap_or_default()
    }
}

fn seen() -> BTreeSet<String> {
    BTreeSet::from(["\\Seen".to_owned()])
}

/// Brings an account's mailboxes in step with what is delivered into them.
fn hand_in(seed: &Seed, login: &str, folder: Option<&PathBuf>, account: &mut Account, mut boxes: Boxes<'_>) {
    for name in boxes.keys() {
        let path = folder.map(|folder| match name.as_str() {
            "INBOX" => folder.join("dovecot-uidlist"),
            other => folder.join(format!(".{other}")).join("dovecot-uidlist"),
        });
        let guid = seed.child("mailbox-guid").child(login).child(name).bytes::<16>();
        account.attach(name, |validity| UidList::open(path, validity, guid));
    }
    for name in account.fed() {
        account.take_in(&name, boxes.remove(&name).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;
