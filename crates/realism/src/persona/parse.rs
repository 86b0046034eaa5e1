//! Reading pools: lenient for what runs, strict for what is written.
//!
//! A walk of its own over the JSON, not serde's: all faults of all entries are found in one go, each with index and field,
//! in words that say what to do. Uniqueness is of the whole pool and asked for only where a pool is written.

mod field;

use serde::Serialize;
use serde_json::{Map, Value};

pub(crate) use self::field::is_login;
use self::field::{BARE, Entry};
use super::Persona;

/// What is wrong with an entry: `personas[7].tone: why`, or `personas[7]: why` where the entry is no object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("personas[{index}]{}: {why}", field.as_ref().map(|field| format!(".{field}")).unwrap_or_default())]
pub struct Fault {
    /// Place in the list, from 0.
    pub index: usize,
    /// The field, if one is to blame.
    pub field: Option<String>,
    /// In words.
    pub why: String,
}

/// Why a whole pool cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// It is no JSON.
    #[error("line {line}, column {column}: {why}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// In words.
        why: String,
    },
    /// It is JSON, and no list.
    #[error("it is not a list of personas but {0}")]
    NotAList(&'static str),
    /// Entries break the schema.
    #[error("{} of the entries' fields are not valid", .0.len())]
    Faults(Vec<Fault>),
}

/// What a pool is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To be lived by: hours that cannot be read mean always, with a warning; addresses may repeat.
    Read,
    /// To be kept: such hours and a repeated address are faults.
    Write,
}

/// A pool as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The valid entries, in the order of the list.
    pub personas: Vec<Persona>,
    /// What was dropped or understood in another way.
    pub warnings: Vec<Fault>,
}

/// Reads a pool strictly: every fault of every entry, or the pool. An empty list is a pool of nobody.
pub fn strict(text: &[u8], default_language: &str, mode: Mode) -> Result<Reading, PoolError> {
    strict_value(&json(text)?, default_language, mode)
}

/// [`strict`] for JSON that was parsed already.
pub fn strict_value(value: &Value, default_language: &str, mode: Mode) -> Result<Reading, PoolError> {
    let list = value.as_array().ok_or_else(|| PoolError::NotAList(kind(value)))?;
    let walked = walk(list, default_language, mode);
    if walked.faults.is_empty() {
        Ok(Reading { personas: walked.personas, warnings: walked.warnings })
    } else {
        Err(PoolError::Faults(walked.faults))
    }
}

/// Reads a pool leniently: a bad entry is dropped with a warning of each of its faults, and nothing at all (an empty text,
/// `null`) is a pool of nobody.
pub fn lenient(text: &[u8], default_language: &str) -> Result<Reading, PoolError> {
    if text.trim_ascii().is_empty() {
        return Ok(Reading::default());
    }
    lenient_value(&json(text)?, default_language)
}

/// [`lenient`] for JSON that was parsed already.
pub fn lenient_value(value: &Value, default_language: &str) -> Result<Reading, PoolError> {
    if value.is_null() {
        return Ok(Reading::default());
    }
    let list = value.as_array().ok_or_else(|| PoolError::NotAList(kind(value)))?;
    let mut walked = walk(list, default_language, Mode::Read);
    walked.warnings.append(&mut walked.faults);
    walked.warnings.sort_by_key(|warning| warning.index);
    Ok(Reading { personas: walked.personas, warnings: walked.warnings })
}

fn json(text: &[u8]) -> Result<Value, PoolError> {
    serde_json::from_slice(text).map_err(|error| {
        let why = error.to_string();
        // serde_json puts the place at the end of its message; it is a field of its own here.
        let why = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why).to_owned();
        PoolError::NotJson { line: error.line().max(1), column: error.column().max(1), why }
    })
}

#[derive(Default)]
struct Walked {
    personas: Vec<Persona>,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

fn walk(list: &[Value], default_language: &str, mode: Mode) -> Walked {
    let mut walked = Walked::default();
    let mut addresses = std::collections::HashMap::new();
    for (index, value) in list.iter().enumerate() {
        let Some(object) = value.as_object() else {
            let why = format!("it must be an object, not {}", kind(value));
            walked.faults.push(Fault { index, field: None, why });
            continue;
        };
        let before = walked.faults.len();
        let persona = entry(object, index, default_language, mode, &mut walked);
        if mode == Mode::Write
            && !persona.email.is_empty()
            && let Some(first) = addresses.insert(persona.email.to_lowercase(), index)
        {
            let why = format!("personas[{first}] has the same address; give each their own");
            walked.faults.push(Fault { index, field: Some("email".to_owned()), why });
        }
        if walked.faults.len() == before {
            walked.personas.push(persona);
        }
    }
    walked
}

fn entry(
    object: &Map<String, Value>,
    index: usize,
    default_language: &str,
    mode: Mode,
    walked: &mut Walked,
) -> Persona {
    let mut entry = Entry { object, index, faults: &mut walked.faults };
    let name = entry.required("name", 128);
    let email = entry.email();
    let role = entry.required("role", 128);
    let tone = entry.one_of("tone", &field::TONES);
    let tone_custom = entry.tone_custom(tone);
    let mannerisms = entry.mannerisms();
    let language = entry.optional("language", 8, BARE).filter(|language| !language.trim().is_empty());
    let signature = entry.optional("signature", 512, field::LINES).map(|text| text.replace("\r\n", "\n"));
    let (active_hours, unread) = entry.active_hours();
    let reply_latency = entry.one_of("reply_latency", &field::LATENCIES);
    let uses_llms_heavily = entry.boolean("uses_llms_heavily");
    let login = entry.login();
    let uid = entry.uid();
    let timezone = entry.timezone();
    let work_days = entry.work_days();
    let os = entry.one_of("os", &field::SYSTEMS);
    if let Some(why) = unread {
        if mode == Mode::Write {
            entry.fault("active_hours", format!("{why}; write HH:MM-HH:MM, such as 09:00-18:00"));
        } else {
            let why = format!("{why}, so it means always on");
            walked.warnings.push(Fault { index, field: Some("active_hours".to_owned()), why });
        }
    }
    Persona {
        name,
        email,
        role,
        tone,
        tone_custom,
        mannerisms,
        language: language.unwrap_or_else(|| default_language.to_owned()),
        signature,
        active_hours,
        reply_latency,
        uses_llms_heavily,
        login,
        uid,
        timezone,
        work_days,
        os,
        salt: 0,
    }
}

/// A word for a JSON value that should have been something else.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Weekdays as `mon` to `sun`.
pub mod days {
    use chrono::Weekday;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    /// Monday first.
    pub(crate) const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    /// Three small letters each.
    pub fn serialize<S: Serializer>(days: &[Weekday], serializer: S) -> Result<S::Ok, S::Error> {
        days.iter().map(|day| day.to_string().to_lowercase()).collect::<Vec<_>>().serialize(serializer)
    }

    /// Three small letters each.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Weekday>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names
            .iter()
            .map(|name| {
                named(name)
                    .ok_or_else(|| D::Error::custom(format!("{name:?} is none of {}", NAMES.join(" "))))
            })
            .collect()
    }

    pub(crate) fn named(name: &str) -> Option<Weekday> {
        let at = NAMES.iter().position(|known| *known == name)?;
        Weekday::try_from(u8::try_from(at).ok()?).ok()
    }
}
