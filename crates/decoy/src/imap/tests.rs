//! Dialogues against what Dovecot 2.3.19.1 of Debian 12 said, and that no bytes break a session.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use decnet_core::FleetSecret;
use proptest::prelude::*;

use super::*;
use crate::{
    mail::world::{Sources, World},
    redis::tests::persona,
};

struct Bench {
    world: World,
    session: Session,
    now: DateTime<Utc>,
    facts: Vec<Fact>,
}

impl Bench {
    fn new() -> Self {
        let world =
            World::new(&FleetSecret::from_number(8).seed(), Arc::new(persona("debian")), Sources::default());
        Self {
            world,
            session: Session::default(),
            now: DateTime::from_timestamp(1_795_600_000, 0).unwrap(),
            facts: Vec::new(),
        }
    }

    fn logged_in() -> Self {
        let mut bench = Self::new();
        assert!(bench.say("a LOGIN anna anna-pw").starts_with("a OK [CAPABILITY IMAP4rev1 "));
        bench
    }

    fn say(&mut self, line: &str) -> String {
        self.say_bytes(format!("{line}\r\n").as_bytes())
    }

    fn say_bytes(&mut self, bytes: &[u8]) -> String {
        let mut step = self.session.command(&mut self.world, bytes, self.now);
        while let Some(more) = self.session.go_on(&mut self.world, self.now) {
            step.out.extend(more.out);
            step.facts.extend(more.facts);
        }
        self.facts.extend(step.facts);
        String::from_utf8_lossy(&step.out).replace("\r\n", "|")
    }
}

#[test]
fn before_login_every_answer_is_dovecots() {
    // One session each, since bad commands are counted.
    for (line, want) in [
        ("a NOOP", "a OK NOOP completed.|"),
        ("a NOOP x", "a OK NOOP completed.|"),
        ("a FOO", "a BAD Error in IMAP command received by server.|"),
        ("a SELECT INBOX", "a BAD Error in IMAP command received by server.|"),
        ("", "* BAD Error in IMAP command received by server.|"),
        ("foo", "foo BAD Error in IMAP command received by server.|"),
        ("* NOOP", "* BAD Error in IMAP command received by server.|"),
        ("a ID NIL", "* ID (\"name\" \"Dovecot\")|a OK ID completed.|"),
        ("a ID foo", "a BAD Invalid ID parameters|"),
        ("a STARTTLS", "a BAD TLS support isn't enabled.|"),
        ("a ENABLE CONDSTORE", "* ENABLED|a OK ENABLE ignored in non-authenticated state.|"),
        ("a AUTHENTICATE FOO", "a NO [ALERT] Unsupported authentication mechanism.|"),
        ("a AUTHENTICATE PLAIN", "+ |"),
        ("a AUTHENTICATE LOGIN", "+ VXNlcm5hbWU6|"),
        ("a LOGIN anna wrong", "a NO [AUTHENTICATIONFAILED] Authentication failed.|"),
        ("a AUTHENTICATE PLAIN AHgAd3Jvbmc=", "a NO [AUTHENTICATIONFAILED] Authentication failed.|"),
        ("a LOGIN \"x", "a BAD Missing '\"'|"),
        ("a LOGIN x p\u{e4}ss", "a BAD 8bit data in atom|"),
        ("a LOGOUT", "* BYE Logging out|a OK Logout completed.|"),
    ] {
        assert_eq!(Bench::new().say(line), want, "{line}");
    }
    let mut bench = Bench::new();
    bench.say("a AUTHENTICATE PLAIN");
    assert_eq!(bench.say("*"), "a BAD Authentication aborted by client.|");
    bench.say("a AUTHENTICATE PLAIN");
    assert_eq!(bench.say("!!!"), "a NO [ALERT] Invalid base64 in response|");
    bench.say("x FOO");
    bench.say("x FOO");
    assert_eq!(bench.say("x FOO"), "* BYE Too many invalid IMAP commands.|");
}

#[test]
fn logins_are_facts_and_failures_slow_down() {
    let mut bench = Bench::new();
    let mut delays = Vec::new();
    for line in ["a LOGIN root toor", "b LOGIN {4+}\r\nanna {3+}\r\nbad", "c LOGIN anna \"p\\\"w\""] {
        let step = bench.session.command(&mut bench.world, format!("{line}\r\n").as_bytes(), bench.now);
        assert!(step.failed);
        delays.push(step.delay.unwrap());
        bench.facts.extend(step.facts);
    }
    assert!(delays[0].is_zero() && delays[1] > delays[0] && delays[2] > delays[1]);
    bench.say("d AUTHENTICATE LOGIN");
    assert_eq!(bench.say("YW5uYQ=="), "+ UGFzc3dvcmQ6|");
    assert!(bench.say("YW5uYS1wdw==").starts_with("d OK [CAPABILITY "));
    let tries: Vec<(Vec<u8>, Vec<u8>, bool)> = bench
        .facts
        .iter()
        .filter_map(|fact| {
            if let Fact::Auth { user, password, account, .. } = fact {
                Some((user.clone(), password.clone(), account.is_some()))
            } else {
                None
            }
        })
        .collect();
    let want =
        |user: &str, password: &str, right| (user.as_bytes().to_vec(), password.as_bytes().to_vec(), right);
    assert_eq!(
        tries,
        [
            want("root", "toor", false),
            want("anna", "bad", false),
            want("anna", "p\"w", false),
            want("anna", "anna-pw", true)
        ]
    );
}

const MESSAGE: &str = "From: Alice <alice@x.lan>\r\nTo: \"Bob B\" <bob@x.lan>\r\nSubject: Hello\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello there\r\nline two\r\n";

#[test]
fn a_mailbox_of_ones_own_behaves_like_dovecots() {
    let mut bench = Bench::logged_in();
    assert_eq!(bench.say("a CREATE Own"), "a OK Create completed (0.001 + 0.000 secs).|");
    assert_eq!(
        bench.say("a CREATE Own"),
        "a NO [ALREADYEXISTS] Mailbox already exists (0.001 + 0.000 secs).|"
    );
    assert!(bench.say("a SELECT Nope").contains("a NO Mailbox doesn't exist: Nope "));
    for _ in 0..3 {
        let reply = bench.say(&format!("a APPEND Own {{{}}}\r\n{MESSAGE}", MESSAGE.len()));
        assert!(reply.starts_with("a OK [APPENDUID "), "{reply}");
    }
    let select = bench.say("b SELECT Own");
    assert!(select.starts_with("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)|* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags permitted.|* 3 EXISTS|* 3 RECENT|* OK [UNSEEN 1] First unseen.|* OK [UIDVALIDITY "), "{select}");
    assert!(select.ends_with("b OK [READ-WRITE] Select completed (0.001 + 0.000 secs).|"));
    let done = |what: &str| format!("c OK {what} completed (0.001 + 0.000 secs).|");
    let mut check = |line: &str, want: String| assert_eq!(bench.say(&format!("c {line}")), want, "{line}");
    check("FETCH 1 FLAGS", format!("* 1 FETCH (FLAGS (\\Recent))|{}", done("Fetch")));
    check(
        "FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT From)]",
        format!(
            "* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT FROM)] {{45}}|From: Alice <alice@x.lan>|Subject: Hello||)|{}",
            done("Fetch")
        ),
    );
    check(
        "FETCH 1 BODY[]<0.10>",
        format!("* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[]<0> {{10}}|From: Alic)|{}", done("Fetch")),
    );
    check("FETCH 1 BODY[]<9990.10>", format!("* 1 FETCH (BODY[]<9990> {{0}}|)|{}", done("Fetch")));
    check(
        "FETCH 1 (BODY[TEXT])",
        format!("* 1 FETCH (BODY[TEXT] {{23}}|Hello there|line two|)|{}", done("Fetch")),
    );
    check(
        "FETCH 99 FLAGS",
        "c BAD Error in IMAP command FETCH: Invalid messageset (0.001 + 0.000 secs).|".to_owned(),
    );
    check("UID FETCH 1 FLAGS", done("Fetch"));
    check("SEARCH ALL", format!("* SEARCH 1 2 3|{}", done("Search")));
    check("SEARCH UNSEEN TEXT \"line TWO\"", format!("* SEARCH 2 3|{}", done("Search")));
    check("SEARCH SUBJECT nothing", format!("* SEARCH|{}", done("Search")));
    check(
        "SEARCH CHARSET FOO SUBJECT x",
        "c NO [BADCHARSET] Unknown charset (0.001 + 0.000 secs).|".to_owned(),
    );
    check("SORT (REVERSE ARRIVAL) UTF-8 ALL", format!("* SORT 1 2 3|{}", done("Sort")));
    check("STORE 1 FLAGS.SILENT (\\Seen)", done("Store"));
    check("STORE 2 +FLAGS (\\Flagged)", format!("* 2 FETCH (FLAGS (\\Flagged \\Recent))|{}", done("Store")));
    check(
        "STORE 1 +FLAGS (\\Foo)",
        "c BAD Error in IMAP command STORE: Invalid system flag \\FOO (0.001 + 0.000 secs).|".to_owned(),
    );
    check("STORE 3 +FLAGS.SILENT (\\Deleted)", done("Store"));
    check("EXPUNGE", format!("* 3 EXPUNGE|* 2 RECENT|{}", done("Expunge")));
    check("COPY 1 Nope", "c NO [TRYCREATE] Mailbox doesn't exist: Nope (0.001 + 0.000 secs).|".to_owned());
    check("STATUS Own (UNSEEN MESSAGES)", "* STATUS Own (MESSAGES 2 UNSEEN 1)|c OK [CLIENTBUG] Status on selected mailbox completed (0.001 + 0.000 secs).|".to_owned());
    check("FOO", "c BAD Error in IMAP command FOO: Unknown command (0.001 + 0.000 secs).|".to_owned());
    check(
        "UID FOO",
        "c BAD Error in IMAP command UID FOO: Unknown command (0.001 + 0.000 secs).|".to_owned(),
    );
    check("CLOSE", done("Close"));
    check("FETCH 1 FLAGS", "c BAD No mailbox selected (0.001 + 0.000 secs).|".to_owned());
    assert!(bench.say("d MOVE 1 Sent").contains("No mailbox selected"));
    bench.say("e SELECT Own");
    let moved = bench.say("e MOVE 1 Sent");
    assert!(
        moved.contains("* OK [COPYUID ")
            && moved.contains("|* 1 EXPUNGE|")
            && moved.ends_with("e OK Move completed (0.001 + 0.000 secs).|"),
        "{moved}"
    );
    let copied = bench.say("e UID COPY 1:* Trash");
    assert!(copied.starts_with("e OK [COPYUID "), "{copied}");
    assert!(bench.facts.iter().any(|fact| matches!(fact, Fact::Read { subject, .. } if subject == "Hello")));
    assert_eq!(bench.facts.iter().filter(|fact| matches!(fact, Fact::Appended { .. })).count(), 3);
}

#[test]
fn the_bait_mailbox_is_listed_and_grows_while_idling() {
    let mut bench = Bench::logged_in();
    let list = bench.say("a LIST \"\" *");
    assert!(
        list.contains("* LIST (\\HasNoChildren \\Sent) \".\" Sent|")
            && list.contains("* LIST (\\HasNoChildren) \".\" INBOX|a OK List"),
        "{list}"
    );
    assert_eq!(
        bench.say("a LIST \"\" \"\""),
        "* LIST (\\Noselect) \".\" \"\"|a OK List completed (0.001 + 0.000 secs).|"
    );
    let select = bench.say("b SELECT INBOX");
    let count = bench.session.selected.as_ref().unwrap().uids.len();
    assert!(count > 10 && select.contains(&format!("* {count} EXISTS|")));
    for item in ["ALL", "(BODYSTRUCTURE RFC822.SIZE)", "(BODY.PEEK[] UID)", "FULL"] {
        let reply = bench.say(&format!("c FETCH 1:* {item}"));
        assert!(reply.ends_with("c OK Fetch completed (0.001 + 0.000 secs).|"), "{reply}");
        assert_eq!(reply.matches(" FETCH (").count(), count, "{item}");
    }
    assert_eq!(bench.say("d IDLE"), "+ idling|");
    let tick = |bench: &mut Bench, seconds| {
        let step = bench.session.idle_tick(&mut bench.world, bench.now + chrono::TimeDelta::seconds(seconds));
        String::from_utf8(step.out).unwrap()
    };
    // Nothing arrives on this machine in these minutes.
    let said = [1, 119, 121, 123].map(|seconds| tick(&mut bench, seconds));
    assert_eq!(said, ["", "", "* OK Still here\r\n", ""]);
    bench.now += chrono::TimeDelta::days(4);
    let step = bench.session.idle_tick(&mut bench.world, bench.now);
    let news = String::from_utf8(step.out).unwrap();
    assert!(news.contains(" EXISTS\r\n"), "{news}");
    assert_eq!(bench.say("DONE"), "d OK Idle completed (0.001 + 0.000 secs).|");
}

#[test]
fn a_whole_mailbox_is_sent_in_slices() {
    let mut bench = Bench::logged_in();
    bench.say("a CREATE Big");
    let text = format!("{MESSAGE}{}", "x".repeat(90_000));
    for _ in 0..10 {
        bench.say(&format!("a APPEND Big {{{}}}\r\n{text}", text.len()));
    }
    bench.say("b SELECT Big");
    let first = bench.session.command(&mut bench.world, b"c UID FETCH 1:* BODY[]\r\n", bench.now);
    let mut pieces = vec![first.out];
    // Another client takes one away meanwhile.
    let gone = bench.session.selected.as_ref().unwrap().uids[8];
    bench.world.account("anna", bench.now).unwrap().get_mut("Big").unwrap().messages.remove(8);
    while let Some(step) = bench.session.go_on(&mut bench.world, bench.now) {
        pieces.push(step.out);
    }
    assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.len() < 400_000), "{}", pieces.len());
    let all = String::from_utf8(pieces.concat()).unwrap();
    assert_eq!(all.matches(" FETCH (UID ").count(), 9);
    assert!(!all.contains(&format!("UID {gone} ")) && all.contains("* 9 EXPUNGE\r\n"));
    assert!(all.ends_with("c OK Fetch completed (0.001 + 0.000 secs).\r\n"));
    assert!(bench.say("d NOOP").starts_with("d OK"));
}

/// The forms that the grammar's crate does not know; the wanted texts are those of Dovecot 2.3.19.1.
#[test]
fn extended_commands_are_dovecots() {
    let mut bench = Bench::logged_in();
    bench.say("a CREATE Own");
    for subject in ["Hello", "Re: Hello", "Other"] {
        let text = MESSAGE.replace("Subject: Hello", &format!("Subject: {subject}"));
        bench.say(&format!("a APPEND Own {{{}}}\r\n{text}", text.len()));
    }
    bench.say("b SELECT Own");
    let done = |what: &str| format!("c OK {what} completed (0.001 + 0.000 secs).|");
    let bad = |what: &str| format!("c BAD Error in IMAP command {what} (0.001 + 0.000 secs).|");
    let esearch = |what: &str| format!("* ESEARCH (TAG \"c\"){what}|{}", done("Search"));
    let size = MESSAGE.len() * 3 + "Re: ".len();
    for (line, want) in [
        ("SEARCH RETURN () ALL", esearch(" ALL 1:3")),
        ("SEARCH RETURN (MIN MAX COUNT ALL) ALL", esearch(" MIN 1 MAX 3 ALL 1:3 COUNT 3")),
        ("SEARCH RETURN (MIN) SUBJECT none", esearch("")),
        ("SEARCH RETURN (COUNT ALL) SUBJECT none", esearch(" COUNT 0")),
        ("SEARCH RETURN (ALL) NOT SUBJECT Re", esearch(" ALL 1,3")),
        ("SEARCH RETURN (FOO) ALL", bad("SEARCH: Unknown SEARCH return option")),
        ("SEARCH ALL", format!("* SEARCH 1 2 3|{}", done("Search"))),
        ("THREAD REFERENCES UTF-8 ALL", format!("* THREAD (1 2)(3)|{}", done("Thread"))),
        ("THREAD ORDEREDSUBJECT UTF-8 SUBJECT none", format!("* THREAD |{}", done("Thread"))),
        ("THREAD FOO UTF-8 ALL", bad("THREAD: Unknown thread algorithm")),
        ("SORT (DISPLAYFROM REVERSE SUBJECT) UTF-8 ALL", format!("* SORT 3 1 2|{}", done("Sort"))),
        (
            "FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])",
            format!("* 1 FETCH (BINARY[1] {{23}}|Hello there|line two| BINARY.SIZE[1] 23)|{}", done("Fetch")),
        ),
        (
            "FETCH 2 (BINARY[])",
            format!(
                "* 2 FETCH (FLAGS (\\Seen \\Recent) BINARY[] {{{}}}|{})|{}",
                MESSAGE.len() + 4,
                MESSAGE.replace("Hello\r", "Re: Hello\r").replace("\r\n", "|"),
                done("Fetch")
            ),
        ),
        (
            "LIST (SUBSCRIBED) \"\" \"%\"",
            format!(
                "* LIST (\\Subscribed) \".\" Archive|* LIST (\\Subscribed) \".\" Drafts|* LIST (\\Subscribed) \".\" Sent|* LIST (\\Subscribed) \".\" Trash|{}",
                done("List")
            ),
        ),
        (
            "LIST \"\" (Own Sent) RETURN (STATUS (MESSAGES SIZE))",
            format!(
                "* LIST () \".\" Own|* STATUS Own (MESSAGES 3 SIZE {size})|* LIST () \".\" Sent|* STATUS Sent (MESSAGES {{n}} SIZE {{n}})|{}",
                done("List")
            ),
        ),
        (
            "LIST (SPECIAL-USE) \"\" S* RETURN (SUBSCRIBED CHILDREN)",
            format!("* LIST (\\Subscribed \\HasNoChildren \\Sent) \".\" Sent|{}", done("List")),
        ),
        ("LIST (FOO) \"\" *", bad("LIST: Unknown select options")),
        ("LIST \"\" * RETURN (FOO)", bad("LIST: Unknown return options")),
        ("LIST \"\" \"\" RETURN (CHILDREN)", done("List")),
        ("LIST (", bad("LIST: Invalid arguments")),
        ("XLIST \"\" Sent", format!("* LIST (\\HasNoChildren \\Sent) \".\" Sent|{}", done("List"))),
    ] {
        let said = bench.say(&format!("c {line}"));
        // What lies in Sent is the machine's.
        let parts: Vec<&str> = want.split("{n}").collect();
        let mut rest = said.as_str();
        for part in &parts {
            let at = rest.find(part).unwrap_or_else(|| panic!("{line}: {said} is not {want}"));
            assert!(rest[..at].bytes().all(|b| b.is_ascii_digit()), "{line}: {said} is not {want}");
            rest = &rest[at + part.len()..];
        }
        assert_eq!(rest, "", "{line}: {said} is not {want}");
    }
    let uid = bench.say("c UID SEARCH RETURN (MAX) 1:*");
    assert!(uid.starts_with("* ESEARCH (TAG \"c\") UID MAX "), "{uid}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_line_is_survived(line in proptest::collection::vec(any::<u8>(), 0..120), late: bool) {
        let mut bench = if late { Bench::logged_in() } else { Bench::new() };
        bench.say_bytes(&[&line[..], b"\r\n"].concat());
        bench.say_bytes(&[b"a FETCH ", &line[..], b"\r\n"].concat());
        bench.say_bytes(&[b"a LOGIN ", &line[..], b"\r\n"].concat());
    }

    #[test]
    fn any_words_of_the_grammar_are_survived(words in proptest::collection::vec(0usize..36, 1..8)) {
        const WORDS: [&str; 36] = ["FETCH", "STORE", "UID", "1:*", "*", "4294967295", "1:4294967295", "(FLAGS)", "BODY[1.2.3.MIME]", "BODY[]<0.4294967295>", "+FLAGS", "(\\Seen)", "SEARCH", "NOT", "OR", "ALL", "COPY", "MOVE", "Sent", "INBOX", "EXPUNGE", "SORT", "(DATE)", "UTF-8", "APPEND", "{3+}\r\nabc", "SELECT", "BODYSTRUCTURE", "LIST", "RETURN", "(STATUS (SIZE))", "(SUBSCRIBED", "\"\"", "THREAD", "REFERENCES", "BINARY.PEEK[1]"];
        let mut bench = Bench::logged_in();
        bench.say("b SELECT INBOX");
        let line: Vec<&str> = words.iter().filter_map(|at| WORDS.get(*at).copied()).collect();
        bench.say(&format!("c {}", line.join(" ")));
        bench.say("d NOOP");
    }
}
