//! One checked token of a subject. Raw text cannot become part of a subject in any other way, so a host name
//! or id that an intruder influences cannot widen a subscription or forge another topic.

use std::{fmt, str::FromStr};

use decnet_core::{DeckyId, DeckyName, HostId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest token, in bytes.
pub const MAX_TOKEN: usize = 128;

/// One segment of a subject: 1 to 128 bytes, no `.`, `*`, `>`, white space or control character.
/// `:` is legal, because decky ids are `<host>:<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(String);

/// Why a text is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{shown:?} cannot be part of a bus subject: {reason} (a token has 1 to 128 bytes without '.', '*', '>', white space or controls)"
)]
pub struct TokenError {
    shown: String,
    reason: &'static str,
}

impl Token {
    /// Checks `text`.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.len() > MAX_TOKEN {
            "it is too long"
        } else if text.contains(['.', '*', '>']) {
            "it contains '.', '*' or '>'"
        } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            "it contains white space or a control character"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(TokenError { shown: text.chars().take(40).collect(), reason })
    }

    /// A token from a literal of this crate, which its tests check.
    pub(crate) fn literal(text: &'static str) -> Self {
        debug_assert!(Self::parse(text).is_ok());
        Self(text.to_owned())
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = TokenError;
    fn from_str(text: &str) -> Result<Self, TokenError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Token {
    type Error = TokenError;
    fn try_from(text: String) -> Result<Self, TokenError> {
        Self::parse(&text)
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.0
    }
}

impl From<&Token> for Token {
    fn from(token: &Token) -> Self {
        token.clone()
    }
}

impl From<Uuid> for Token {
    fn from(id: Uuid) -> Self {
        Self(id.hyphenated().to_string())
    }
}

// The three names below are narrower than a token by construction (`names.rs` of core), so no check is needed.
impl From<&DeckyId> for Token {
    fn from(id: &DeckyId) -> Self {
        Self(id.to_string())
    }
}

impl From<&DeckyName> for Token {
    fn from(name: &DeckyName) -> Self {
        Self(name.as_str().to_owned())
    }
}

impl From<&HostId> for Token {
    fn from(host: &HostId) -> Self {
        Self(host.as_str().to_owned())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Token {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A type that may stand as one `{field}` of a subject.
pub(crate) trait Segment: Sized {
    fn text(&self) -> &str;
    fn read(text: &str) -> Option<Self>;
}

impl Segment for Token {
    fn text(&self) -> &str {
        self.as_str()
    }
    fn read(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl Segment for HostId {
    fn text(&self) -> &str {
        self.as_str()
    }
    fn read(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl Segment for DeckyName {
    fn text(&self) -> &str {
        self.as_str()
    }
    fn read(text: &str) -> Option<Self> {
        // Parsing lower-cases; a subject with other letters is another subject, not this topic.
        Self::parse(text).ok().filter(|name| name.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_would_change_a_subject_are_refused() {
        let long = "x".repeat(MAX_TOKEN + 1);
        for bad in [
            "", ".", "a.b", "*", "a*", ">", "a>", "a b", "a\tb", "a\nb", "\u{7f}", "a\u{a0}b", "a\u{0}",
            &long,
        ] {
            assert!(Token::parse(bad).is_err(), "{bad:?} was taken");
        }
        for good in ["a", "local:web-01", "a_b-c:d", "é", &"x".repeat(MAX_TOKEN)] {
            assert_eq!(Token::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_refusal_shows_a_bounded_part_of_the_text() {
        let text = TokenError::to_string(&Token::parse(&"x".repeat(10_000)).unwrap_err());
        assert!(text.len() < 250, "{text}");
    }
}
