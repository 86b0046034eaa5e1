//! What one plan changes about another: a redeploy touches only what differs.

use std::collections::BTreeMap;

use decnet_core::DeckyName;
use serde::{Deserialize, Serialize};

use super::Plan;

/// Deckies by what a redeploy does to them, each list in the order of its plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDiff {
    /// Left running.
    pub unchanged: Vec<DeckyName>,
    /// Replaced.
    pub changed: Vec<DeckyName>,
    /// Started.
    pub added: Vec<DeckyName>,
    /// Removed.
    pub removed: Vec<DeckyName>,
}

impl PlanDiff {
    /// True if nothing has to be done.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }
}

pub(super) fn diff(old: Option<&Plan>, new: &Plan) -> PlanDiff {
    let hashes = |plan: &Plan| -> BTreeMap<DeckyName, String> {
        plan.deckies.iter().map(|d| (d.name().clone(), d.plan_hash.clone())).collect()
    };
    let before = old.map(hashes).unwrap_or_default();
    let after = hashes(new);
    let mut diff = PlanDiff::default();
    for decky in &new.deckies {
        let list = match before.get(decky.name()) {
            None => &mut diff.added,
            Some(hash) if *hash == decky.plan_hash => &mut diff.unchanged,
            Some(_) => &mut diff.changed,
        };
        list.push(decky.name().clone());
    }
    let gone = old.iter().flat_map(|plan| &plan.deckies).filter(|d| !after.contains_key(d.name()));
    diff.removed = gone.map(|d| d.name().clone()).collect();
    diff
}
