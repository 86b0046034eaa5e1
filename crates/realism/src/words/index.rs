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
                pools.insert((address(list), field), of_kind(list, field));
            }
        }
        for list in [lexicon.draft_heads, lexicon.draft_ends] {
            for manner in MANNERS {
                pools.insert((address(list), manner), of_kind(list, manner));
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

/// How people address each other.
const MANNERS: [&str; 2] = ["formal", "casual"];

/// The templates of a list of a registered language that are of `kind`, without the prefix that names kinds: a field for
/// `notes`, `tasks`, `draft_sentences` and `comments`, a manner for `draft_heads` and `draft_ends`.
pub fn pool(list: List, kind: &str) -> List {
    FIELDS
        .iter()
        .chain(&MANNERS)
        .find(|known| **known == kind)
        .and_then(|known| POOLS.get(&(address(list), *known)))
        .filter(|pool| !pool.is_empty())
        .map_or(list, Vec::as_slice)
}

fn address(list: List) -> usize {
    list.as_ptr() as usize
}

fn of_kind(list: List, kind: &str) -> Vec<&'static str> {
    list.iter()
        .filter_map(|template| match template.split_once('|') {
            None => Some(*template),
            Some((kinds, rest)) => kinds.split(',').any(|known| known == kind).then_some(rest),
        })
        .collect()
}
