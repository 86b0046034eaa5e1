//! SEARCH and SORT: which messages match, and in what order.
//!
//! Text is compared without case in decoded headers and text parts. A key that is not known is no match.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use imap_codec::imap_types::{
    extensions::sort::{SortCriterion, SortKey},
    search::SearchKey,
    sequence::{SeqOrUid, Sequence, SequenceSet},
};
use mail_parser::{HeaderName, MessageParser};

use super::{
    fetch::astring,
    mailbox::Message,
    part::{Part, decoded, raw_value},
};

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

/// Whether a message matches all keys.
pub fn matches(keys: &[SearchKey<'_>], message: &Message, place: Place) -> bool {
    keys.iter().all(|key| one(key, message, place))
}

fn one(key: &SearchKey<'_>, message: &Message, place: Place) -> bool {
    let raw = &*message.raw;
    let day = message.at.date_naive();
    let header = |name: HeaderName<'static>, wanted: &str| {
        let parsed = MessageParser::default().parse_headers(raw).unwrap_or_default();
        parsed.parts.first().is_some_and(|part| {
            part.headers.iter().any(|one| one.name == name) && holds(&decoded(&part.headers, &name), wanted)
        })
    };
    match key {
        SearchKey::All => true,
        SearchKey::And(keys) => keys.as_ref().iter().all(|key| one(key, message, place)),
        SearchKey::Or(a, b) => one(a, message, place) || one(b, message, place),
        SearchKey::Not(inner) => !one(inner, message, place),
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
        SearchKey::Larger(size) => raw.len() > usize::try_from(*size).unwrap_or(usize::MAX),
        SearchKey::Smaller(size) => raw.len() < usize::try_from(*size).unwrap_or(usize::MAX),
        SearchKey::Before(date) => day < *date.as_ref(),
        SearchKey::On(date) => day == *date.as_ref(),
        SearchKey::Since(date) => day >= *date.as_ref(),
        SearchKey::SentBefore(date) => sent(message).is_some_and(|day| day < *date.as_ref()),
        SearchKey::SentOn(date) => sent(message).is_some_and(|day| day == *date.as_ref()),
        SearchKey::SentSince(date) => sent(message).is_some_and(|day| day >= *date.as_ref()),
        SearchKey::Older(seconds) => place.now - message.at >= TimeDelta::seconds(i64::from(seconds.get())),
        SearchKey::Younger(seconds) => place.now - message.at <= TimeDelta::seconds(i64::from(seconds.get())),
        SearchKey::Subject(text) => header(HeaderName::Subject, &astring(text)),
        SearchKey::From(text) => header(HeaderName::From, &astring(text)),
        SearchKey::To(text) => header(HeaderName::To, &astring(text)),
        SearchKey::Cc(text) => header(HeaderName::Cc, &astring(text)),
        SearchKey::Bcc(text) => header(HeaderName::Bcc, &astring(text)),
        SearchKey::Header(name, text) => {
            let part = Part::of_message(raw);
            raw_value(Part::slice(raw, &part.header), &astring(name))
                .is_some_and(|value| holds(&value, &astring(text)))
        }
        SearchKey::Body(text) => holds(&bodies(raw), &astring(text)),
        SearchKey::Text(text) => {
            let wanted = astring(text);
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

fn sent(message: &Message) -> Option<NaiveDate> {
    let parsed = MessageParser::default().parse_headers(&*message.raw)?;
    let date = parsed.date()?;
    NaiveDate::from_ymd_opt(i32::from(date.year), u32::from(date.month), u32::from(date.day))
}

/// Orders `(number, message)` pairs.
pub fn sort(messages: &mut [(u32, &Message)], criteria: &[SortCriterion]) {
    let keyed = |key: &SortKey, number: u32, message: &Message| -> (i64, String) {
        let raw = &*message.raw;
        let parsed = MessageParser::default().parse_headers(raw).unwrap_or_default();
        let headers = parsed.parts.first().map(|part| part.headers.as_slice()).unwrap_or_default();
        let text = |name: HeaderName<'static>| decoded(headers, &name).to_lowercase();
        match key {
            SortKey::Arrival => (message.at.timestamp(), String::new()),
            SortKey::Date => (
                parsed.date().map_or_else(|| message.at.timestamp(), mail_parser::DateTime::to_timestamp),
                String::new(),
            ),
            SortKey::Size => (i64::try_from(raw.len()).unwrap_or(i64::MAX), String::new()),
            SortKey::Subject => (0, text(HeaderName::Subject).trim_start_matches("re: ").trim().to_owned()),
            SortKey::From | SortKey::DisplayFrom => (0, text(HeaderName::From)),
            SortKey::To | SortKey::DisplayTo => (0, text(HeaderName::To)),
            SortKey::Cc => (i64::from(number), text(HeaderName::Cc)),
        }
    };
    messages.sort_by(|(a_number, a), (b_number, b)| {
        for criterion in criteria {
            let order = keyed(&criterion.key, *a_number, a).cmp(&keyed(&criterion.key, *b_number, b));
            let order = if criterion.reverse { order.reverse() } else { order };
            if order.is_ne() {
                return order;
            }
        }
        a_number.cmp(b_number)
    });
}
