//! The limits of what a row may hold, applied where text enters the database.
//!
//! Attackers choose the length of nearly everything we store. Text beyond a limit is cut at a character boundary: the
//! whole line stays readable in the artifact or the raw line. NUL becomes U+FFFD because PostgreSQL stores none.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// Longest host id, in characters.
pub const HOST: usize = 64;
/// Longest line source id.
pub const SOURCE: usize = 255;
/// Longest decky name (a hostname field of a log line).
pub const DECKY: usize = 255;
/// Longest service slug.
pub const SERVICE: usize = 48;
/// Longest event type.
pub const EVENT_TYPE: usize = 64;
/// Longest connection id.
pub const CONN_ID: usize = 64;
/// Longest raw line: four times what a decoy may write, for lines that are not a decoy's.
pub const RAW_LINE: usize = 64 * 1024;
/// Longest free text of a line.
pub const MSG: usize = 16 * 1024;
/// Longest JSON document of a line's fields, in bytes; beyond it values are cut, see [`fields_text`].
pub const FIELDS: usize = 128 * 1024;
/// Longest command kept for an attacker.
pub const COMMAND: usize = 4096;
/// Commands kept for one attacker; the newest win.
pub const COMMANDS_PER_ATTACKER: u64 = 10_000;
/// Longest principal of a credential.
pub const PRINCIPAL: usize = 256;
/// Longest kind of secret.
pub const SECRET_KIND: usize = 32;
/// Longest base64 of a secret (its SHA-256 and length are of the whole).
pub const SECRET_B64: usize = 2048;
/// Longest printable form of a secret.
pub const SECRET_PRINTABLE: usize = 512;
/// Longest outcome of a login attempt.
pub const OUTCOME: usize = 16;
/// Longest client banner or user agent of a session.
pub const CLIENT: usize = 512;
/// Longest reason why a line was rejected.
pub const REJECT_ERROR: usize = 512;
/// Longest path of a planted file; a longer one is refused, since half a path is another path.
pub const PATH: usize = 512;
/// Longest body kept of a planted file, in characters.
pub const BODY: usize = 64 * 1024;
/// Largest body of a planted file that is kept whole, in bytes; of a larger one the beginning is kept, for reading only.
pub const WHOLE_BODY: usize = 1 << 20;
/// Longest login name.
pub const LOGIN: usize = 64;
/// Longest text of a message kept for its answer.
pub const EXCERPT: usize = 2000;
/// Longest id of a decky ("host:name").
pub const DECKY_ID: usize = 128;
/// Longest error text of a decky.
pub const LAST_ERROR: usize = 4096;
/// Longest value of one field once a document is over [`FIELDS`].
const CUT_FIELD: usize = 512;

/// `text` cut to `max` characters, without NUL.
pub(crate) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    let short = if text.len() <= max {
        text
    } else {
        match text.char_indices().nth(max) {
            Some((end, _)) => text.get(..end).unwrap_or(text),
            None => text,
        }
    };
    if short.as_bytes().contains(&0) {
        Cow::Owned(short.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(short)
    }
}

/// [`cut`] as an owned string, which is what a bound parameter needs.
pub(crate) fn owned(text: &str, max: usize) -> String {
    cut(text, max).into_owned()
}

/// [`owned`] for an optional value.
pub(crate) fn maybe(text: Option<&str>, max: usize) -> Option<String> {
    text.map(|text| owned(text, max))
}

/// The JSON text of a line's fields, without NUL and within [`FIELDS`].
pub(crate) fn fields_text(fields: &Map<String, Value>) -> String {
    let text = json_text(fields);
    if text.len() <= FIELDS {
        return text;
    }
    let shorter: Map<String, Value> = fields
        .iter()
        .take(128)
        .map(|(key, value)| {
            let value = match value {
                Value::String(value) => value.clone(),
                other => other.to_string(),
            };
            (owned(key, 64), Value::String(owned(&value, CUT_FIELD)))
        })
        .collect();
    json_text(&shorter)
}

/// JSON text that every database accepts as text and as JSON.
pub(crate) fn json_text<T: serde::Serialize>(value: &T) -> String {
    let text = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    // PostgreSQL refuses the escape of NUL when it reads a member. A doubled backslash before it is harmless text.
    if !text.contains("\\u0000") {
        return text;
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(mut value) => {
            drop_nul(&mut value);
            value.to_string()
        }
        Err(_) => "null".to_owned(),
    }
}

fn drop_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(drop_nul),
        Value::Object(map) => {
            let old = std::mem::take(map);
            for (key, mut value) in old {
                drop_nul(&mut value);
                map.insert(key.replace('\0', "\u{fffd}"), value);
            }
        }
        _ => {}
    }
}

/// JSON text back to a value; text that is not JSON comes back as text.
pub(crate) fn json_or_text(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

pub(crate) fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

pub(crate) fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
}

pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn port(number: Option<i64>) -> Option<u16> {
    number.and_then(|number| u16::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_characters_and_loses_nul() {
        assert_eq!(cut("häuser", 2), "hä");
        assert_eq!(cut("a\0b", 9), "a\u{fffd}b");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn json_keeps_a_written_escape_and_loses_a_real_nul() {
        let mut fields = Map::new();
        fields.insert("a".into(), Value::String("\\u0000".into()));
        assert_eq!(json_text(&fields), r#"{"a":"\\u0000"}"#);
        fields.insert("b".into(), Value::String("x\0".into()));
        assert_eq!(json_or_text(json_text(&fields)), serde_json::json!({"a": "\\u0000", "b": "x\u{fffd}"}));
    }

    #[test]
    fn a_huge_document_is_cut_and_stays_json() {
        let fields: Map<String, Value> =
            (0..1000).map(|i| (format!("k{i}"), Value::String("x".repeat(1000)))).collect();
        let text = fields_text(&fields);
        assert!(text.len() <= FIELDS, "{}", text.len());
        assert!(serde_json::from_str::<Map<String, Value>>(&text).is_ok());
    }
}
