//! One entry's fields: each is read by its rule of the schema, and what breaks it is noted under its name.
//!
//! Bounds are in characters, not bytes. The text that a fault quotes is the operator's own and is shown cleaned and cut.

use chrono::Weekday;
use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::{Fault, days, kind};
use crate::{
    hours::Hours,
    persona::{Latency, Os, Tone, default_days, default_hours},
};

/// Characters of a faulty value that are shown.
const SHOWN: usize = 40;
/// The highest user id that is somebody's (the next is "nobody at all" to the system).
const LAST_UID: u64 = u32::MAX as u64 - 1;

pub(super) const TONES: [(&str, Tone); 5] = [
    ("formal", Tone::Formal),
    ("direct", Tone::Direct),
    ("casual", Tone::Casual),
    ("technical", Tone::Technical),
    ("custom", Tone::Custom),
];
pub(super) const LATENCIES: [(&str, Latency); 3] =
    [("fast", Latency::Fast), ("normal", Latency::Normal), ("slow", Latency::Slow)];
pub(super) const SYSTEMS: [(&str, Os); 2] = [("linux", Os::Linux), ("windows", Os::Windows)];

/// No control characters at all.
pub(super) const BARE: &[char] = &[];
/// Line ends are part of the text.
pub(super) const LINES: &[char] = &['\n', '\r'];

pub(super) struct Entry<'a> {
    pub(super) object: &'a Map<String, Value>,
    pub(super) index: usize,
    pub(super) faults: &'a mut Vec<Fault>,
}

impl Entry<'_> {
    pub(super) fn fault(&mut self, field: &str, why: impl Into<String>) {
        self.faults.push(Fault { index: self.index, field: Some(field.to_owned()), why: why.into() });
    }

    fn at(&self, field: &str) -> Option<&Value> {
        self.object.get(field)
    }

    /// A text within its bound, without the characters that a header or a terminal would act upon.
    fn text(&mut self, field: &str, most: usize, allowed: &[char]) -> Option<String> {
        match self.at(field) {
            None => None,
            Some(Value::String(text)) => {
                let text = text.clone();
                self.check(field, &text, most, allowed).then_some(text)
            }
            Some(other) => {
                let why = format!("it must be a string, not {}", kind(other));
                self.fault(field, why);
                None
            }
        }
    }

    fn check(&mut self, field: &str, text: &str, most: usize, allowed: &[char]) -> bool {
        let length = text.chars().count();
        if length > most {
            self.fault(field, format!("{length} characters; at most {most} are allowed"));
            return false;
        }
        let lone_return = text.replace("\r\n", "\n").contains('\r');
        if lone_return || text.chars().any(|c| c.is_control() && !allowed.contains(&c)) {
            self.fault(field, "control characters are not allowed");
            return false;
        }
        true
    }

    pub(super) fn required(&mut self, field: &str, most: usize) -> String {
        if self.at(field).is_none() {
            self.fault(field, "it is missing");
            return String::new();
        }
        match self.text(field, most, BARE) {
            Some(text) if text.trim().is_empty() => {
                self.fault(field, "it must not be empty");
                text
            }
            text => text.unwrap_or_default(),
        }
    }

    /// A text that may be absent or null.
    pub(super) fn optional(&mut self, field: &str, most: usize, allowed: &[char]) -> Option<String> {
        if self.at(field).is_some_and(Value::is_null) { None } else { self.text(field, most, allowed) }
    }

    pub(super) fn email(&mut self) -> String {
        let email = self.required("email", 255);
        // A fault has been noted already.
        if email.trim().is_empty() {
            return String::new();
        }
        if let Some(why) = wrong_address(&email) {
            self.fault("email", why);
            return String::new();
        }
        email
    }

    /// One of a closed list of words; absent = the default.
    pub(super) fn one_of<T: Copy + Default>(&mut self, field: &str, words: &[(&str, T)]) -> T {
        let Some(value) = self.at(field) else { return T::default() };
        let text = value.as_str();
        if let Some((_, meant)) = words.iter().find(|(word, _)| text == Some(word)) {
            return *meant;
        }
        let given = text.map_or_else(|| kind(value).to_owned(), shown);
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.fault(field, format!("{given} is none of {}", words.join(", ")));
        T::default()
    }

    pub(super) fn tone_custom(&mut self, tone: Tone) -> Option<String> {
        let before = self.faults.len();
        let text = self.optional("tone_custom", 128, BARE);
        let blank = text.as_deref().unwrap_or_default().trim().is_empty();
        if tone == Tone::Custom && blank && self.faults.len() == before {
            self.fault("tone_custom", "the tone is custom, so it must say which");
        }
        text
    }

    pub(super) fn mannerisms(&mut self) -> Vec<String> {
        let Some(value) = self.at("mannerisms").cloned() else { return Vec::new() };
        let Some(list) = self.list("mannerisms", &value) else { return Vec::new() };
        if list.len() > 12 {
            self.fault("mannerisms", format!("{} of them; at most 12 are allowed", list.len()));
        }
        let mut all = Vec::new();
        for (at, item) in list.iter().enumerate() {
            let field = format!("mannerisms[{at}]");
            match item {
                Value::String(text) => {
                    if self.check(&field, text, usize::MAX, BARE) {
                        all.push(text.clone());
                    }
                }
                other => self.fault(&field, format!("it must be a string, not {}", kind(other))),
            }
        }
        all
    }

    fn list<'v>(&mut self, field: &str, value: &'v Value) -> Option<&'v Vec<Value>> {
        let list = value.as_array();
        if list.is_none() {
            self.fault(field, format!("it must be a list, not {}", kind(value)));
        }
        list
    }

    /// The hours as given, and why they cannot be read.
    pub(super) fn active_hours(&mut self) -> (String, Option<String>) {
        if self.at("active_hours").is_none() {
            return (default_hours(), None);
        }
        match self.text("active_hours", 32, BARE) {
            None => (String::new(), None),
            Some(text) => {
                let unread =
                    Hours::parse(&text).is_none().then(|| format!("{} cannot be read", shown(&text)));
                (text, unread)
            }
        }
    }

    pub(super) fn boolean(&mut self, field: &str) -> bool {
        match self.at(field) {
            None => false,
            Some(Value::Bool(yes)) => *yes,
            Some(other) => {
                let why = format!("it must be true or false, not {}", kind(other));
                self.fault(field, why);
                false
            }
        }
    }

    pub(super) fn login(&mut self) -> Option<String> {
        let login = self.optional("login", usize::MAX, BARE)?;
        if is_login(&login) {
            return Some(login);
        }
        let why = format!(
            "{} is no login name: a small letter or _, then at most 31 of small letters, digits, _ and -",
            shown(&login)
        );
        self.fault("login", why);
        None
    }

    pub(super) fn uid(&mut self) -> Option<u32> {
        let value = self.at("uid").filter(|value| !value.is_null())?;
        let uid = value.as_u64().filter(|uid| (1..=LAST_UID).contains(uid));
        if uid.is_none() {
            self.fault("uid", format!("it must be a whole number from 1 to {LAST_UID}"));
        }
        uid.and_then(|uid| u32::try_from(uid).ok())
    }

    pub(super) fn timezone(&mut self) -> Option<Tz> {
        let name = self.optional("timezone", usize::MAX, BARE)?;
        let zone = name.parse().ok();
        if zone.is_none() {
            self.fault("timezone", format!("{} is no IANA time zone, such as Europe/Berlin", shown(&name)));
        }
        zone
    }

    pub(super) fn work_days(&mut self) -> Vec<Weekday> {
        let Some(value) = self.at("work_days").filter(|value| !value.is_null()).cloned() else {
            return default_days();
        };
        let Some(list) = self.list("work_days", &value) else { return Vec::new() };
        let mut all = Vec::new();
        for item in list {
            match item.as_str().and_then(days::named) {
                Some(day) if !all.contains(&day) => all.push(day),
                Some(_) => {}
                None => {
                    let given = item.as_str().map_or_else(|| kind(item).to_owned(), shown);
                    self.fault("work_days", format!("{given} is none of {}", days::NAMES.join(", ")));
                }
            }
        }
        all
    }
}

/// Why a text is no address that mail can go to (and that a folder of the mail store can be named after).
fn wrong_address(email: &str) -> Option<String> {
    if email.chars().count() < 3 {
        return Some("at least 3 characters are needed".to_owned());
    }
    if email.chars().any(char::is_whitespace) {
        return Some("white space is not allowed".to_owned());
    }
    if let Some(bad) = email.chars().find(|c| "/\\<>()[],;:\"".contains(*c)) {
        return Some(format!("the character {bad} is not allowed"));
    }
    let Some((local, domain)) = email.rsplit_once('@') else {
        return Some(format!("{} has no @", shown(email)));
    };
    if local.is_empty() || domain.is_empty() {
        return Some(format!("{} needs something on both sides of the @", shown(email)));
    }
    if !domain.contains('.') {
        return Some(format!("the domain {} has no dot", shown(domain)));
    }
    // `..` would also leave the folder of the mail store.
    if local.split('.').chain(domain.split('.')).any(str::is_empty) {
        return Some(format!("{} has a dot at an end or two in a row", shown(email)));
    }
    None
}

/// `^[a-z_][a-z0-9_-]{0,31}$`
pub(crate) fn is_login(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 32
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// A value in quotes, cleaned and cut.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN).collect();
    let more = if text.chars().count() > SHOWN { ".." } else { "" };
    format!("{cut:?}{more}")
}
