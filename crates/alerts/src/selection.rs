//! Patterns against the table of topics: which rows a subscription gets, and what each of its patterns is worth.
//!
//! The table itself is the bus's; it comes in as [`KnownTopic`]s, so that orders, commands and raw lines, which have no
//! public name, cannot be wished for whatever a pattern says.

use crate::{Pattern, SimpleEvent};

/// A public topic of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownTopic {
    /// Its public name; `{field}` stands for a token that varies.
    pub public: &'static str,
    /// Whether the stream that subscriptions read has it.
    pub streamed: bool,
}

/// A row of the table, narrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Which topic, as an index into the table that was given.
    pub topic: usize,
    /// Fields that must have a value: name and value.
    pub bound: Vec<(String, String)>,
}

/// What one pattern is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matches {
    /// The pattern.
    pub pattern: Pattern,
    /// Public topics that it matches.
    pub known: usize,
    /// Those of them that can be delivered.
    pub streamed: usize,
}

/// What a subscription gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The rows, each choice once.
    pub choices: Vec<Choice>,
    /// Pattern by pattern.
    pub matches: Vec<Matches>,
}

/// The patterns of a subscription: those of the simple choices first, each pattern once.
pub fn merge(simple: &[SimpleEvent], advanced: &[Pattern]) -> Vec<Pattern> {
    let mut merged: Vec<Pattern> = Vec::new();
    for pattern in simple.iter().flat_map(|event| event.expand()).chain(advanced.iter().cloned()) {
        if !merged.contains(&pattern) {
            merged.push(pattern);
        }
    }
    merged
}

impl Selection {
    /// Holds `patterns` against the table.
    pub fn resolve(patterns: &[Pattern], table: &[KnownTopic]) -> Self {
        let mut selection = Self::default();
        for pattern in patterns {
            let (mut known, mut streamed) = (0, 0);
            for (topic, row) in table.iter().enumerate() {
                let Some(bound) = pattern.narrow(row.public) else { continue };
                known += 1;
                if row.streamed {
                    streamed += 1;
                    let bound = bound
                        .into_iter()
                        .map(|(field, value)| (field.to_owned(), value.to_owned()))
                        .collect();
                    selection.add(Choice { topic, bound });
                }
            }
            selection.matches.push(Matches { pattern: pattern.clone(), known, streamed });
        }
        selection
    }

    /// Adds a choice unless a wider one is there, and drops narrower ones: the broker refuses filters that overlap.
    fn add(&mut self, new: Choice) {
        let within = |narrow: &Choice, wide: &Choice| {
            narrow.topic == wide.topic && wide.bound.iter().all(|pair| narrow.bound.contains(pair))
        };
        if self.choices.iter().any(|old| within(&new, old)) {
            return;
        }
        self.choices.retain(|old| !within(old, &new));
        self.choices.push(new);
    }

    /// Patterns that no topic of this release can ever match.
    pub fn vain(&self) -> impl Iterator<Item = &Pattern> {
        self.matches.iter().filter(|found| found.known == 0).map(|found| &found.pattern)
    }

    /// Patterns whose topics exist but are not kept in the stream.
    pub fn not_streamed(&self) -> impl Iterator<Item = &Pattern> {
        self.matches.iter().filter(|found| found.known > 0 && found.streamed == 0).map(|found| &found.pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[KnownTopic] = &[
        KnownTopic { public: "attacker.observed", streamed: true },
        KnownTopic { public: "canary.{token}.placed", streamed: true },
        KnownTopic { public: "canary.{token}.triggered", streamed: true },
        KnownTopic { public: "system.{worker}.health", streamed: false },
    ];

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn simple_choices_come_first_and_nothing_comes_twice() {
        let advanced = patterns(&["canary.>", "attacker.>", "canary.>"]);
        let merged = merge(&[SimpleEvent::AttackerDetail, SimpleEvent::CanaryTrip], &advanced);
        assert_eq!(merged, patterns(&["attacker.>", "canary.*.triggered", "canary.>"]));
    }

    #[test]
    fn each_row_is_chosen_once_and_a_wide_wish_swallows_a_narrow_one() {
        let chosen = |texts: &[&str]| Selection::resolve(&patterns(texts), TABLE).choices;
        let bound = |token: &str| vec![("token".to_owned(), token.to_owned())];
        assert_eq!(
            chosen(&["canary.a.placed", "canary.b.placed", "canary.a.>"]),
            [
                Choice { topic: 1, bound: bound("a") },
                Choice { topic: 1, bound: bound("b") },
                Choice { topic: 2, bound: bound("a") },
            ]
        );
        let wide = Choice { topic: 1, bound: vec![] };
        assert_eq!(chosen(&["canary.a.placed", "canary.*.placed"]), std::slice::from_ref(&wide));
        assert_eq!(chosen(&["canary.*.placed", "canary.a.placed"]), [wide]);
        assert_eq!(chosen(&[">"]).len(), 3, "what is not streamed is not chosen");
    }

    #[test]
    fn each_pattern_tells_what_it_is_worth() {
        let selection =
            Selection::resolve(&patterns(&["canary.*.triggered", "system.>", "cmd.>", "decnet.>"]), TABLE);
        let worth: Vec<_> = selection.matches.iter().map(|m| (m.known, m.streamed)).collect();
        assert_eq!(worth, [(1, 1), (1, 0), (0, 0), (0, 0)]);
        assert_eq!(selection.vain().map(Pattern::as_str).collect::<Vec<_>>(), ["cmd.>", "decnet.>"]);
        assert_eq!(selection.not_streamed().map(Pattern::as_str).collect::<Vec<_>>(), ["system.>"]);
    }
}
