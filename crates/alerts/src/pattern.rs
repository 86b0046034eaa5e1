//! A wish for events: a public topic in which `*` stands for one token and a last `>` for one or more.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest pattern, in bytes.
pub const MAX_PATTERN: usize = 256;
/// Longest token, in bytes: the bus takes no longer ones.
const MAX_TOKEN: usize = 128;

/// A checked pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{shown:?}: token {token} (character {character}) {reason}; write public topics such as canary.*.triggered or attacker.>"
)]
pub struct PatternError {
    shown: String,
    /// Which token, counted from 1.
    pub token: usize,
    /// Where it begins, in characters counted from 1.
    pub character: usize,
    reason: &'static str,
}

impl Pattern {
    /// Checks `text`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let count = text.split('.').count();
        let mut character = 1;
        for (index, token) in text.split('.').enumerate() {
            if let Some(reason) = fault(token, index + 1 == count) {
                let shown = text.chars().take(60).collect();
                return Err(PatternError { shown, token: index + 1, character, reason });
            }
            character += token.chars().count() + 1;
        }
        if text.len() > MAX_PATTERN {
            let shown = text.chars().take(60).collect();
            let reason = "is part of a pattern of more than 256 bytes";
            return Err(PatternError { shown, token: count, character: 1, reason });
        }
        Ok(Self(text.to_owned()))
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a public topic is wished for.
    pub fn matches(&self, topic: &str) -> bool {
        let (mut wishes, mut tokens) = (self.0.split('.'), topic.split('.'));
        loop {
            match (wishes.next(), tokens.next()) {
                (None, None) => return true,
                (Some(">"), Some(token)) => {
                    return !token.is_empty() && tokens.all(|token| !token.is_empty());
                }
                (Some("*"), Some(token)) if !token.is_empty() => {}
                (Some(wish), Some(token)) if wish == token => {}
                _ => return false,
            }
        }
    }

    /// What this pattern asks of the topics of a row, whose template has `{field}` for a token that varies: the values of
    /// its fields (none for a field that may be anything), or `None` where no topic of the row is wished for.
    pub fn narrow<'a>(&'a self, template: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let (mut wishes, mut parts) = (self.0.split('.'), template.split('.'));
        let mut bound = Vec::new();
        loop {
            match (wishes.next(), parts.next()) {
                (None, None) | (Some(">"), Some(_)) => return Some(bound),
                (Some("*"), Some(_)) => {}
                (Some(wish), Some(part)) => {
                    match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                        Some(field) => bound.push((field, wish)),
                        None if part == wish => {}
                        None => return None,
                    }
                }
                _ => return None,
            }
        }
    }
}

fn fault(token: &str, is_last: bool) -> Option<&'static str> {
    if token.is_empty() {
        Some("is empty")
    } else if token == ">" && !is_last {
        Some("is '>', which may only stand at the end")
    } else if token.len() > 1 && token.contains(['*', '>']) {
        Some("mixes a wildcard with text; '*' and '>' stand alone")
    } else if token.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Some("contains white space or a control character")
    } else if token.contains(['{', '}']) {
        Some("contains a brace; write the value itself, or '*'")
    } else if token.len() > MAX_TOKEN {
        Some("is longer than 128 bytes")
    } else {
        None
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bad_tokens_are_refused_with_their_place() {
        for (text, token, character) in [
            ("", 1, 1),
            (".", 1, 1),
            ("attacker..x", 2, 10),
            ("attacker.", 2, 10),
            ("attacker.>.x", 2, 10),
            ("attacker.obs*", 2, 10),
            ("a.b.>>", 3, 5),
            ("a b", 1, 1),
            ("é.b\u{7f}", 2, 3),
            ("canary.{token}.placed", 2, 8),
            (&format!("a.{}", "x".repeat(129)), 2, 3),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert_eq!((error.token, error.character), (token, character), "{text:?}: {error}");
            assert!(error.to_string().len() < 300);
        }
        assert!(Pattern::parse(&["x"; 200].join(".")).is_err(), "too long as a whole");
        for good in [">", "*", "attacker.>", "canary.*.triggered", "decky.local:web-01.state"] {
            assert_eq!(Pattern::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn wildcards_are_those_of_the_broker() {
        let yes = |pattern: &str, topic: &str| Pattern::parse(pattern).unwrap().matches(topic);
        assert!(yes("attacker.>", "attacker.session.started") && !yes("attacker.>", "attacker"));
        assert!(yes("canary.*.triggered", "canary.abc.triggered"));
        assert!(!yes("canary.*.triggered", "canary.abc.placed") && !yes("canary.*", "canary.abc.placed"));
        assert!(!yes("*", "") && !yes(">", ""));
    }

    #[test]
    fn a_row_is_narrowed_to_what_is_wished() {
        let narrow = |pattern: &str, template: &str| {
            Pattern::parse(pattern)
                .unwrap()
                .narrow(template)
                .map(|b| b.iter().map(|(f, v)| format!("{f}={v}")).collect::<Vec<_>>())
        };
        assert_eq!(narrow("canary.*.placed", "canary.{token}.placed"), Some(vec![]));
        assert_eq!(narrow("canary.abc.>", "canary.{token}.placed"), Some(vec!["token=abc".to_owned()]));
        assert_eq!(narrow("canary.abc.revoked", "canary.{token}.placed"), None);
        assert_eq!(narrow("canary.>", "canary"), None);
        assert_eq!(narrow(">", "identity.formed"), Some(vec![]));
        assert_eq!(narrow("identity.formed.more", "identity.formed"), None);
    }

    proptest! {
        #[test]
        fn narrowing_agrees_with_matching(
            pattern in "([a-c*]\\.){0,3}([a-c*>])",
            template in "([a-c]|\\{f\\})(\\.([a-c]|\\{g\\})){0,3}",
            value in "[a-c]",
        ) {
            let pattern = Pattern::parse(&pattern).unwrap();
            let topic = template.replace("{f}", &value).replace("{g}", &value);
            let wished = pattern.narrow(&template).is_some_and(|bound| bound.iter().all(|(_, b)| *b == value));
            prop_assert_eq!(pattern.matches(&topic), wished);
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,300}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert_eq!(pattern.as_str(), &text);
                prop_assert!(!pattern.matches(""));
            }
        }
    }
}
