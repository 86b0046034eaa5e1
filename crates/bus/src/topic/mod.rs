//! The one subject table and everything that is derived from it: building and parsing subjects, public names,
//! delivery classes, stream subjects, documentation. The rows themselves are in `table.rs`.
//!
//! Nothing outside this crate spells a subject as a string.

mod filter;
mod table;

use std::fmt;

use decnet_core::{DeckyId, HostId};

pub(crate) use self::filter::covers;
pub use self::{
    filter::TopicFilter,
    table::{Topic, TopicKind},
};
use crate::{Token, Worker};

/// First token of every subject of ours.
pub const ROOT: &str = "decnet";

/// How a topic travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// Plain publish: may be lost, receivers look by themselves now and then.
    Core,
    /// Kept in `EVENTS` for a week.
    Stream,
    /// Kept in `INGEST` until the database has it; a full store pushes back.
    Ingest,
    /// One work item in `COMMANDS`.
    Command,
    /// Last value per subject in `HEALTH`.
    Health,
}

impl Delivery {
    /// The class as a word of the documentation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Stream => "stream",
            Self::Ingest => "ingest",
            Self::Command => "command",
            Self::Health => "health",
        }
    }
}

/// A `{field}` of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The host where it happens.
    Host,
    /// A decky.
    Decky,
    /// A worker.
    Worker,
    /// A canary token.
    Token,
    /// A topology.
    Topology,
    /// A command that the operator follows.
    Operation,
}

impl Field {
    /// Every field.
    const ALL: &'static [Self] =
        &[Self::Host, Self::Decky, Self::Worker, Self::Token, Self::Topology, Self::Operation];

    /// The field of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.as_str() == name)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Decky => "decky",
            Self::Worker => "worker",
            Self::Token => "token",
            Self::Topology => "topology",
            Self::Operation => "operation",
        }
    }
}

/// One row of the subject table.
#[derive(Debug)]
pub struct TopicSpec {
    /// Which row.
    pub kind: TopicKind,
    /// Subject without `decnet.`; `{field}` stands for one token.
    pub pattern: &'static str,
    /// Name that webhooks, SSE and the `topic` field show; `None` is never exported.
    pub public: Option<&'static str>,
    /// How it travels.
    pub class: Delivery,
    /// Name of the payload type in [`crate::payload`].
    pub payload: &'static str,
    /// Who publishes (or, for requests, asks).
    pub producers: &'static [Worker],
    /// Who is woken through a durable consumer of its own.
    pub wakes: &'static [Worker],
    /// Who listens in another way: live subscription, the `SIEM` stream, serving requests.
    pub reads: &'static [Worker],
    /// What it says.
    pub doc: &'static str,
}

impl TopicSpec {
    /// First token of the pattern.
    pub fn family(&self) -> &'static str {
        self.pattern.split('.').next().unwrap_or(self.pattern)
    }

    /// The subject filter of all topics of this row.
    pub fn wildcard(&self) -> String {
        self.subject_with(|_| None)
    }

    /// The subject with each field replaced by `value(field)`, or by `*` where there is none.
    fn subject_with<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> String {
        let mut subject = String::from(ROOT);
        for part in self.pattern.split('.') {
            subject.push('.');
            match field_of(part) {
                Some(field) => subject.push_str(value(field).unwrap_or("*")),
                None => subject.push_str(part),
            }
        }
        subject
    }
}

/// Why a subject or public name is no topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// No row of the table fits.
    #[error("{0:?} is no subject of the DECNET table; see docs/topics.md")]
    Unknown(String),
}

impl Topic {
    /// The row of this topic.
    pub fn spec(&self) -> &'static TopicSpec {
        self.kind().spec()
    }

    /// The NATS subject.
    pub fn subject(&self) -> String {
        self.spec().subject_with(|field| self.field(field))
    }

    /// Reads a subject back.
    pub fn parse(subject: &str) -> Result<Self, TopicError> {
        let unknown = || TopicError::Unknown(subject.chars().take(80).collect());
        let rest = subject.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('.')).ok_or_else(unknown)?;
        TopicKind::ALL
            .iter()
            .find_map(|kind| {
                let pattern = kind.spec().pattern;
                fits(pattern, rest)
                    .then(|| Self::assemble(*kind, &|field| token_at(pattern, rest, field)))
                    .flatten()
            })
            .ok_or_else(unknown)
    }

    /// The name that the outside world sees: no prefix, no host. `None`: not for the outside.
    pub fn public(&self) -> Option<String> {
        let pattern = self.spec().public?;
        let part = |part| match field_of(part) {
            Some(field) => self.field(field).unwrap_or_default(),
            None => part,
        };
        Some(pattern.split('.').map(part).collect::<Vec<_>>().join("."))
    }

    /// Reads a public name back. The host is not part of it, so it is given.
    pub fn from_public(public: &str, host: &HostId) -> Result<Self, TopicError> {
        TopicKind::ALL
            .iter()
            .find_map(|kind| {
                let pattern = kind.spec().public?;
                let value = |field: &str| match token_at(pattern, public, field) {
                    None if field == Field::Host.as_str() => Some(host.as_str()),
                    found => found,
                };
                fits(pattern, public).then(|| Self::assemble(*kind, &value)).flatten()
            })
            .ok_or_else(|| TopicError::Unknown(public.chars().take(80).collect()))
    }

    /// The `topic` field of an envelope: the public name, else the subject.
    pub fn label(&self) -> String {
        self.public().unwrap_or_else(|| self.subject())
    }

    /// How it travels.
    pub fn class(&self) -> Delivery {
        self.spec().class
    }

    /// First token after the root, such as `identity`.
    pub fn family(&self) -> &'static str {
        self.spec().family()
    }

    /// A decky of the fleet was inserted, deleted or changed its state.
    pub fn decky_state(id: &DeckyId) -> Self {
        Self::DeckyState { host: id.host.clone(), decky: Token::from(id) }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())
    }
}

impl TopicKind {
    /// The row.
    pub fn spec(self) -> &'static TopicSpec {
        table::spec(self)
    }

    /// All rows of one delivery class.
    pub fn of_class(class: Delivery) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |kind| kind.spec().class == class)
    }
}

/// The name inside `{...}`.
fn field_of(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

/// Whether `text` has the literals of `pattern` at the same places. Field tokens are judged by their type later.
fn fits(pattern: &str, text: &str) -> bool {
    // The table is walked for every message: most rows differ in their first letters.
    let literal = pattern.bytes().take_while(|byte| *byte != b'{');
    if !literal.zip(text.bytes()).all(|(pattern, text)| pattern == text) {
        return false;
    }
    let (mut parts, mut tokens) = (pattern.split('.'), text.split('.'));
    loop {
        match (parts.next(), tokens.next()) {
            (None, None) => return true,
            (Some(part), Some(token)) if field_of(part).is_some() || part == token => {}
            _ => return false,
        }
    }
}

fn token_at<'a>(pattern: &str, text: &'a str, field: &str) -> Option<&'a str> {
    let index = pattern.split('.').position(|part| field_of(part) == Some(field))?;
    text.split('.').nth(index)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
