//! The drift table (spec 8.3), row by row.

use std::collections::{BTreeMap, BTreeSet};

use decnet_core::DeckyName;

use super::{
    Action, Change, MAX_ERROR, Observation, Override, Pass, Read, Record, Row, Transition, Wanted, Word,
    World,
};
use crate::{config::DeckyConfig, health::DeckyState};

/// What a decky of which nothing is there is told of.
const NOTHING_THERE: &str = "nothing of it is there: deploy it again";

/// Compares.
pub fn reconcile(world: &World<'_>) -> Pass {
    let mut pass = Pass::default();
    let rows: BTreeMap<&str, &Row> = world.rows.iter().map(|row| (row.name.as_str(), row)).collect();
    let seen: Option<BTreeMap<&str, &Observation>> =
        world.observed.map(|all| all.iter().map(|one| (one.name.as_str(), one)).collect());
    let mut wanted: BTreeMap<&str, &DeckyConfig> = BTreeMap::new();
    let mut generation = 0;
    if let Wanted::Known(Some(state)) = world.wanted {
        generation = state.generation;
        // One that is assigned to another host is not ours to insert; in a fleet of one host, none is assigned.
        let ours = state
            .config
            .deckies
            .iter()
            .filter(|decky| decky.host_uuid.as_ref().is_none_or(|host| host == world.host));
        wanted = ours.map(|decky| (decky.name.as_str(), decky)).collect();
    }
    for (name, decky) in &wanted {
        let sight = match &seen {
            None => Sight::Unknown,
            Some(seen) => seen.get(name).map_or(Sight::Absent, |one| Sight::There(one)),
        };
        if let Some(action) = keep(world, decky, generation, rows.get(name).copied(), sight) {
            pass.counters.count(&action);
            pass.actions.push(action);
        }
    }
    let mut held: BTreeSet<&str> = BTreeSet::new();
    for row in rows.values().filter(|row| !wanted.contains_key(row.name.as_str())) {
        // A name that is none of ours was written by somebody else; it is theirs to correct.
        let Ok(name) = DeckyName::parse(&row.name) else { continue };
        let observation = seen.as_ref().and_then(|seen| seen.get(name.as_str()).copied());
        match let_go(world, generation, &name, row, observation) {
            Fate::Write(action) => {
                pass.counters.count(&action);
                pass.actions.push(*action);
            }
            Fate::AsItIs => {}
            Fate::Held => {
                held.insert(&row.name);
            }
        }
    }
    if matches!(world.wanted, Wanted::Known(_)) {
        let stray = seen.iter().flatten().filter(|(name, one)| {
            !wanted.contains_key(*name)
                && !held.contains(*name)
                && !world.overrides.contains_key(**name)
                // The engine is at work on it: being started or removed, it is nobody's orphan.
                && !matches!(one.state, DeckyState::Pending | DeckyState::TearingDown)
        });
        pass.orphans = stray.map(|(_, one)| one.name.clone()).collect();
        pass.counters.orphans = pass.orphans.len() as u64;
    }
    pass
}

/// What is known of one decky.
#[derive(Clone, Copy)]
enum Sight<'a> {
    /// Nobody could look.
    Unknown,
    /// It is not there.
    Absent,
    /// It is there, like this.
    There(&'a Observation),
}

/// A decky that should be there: rows 1, 1b, 3, 4, 5, 6 and 8.
fn keep(
    world: &World<'_>,
    decky: &DeckyConfig,
    generation: u64,
    row: Option<&Row>,
    sight: Sight<'_>,
) -> Option<Action> {
    let before = row.map(|row| row.state);
    let (state, last_error) = match (world.overrides.get(&decky.name), sight) {
        (Some(over), _) => (over.state, over.last_error.clone()),
        // One that is being started again is not worth a word until it is clear how that ends.
        (None, Sight::There(one)) if one.state == DeckyState::Pending => match row {
            Some(row) => (row.state, row.last_error.clone()),
            None => (DeckyState::Pending, None),
        },
        (None, Sight::There(one)) => (one.state, one.last_error.clone()),
        (None, Sight::Absent) => (DeckyState::TornDown, Some(NOTHING_THERE.to_owned())),
        // Not known: a row stays as it is, and a new one begins as running.
        (None, Sight::Unknown) => {
            (before.unwrap_or(DeckyState::Running), row.and_then(|row| row.last_error.clone()))
        }
    };
    let there = match sight {
        Sight::There(one) => Some(one),
        Sight::Absent | Sight::Unknown => None,
    };
    let hash = there.and_then(|one| one.plan_hash.clone());
    let record = Record {
        services: decky.services.clone(),
        // A record is plain data with text keys, which always becomes JSON.
        config: serde_json::to_value(decky).unwrap_or_default(),
        ip: decky.ip.to_string(),
        state,
        last_error: bounded(last_error),
        plan_hash: hash.or_else(|| row.and_then(|row| row.plan_hash.clone())),
        generation,
    };
    let alive = there.is_some() && matches!(state, DeckyState::Running | DeckyState::Degraded);
    let Some(row) = row else {
        let transition = Some(Transition { from: None, to: state, word: Word::Inserted });
        return Some(action(decky, Change::Insert { record, seen: alive }, transition));
    };
    let is_same = row.services.as_ref() == Some(&record.services)
        && row.config.as_ref() == Some(&record.config)
        && row.ip.as_ref() == Some(&record.ip)
        && row.last_error == record.last_error
        && row.plan_hash == record.plan_hash
        && row.generation == record.generation;
    if before != Some(state) || !is_same {
        let changed = Transition { from: before, to: state, word: Word::StateChanged };
        let transition = (before != Some(state)).then_some(changed);
        return Some(action(decky, Change::Update { read: read(row), record, seen: alive }, transition));
    }
    // Half an interval: a pass that comes a little early still counts.
    let is_old = row.last_seen.is_none_or(|at| world.now - at >= world.interval / 2);
    (alive && is_old).then(|| action(decky, Change::Seen, None))
}

fn action(decky: &DeckyConfig, change: Change, transition: Option<Transition>) -> Action {
    Action { name: decky.name.clone(), change, transition }
}

/// What becomes of a row that nothing in the state file stands behind.
enum Fate {
    Write(Box<Action>),
    AsItIs,
    /// The state file may be older than the row: wait for the next pass.
    Held,
}

/// Row 2, and what holds it up.
fn let_go(
    world: &World<'_>,
    generation: u64,
    name: &DeckyName,
    row: &Row,
    observation: Option<&Observation>,
) -> Fate {
    if let Some(over) = world.overrides.get(name) {
        // On its way out: the row stays until the decky is gone.
        return restate(name, row, over.clone());
    }
    let told = observation.map(|one| Override { state: one.state, last_error: one.last_error.clone() });
    match (world.wanted, told) {
        // Only the engine says so, through whoever asked it.
        (_, Some(over)) if matches!(over.state, DeckyState::TearingDown | DeckyState::TeardownFailed) => {
            restate(name, row, over)
        }
        (Wanted::Unknown, Some(over)) if over.state != DeckyState::Pending => restate(name, row, over),
        (Wanted::Unknown, _) => Fate::AsItIs,
        (Wanted::Known(_), _) => {
            let young = world.now - row.updated_at < world.interval * 2;
            if !world.is_writer && young && row.generation > generation {
                return Fate::Held;
            }
            let transition =
                Transition { from: Some(row.state), to: DeckyState::TornDown, word: Word::Deleted };
            let change = Change::Delete { read: read(row) };
            Fate::Write(Box::new(Action { name: name.clone(), change, transition: Some(transition) }))
        }
    }
}

fn restate(name: &DeckyName, row: &Row, over: Override) -> Fate {
    let last_error = bounded(over.last_error);
    if row.state == over.state && row.last_error == last_error {
        return Fate::AsItIs;
    }
    let changed = Transition { from: Some(row.state), to: over.state, word: Word::StateChanged };
    Fate::Write(Box::new(Action {
        name: name.clone(),
        change: Change::Restate { read: read(row), state: over.state, last_error },
        transition: (row.state != over.state).then_some(changed),
    }))
}

fn read(row: &Row) -> Read {
    Read { state: row.state, updated_at: row.updated_at }
}

/// As a column keeps it: what came back different from what was written would be written again for ever.
fn bounded(error: Option<String>) -> Option<String> {
    error.map(|text| text.chars().filter(|c| *c != '\0').take(MAX_ERROR).collect())
}
