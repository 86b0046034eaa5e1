//! What people and machines leave in files: short notes, lists of things to do, a program's cache. Put together from
//! parts, so that no two are alike; the realism of a later issue replaces the parts, not the shape.

use chrono::{DateTime, Datelike, Utc};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// What kind of file it is; the wire names of the field's content classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Somebody's note.
    Note,
    /// Somebody's list.
    Todo,
    /// A program's temporary file.
    CacheTmp,
}

impl Class {
    /// Whether a person wrote it.
    pub fn is_personal(self) -> bool {
        self != Self::CacheTmp
    }

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Todo => "todo",
            Self::CacheTmp => "cache_tmp",
        }
    }
}

/// A file to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Content.
    pub body: Vec<u8>,
}

/// Things that people at a company of this kind think about: word for file names, words for sentences.
const SUBJECTS: [(&str, &str); 24] = [
    ("vpn", "the vpn profile"),
    ("backup", "last night's backup"),
    ("printer", "the printer on the second floor"),
    ("budget", "the budget sheet"),
    ("onboarding", "the onboarding checklist"),
    ("invoices", "the open invoices"),
    ("certs", "the certificates that run out"),
    ("rack", "rack two"),
    ("switch", "the switch behind reception"),
    ("licences", "the licence renewal"),
    ("mailinglist", "the mailing list"),
    ("migration", "the migration window"),
    ("monitoring", "the disk alerts"),
    ("phones", "the desk phones"),
    ("wiki", "the wiki page about access"),
    ("travel", "the travel expenses"),
    ("review", "the quarterly review"),
    ("supplier", "the new supplier"),
    ("inventory", "the inventory list"),
    ("audit", "the audit questions"),
    ("release", "Thursday's release"),
    ("storage", "the storage quota"),
    ("training", "the training dates"),
    ("meeting", "the minutes of the meeting"),
];

const OPENINGS: [&str; 16] = [
    "ask {who} about",
    "check",
    "find out who owns",
    "send {who} an update on",
    "look again at",
    "move",
    "clean up",
    "read through",
    "talk to {who} before changing",
    "finish",
    "print",
    "compare with what {who} sent:",
    "remind {who} of",
    "nobody answered about",
    "got an answer on",
    "write down how we do",
];

const ENDINGS: [&str; 16] = [
    "before Friday",
    "after lunch",
    "next week",
    "when {who} is back",
    "today if possible",
    "once the ticket is closed",
    "by the end of the month",
    "in the small meeting room",
    "and copy the numbers over",
    "and note the old value first",
    "- second try",
    "- still open",
    "without waking anybody up",
    "on Monday morning",
    "as agreed with {who}",
    "and tell the others",
];

/// The class of the next file, with the shares of note 30, list 20, cache 5.
pub fn class(rng: &mut impl Rng) -> Class {
    match rng.random_range(0..55) {
        0..30 => Class::Note,
        30..50 => Class::Todo,
        _ => Class::CacheTmp,
    }
}

/// Writes a file of `class`: below `home` for a person's, with `colleagues` to be named in it.
pub fn write(
    class: Class,
    home: Option<&str>,
    colleagues: &[&str],
    at: DateTime<Utc>,
    rng: &mut impl Rng,
) -> Written {
    let home = home.unwrap_or("/tmp");
    let (word, _) = pick(&SUBJECTS, rng);
    match class {
        Class::Note => Written {
            path: format!("{home}/notes/{word}-{}.txt", stamp(at, rng)),
            mode: 0o644,
            body: lines(rng, colleagues, 1..5, |text, _| text).into_bytes(),
        },
        Class::Todo => Written {
            path: format!("{home}/todo-{word}{}.txt", stamp(at, rng)),
            mode: 0o644,
            body: lines(rng, colleagues, 3..9, |text, done| {
                format!("[{}] {text}", if done { 'x' } else { ' ' })
            })
            .into_bytes(),
        },
        Class::CacheTmp => {
            let mut body = vec![0; rng.random_range(200..4000)];
            rng.fill_bytes(&mut body);
            let name: String =
                (0..6).map(|_| char::from(*pick(b"abcdefghijklmnopqrstuvwxyz0123456789", rng))).collect();
            Written { path: format!("/tmp/.cache-{name}"), mode: 0o600, body }
        }
    }
}

/// Distinct lines, each ended.
fn lines(
    rng: &mut impl Rng,
    colleagues: &[&str],
    count: std::ops::Range<usize>,
    shape: impl Fn(String, bool) -> String,
) -> String {
    let count = rng.random_range(count);
    let mut seen: Vec<String> = Vec::with_capacity(count);
    while seen.len() < count {
        let text = sentence(rng, colleagues);
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen.into_iter().map(|text| shape(text, rng.random_bool(0.35)) + "\n").collect()
}

fn sentence(rng: &mut impl Rng, colleagues: &[&str]) -> String {
    let who = if colleagues.is_empty() { "the office" } else { pick(colleagues, rng) };
    let first = who.split(' ').next().unwrap_or(who);
    let opening = pick(&OPENINGS, rng).replace("{who}", first);
    let (_, subject) = pick(&SUBJECTS, rng);
    if rng.random_bool(0.25) {
        return format!("{opening} {subject}");
    }
    format!("{opening} {subject} {}", pick(&ENDINGS, rng).replace("{who}", first))
}

/// How people date file names: a month, a week, a number, or nothing; never eight digits in a row.
fn stamp(at: DateTime<Utc>, rng: &mut impl Rng) -> String {
    match rng.random_range(0..4) {
        0 => format!("{}", at.format("%b")).to_lowercase(),
        1 => format!("w{}", at.iso_week().week()),
        2 => format!("{}", rng.random_range(2..9)),
        _ => format!("{}{}", at.format("%b").to_string().to_lowercase(), at.day()),
    }
}

fn pick<'a, T>(items: &'a [T], rng: &mut impl Rng) -> &'a T {
    // Every list here is a constant with items, or was checked by the caller.
    #[expect(clippy::indexing_slicing, reason = "the index is drawn from the list's own length")]
    &items[rng.random_range(0..items.len())]
}
