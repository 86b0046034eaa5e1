//! Mail as other programs read it: Python, mail-parser, and a reader who looks for what repeats.

use std::{
    collections::{HashMap, HashSet},
    io::Write as _,
    process::Command,
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::FleetSecret;
use mail_parser::MessageParser;
use rand::RngExt;

use super::{
    compose::{Letter, Text},
    *,
};
use crate::{Draw, Machine, Persona, scene::Family};

fn persona(name: &str, email: &str, role: &str, more: &serde_json::Value) -> Arc<Persona> {
    let mut value = serde_json::json!({ "name": name, "email": email, "role": role, "language": "en" });
    for (key, field) in more.as_object().unwrap() {
        value[key] = field.clone();
    }
    Arc::new(serde_json::from_value(value).unwrap())
}

/// Twelve people in three languages.
fn people() -> Vec<Arc<Persona>> {
    let tones = ["formal", "direct", "casual", "technical"];
    let names = [
        ("Katrin Lindner", "katrin.lindner", "Leiterin Finanzbuchhaltung", "de"),
        ("J\u{f6}rg Brandst\u{e4}tter", "joerg", "Systemadministrator", "de"),
        ("Malte Petersen", "malte.petersen", "Rechenzentrum", "de"),
        ("Selma Ayd\u{131}n", "selma.aydin", "Personalreferentin", "de"),
        ("H\u{e9}l\u{e8}ne Marchand", "helene.marchand", "Responsable commerciale", "fr"),
        ("R\u{e9}mi Delacroix", "remi.delacroix", "D\u{e9}veloppeur logistique", "fr"),
        ("Agn\u{e8}s Fournier", "agnes.fournier", "Assistante de direction", "fr"),
        ("Ada Park", "ada.park", "Network engineer", "en"),
        ("Marcus Whitfield", "marcus.whitfield", "Sales director", "en"),
        ("Priya Raman", "priya.raman", "Integration developer", "en"),
        ("Yael Ben-David", "yael", "Quality and audit", "en"),
        ("Tom O'Connell", "tom.oconnell", "Warehouse manager", "en"),
    ];
    let zones = ["Europe/Berlin", "Asia/Kolkata", "America/New_York"];
    (0..)
        .zip(names)
        .map(|(index, (name, local, role, language))| {
            let signature = (index % 2 == 0).then(|| format!("{name}\n{role}\nNova Logistics GmbH & Co"));
            let os = if index % 3 == 0 { "windows" } else { "linux" };
            persona(
                name,
                &format!("{local}@nova.example"),
                role,
                &serde_json::json!({
                    "language": language, "tone": tones[index % 4], "signature": signature, "timezone": zones[index % 3], "os": os,
                    "uses_llms_heavily": index == 8,
                }),
            )
        })
        .collect()
}

fn machine(people: &[Arc<Persona>]) -> Machine {
    Machine {
        id: "m1".to_owned(),
        host: "mx-02".to_owned(),
        domain: "nova.example".to_owned(),
        ip: Some("10.1.2.3".parse().unwrap()),
        services: vec![("imap".to_owned(), 143)],
        family: Family::Debian,
        residents: Vec::new(),
        has_files: false,
        has_mail: true,
        mail_users: people.to_vec(),
        salt: 5,
    }
}

fn rng(number: u64) -> Draw {
    FleetSecret::from_number(number).seed().rng()
}

fn start() -> DateTime<Utc> {
    "2026-03-02T08:00:00.123456789Z".parse().unwrap()
}

/// Messages, each with what it answers.
type Sent = Vec<(Message, Option<KnownMail>)>;

/// A few weeks of mail: each is a new letter or answers one before.
fn weeks(count: usize) -> (Vec<Arc<Persona>>, Sent) {
    let people = people();
    let machine = machine(&people);
    let mut rng = rng(7);
    let mut open: Vec<KnownMail> = Vec::new();
    let mut sent = Vec::new();
    let mut at = start();
    for _ in 0..count {
        at += TimeDelta::seconds(rng.random_range(60..2400))
            + TimeDelta::nanoseconds(rng.random_range(1..999_999));
        let parent = (!open.is_empty() && rng.random_bool(0.45))
            .then(|| open.swap_remove(rng.random_range(0..open.len())));
        let by = |email: &str| people.iter().find(|one| one.email == email).unwrap();
        let (from, to) = if let Some(parent) = &parent {
            (by(&parent.to), by(&parent.from))
        } else {
            let first = rng.random_range(0..people.len());
            let other = (first + rng.random_range(1..people.len())) % people.len();
            (&people[first], &people[other])
        };
        let letter = Letter { from, to, machine: &machine, parent: parent.as_ref(), at, text: None };
        let message = compose(&letter, &mut rng);
        open.push(known(&message));
        sent.push((message, parent));
    }
    (people, sent)
}

fn own_text(message: &Message) -> String {
    let parsed = MessageParser::default().parse(&message.raw).unwrap();
    let text = parsed.body_text(0).unwrap().into_owned();
    let own: Vec<&str> = text
        .lines()
        .take_while(|line| line.trim_end() != "--")
        .filter(|line| !line.starts_with('>') && !line.trim_end().ends_with(':'))
        .collect();
    own.join("\n")
}

#[test]
fn messages_are_whole_and_their_parts_agree() {
    let (people, sent) = weeks(600);
    let mut ids = HashSet::new();
    let mut paths = HashSet::new();
    for (message, parent) in &sent {
        let raw = std::str::from_utf8(&message.raw).unwrap();
        let bare = raw.replace("\r\n", "");
        assert!(raw.ends_with("\r\n") && !bare.contains(['\r', '\n']), "{raw}");
        assert!(raw.lines().all(|line| line.len() <= 998));
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        assert!(head.is_ascii() && !body.trim().is_empty(), "{raw}");
        let count = |name: &str| head.lines().filter(|line| line.to_lowercase().starts_with(name)).count();
        for name in ["mime-version:", "date:", "from:", "to:", "subject:", "message-id:", "content-type:"] {
            assert_eq!(count(name), 1, "{name} {head}");
        }
        assert!(!head.to_lowercase().contains("base64"));
        let parsed = MessageParser::default().parse(&message.raw).unwrap();
        assert_eq!(parsed.subject(), Some(message.subject.as_str()));
        let from = parsed.from().unwrap().first().unwrap();
        let sender = people.iter().find(|one| one.email == message.from).unwrap();
        assert_eq!((from.name(), from.address()), (Some(sender.name.as_str()), Some(sender.email.as_str())));
        let to = parsed.to().unwrap().first().unwrap();
        assert_eq!((to.name(), to.address()), (Some(message.to_name.as_str()), Some(message.to.as_str())));
        assert_eq!(parsed.date().unwrap().to_timestamp(), message.mtime.timestamp());
        assert_eq!(parsed.message_id(), Some(message.message_id.trim_matches(['<', '>'])));
        assert!(ids.insert(&message.message_id) && paths.insert(&message.path));
        assert!(message.path.ends_with(&format!(",S={}", raw.len())), "{}", message.path);
        assert!(message.path.starts_with("/var/mail/vhosts/nova.example/"));
        if let Some(signature) = &sender.signature {
            let text = parsed.body_text(0).unwrap().replace("\r\n", "\n");
            assert!(text.contains(signature), "{text}");
        }
        if !sender.uses_llms_heavily {
            let typed = parsed.body_text(0).unwrap();
            assert!(!typed.contains(['\u{2014}', '\u{2013}', '\u{2026}']), "{typed}");
        }
        if let Some(parent) = parent {
            assert_eq!(message.in_reply_to.as_deref(), Some(parent.message_id.as_str()));
            assert_eq!(message.references, thread::references(parent));
            assert_eq!(message.subject, format!("Re: {}", thread::bare_subject(&parent.subject)));
            assert_eq!(message.thread, parent.thread);
        } else {
            assert!(message.in_reply_to.is_none() && message.references.is_empty());
            assert!((1..=80).contains(&message.subject.chars().count()), "{}", message.subject);
            assert_eq!((count("references:"), count("in-reply-to:")), (0, 0));
        }
        let kept = known(message).excerpt;
        assert!(!kept.is_empty() && !kept.contains('>') && !kept.contains("\n-- "), "{kept}");
    }
}

#[test]
fn nothing_is_said_in_one_letter_of_twenty() {
    let (_, sent) = weeks(2000);
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut subjects: HashMap<&str, usize> = HashMap::new();
    for (message, _) in &sent {
        *subjects.entry(thread::bare_subject(&message.subject)).or_default() += 1;
        let text = own_text(message);
        let phrases: HashSet<String> = text
            .split_inclusive(['.', '!', '?', '\n'])
            .map(|phrase| phrase.trim().to_lowercase())
            .filter(|phrase| phrase.split_whitespace().count() >= 3)
            .collect();
        for phrase in phrases {
            *seen.entry(phrase).or_default() += 1;
        }
    }
    let stock: Vec<_> = seen.iter().filter(|(_, count)| **count * 20 > sent.len()).collect();
    assert!(stock.is_empty(), "{stock:?}");
    let often: Vec<_> = subjects.iter().filter(|(_, count)| **count * 20 > sent.len()).collect();
    assert!(often.is_empty(), "{often:?}");
}

#[test]
fn the_same_seed_writes_the_same() {
    assert_eq!(weeks(40).1, weeks(40).1);
}

#[test]
fn nobody_gets_a_header_in() {
    let evil = persona(
        "Eve\r\nBcc: all@nova.example",
        "eve\r\nx@nova.example",
        "sales",
        &serde_json::json!({ "signature": "a\r\n.\r\nb" }),
    );
    let odd =
        persona("Quote \"Q\" <x@y>, \u{5c71}\u{7530}", "../..@nova.example", "ops", &serde_json::json!({}));
    let long = persona(&"\u{e9}".repeat(128), "long@nova.example", "hr", &serde_json::json!({}));
    let all = [evil, odd, long];
    let machine = Machine { host: "h\r\nX: y".to_owned(), domain: String::new(), ..machine(&all) };
    let text = Text {
        subject: "Re: re: a\r\nX-Evil: 1\u{2028}b".to_owned(),
        body: "one\r\n\r\n.\r\ntwo\u{1b}[31m".to_owned(),
    };
    for seed in 0..60 {
        let mut rng = rng(seed);
        let (from, to) =
            (&all[usize::try_from(seed).unwrap() % 3], &all[usize::try_from(seed + 1).unwrap() % 3]);
        let letter = Letter {
            from,
            to,
            machine: &machine,
            parent: None,
            at: start(),
            text: (seed % 2 == 0).then_some(&text),
        };
        let first = compose(&letter, &mut rng);
        let mut parent = known(&first);
        parent.subject = "AW: Re:RE : x\r\nX-Evil: 2".to_owned();
        let answer = compose(&Letter { from: to, to: from, parent: Some(&parent), ..letter }, &mut rng);
        assert!(answer.subject.starts_with("Re: x"), "{}", answer.subject);
        for message in [&first, &answer] {
            let raw = std::str::from_utf8(&message.raw).unwrap();
            let (head, _) = raw.split_once("\r\n\r\n").unwrap();
            assert!(!raw.replace("\r\n", "").contains(['\r', '\n', '\u{1b}']), "{raw:?}");
            for line in head.split("\r\n") {
                let small = line.to_lowercase();
                assert!(
                    !small.starts_with("bcc") && !small.starts_with("x-evil") && !small.starts_with("x:"),
                    "{head}"
                );
            }
            assert!(!message.path.contains("/../") && !message.path.contains('\n'), "{}", message.path);
            let parsed = MessageParser::default().parse(&message.raw).unwrap();
            assert_eq!(parsed.from().unwrap().iter().count(), 1, "{head}");
            assert!(
                parsed.from().unwrap().first().unwrap().address().unwrap().ends_with("@nova.example"),
                "{head}"
            );
        }
    }
}

#[test]
fn python_finds_no_defect() {
    let (_, sent) = weeks(300);
    let folder = tempfile::tempdir().unwrap();
    for (index, (message, _)) in sent.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{index}.eml")), &message.raw).unwrap();
    }
    let program = r#"
import email, glob, sys
from email import policy
for name in glob.glob(sys.argv[1] + "/*.eml"):
    with open(name, "rb") as file:
        message = email.message_from_binary_file(file, policy=policy.default)
    found = list(message.defects)
    for header, value in message.items():
        found += [(header, defect) for defect in getattr(value, "defects", ())]
    message.get_content()
    if message.get_content_charset() != "utf-8" or len(message.get_all("mime-version")) != 1:
        found.append("charset or version")
    if found:
        print(name, found)
        print(open(name, encoding="utf-8").read())
print("done")
"#;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(program.as_bytes()).unwrap();
    let Ok(output) = Command::new("python3").arg(file.path()).arg(folder.path()).output() else {
        println!("skipped: no python3 here");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n", "{output:?}");
}

#[test]
fn programs_are_lasting_and_differ() {
    let people = people();
    let programs: HashSet<_> = people.iter().map(|one| client::Client::of(one).program).collect();
    assert!(programs.len() >= 3, "{programs:?}");
    for one in &people {
        assert_eq!(client::Client::of(one), client::Client::of(one));
    }
}

#[test]
fn subjects_of_answers_have_one_prefix() {
    for (given, expected) in [
        ("Lunch", "Re: Lunch"),
        ("re: RE:Re :  Lunch", "Re: Lunch"),
        ("AW: Sv: Lunch: Friday", "Re: Lunch: Friday"),
        ("Report: done", "Re: Report: done"),
        ("Re[2]: Lunch", "Re: Lunch"),
        ("", "Re:"),
    ] {
        assert_eq!(reply_subject(given), expected);
    }
    assert!(reply_subject(&"x".repeat(900)).chars().count() <= 512);
}

#[test]
fn a_read_message_lies_in_cur() {
    assert_eq!(
        seen_path("/var/mail/vhosts/d/u/new/1.M2P3.h,S=4"),
        "/var/mail/vhosts/d/u/cur/1.M2P3.h,S=4:2,S"
    );
}

#[test]
#[ignore = "prints mail to look at"]
fn show() {
    for (message, _) in weeks(60).1.iter().skip(20).take(24) {
        println!("==== {}\n{}", message.path, String::from_utf8_lossy(&message.raw));
    }
}
