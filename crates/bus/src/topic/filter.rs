//! What to subscribe to. Filters are made only from rows of the table, so a misspelt or overlapping wildcard
//! cannot be written down.

use super::{Field, Topic, TopicKind, TopicSpec};
use crate::Token;

/// A set of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFilter {
    rows: Vec<TopicKind>,
    bound: Vec<(Field, Token)>,
    /// Filters beside this one, each with fields of its own.
    beside: Vec<Self>,
}

impl TopicFilter {
    /// All topics of one row.
    pub fn kind(kind: TopicKind) -> Self {
        Self::kinds([kind])
    }

    /// All topics of several rows.
    pub fn kinds(kinds: impl IntoIterator<Item = TopicKind>) -> Self {
        let mut rows: Vec<TopicKind> = Vec::new();
        for kind in kinds {
            if !rows.contains(&kind) {
                rows.push(kind);
            }
        }
        Self { rows, bound: Vec::new(), beside: Vec::new() }
    }

    /// All rows that satisfy `test`, such as everything with a public name.
    pub fn rows(test: impl Fn(&TopicSpec) -> bool) -> Self {
        Self::kinds(TopicKind::ALL.iter().copied().filter(|kind| test(kind.spec())))
    }

    /// All rows of a family, such as `identity`.
    pub fn family(family: &str) -> Self {
        Self::rows(|spec| spec.family() == family)
    }

    /// Everything that the outside world may see.
    pub fn public() -> Self {
        Self::rows(|spec| spec.public.is_some())
    }

    /// Exactly this topic.
    pub fn exact(topic: &Topic) -> Self {
        Field::ALL.iter().copied().fold(Self::kind(topic.kind()), |filter, field| {
            match topic.field(field.as_str()).and_then(|text| Token::parse(text).ok()) {
                Some(token) => filter.bind(field, token),
                None => filter,
            }
        })
    }

    /// Narrows to topics whose `field` is `value`. Rows without that field are left as they are.
    #[must_use]
    pub fn bind(mut self, field: Field, value: impl Into<Token>) -> Self {
        self.bound.retain(|(bound, _)| *bound != field);
        self.bound.push((field, value.into()));
        self
    }

    /// The topics of either.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.beside.push(other);
        self
    }

    /// The NATS subject filters, one per row.
    pub fn subjects(&self) -> Vec<String> {
        let value = |name: &str| {
            self.bound.iter().find(|(field, _)| field.as_str() == name).map(|(_, token)| token.as_str())
        };
        let own = self.rows.iter().map(|kind| kind.spec().subject_with(value));
        own.chain(self.beside.iter().flat_map(Self::subjects)).collect()
    }

    /// Whether a topic belongs to it.
    pub fn matches(&self, topic: &Topic) -> bool {
        let own = self.rows.contains(&topic.kind())
            && self
                .bound
                .iter()
                .all(|(field, token)| topic.field(field.as_str()).is_none_or(|text| text == token.as_str()));
        own || self.beside.iter().any(|filter| filter.matches(topic))
    }
}

/// Whether a subject filter with `*` and `>` covers a subject.
pub(crate) fn covers(filter: &str, subject: &str) -> bool {
    let (mut parts, mut tokens) = (filter.split('.'), subject.split('.'));
    loop {
        match (parts.next(), tokens.next()) {
            (None, None) | (Some(">"), Some(_)) => return true,
            (Some(part), Some(token)) if part == token || (part == "*" && !token.is_empty()) => {}
            _ => return false,
        }
    }
}
