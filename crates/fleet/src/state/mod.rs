//! The state file `decnet-state.json` (spec 1.4): what is deployed, for consumers without a database or an API, and
//! the plan file beside it, which only its owner reads.
//!
//! The only I/O of this crate. Readers need no lock, since files are replaced whole; writers hold [`StateLock`].
//! An absent file means that nothing is deployed. An unreadable one means that we do not know, which is never a reason
//! to delete anything. The time is the caller's.

mod file;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    config::{DeckyConfig, DecnetConfig},
    plan::{PLAN_SCHEMA, Plan},
};

/// Version of the file's shape. Files of the original have none and read as 1.
pub const STATE_SCHEMA: u32 = 1;

/// Where the file is unless `DECNET_STATE_FILE` says otherwise.
pub const DEFAULT_PATH: &str = "/var/lib/decnet/decnet-state.json";

/// Largest file that is read: a thousand deckies take about 1 MiB.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What is deployed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateFile {
    /// [`STATE_SCHEMA`].
    #[serde(default = "first_schema")]
    pub schema: u32,
    /// Number of the deployment; 0 for a file of the original.
    #[serde(default)]
    pub generation: u64,
    /// When it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_at: Option<DateTime<Utc>>,
    /// The deployment.
    pub config: DecnetConfig,
    /// The plan file of this generation.
    pub compose_path: PathBuf,
}

impl StateFile {
    /// The decky of this name.
    pub fn decky(&self, name: &str) -> Option<&DeckyConfig> {
        self.config.decky(name)
    }
}

fn first_schema() -> u32 {
    STATE_SCHEMA
}

/// Why a state or plan file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file is there and cannot be understood: what is deployed is unknown.
    #[error(
        "state file {path} cannot be read ({reason}): what is deployed is unknown and nothing is deleted; set it aside or restore it"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was unreadable and was set aside.
    #[error(
        "state file {0} was unreadable and is set aside: what is deployed is unknown and nothing is deleted; `decnet deploy` or `decnet teardown --all` makes it known again"
    )]
    Lost(PathBuf),
    /// Another writer holds the lock.
    #[error("state file {0} is being changed by another deploy or teardown: wait for it to end")]
    Locked(PathBuf),
    /// The system refused.
    #[error("state file {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The state file of a host.
#[derive(Debug, Clone)]
pub struct StateStore {
    path: PathBuf,
}

impl StateStore {
    /// The store whose state file is `path`. Nothing is touched yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The state file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is deployed; `None` if nothing is.
    pub fn load(&self) -> Result<Option<StateFile>, StateError> {
        let Some(state) = file::read_json::<StateFile>(&self.path)? else { return Ok(None) };
        if state.schema > STATE_SCHEMA {
            let reason = format!("schema {} is newer than this program's {STATE_SCHEMA}", state.schema);
            return Err(StateError::Unreadable { path: self.path.clone(), reason });
        }
        Ok(Some(state))
    }

    /// The same for whoever draws conclusions from an absent file: after an unreadable one was set aside, it says nothing.
    pub fn known(&self) -> Result<Option<StateFile>, StateError> {
        match self.load()? {
            None if self.is_lost() => Err(StateError::Lost(self.path.clone())),
            known => Ok(known),
        }
    }

    /// Whether an absent file says nothing.
    pub fn is_lost(&self) -> bool {
        // A marker that cannot be looked for is no proof of its absence.
        !matches!(self.lost_marker().try_exists(), Ok(false))
    }

    fn lost_marker(&self) -> PathBuf {
        self.path.with_extension("lost")
    }

    /// The plan of what is deployed; `None` if nothing is, or if the file is the original's, whose `compose_path` names
    /// something else.
    pub fn load_plan(&self) -> Result<Option<Plan>, StateError> {
        let Some(state) = self.load()?.filter(|s| s.generation > 0) else { return Ok(None) };
        let path = self.plan_path(&state);
        let Some(plan) = file::read_json::<Plan>(&path)? else { return Ok(None) };
        let reason = if plan.schema > PLAN_SCHEMA {
            format!("schema {} is newer than this program's {PLAN_SCHEMA}", plan.schema)
        } else if plan.generation != state.generation {
            format!("it is of generation {}, the state file of {}", plan.generation, state.generation)
        } else {
            return Ok(Some(plan));
        };
        Err(StateError::Unreadable { path, reason })
    }

    /// The plan of the highest generation beside the state file that can be read: what was deployed most likely, where
    /// the state file itself cannot tell.
    pub fn newest_plan(&self) -> Option<Plan> {
        file::plans(&self.path).into_iter().rev().find_map(|(generation, path)| {
            let plan = file::read_json::<Plan>(&path).ok()??;
            (plan.generation == generation && plan.schema <= PLAN_SCHEMA).then_some(plan)
        })
    }

    /// Takes the writers' lock; [`StateError::Locked`] if somebody else has it.
    pub fn lock(&self) -> Result<StateLock<'_>, StateError> {
        let path = self.path.with_extension("lock");
        let io_error = |source| StateError::Io { path: path.clone(), source };
        fs::create_dir_all(file::folder(&path)).map_err(io_error)?;
        let lock = File::options().write(true).create(true).truncate(false).open(&path).map_err(io_error)?;
        match lock.try_lock() {
            Ok(()) => Ok(StateLock { store: self, _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(StateError::Locked(self.path.clone())),
            Err(fs::TryLockError::Error(source)) => Err(io_error(source)),
        }
    }

    /// The plan file of `state`: a relative `compose_path` is beside the state file.
    fn plan_path(&self, state: &StateFile) -> PathBuf {
        file::folder(&self.path).join(&state.compose_path)
    }
}

/// The right to change the state file; given up when dropped.
#[derive(Debug)]
pub struct StateLock<'a> {
    store: &'a StateStore,
    _lock: File,
}

impl StateLock<'_> {
    /// The store that is locked.
    pub fn store(&self) -> &StateStore {
        self.store
    }

    /// Records `plan` as what is deployed. The plan file is written first, under a name of its own generation; replacing
    /// the state file is the moment at which both count.
    pub fn save(&self, plan: &Plan, written_at: DateTime<Utc>) -> Result<StateFile, StateError> {
        self.record(plan, plan.config(), written_at)
    }

    fn record(
        &self,
        plan: &Plan,
        config: DecnetConfig,
        written_at: DateTime<Utc>,
    ) -> Result<StateFile, StateError> {
        let path = &self.store.path;
        let plan_name = format!("{}-plan-{}.json", file::stem(path), plan.generation);
        let plan_path = file::folder(path).join(plan_name);
        file::write_json(&plan_path, plan, file::PRIVATE)?;
        let state = StateFile {
            schema: STATE_SCHEMA,
            generation: plan.generation,
            written_at: Some(written_at),
            config,
            compose_path: plan_path.clone(),
        };
        self.save_state(&state)?;
        file::remove_old_plans(path, &plan_path);
        Ok(state)
    }

    /// Writes the state file alone: for a changed record (`last_mutated`) under the same plan.
    pub fn save_state(&self, state: &StateFile) -> Result<(), StateError> {
        file::write_json(&self.store.path, state, file::SHARED)
    }

    /// Records that one decky is gone: the rest is saved as the next generation, and nothing left removes the files.
    /// `Ok(None)` afterwards means that nothing is deployed. An unknown name changes nothing.
    pub fn remove_decky(
        &self,
        name: &str,
        written_at: DateTime<Utc>,
    ) -> Result<Option<StateFile>, StateError> {
        let Some(mut state) = self.store.load()? else { return Ok(None) };
        if state.decky(name).is_none() {
            return Ok(Some(state));
        }
        state.config.deckies.retain(|d| d.name.as_str() != name);
        if state.config.deckies.is_empty() {
            self.clear()?;
            return Ok(None);
        }
        if let Some(mut plan) = self.store.load_plan()? {
            plan.remove(name);
            plan.generation += 1;
            // The state's records, not the plan's: they may carry later facts such as `last_mutated`.
            return self.record(&plan, state.config, written_at).map(Some);
        }
        state.generation += 1;
        state.written_at = Some(written_at);
        self.save_state(&state)?;
        Ok(Some(state))
    }

    /// Records that nothing is deployed: removes the state file, then the plan files.
    pub fn clear(&self) -> Result<(), StateError> {
        let path = &self.store.path;
        file::remove(path)?;
        file::remove_old_plans(path, Path::new(""));
        Ok(())
    }

    /// Says that from now on an absent state file says nothing, or that it says again that nothing is deployed.
    pub fn set_lost(&self, lost: bool) -> Result<(), StateError> {
        let marker = self.store.lost_marker();
        if lost {
            file::write_json(&marker, &serde_json::json!({"lost": true}), file::SHARED)
        } else {
            file::remove(&marker)
        }
    }

    /// Moves an unreadable state file out of the way and returns where it is now; `None` if there is none.
    pub fn set_aside(&self, now: DateTime<Utc>) -> Result<Option<PathBuf>, StateError> {
        file::set_aside(&self.store.path, now)
    }
}
