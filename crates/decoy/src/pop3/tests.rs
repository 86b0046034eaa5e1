//! Dialogues against what Dovecot 2.3.19.1 of Debian 12 said, and that no bytes break a session.

use std::{path::Path, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use decnet_core::FleetSecret;
use proptest::prelude::*;

use super::*;
use crate::{
    imap,
    mail::{
        maildir::Maildirs,
        world::{Sources, World},
    },
    redis::tests::persona,
};

struct Bench {
    world: World,
    session: Session,
    now: DateTime<Utc>,
    facts: Vec<Fact>,
    _root: tempfile::TempDir,
}

const FIRST: &str = "From: Alice <alice@x.lan>\r\nTo: anna@x.lan\r\nSubject: Hello\r\nMessage-ID: <1@x.lan>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\n\r\nHello\r\n.dot line\r\nlast\r\n";
const SECOND: &str = "From: Bob <bob@x.lan>\nTo: anna@x.lan\nSubject: Re: Hello\nMessage-ID: <2@x.lan>\nReferences: <1@x.lan>\nIn-Reply-To: <1@x.lan>\nDate: Mon, 23 Nov 2026 11:00:00 +0100\n\nlf only, no end";
const THIRD: &str = "From: Bob <bob@x.lan>\nSubject: other\nMessage-ID: <3@x.lan>\nDate: Mon, 23 Nov 2026 12:00:00 +0100\n\nthird\n";

fn world(root: &Path) -> World {
    let inbox = root.join("var/mail/vhosts/corp.example/anna");
    for (name, text) in [
        ("new/1795420800.M100P1.mx", FIRST),
        ("new/1795424400.M100P2.mx", SECOND),
        ("cur/1795428000.M100P3.mx:2,S", THIRD),
    ] {
        let path = inbox.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let boxes = || Some(Maildirs::new(root, Duration::from_secs(5)));
    let sources = Sources { folder: None, maildirs: boxes(), lists: boxes() };
    World::new(&FleetSecret::from_number(8).seed(), Arc::new(persona("debian")), sources)
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self {
            world: world(root.path()),
            session: Session::default(),
            now: DateTime::from_timestamp(1_795_600_000, 0).unwrap(),
            facts: Vec::new(),
            _root: root,
        }
    }

    fn logged_in() -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.say("USER anna"), "+OK|");
        assert_eq!(bench.say("PASS anna-pw"), "+OK Logged in.|");
        bench
    }

    fn say(&mut self, line: &str) -> String {
        self.say_bytes(format!("{line}\r\n").as_bytes())
    }

    fn say_bytes(&mut self, bytes: &[u8]) -> String {
        let step = self.session.line(&mut self.world, bytes, self.now);
        self.facts.extend(step.facts);
        let end = if step.close { "<end>" } else { "" };
        String::from_utf8_lossy(&step.out).replace("\r\n", "|") + end
    }

    fn validity(&mut self) -> u32 {
        self.world.account("anna", self.now).unwrap().get("INBOX").unwrap().validity
    }
}

#[test]
fn before_login_every_answer_is_dovecots() {
    const CAPA: &str = "+OK|CAPA|TOP|UIDL|RESP-CODES|PIPELINING|AUTH-RESP-CODE|USER|SASL PLAIN LOGIN|.|";
    for (line, want) in [
        ("FOO", "-ERR Unknown command.|"),
        ("NOOP", "-ERR Unknown command.|"),
        ("", "-ERR Unknown command.|"),
        ("  USER anna", "-ERR Unknown command.|"),
        ("USER", "+OK|"),
        ("user a b", "+OK|"),
        ("PASS x", "-ERR No username given.|"),
        ("CAPA x", CAPA),
        ("AUTH", "+OK|PLAIN|LOGIN|.|"),
        ("AUTH FOO bar", "-ERR [AUTH] Unsupported authentication mechanism.|"),
        ("AUTH PLAIN", "+ |"),
        ("AUTH LOGIN", "+ VXNlcm5hbWU6|"),
        ("AUTH LOGIN YW5uYQ==", "+ UGFzc3dvcmQ6|"),
        ("AUTH PLAIN x y", "-ERR [AUTH] Invalid base64 data in initial response|"),
        ("AUTH PLAIN =", "-ERR [AUTH] Authentication failed.|"),
        ("AUTH PLAIN eA==", "-ERR [AUTH] Authentication failed.|"),
        ("AUTH plain AGFubmEAYW5uYS1wdw==", "+OK Logged in.|"),
        ("APOP a b", "-ERR APOP not enabled.|"),
        ("STLS", "-ERR TLS support isn't enabled.|"),
        ("QUIT x", "+OK Logging out|<end>"),
    ] {
        assert_eq!(Bench::new().say(line), want, "{line}");
    }
    let mut bench = Bench::new();
    bench.say("FOO");
    bench.say("STAT");
    assert_eq!(bench.say("FOO"), "-ERR Unknown command.|-ERR Too many invalid bad commands.|<end>");
    let mut bench = Bench::new();
    bench.say("AUTH PLAIN");
    assert_eq!(bench.say("*"), "-ERR Authentication aborted by client.|");
    bench.say("AUTH PLAIN");
    assert_eq!(bench.say("!!!"), "-ERR [AUTH] Invalid base64 in response|");
    assert_eq!(bench.say("STAT"), "-ERR Unknown command.|");
}

#[test]
fn logins_are_facts_with_the_bytes_that_were_sent() {
    let mut bench = Bench::new();
    bench.say("USER root");
    let step = bench.session.line(&mut bench.world, b"PASS to or \r\n", bench.now);
    assert_eq!(step.delay, Some(Duration::ZERO));
    bench.facts.extend(step.facts);
    assert_eq!(bench.say("PASS again"), "-ERR No username given.|", "a failed try takes the name along");
    bench.say("AUTH LOGIN");
    bench.say("YW5uYQ==");
    let step = bench.session.line(&mut bench.world, b"eA==\n", bench.now);
    assert_eq!(step.delay, Some(Duration::from_secs(2)), "the second failure waits longer");
    bench.facts.extend(step.facts);
    bench.say("AUTH PLAIN");
    assert_eq!(bench.say("AGFubmEAYW5uYS1wdw=="), "+OK Logged in.|");
    let tries: Vec<_> = bench
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Auth { user, password, method, account } => Some((
                String::from_utf8_lossy(user).into_owned(),
                String::from_utf8_lossy(password).into_owned(),
                *method,
                account.is_some(),
            )),
            _ => None,
        })
        .collect();
    let try_of =
        |user: &str, password: &str, method, right| (user.to_owned(), password.to_owned(), method, right);
    assert_eq!(
        tries,
        [
            try_of("root", "to or ", "pass", false),
            try_of("anna", "x", "login_sasl", false),
            try_of("anna", "anna-pw", "plain", true)
        ]
    );
    let shown = |cmd: &str| {
        bench.facts.iter().find_map(|fact| match fact {
            Fact::Command { cmd: name, args, .. } if name == cmd => Some(args.clone()),
            _ => None,
        })
    };
    assert_eq!(shown("PASS"), Some(None), "a password is not shown as an argument");
    assert_eq!(shown("USER"), Some(Some(b"root".to_vec())));
}

/// The dialogue that was held with a real one over the same three files.
#[test]
fn after_login_every_answer_is_dovecots() {
    let mut bench = Bench::logged_in();
    let validity = bench.validity();
    let head = "From: Alice <alice@x.lan>|To: anna@x.lan|Subject: Hello|Message-ID: <1@x.lan>|Date: Mon, 23 Nov 2026 10:00:00 +0100||";
    let second = SECOND.replace('\n', "|");
    let id = |uid: u32| format!("{uid:08x}{validity:08x}");
    for (line, want) in [
        ("CAPA", "+OK|CAPA|TOP|UIDL|RESP-CODES|PIPELINING|AUTH-RESP-CODE|.|".to_owned()),
        ("USER x", "-ERR Unknown command: USER|".to_owned()),
        ("PASS x", "-ERR Unknown command: PASS|".to_owned()),
        ("foo bar", "-ERR Unknown command: FOO|".to_owned()),
        ("", "-ERR Unknown command.|".to_owned()),
        ("STAT x", "+OK 3 442|".to_owned()),
        ("LIST", "+OK 3 messages:|1 147|2 185|3 110|.|".to_owned()),
        ("LIST  ", "+OK 3 messages:|1 147|2 185|3 110|.|".to_owned()),
        ("LIST 1", "+OK 1 147|".to_owned()),
        ("LIST 9", "-ERR There's no message 9.|".to_owned()),
        ("LIST x", "-ERR Invalid message number: x|".to_owned()),
        ("LIST 1 2", "-ERR Noise after message number:  2|".to_owned()),
        ("LIST 1x", "-ERR Noise after message number: x|".to_owned()),
        ("LIST 0", "-ERR There's no message 0.|".to_owned()),
        ("LIST -1", "-ERR Invalid message number: -1|".to_owned()),
        ("LIST 99999999999", "-ERR Message number too large: |".to_owned()),
        ("UIDL", format!("+OK|1 {}|2 {}|3 {}|.|", id(1), id(2), id(3))),
        ("UIDL 2", format!("+OK 2 {}|", id(2))),
        ("UIDL 1 x", "-ERR Noise after message number:  x|".to_owned()),
        ("TOP 1", "-ERR Noise after message number: |".to_owned()),
        ("TOP 1 0", format!("+OK|{head}.|")),
        ("TOP 1 1", format!("+OK|{head}Hello|.|")),
        ("TOP 1 99", format!("+OK|{head}Hello|..dot line|last|.|")),
        ("TOP x 1", "-ERR Invalid message number: x 1|".to_owned()),
        ("TOP 9 1", "-ERR There's no message 9.|".to_owned()),
        ("TOP 1 -1", "-ERR Invalid size: -1|".to_owned()),
        ("TOP 1 1 x", "-ERR Noise after size:  x|".to_owned()),
        ("TOP 1 99999999999999999999", "-ERR Size too large: 99999999999999999999|".to_owned()),
        ("TOP", "-ERR Invalid message number: |".to_owned()),
        ("RETR", "-ERR Invalid message number: |".to_owned()),
        ("retr  1", format!("+OK 147 octets|{head}Hello|..dot line|last|.|")),
        ("RETR 2", format!("+OK 185 octets|{second}|.|")),
        ("RETR 1 x", "-ERR Noise after message number:  x|".to_owned()),
        ("DELE x", "-ERR Invalid message number: x|".to_owned()),
        ("DELE 2", "+OK Marked to be deleted.|".to_owned()),
        ("DELE 2", "-ERR Message is deleted.|".to_owned()),
        ("RETR 2", "-ERR Message is deleted.|".to_owned()),
        ("TOP 2 0", "-ERR Message is deleted.|".to_owned()),
        ("LIST", "+OK 2 messages:|1 147|3 110|.|".to_owned()),
        ("STAT", "+OK 2 257|".to_owned()),
        ("UIDL", format!("+OK|1 {}|3 {}|.|", id(1), id(3))),
        ("NOOP x", "+OK|".to_owned()),
        ("LAST", "-ERR Unknown command: LAST|".to_owned()),
        ("RSET", "+OK|".to_owned()),
        ("STAT", "+OK 3 442|".to_owned()),
        ("QUIT now", "+OK Logging out.|<end>".to_owned()),
    ] {
        assert_eq!(bench.say(line), want, "{line}");
    }
    let read: Vec<_> = bench
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Retrieved { number, uid, subject } => Some((*number, *uid, subject.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(read, [(1, 1, "Hello"), (2, 2, "Re: Hello")]);
    assert!(bench.facts.contains(&Fact::Deleted { number: 2, uid: 2 }));
    let mut bench = Bench::logged_in();
    for _ in 0..20 {
        assert_eq!(bench.say("RETR 9"), "-ERR There's no message 9.|");
    }
    assert_eq!(bench.say("X"), "-ERR Unknown command: X|-ERR Too many bad commands.|<end>");
}

#[test]
fn what_quit_deletes_is_gone_over_both_protocols_and_a_lost_line_deletes_nothing() {
    let mut bench = Bench::logged_in();
    bench.say("DELE 1");
    // The connection breaks: no QUIT.
    bench.session = Session::default();
    bench.say("USER anna");
    bench.say("PASS anna-pw");
    assert_eq!(bench.say("STAT"), "+OK 3 442|");
    bench.say("RETR 2");
    bench.say("DELE 3");
    assert_eq!(bench.say("QUIT"), "+OK Logging out, messages deleted.|<end>");
    let mut imap = imap::session::Session::default();
    let mut say = |line: &str| {
        let step = imap.command(&mut bench.world, format!("{line}\r\n").as_bytes(), bench.now);
        String::from_utf8(step.out).unwrap()
    };
    say("a LOGIN anna anna-pw");
    assert!(say("b SELECT INBOX").contains("* 2 EXISTS\r\n"));
    assert!(say("c SEARCH SEEN").contains("* SEARCH 2\r\n"), "what was retrieved is seen");
    say("d STORE 1 +FLAGS (\\Deleted)");
    say("e EXPUNGE");
    bench.session = Session::default();
    bench.say("USER anna");
    bench.say("PASS anna-pw");
    let validity = bench.validity();
    assert_eq!(bench.say("UIDL"), format!("+OK|1 00000002{validity:08x}|.|"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_line_is_survived(line in proptest::collection::vec(any::<u8>(), 0..120), late: bool, at in 0usize..9) {
        const WORDS: [&str; 9] = ["", "RETR ", "TOP 1 ", "LIST ", "DELE ", "AUTH PLAIN ", "AUTH LOGIN ", "USER ", "PASS "];
        let mut bench = if late { Bench::logged_in() } else { Bench::new() };
        let word = WORDS.get(at).copied().unwrap_or_default();
        let out = bench.say_bytes(&[word.as_bytes(), &line[..], b"\r\n"].concat());
        prop_assert!(!out.is_empty());
        bench.say_bytes(&[&line[..], b"\r\n"].concat());
        bench.say("STAT");
    }
}
