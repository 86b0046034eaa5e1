//! The log search language: shell-like words, all of which must match.
//!
//! `decky: service: event: attacker: attacker-ip: attacker_ip:` match columns exactly, any other `key:value` matches
//! that member of `fields`, a bare word is a substring of raw line, decky, service or address (ASCII case ignored).
//! Quotes (`"…"`, `'…'`) and backslashes work as in a shell; quoting the colon makes a bare word. Reading is total:
//! an open quote ends with the text. It does no ranking and has no OR.

mod parse;
mod sql;

pub(crate) use sql::{conditions, contains};

/// Longest query text, in characters.
pub(crate) const MAX_QUERY: usize = 512;
/// Most words in a query.
pub(crate) const MAX_TERMS: usize = 32;

/// A query as parsed: terms that must all match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The terms, in the order written.
    pub terms: Vec<Term>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// The decky has this name.
    Decky(String),
    /// The service is this one.
    Service(String),
    /// The event type is this one.
    Event(String),
    /// The line came from this address.
    Attacker(String),
    /// `fields` has this member with this text.
    Field(String, String),
    /// The text occurs in the line.
    Word(String),
}

/// Why a query is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// Longer than [`MAX_QUERY`].
    #[error("the search text has {0} characters: use at most 512")]
    TooLong(usize),
    /// More words than [`MAX_TERMS`].
    #[error("the search has {0} words: use at most 32, or quote the ones that belong together")]
    TooManyTerms(usize),
}
