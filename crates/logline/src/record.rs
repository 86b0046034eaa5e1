//! One log record and its encoding as a line of RFC 5424.

use std::fmt::{self, Write};

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    SD_ID,
    text::{clean, header_token, param_name},
};

/// Severity of RFC 5424 section 6.2.1; the facility is always local0 (16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names of the standard")]
pub enum Severity {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Severity {
    /// All severities in the order of their codes.
    const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// The severity in a PRI value (`facility * 8 + severity`).
    pub(crate) fn of_pri(pri: u8) -> Self {
        Self::ALL.get(usize::from(pri % 8)).copied().unwrap_or(Self::Debug)
    }
}

/// The fields of a record, in the order in which they were added. Values are clean text, names are PARAM-NAMEs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// No fields.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a field; name and value are made harmless.
    pub fn push(&mut self, name: &str, value: &str) {
        self.0.push((param_name(name), clean(value).into_owned()));
    }

    /// Adds what the scanner has already checked.
    pub(crate) fn push_scanned(&mut self, name: String, value: String) {
        self.0.push((name, value));
    }

    /// The first field of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields as a JSON object; of fields with one name the first counts.
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut map = serde_json::Map::with_capacity(self.0.len());
        for (name, value) in &self.0 {
            map.entry(name.as_str()).or_insert_with(|| value.as_str().into());
        }
        map
    }
}

/// One log record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// How grave.
    pub severity: Severity,
    /// When, UTC, to the microsecond.
    pub timestamp: DateTime<Utc>,
    /// HOSTNAME: the decky.
    pub hostname: String,
    /// APP-NAME: the service.
    pub app_name: String,
    /// MSGID: the event type.
    pub msgid: String,
    /// The fields of the element [`SD_ID`].
    pub fields: Fields,
    /// Free text.
    pub msg: Option<String>,
}

impl Record {
    /// A record of severity info without fields. Header texts are cut and cleaned to what RFC 5424 allows.
    pub fn new(timestamp: DateTime<Utc>, hostname: &str, app_name: &str, msgid: &str) -> Self {
        Self {
            severity: Severity::Info,
            timestamp: timestamp.trunc_subsecs(6),
            hostname: header_token(hostname, 255).into_owned(),
            app_name: header_token(app_name, 48).into_owned(),
            msgid: header_token(msgid, 32).into_owned(),
            fields: Fields::new(),
            msg: None,
        }
    }

    /// The record as one line, without the line's end.
    pub fn encode(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<{}>1 {} {} {} - {} ",
            16 * 8 + self.severity as u8,
            self.timestamp.format("%Y-%m-%dT%H:%M:%S%.6f%:z"),
            header_token(&self.hostname, 255),
            header_token(&self.app_name, 48),
            header_token(&self.msgid, 32),
        )?;
        if self.fields.is_empty() {
            f.write_char('-')?;
        } else {
            write!(f, "[{SD_ID}")?;
            for (name, value) in self.fields.iter() {
                write!(f, " {name}=\"")?;
                for c in value.chars() {
                    if matches!(c, '\\' | '"' | ']') {
                        f.write_char('\\')?;
                    }
                    f.write_char(c)?;
                }
                f.write_char('"')?;
            }
            f.write_char(']')?;
        }
        match &self.msg {
            Some(msg) => write!(f, " {}", clean(msg)),
            None => Ok(()),
        }
    }
}
