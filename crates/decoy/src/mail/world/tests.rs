//! Accounts over real folders: ids, restarts, and what becomes of the invented mail.

use std::time::Duration;

use decnet_core::FleetSecret;

use super::*;
use crate::{mail::spool::tests::plant, redis::tests::persona};

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
    let listed =
        std::fs::read_to_string(disk.root.path().join("var/mail/vhosts/corp.example/anna/dovecot-uidlist"));
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
