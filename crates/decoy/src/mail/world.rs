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
mod tests {
    use std::time::Duration;

    use decnet_core::FleetSecret;

    use super::{super::spool::tests::plant, *};
    use crate::redis::tests::persona;

    fn world() -> World {
        World::new(&FleetSecret::from_number(4).seed(), Arc::new(persona("debian")), Sources::default())
    }

    #[test]
    fn ids_and_validity_survive_a_restart_and_mail_keeps_coming() {
        let now = DateTime::from_timestamp(1_795_600_000, 0).unwrap();
        let listing = |world: &mut World, at| {
            let inbox = world.account("anna", at).unwrap().get("INBOX").unwrap().clone();
            (
                inbox.validity,
                inbox
                    .messages
                    .iter()
                    .map(|message| (message.uid, message.body.bytes().unwrap()))
                    .collect::<Vec<_>>(),
            )
        };
        let mut running = world();
        let before = listing(&mut running, now);
        assert!(before.1.len() > 10);
        assert_eq!(before, listing(&mut world(), now));
        let later = now + TimeDelta::days(3);
        let grown = listing(&mut running, later);
        assert!(grown.1.len() > before.1.len());
        let restarted = listing(&mut world(), later);
        assert!(
            grown.1.ends_with(restarted.1.get(2..).unwrap()),
            "ids given while running equal those after a restart"
        );
    }

    #[test]
    fn only_planted_accounts_open() {
        let world = world();
        assert_eq!(world.login(b"anna", b"anna-pw").as_deref(), Some("anna"));
        assert_eq!(world.login(b"ANNA@corp.example", b"anna-pw").as_deref(), Some("anna"));
        for (name, password) in [("anna", ""), ("anna", "bob-pw"), ("", ""), ("root", "root")] {
            assert_eq!(world.login(name.as_bytes(), password.as_bytes()), None);
        }
    }

    /// Anna's and bob's machine with Maildirs in a folder.
    struct Disk {
        root: tempfile::TempDir,
        now: DateTime<Utc>,
        number: u64,
    }

    impl Disk {
        fn new() -> Self {
            let now = DateTime::from_timestamp(1_795_600_000, 0).unwrap();
            Self { root: tempfile::tempdir().unwrap(), now, number: 4 }
        }

        fn start(&self) -> World {
            let boxes = || Some(Maildirs::new(self.root.path(), Duration::from_secs(5)));
            let sources = Sources { folder: None, maildirs: boxes(), lists: boxes() };
            World::new(&FleetSecret::from_number(self.number).seed(), Arc::new(persona("debian")), sources)
        }

        fn mail(&self, to: &str, place: &str, at: i64, from: &str, subject: &str) -> PathBuf {
            let text = format!(
                "From: <{from}@corp.example>\nTo: {to}@corp.example\nMessage-ID: <{at}@x>\nSubject: {subject}\n\nhi\n"
            );
            let name = place.replace("{}", &format!("{at}.M1P1.mx"));
            let path = self.root.path().join("var/mail/vhosts/corp.example").join(to).join(name);
            plant(&path, &text, at);
            path
        }
    }

    fn subjects(world: &mut World, login: &str, name: &str, now: DateTime<Utc>) -> Vec<(u32, String)> {
        let Some(mailbox) = world.account(login, now).unwrap().get(name) else { return Vec::new() };
        let subject = |message: &Message| {
            let raw = message.body.bytes().unwrap();
            assert_eq!(raw.len(), message.size);
            let parsed = mail_parser::MessageParser::default().parse_headers(&*raw).unwrap();
            parsed.subject().unwrap_or_default().to_owned()
        };
        mailbox.messages.iter().map(|message| (message.uid, subject(message))).collect()
    }

    fn rows(wanted: &[(u32, &str)]) -> Vec<(u32, String)> {
        wanted.iter().map(|(uid, subject)| (*uid, (*subject).to_owned())).collect()
    }

    /// P38: over late arrivals, removals by clients, removals on disk, and a restart.
    #[test]
    fn ids_of_delivered_mail_never_change_and_are_never_given_twice() {
        let disk = Disk::new();
        disk.mail("anna", "cur/{}:2,S", 1_795_000_000, "bob", "old");
        disk.mail("anna", "new/{}", 1_795_100_000, "bob", "new");
        disk.mail("bob", "new/{}", 1_795_200_000, "anna", "answer");
        let mut world = disk.start();
        assert_eq!(subjects(&mut world, "anna", "INBOX", disk.now), rows(&[(1, "old"), (2, "new")]));
        assert_eq!(subjects(&mut world, "anna", "Sent", disk.now), rows(&[(1, "answer")]));
        assert_eq!(subjects(&mut world, "bob", "INBOX", disk.now), rows(&[(1, "answer")]));
        assert_eq!(subjects(&mut world, "bob", "Sent", disk.now), rows(&[(1, "old"), (2, "new")]));
        let inbox = world.account("anna", disk.now).unwrap().get_mut("INBOX").unwrap();
        let flags: Vec<_> = inbox.messages.iter().map(|one| (one.has("\\Seen"), one.recent)).collect();
        assert_eq!(flags, [(true, false), (false, true)]);
        // A client removes the newest; an older one arrives late.
        inbox.messages.pop();
        disk.mail("anna", "new/{}", 1_794_000_000, "bob", "late");
        let later = disk.now + TimeDelta::seconds(6);
        assert_eq!(subjects(&mut world, "anna", "INBOX", later), rows(&[(1, "old"), (3, "late")]));
        let validity = world.account("anna", later).unwrap().get("INBOX").unwrap().validity;
        let message = Message::of(b"mine"[..].into(), later, BTreeSet::new());
        assert_eq!(world.account("anna", later).unwrap().append("INBOX", message, later), Ok((validity, 4)));
        let listed = std::fs::read_to_string(
            disk.root.path().join("var/mail/vhosts/corp.example/anna/dovecot-uidlist"),
        );
        assert!(listed.unwrap().starts_with(&format!("3 V{validity} N5 G")), "as Dovecot keeps it");
        // The machine starts again; what the client removed lies on disk still and has its old id.
        let mut world = disk.start();
        let want = rows(&[(1, "old"), (2, "new"), (3, "late")]);
        assert_eq!(subjects(&mut world, "anna", "INBOX", later), want);
        assert_eq!(world.account("anna", later).unwrap().get("INBOX").unwrap().validity, validity);
        assert_ne!(world.account("anna", later).unwrap().get("Sent").unwrap().validity, validity);
        assert_ne!(world.account("bob", later).unwrap().get("INBOX").unwrap().validity, validity);
        let other = Disk { number: 5, ..Disk::new() };
        other.mail("anna", "new/{}", 1_795_100_000, "bob", "new");
        let elsewhere = other.start().account("anna", later).unwrap().get("INBOX").unwrap().validity;
        assert_ne!(elsewhere, validity, "two machines");
        // A file that goes takes its message along, and its id stays used.
        std::fs::remove_file(disk.mail("anna", "new/{}", 1_794_000_000, "bob", "late")).unwrap();
        let last = later + TimeDelta::seconds(6);
        disk.mail("anna", "new/{}", 1_795_300_000, "bob", "next");
        let want = rows(&[(1, "old"), (2, "new"), (5, "next")]);
        assert_eq!(subjects(&mut world, "anna", "INBOX", last), want);
    }

    /// P39, and what becomes of it with the first delivery.
    #[test]
    fn invented_mail_is_there_until_any_is_delivered() {
        let disk = Disk::new();
        let mut world = disk.start();
        let invented = subjects(&mut world, "anna", "INBOX", disk.now);
        assert!(invented.len() > 10);
        let validity = world.account("anna", disk.now).unwrap().get("INBOX").unwrap().validity;
        let bad = disk.mail("anna", "new/{}", 1_795_500_000, "bob", "x");
        std::fs::write(&bad, "\0").unwrap();
        assert_eq!(subjects(&mut world, "anna", "INBOX", disk.now), invented, "a broken file is none");
        disk.mail("anna", "new/{}", 1_795_600_000, "carol", "first");
        assert_eq!(subjects(&mut world, "anna", "INBOX", disk.now), rows(&[(1, "first")]));
        assert_ne!(world.account("anna", disk.now).unwrap().get("INBOX").unwrap().validity, validity);
        // Bob, who got nothing, is left with what machines and strangers wrote.
        let inbox = world.account("bob", disk.now).unwrap().get("INBOX").unwrap().clone();
        assert!(!inbox.messages.is_empty());
        for message in &inbox.messages {
            let raw = message.body.bytes().unwrap();
            let parsed = mail_parser::MessageParser::default().parse_headers(&*raw).unwrap();
            let from = parsed.from().unwrap().first().unwrap().address.as_deref().unwrap().to_owned();
            assert!(from != "anna@corp.example" && from != "bob@corp.example", "{from}");
        }
        assert!(subjects(&mut world, "bob", "INBOX", disk.now).iter().all(|(_, subject)| subject != "first"));
    }

    #[test]
    fn a_sender_has_each_mail_once_and_folders_are_mailboxes() {
        let disk = Disk::new();
        for to in ["anna", "bob", "carol"] {
            disk.mail(to, "new/{}", 1_795_100_000, "anna", "to all");
        }
        disk.mail("anna", ".Sent/cur/{}:2,S", 1_795_200_000, "anna", "own copy");
        disk.mail("bob", "new/{}", 1_795_200_000, "anna", "own copy");
        disk.mail("anna", ".Projects/cur/{}:2,S", 1_795_000_000, "bob", "filed");
        let mut world = disk.start();
        assert_eq!(subjects(&mut world, "anna", "Sent", disk.now), rows(&[(1, "to all"), (2, "own copy")]));
        assert_eq!(subjects(&mut world, "anna", "Projects", disk.now), rows(&[(1, "filed")]));
        assert_eq!(subjects(&mut world, "anna", "INBOX", disk.now), rows(&[(1, "to all")]));
        let sent = world.account("anna", disk.now).unwrap().get("Sent").unwrap();
        assert!(sent.messages.iter().all(|message| message.has("\\Seen") && !message.recent));
    }

    #[test]
    fn a_named_folder_is_all_there_is_and_ids_follow_first_sight() {
        let folder = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        let now = DateTime::from_timestamp(1_795_600_000, 0).unwrap();
        let start = || {
            let sources = Sources {
                folder: Some(Spool::new(folder.path().to_owned(), Duration::from_secs(5))),
                maildirs: None,
                lists: Some(Maildirs::new(root.path(), Duration::from_secs(5))),
            };
            World::new(&FleetSecret::from_number(4).seed(), Arc::new(persona("debian")), sources)
        };
        let put = |name: &str, at: i64, to: &str, subject: &str| {
            let text = format!("From: v@x.example\nTo: {to}\nSubject: {subject}\n\nhi\n");
            plant(&folder.path().join(name), &text, at);
        };
        assert!(subjects(&mut start(), "anna", "INBOX", now).len() > 10, "an empty folder is no folder");
        put("b/2.eml", 200, "nobody@x.example", "for everybody");
        put("a/1.eml", 300, "Anna <ANNA@corp.example>", "for anna");
        put("a/bad.eml", 100, "", "");
        std::fs::write(folder.path().join("a/bad.eml"), "\0\0").unwrap();
        let mut world = start();
        let want = rows(&[(1, "for everybody"), (2, "for anna")]);
        assert_eq!(subjects(&mut world, "anna", "INBOX", now), want);
        assert_eq!(subjects(&mut world, "bob", "INBOX", now), rows(&[(1, "for everybody")]));
        put("a/0.eml", 50, "anna@corp.example", "older");
        let want = rows(&[(1, "for everybody"), (2, "for anna"), (3, "older")]);
        assert_eq!(subjects(&mut world, "anna", "INBOX", now), want);
        assert_eq!(subjects(&mut start(), "anna", "INBOX", now), want, "after a restart");
    }
}
