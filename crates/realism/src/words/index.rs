//! Tables made ready for quick use, once per process: slots by name, templates by field.

use std::{collections::HashMap, sync::LazyLock};

use super::{Lexicon, roles::FIELDS};

type List = &'static [&'static str];

/// A language made ready.
#[derive(Debug)]
pub(super) struct Ready {
    slots: HashMap<&'static str, List>,
}

static READY: LazyLock<HashMap<&'static str, Ready>> = LazyLock::new(|| {
    super::ALL
        .iter()
        .map(|lexicon| (lexicon.code, Ready { slots: lexicon.slots.iter().copied().collect() }))
        .collect()
});

/// Pools by the address of their list and the field.
static POOLS: LazyLock<HashMap<(usize, &'static str), Vec<&'static str>>> = LazyLock::new(|| {
    let mut pools = HashMap::new();
    for lexicon in super::ALL {
        for list in [lexicon.notes, lexicon.tasks, lexicon.draft_sentences, lexicon.comments] {
            for field in FIELDS {
                pools.insert((address(list), field), of_field(list, field));
            }
        }
    }
    pools
});

/// The language's slots. Every registered language is in the index.
pub(super) fn ready(lexicon: &Lexicon) -> Option<&'static Ready> {
    READY.get(lexicon.code)
}

impl Ready {
    pub(super) fn slot(&self, name: &str) -> Option<List> {
        self.slots.get(name).copied().filter(|list| !list.is_empty())
    }
}

/// The templates of a list of a registered language (`notes`, `tasks`, `draft_sentences`, `comments`) that somebody of
/// `field` writes, without the prefix that names the fields.
pub fn pool(list: List, field: &str) -> List {
    FIELDS
        .iter()
        .find(|known| **known == field)
        .and_then(|known| POOLS.get(&(address(list), *known)))
        .map_or(list, Vec::as_slice)
}

fn address(list: List) -> usize {
    list.as_ptr() as usize
}

fn of_field(list: List, field: &str) -> Vec<&'static str> {
    list.iter()
        .filter_map(|template| match template.split_once('|') {
            None => Some(*template),
            Some((roles, rest)) => roles.split(',').any(|role| role == field).then_some(rest),
        })
        .collect()
}
