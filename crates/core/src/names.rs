//! Names that travel through subjects, folders, container names and log headers, so they are checked once, here.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The decky name has a wrong form.
    #[error(
        "{0:?} is no decky name: 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit (no dots: the name becomes a host name, a folder and a bus token)"
    )]
    Decky(String),
    /// The host id has a wrong form.
    #[error("{0:?} is no host id: it is `local` or a UUID")]
    Host(String),
    /// The decky id lacks its colon.
    #[error("{0:?} is no decky id: it is `<host>:<name>`")]
    Id(String),
}

/// The name of a decky: a lower-case DNS label (RFC 1035, 1..=63 characters).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeckyName(String);

impl DeckyName {
    /// Checks and lower-cases `text`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = text.to_ascii_lowercase();
        let bytes = name.as_bytes();
        let alnum = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let inner = bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        if bytes.len() > 63 || !inner || !alnum(bytes.first()) || !alnum(bytes.last()) {
            return Err(NameError::Decky(text.chars().take(80).collect()));
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeckyName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for DeckyName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<DeckyName> for String {
    fn from(name: DeckyName) -> Self {
        name.0
    }
}

impl fmt::Display for DeckyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for DeckyName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for DeckyName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The machine that runs deckies: `local` in a fleet of one host, else the enrolled host's UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostId(String);

impl HostId {
    /// The host id of a fleet of one host.
    pub const LOCAL: &'static str = "local";

    /// Checks `text`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == Self::LOCAL {
            return Ok(Self(text.to_owned()));
        }
        match Uuid::try_parse(text) {
            Ok(uuid) => Ok(Self(uuid.hyphenated().to_string())),
            Err(_) => Err(NameError::Host(text.chars().take(80).collect())),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for HostId {
    fn default() -> Self {
        Self(Self::LOCAL.to_owned())
    }
}

impl FromStr for HostId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for HostId {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<HostId> for String {
    fn from(host: HostId) -> Self {
        host.0
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The opaque id of a fleet decky, `<host>:<name>`, as it stands in event columns and subjects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeckyId {
    /// The machine that runs the decky.
    pub host: HostId,
    /// The decky on it.
    pub name: DeckyName,
}

impl DeckyId {
    /// The id of `name` on `host`.
    pub fn new(host: HostId, name: DeckyName) -> Self {
        Self { host, name }
    }
}

impl FromStr for DeckyId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (host, name) =
            text.split_once(':').ok_or_else(|| NameError::Id(text.chars().take(120).collect()))?;
        Ok(Self { host: host.parse()?, name: name.parse()? })
    }
}

impl TryFrom<String> for DeckyId {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<DeckyId> for String {
    fn from(id: DeckyId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for DeckyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_cased_labels() {
        assert_eq!(DeckyName::parse("Web-01").unwrap().as_str(), "web-01");
        for bad in ["", "-a", "a-", "a.b", "a_b", "a b", "a/b", "ä", &"x".repeat(64), "a\n"] {
            assert!(DeckyName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(DeckyName::parse(&"x".repeat(63)).is_ok());
    }

    #[test]
    fn ids_round_trip() {
        let id: DeckyId = "local:omega-decky".parse().unwrap();
        assert_eq!(id.to_string(), "local:omega-decky");
        assert_eq!(serde_json::from_str::<DeckyId>("\"local:omega-decky\"").unwrap(), id);
        assert!("omega-decky".parse::<DeckyId>().is_err());
        assert!("elsewhere:omega".parse::<DeckyId>().is_err());
    }
}
