//! SEARCH and SORT: which messages match, and in what order.
//!
//! Text is compared without case in decoded headers and text parts. A key that is not known is no match.

use std::{cell::OnceCell, sync::Arc};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use imap_codec::imap_types::{
    extensions::sort::{SortCriterion, SortKey},
    search::SearchKey,
    sequence::{SeqOrUid, Sequence, SequenceSet},
};
use mail_parser::{Address, HeaderName, MessageParser};

use super::{
    fetch::astring,
    part::{Part, decoded, raw_value},
};
use crate::mail::mailbox::Message;

/// What a search may need to know besides the message.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Sequence number.
    pub number: u32,
    /// Highest sequence number.
    pub last: u32,
    /// Highest id.
    pub last_uid: u32,
    /// New in this session.
    pub recent: bool,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Whether a set holds a number; `*` is `last`.
pub fn contains(set: &SequenceSet, number: u32, last: u32) -> bool {
    let value = |end: &SeqOrUid| match end {
        SeqOrUid::Value(value) => value.get(),
        SeqOrUid::Asterisk => last,
    };
    set.0.as_ref().iter().any(|part| match part {
        Sequence::Single(end) => value(end) == number,
        Sequence::Range(a, b) => {
            let (a, b) = (value(a), value(b));
            (a.min(b)..=a.max(b)).contains(&number)
        }
    })
}

/// Highest number that a set names outright.
pub fn highest(set: &SequenceSet) -> u32 {
    let value = |end: &SeqOrUid| match end {
        SeqOrUid::Value(value) => value.get(),
        SeqOrUid::Asterisk => 0,
    };
    set.0
        .as_ref()
        .iter()
        .map(|part| match part {
            Sequence::Single(end) => value(end),
            Sequence::Range(a, b) => value(a).max(value(b)),
        })
        .max()
        .unwrap_or(0)
}

/// A message whose bytes are read once, when a key first looks inside.
struct Candidate<'m> {
    message: &'m Message,
    raw: OnceCell<Arc<[u8]>>,
}

impl Candidate<'_> {
    fn raw(&self) -> &[u8] {
        self.raw.get_or_init(|| self.message.body.bytes().unwrap_or_default())
    }
}

/// Whether a message matches all keys.
pub fn matches(keys: &[SearchKey<'_>], message: &Message, place: Place) -> bool {
    let candidate = Candidate { message, raw: OnceCell::new() };
    keys.iter().all(|key| one(key, &candidate, place))
}

fn one(key: &SearchKey<'_>, candidate: &Candidate<'_>, place: Place) -> bool {
    let message = candidate.message;
    let day = message.at.date_naive();
    let header = |name: HeaderName<'static>, wanted: &str| {
        let parsed = MessageParser::default().parse_headers(candidate.raw()).unwrap_or_default();
        parsed.parts.first().is_some_and(|part| {
            part.headers.iter().any(|one| one.name == name) && holds(&decoded(&part.headers, &name), wanted)
        })
    };
    match key {
        SearchKey::All => true,
        SearchKey::And(keys) => keys.as_ref().iter().all(|key| one(key, candidate, place)),
        SearchKey::Or(a, b) => one(a, candidate, place) || one(b, candidate, place),
        SearchKey::Not(inner) => !one(inner, candidate, place),
        SearchKey::SequenceSet(set) => contains(set, place.number, place.last),
        SearchKey::Uid(set) => contains(set, message.uid, place.last_uid),
        SearchKey::Answered => message.has("\\Answered"),
        SearchKey::Unanswered => !message.has("\\Answered"),
        SearchKey::Deleted => message.has("\\Deleted"),
        SearchKey::Undeleted => !message.has("\\Deleted"),
        SearchKey::Draft => message.has("\\Draft"),
        SearchKey::Undraft => !message.has("\\Draft"),
        SearchKey::Flagged => message.has("\\Flagged"),
        SearchKey::Unflagged => !message.has("\\Flagged"),
        SearchKey::Seen => message.has("\\Seen"),
        SearchKey::Unseen => !message.has("\\Seen"),
        SearchKey::Recent => place.recent,
        SearchKey::Old => !place.recent,
        SearchKey::New => place.recent && !message.has("\\Seen"),
        SearchKey::Keyword(word) => message.flags.iter().any(|flag| flag.eq_ignore_ascii_case(word.as_ref())),
        SearchKey::Unkeyword(word) => {
            !message.flags.iter().any(|flag| flag.eq_ignore_ascii_case(word.as_ref()))
        }
        SearchKey::Larger(size) => message.size > usize::try_from(*size).unwrap_or(usize::MAX),
        SearchKey::Smaller(size) => message.size < usize::try_from(*size).unwrap_or(usize::MAX),
        SearchKey::Before(date) => day < *date.as_ref(),
        SearchKey::On(date) => day == *date.as_ref(),
        SearchKey::Since(date) => day >= *date.as_ref(),
        SearchKey::SentBefore(date) => sent(candidate.raw()).is_some_and(|day| day < *date.as_ref()),
        SearchKey::SentOn(date) => sent(candidate.raw()).is_some_and(|day| day == *date.as_ref()),
        SearchKey::SentSince(date) => sent(candidate.raw()).is_some_and(|day| day >= *date.as_ref()),
        SearchKey::Older(seconds) => place.now - message.at >= TimeDelta::seconds(i64::from(seconds.get())),
        SearchKey::Younger(seconds) => place.now - message.at <= TimeDelta::seconds(i64::from(seconds.get())),
        SearchKey::Subject(text) => header(HeaderName::Subject, &astring(text)),
        SearchKey::From(text) => header(HeaderName::From, &astring(text)),
        SearchKey::To(text) => header(HeaderName::To, &astring(text)),
        SearchKey::Cc(text) => header(HeaderName::Cc, &astring(text)),
        SearchKey::Bcc(text) => header(HeaderName::Bcc, &astring(text)),
        SearchKey::Header(name, text) => {
            let raw = candidate.raw();
            let part = Part::of_message(raw);
            raw_value(Part::slice(raw, &part.header), &astring(name))
                .is_some_and(|value| holds(&value, &astring(text)))
        }
        SearchKey::Body(text) => holds(&bodies(candidate.raw()), &astring(text)),
        SearchKey::Text(text) => {
            let wanted = astring(text);
            let raw = candidate.raw();
            let part = Part::of_message(raw);
            holds(&String::from_utf8_lossy(Part::slice(raw, &part.header)), &wanted)
                || header(HeaderName::Subject, &wanted)
                || holds(&bodies(raw), &wanted)
        }
    }
}

fn holds(text: &str, wanted: &str) -> bool {
    text.to_lowercase().contains(&wanted.to_lowercase())
}

/// Decoded text parts.
fn bodies(raw: &[u8]) -> String {
    let Some(parsed) = MessageParser::default().parse(raw) else { return String::new() };
    parsed.parts.iter().filter_map(|part| part.text_contents()).collect::<Vec<_>>().join("\n")
}

fn sent(raw: &[u8]) -> Option<NaiveDate> {
    let parsed = MessageParser::default().parse_headers(raw)?;
    let date = parsed.date()?;
    NaiveDate::from_ymd_opt(i32::from(date.year), u32::from(date.month), u32::from(date.day))
}

/// Orders `(number, message)` pairs.
pub fn sort(messages: &mut Vec<(u32, &Message)>, criteria: &[SortCriterion]) {
    let mut keyed: Vec<_> =
        messages.iter().map(|(number, message)| (sort_keys(message, criteria), *number, *message)).collect();
    keyed.sort_by(|(a, a_number, _), (b, b_number, _)| {
        for ((criterion, a), b) in criteria.iter().zip(a).zip(b) {
            let order = if criterion.reverse { b.cmp(a) } else { a.cmp(b) };
            if order.is_ne() {
                return order;
            }
        }
        a_number.cmp(b_number)
    });
    *messages = keyed.into_iter().map(|(_, number, message)| (number, message)).collect();
}

/// What a message is ordered by.
fn sort_keys(message: &Message, criteria: &[SortCriterion]) -> Vec<(i64, String)> {
    let plain = |key: &SortKey| matches!(key, SortKey::Arrival | SortKey::Size);
    let raw = if criteria.iter().all(|criterion| plain(&criterion.key)) {
        Arc::default()
    } else {
        message.body.bytes().unwrap_or_default()
    };
    let parsed = MessageParser::default().parse_headers(&*raw).unwrap_or_default();
    let mailbox = |address: Option<&Address<'_>>, display: bool| {
        let first = address.and_then(Address::first);
        let name = first.and_then(|first| first.name.as_deref()).filter(|name| display && !name.is_empty());
        let email = first.and_then(|first| first.address.as_deref()).unwrap_or_default();
        // RFC 5256: SORT looks at the local part, SORT=DISPLAY at the name, else at the whole address (RFC 5957).
        let text = name.unwrap_or(if display { email } else { email.split('@').next().unwrap_or_default() });
        text.to_lowercase()
    };
    let key = |key: &SortKey| match key {
        SortKey::Arrival => (message.at.timestamp(), String::new()),
        SortKey::Date => (date(message, &parsed), String::new()),
        SortKey::Size => (i64::try_from(message.size).unwrap_or(i64::MAX), String::new()),
        SortKey::Subject => (0, base_subject(parsed.subject().unwrap_or_default()).0),
        SortKey::From => (0, mailbox(parsed.from(), false)),
        SortKey::DisplayFrom => (0, mailbox(parsed.from(), true)),
        SortKey::To => (0, mailbox(parsed.to(), false)),
        SortKey::DisplayTo => (0, mailbox(parsed.to(), true)),
        SortKey::Cc => (0, mailbox(parsed.cc(), false)),
    };
    criteria.iter().map(|criterion| key(&criterion.key)).collect()
}

/// When a message says it was sent, else when it arrived.
pub(super) fn date(message: &Message, parsed: &mail_parser::Message<'_>) -> i64 {
    parsed.date().map_or_else(|| message.at.timestamp(), mail_parser::DateTime::to_timestamp)
}

/// The subject without the marks of answers and forwards, and whether it had one (RFC 5256, 2.1).
pub(super) fn base_subject(subject: &str) -> (String, bool) {
    let text = subject.to_lowercase();
    let mut rest = text.trim();
    let mut marked = false;
    loop {
        let before = rest;
        rest = rest.trim_end_matches("(fwd)").trim();
        for mark in ["re", "fwd", "fw"] {
            if let Some(after) = rest.strip_prefix(mark)
                && let Some(after) = blob(after.trim_start()).trim_start().strip_prefix(':')
            {
                (rest, marked) = (after.trim(), true);
            }
        }
        let after = blob(rest).trim();
        if !after.is_empty() {
            rest = after;
        }
        if rest == before {
            return (rest.split_whitespace().collect::<Vec<_>>().join(" "), marked);
        }
    }
}

/// The text after a leading `[...]`.
fn blob(text: &str) -> &str {
    match text.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        Some((inside, after)) if !inside.contains('[') => after,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_lose_their_marks() {
        for (subject, base, marked) in [
            ("Hello", "hello", false),
            ("Re: Hello", "hello", true),
            ("RE: FW: [list] Re[2]: Hello  there (fwd)", "hello there", true),
            ("[list]", "[list]", false),
            ("re", "re", false),
            ("Re:", "", true),
            ("Fwd: re: x", "x", true),
        ] {
            assert_eq!(base_subject(subject), (base.to_owned(), marked), "{subject}");
        }
    }
}
