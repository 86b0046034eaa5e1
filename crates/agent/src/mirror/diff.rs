//! What has to be written so that the rows tell the truth: a pure function of state file, runtime, engine and rows.
//!
//! Rows of other hosts are never among its input. What is not known changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::{DeckyName, HostId};
use decnet_db::{FleetChange, FleetDecky, NewFleetDecky};
use decnet_fleet::{DeckyConfig, DeckyState};
use decnet_runtime::DeckyStatus;

use crate::desired::Deployed;

/// How old `last_seen` of a running decky may get.
const SEEN_EVERY: TimeDelta = TimeDelta::seconds(30);

/// What the engine says of a decky while it works on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Override {
    pub(crate) state: DeckyState,
    pub(crate) last_error: Option<String>,
}

/// Everything that is compared.
pub(super) struct World<'a> {
    pub(super) host: &'a HostId,
    pub(super) deployed: &'a Deployed,
    /// `None`: not known.
    pub(super) statuses: Option<&'a [DeckyStatus]>,
    pub(super) overrides: &'a BTreeMap<DeckyName, Override>,
    pub(super) rows: &'a [FleetDecky],
    pub(super) now: DateTime<Utc>,
}

/// A change of state that others are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) name: DeckyName,
    pub(super) from: Option<DeckyState>,
    pub(super) to: DeckyState,
    pub(super) word: &'static str,
}

/// What has to be written and told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    pub(super) changes: Vec<FleetChange>,
    pub(super) transitions: Vec<Transition>,
}

/// Compares.
pub(super) fn difference(world: &World<'_>) -> serde_json::Result<Difference> {
    let mut out = Difference::default();
    let rows: BTreeMap<&str, &FleetDecky> = world.rows.iter().map(|row| (row.name.as_str(), row)).collect();
    let mut wanted = BTreeSet::new();
    if let Deployed::Known(Some(state)) = world.deployed {
        for decky in state.config.deckies.iter().filter(|decky| decky.host() == *world.host) {
            wanted.insert(decky.name.as_str());
            let row = rows.get(decky.name.as_str()).copied();
            keep(world, &mut out, decky, state.generation, row)?;
        }
    }
    for row in world.rows.iter().filter(|row| !wanted.contains(row.name.as_str())) {
        // A name that is none of ours was written by somebody else; it is theirs to correct.
        let Ok(name) = DeckyName::parse(&row.name) else { continue };
        match (world.deployed, world.overrides.get(&name)) {
            // On its way out: the row stays until the decky is gone.
            (_, Some(over)) => restate(world, &mut out, &name, row, over),
            (Deployed::Unknown, None) => {
                let known = world.statuses.and_then(|all| all.iter().find(|status| status.name == name));
                if let Some(status) = known.filter(|status| status.state != DeckyState::Pending) {
                    let over = Override { state: status.state, last_error: status.last_error.clone() };
                    restate(world, &mut out, &name, row, &over);
                }
            }
            (Deployed::Known(_), None) => {
                let host_uuid = row.host_uuid.clone();
                out.changes.push(FleetChange::Delete { host_uuid, name: row.name.clone() });
                let from = Some(row.state);
                out.transitions.push(Transition { name, from, to: DeckyState::TornDown, word: "deleted" });
            }
        }
    }
    Ok(out)
}

/// A decky that should be there.
fn keep(
    world: &World<'_>,
    out: &mut Difference,
    decky: &DeckyConfig,
    generation: u64,
    row: Option<&FleetDecky>,
) -> serde_json::Result<()> {
    let status = world.statuses.and_then(|all| all.iter().find(|status| status.name == decky.name));
    let before = row.map(|row| row.state);
    let (state, last_error) = if let Some(over) = world.overrides.get(&decky.name) {
        (over.state, over.last_error.clone())
    } else if let Some(status) = status {
        // One that is being started again is not worth a word until it is clear how that ends.
        let state =
            if status.state == DeckyState::Pending { before.unwrap_or(status.state) } else { status.state };
        (state, status.last_error.clone())
    } else if world.statuses.is_some() {
        (DeckyState::TornDown, Some("nothing of it is there: deploy it again".to_owned()))
    } else {
        // Not known: a row stays as it is, and a new one begins as the specification says (8.3, 1b).
        (before.unwrap_or(DeckyState::Running), row.and_then(|row| row.last_error.clone()))
    };
    let hash = status.and_then(|status| status.plan_hash.clone());
    let config = serde_json::to_value(decky)?;
    let new = NewFleetDecky {
        host_uuid: Some(world.host.to_string()),
        name: decky.name.to_string(),
        services: decky.services.clone(),
        decky_config: Some(config),
        decky_ip: Some(decky.ip.to_string()),
        state,
        last_error,
        compose_hash: hash.or_else(|| row.and_then(|row| row.compose_hash.clone())),
        generation,
    };
    let same = row.is_some_and(|row| {
        row.service_slugs() == new.services
            && row.decky_config == new.decky_config
            && row.decky_ip == new.decky_ip
            && row.state == new.state
            && row.last_error == new.last_error
            && row.compose_hash == new.compose_hash
            && row.generation == new.generation
    });
    if !same {
        out.changes.push(FleetChange::Upsert(new));
    }
    if before != Some(state) {
        let word = if before.is_some() { "state_changed" } else { "inserted" };
        out.transitions.push(Transition { name: decky.name.clone(), from: before, to: state, word });
    }
    let seen = row.and_then(|row| row.last_seen);
    let old = seen.is_none_or(|at| world.now - at >= SEEN_EVERY);
    if state == DeckyState::Running && status.is_some() && (old || before != Some(state)) {
        out.changes
            .push(FleetChange::Seen { host_uuid: world.host.to_string(), name: decky.name.to_string() });
    }
    Ok(())
}

/// A row that stays and gets another state.
fn restate(world: &World<'_>, out: &mut Difference, name: &DeckyName, row: &FleetDecky, over: &Override) {
    let from = row.state;
    if from == over.state && (over.last_error.is_none() || row.last_error == over.last_error) {
        return;
    }
    out.changes.push(FleetChange::State {
        host_uuid: world.host.to_string(),
        name: row.name.clone(),
        state: over.state,
        last_error: over.last_error.clone(),
    });
    if from != over.state {
        let from = Some(from);
        out.transitions.push(Transition { name: name.clone(), from, to: over.state, word: "state_changed" });
    }
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
