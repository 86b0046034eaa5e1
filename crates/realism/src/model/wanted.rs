//! What a model should write next, so that every author has a few texts of every class in store. Counts are the caller's; a
//! combination that brings nothing but rubbish is left alone for the rest of the round.

use std::{borrow::Borrow, collections::HashMap};

use crate::{Class, Persona};

/// What is wanted of a model, most used first: system classes are never among it.
pub const CLASSES: [Class; 5] = [Class::Note, Class::Todo, Class::Email, Class::Draft, Class::Script];
/// Refused answers after which a combination is left alone.
const MISSES: u32 = 3;

/// The next text to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want<'a> {
    /// Its class; mail means a new thread.
    pub class: Class,
    /// Its author.
    pub persona: &'a Persona,
}

/// What was refused lately. Make a new one now and then (a day is good), so that a better model gets its chance.
#[derive(Debug, Clone, Default)]
pub struct Round(HashMap<(Class, String), u32>);

impl Round {
    /// The emptiest shelf below `target`; `counts` is by class and address. Mail needs somebody to write to.
    pub fn wanted<'a, P: Borrow<Persona>>(
        &self,
        personas: &'a [P],
        counts: impl Fn(Class, &str) -> u64,
        target: u64,
    ) -> Option<Want<'a>> {
        let mut emptiest: Option<(u64, Want<'a>)> = None;
        for class in CLASSES {
            if class == Class::Email && personas.len() < 2 {
                continue;
            }
            for persona in personas.iter().map(Borrow::borrow) {
                let count = counts(class, &persona.email);
                let less = emptiest.is_none_or(|(least, _)| count < least);
                if count < target && less && self.misses(class, persona) < MISSES {
                    emptiest = Some((count, Want { class, persona }));
                }
            }
        }
        emptiest.map(|(_, want)| want)
    }

    /// An answer for this was refused.
    pub fn missed(&mut self, class: Class, persona: &Persona) {
        *self.0.entry((class, persona.email.clone())).or_default() += 1;
    }

    fn misses(&self, class: Class, persona: &Persona) -> u32 {
        self.0.get(&(class, persona.email.clone())).copied().unwrap_or(0)
    }
}

/// [`Round::wanted`] where nothing was refused yet.
pub fn wanted<P: Borrow<Persona>>(
    personas: &[P],
    counts: impl Fn(Class, &str) -> u64,
    target: u64,
) -> Option<Want<'_>> {
    Round::default().wanted(personas, counts, target)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::super::samples::persona;
    use super::*;
    use crate::class::Group;

    #[test]
    fn every_shelf_is_filled_to_the_target_and_no_further() {
        let people = [Arc::new(persona("Ada Park", "en")), Arc::new(persona("Jens Voss", "de"))];
        let mut shelves: BTreeMap<(Class, String), u64> = BTreeMap::new();
        let mut steps = 0;
        while let Some(want) =
            wanted(&people, |class, who| shelves.get(&(class, who.to_owned())).copied().unwrap_or(0), 3)
        {
            assert!(matches!(want.class.group(), Group::User | Group::Email));
            *shelves.entry((want.class, want.persona.email.clone())).or_default() += 1;
            steps += 1;
            let (least, most) = (shelves.values().min().unwrap(), shelves.values().max().unwrap());
            assert!(steps < 10 || most - least <= 1, "the emptiest first");
        }
        assert_eq!((steps, shelves.len()), (2 * 5 * 3, 10));
        assert!(shelves.values().all(|count| *count == 3));
    }

    #[test]
    fn one_person_alone_writes_no_mail_and_refused_ones_are_left_alone() {
        let people = [persona("Ada Park", "en")];
        let mut round = Round::default();
        let mut seen = Vec::new();
        while let Some(want) = round.wanted(&people, |_, _| 0, 1) {
            seen.push(want.class);
            round.missed(want.class, want.persona);
        }
        assert!(!seen.contains(&Class::Email));
        assert_eq!(seen.len(), 4 * 3);
        assert_eq!(wanted(&people, |_, _| 0, 0), None);
    }
}
