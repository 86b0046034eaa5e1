//! What has to be written so that the mirror tells the truth (spec 8): a pure function of the state file, the rows of this
//! host, what runs, and what the engine is doing. The agent's engine and the reconciler both act by it, so a second pass of
//! either finds nothing left to do.
//!
//! Rows of other hosts are never among its input. What is not known deletes nothing. Writing, publishing and removing are
//! its callers'.

mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::{DeckyName, HostId};
use serde::Serialize;
use serde_json::Value;

use crate::{health::DeckyState, state::StateFile};

pub use rules::reconcile;

/// Longest error text that a row keeps, in characters.
pub const MAX_ERROR: usize = 2000;

/// What should run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted<'a> {
    /// This, or nothing.
    Known(Option<&'a StateFile>),
    /// The state file cannot be read, which is not the same as an absent one.
    Unknown,
}

/// A row of this host.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The decky, as it stands in the table.
    pub name: String,
    /// Service slugs; `None` if the column holds something else.
    pub services: Option<Vec<String>>,
    /// The decky's record.
    pub config: Option<Value>,
    /// Its address.
    pub ip: Option<String>,
    /// Its state.
    pub state: DeckyState,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// The plan that it runs.
    pub plan_hash: Option<String>,
    /// Generation of the state file that it was written from.
    pub generation: u64,
    /// When it was last seen alive.
    pub last_seen: Option<DateTime<Utc>>,
    /// When anything but `last_seen` was written.
    pub updated_at: DateTime<Utc>,
}

/// One decky as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Which.
    pub name: DeckyName,
    /// Its state: by its services (see [`crate::aggregate`]), or by the engine that is at work on it.
    pub state: DeckyState,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// The plan that it runs, if that is known.
    pub plan_hash: Option<String>,
}

/// What the engine says of a decky while it is at work on it; it counts, whatever is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The state.
    pub state: DeckyState,
    /// What went wrong.
    pub last_error: Option<String>,
}

/// Everything that is compared.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// This host.
    pub host: &'a HostId,
    /// What should run.
    pub wanted: Wanted<'a>,
    /// The rows of this host.
    pub rows: &'a [Row],
    /// What was seen; `None`: not known, which is not the same as nothing.
    pub observed: Option<&'a [Observation]>,
    /// What the engine is doing right now.
    pub overrides: &'a BTreeMap<DeckyName, Override>,
    /// The present.
    pub now: DateTime<Utc>,
    /// Time between two passes.
    pub interval: TimeDelta,
    /// True for the one who writes the state file, who cannot have read an old one.
    pub is_writer: bool,
}

/// What a row shall hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Service slugs.
    pub services: Vec<String>,
    /// The decky's record.
    pub config: Value,
    /// Its address.
    pub ip: String,
    /// Its state.
    pub state: DeckyState,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// The plan that it runs.
    pub plan_hash: Option<String>,
    /// Generation of the state file.
    pub generation: u64,
}

/// What a row was when it was read: it is written only if it still is that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Its state.
    pub state: DeckyState,
    /// When it was written.
    pub updated_at: DateTime<Utc>,
}

/// One thing to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// The decky's row.
    pub name: DeckyName,
    /// What to do with it.
    pub change: Change,
    /// What others are told of it; nothing where the state stays.
    pub transition: Option<Transition>,
}

/// What to do with a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// There is none: make it.
    Insert {
        /// What it shall hold.
        record: Record,
        /// Whether the decky was seen alive.
        seen: bool,
    },
    /// Make it hold this.
    Update {
        /// What it was.
        read: Read,
        /// What it shall hold.
        record: Record,
        /// Whether the decky was seen alive.
        seen: bool,
    },
    /// Change its state and error, and leave the rest.
    Restate {
        /// What it was.
        read: Read,
        /// The state.
        state: DeckyState,
        /// The error; `None` clears it.
        last_error: Option<String>,
    },
    /// Remove it.
    Delete {
        /// What it was.
        read: Read,
    },
    /// The decky was seen alive, and all is as it should be.
    Seen,
}

/// How a row came to its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// A new row.
    Inserted,
    /// No row any more.
    Deleted,
    /// Another state.
    StateChanged,
}

impl Word {
    /// The word in payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::Deleted => "deleted",
            Self::StateChanged => "state_changed",
        }
    }
}

/// A change of state that others are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state before, if there was one.
    pub from: Option<DeckyState>,
    /// The state now; `torn_down` for a deleted row.
    pub to: DeckyState,
    /// How.
    pub word: Word,
}

/// What a pass does, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// New rows.
    pub inserted: u64,
    /// Rows removed.
    pub deleted: u64,
    /// Rows with another state.
    pub state_updated: u64,
    /// Rows that hold something else and keep their state.
    pub payload_updated: u64,
    /// Deckies that run and that nothing wants.
    pub orphans: u64,
}

impl Counters {
    /// Adds what another pass did.
    pub fn add(&mut self, other: &Self) {
        self.inserted += other.inserted;
        self.deleted += other.deleted;
        self.state_updated += other.state_updated;
        self.payload_updated += other.payload_updated;
        self.orphans += other.orphans;
    }

    /// Counts one action.
    pub fn count(&mut self, action: &Action) {
        match (action.transition.map(|t| t.word), &action.change) {
            (Some(Word::Inserted), _) => self.inserted += 1,
            (Some(Word::Deleted), _) => self.deleted += 1,
            (Some(Word::StateChanged), _) => self.state_updated += 1,
            (None, Change::Seen) => {}
            (None, _) => self.payload_updated += 1,
        }
    }
}

/// What a pass found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pass {
    /// What to write, in name order for each kind of row.
    pub actions: Vec<Action>,
    /// How much of what.
    pub counters: Counters,
    /// Deckies of ours that run and that nothing wants: reported, and removed only on demand.
    pub orphans: Vec<DeckyName>,
}
