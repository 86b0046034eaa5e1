//! A fictional employee: who he is, how he writes, when he works.
//!
//! Reading a pool is lenient (a bad entry is dropped and named), writing one is strict (nothing is written unless all of it is
//! good): [`parse`].

mod login;
pub mod parse;

use chrono::Weekday;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::hours::Hours;

pub use self::parse::{Fault, Mode, PoolError, Reading};

/// How somebody writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Full sentences, titles.
    #[default]
    Formal,
    /// Short, to the point.
    Direct,
    /// As one talks.
    Casual,
    /// Names, numbers, commands.
    Technical,
    /// As `tone_custom` says.
    Custom,
}

/// How soon somebody answers mail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Latency {
    /// Within the hour.
    Fast,
    /// Within half a day.
    #[default]
    Normal,
    /// The next day or later.
    Slow,
}

/// The kind of machine somebody works at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Os {
    /// One tree of folders.
    #[default]
    Linux,
    /// Drive letters.
    Windows,
}

/// A fictional employee, checked: every field is within its bounds (spec 3.1) and the defaults are filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persona {
    /// Full name, 1 to 128 characters.
    pub name: String,
    /// Mail address, 3 to 255 characters.
    pub email: String,
    /// Job, 1 to 128 characters.
    pub role: String,
    /// How he writes.
    #[serde(default)]
    pub tone: Tone,
    /// What `custom` means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tone_custom: Option<String>,
    /// Habits of writing, at most 12.
    #[serde(default)]
    pub mannerisms: Vec<String>,
    /// ISO 639-1 code, at most 8 characters; filled in at reading.
    #[serde(default)]
    pub language: String,
    /// What his mails end with, at most 512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// `HH:MM-HH:MM` in his time zone, as it was given; [`Self::hours`] is what it means.
    #[serde(default = "default_hours")]
    pub active_hours: String,
    /// How soon he answers mail.
    #[serde(default)]
    pub reply_latency: Latency,
    /// He pastes what a model wrote, typographic dashes included.
    #[serde(default)]
    pub uses_llms_heavily: bool,
    /// Login name, `^[a-z_][a-z0-9_-]{0,31}$`; [`Pool`] gives one to whoever has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// Numeric user id, where the operator fixes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// IANA time zone; absent = UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Tz>,
    /// `mon` to `sun`; the default is Monday to Friday.
    #[serde(default = "default_days", with = "parse::days")]
    pub work_days: Vec<Weekday>,
    /// The kind of machine he works at.
    #[serde(default)]
    pub os: Os,
    /// The fleet's own number, from its secret: mixed into every habit that is the same for as long as he is, because our source
    /// is public and his name and address are not secret. Never written anywhere.
    #[serde(skip)]
    pub salt: u64,
}

fn default_hours() -> String {
    "09:00-18:00".to_owned()
}

fn default_days() -> Vec<Weekday> {
    vec![Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri]
}

impl Persona {
    /// His hours; what cannot be read means always.
    pub fn hours(&self) -> Hours {
        Hours::parse(&self.active_hours).unwrap_or(Hours::ALWAYS)
    }

    /// His time zone.
    pub fn tz(&self) -> Tz {
        self.timezone.unwrap_or(Tz::UTC)
    }

    /// What colleagues call him: the first word of his name.
    pub fn first_name(&self) -> &str {
        // "Reed, Tom" is no "Hello Reed,,".
        let mut words = self.name.split_whitespace().map(|word| word.trim_end_matches([',', ';']));
        words.find(|word| !word.is_empty()).unwrap_or(&self.name)
    }
}

/// Personas as a pool file holds them: indented JSON, defaults filled in, nothing that [`Pool`] made up.
pub fn to_json(personas: &[Persona]) -> String {
    // Strings, numbers and lists only: this cannot fail.
    let mut text = serde_json::to_string_pretty(personas).unwrap_or_default();
    text.push('\n');
    text
}

/// Personas that know each other, in the order of their file, each with a login of his own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool(pub Vec<Persona>);
