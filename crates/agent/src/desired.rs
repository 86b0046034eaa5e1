//! What should run on this host: the state file, and what to do when it cannot be read.
//!
//! An unreadable file means that we do not know, which is never a reason to delete anything. It is kept aside; if the
//! plan file beside it is whole, the state is made again from that, else "unknown" is remembered until the next deploy.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use decnet_core::{Clock, DeckyName};
use decnet_fleet::{Plan, StateError, StateFile, StateStore, plan::PLAN_SCHEMA, state::StateLock};

/// How long another writer of the state file may take.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// What should run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Deployed {
    /// This, or nothing.
    Known(Option<Box<StateFile>>),
    /// The record is lost.
    Unknown,
}

/// The record of what should run.
pub(crate) struct Desired {
    store: StateStore,
    /// Its presence means that an absent state file says nothing.
    unknown: PathBuf,
    clock: Arc<dyn Clock>,
}

impl Desired {
    /// Opens the record. A file that cannot be read is set aside.
    pub(crate) fn open(state_file: &Path, own: &Path, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        fs::create_dir_all(own)?;
        let desired = Self { store: StateStore::new(state_file), unknown: own.join("state-unknown"), clock };
        if let Err(error @ StateError::Unreadable { .. }) = desired.store.load() {
            tracing::error!(%error, "the state file cannot be read: nothing is stopped or deleted");
            desired.set_aside(&desired.store.lock()?)?;
        }
        Ok(desired)
    }

    /// What should run.
    pub(crate) fn read(&self) -> Deployed {
        match self.store.load() {
            Ok(None) if self.unknown.exists() => Deployed::Unknown,
            Ok(state) => Deployed::Known(state.map(Box::new)),
            Err(error) => {
                tracing::error!(%error, "the state file cannot be read");
                Deployed::Unknown
            }
        }
    }

    /// The plan of what should run, if it is known.
    pub(crate) fn plan(&self) -> Option<Plan> {
        self.store.load_plan().unwrap_or_else(|error| {
            tracing::error!(%error, "the plan of what is deployed cannot be read");
            None
        })
    }

    /// Records `plan` as what should run.
    pub(crate) async fn save(&self, plan: &Plan) -> anyhow::Result<()> {
        let lock = self.lock().await?;
        if self.store.load().is_err() {
            self.set_aside(&lock)?;
        }
        lock.save(plan, self.clock.now())?;
        self.is_known_again()
    }

    /// Records that one decky shall not run any more.
    pub(crate) async fn remove(&self, name: &DeckyName) -> anyhow::Result<()> {
        if self.read() != Deployed::Unknown {
            self.lock().await?.remove_decky(name.as_str(), self.clock.now())?;
        }
        Ok(())
    }

    /// Records that nothing shall run.
    pub(crate) async fn clear(&self) -> anyhow::Result<()> {
        let lock = self.lock().await?;
        if self.store.load().is_err() {
            lock.set_aside(self.clock.now())?;
        }
        lock.clear()?;
        self.is_known_again()
    }

    fn is_known_again(&self) -> anyhow::Result<()> {
        match fs::remove_file(&self.unknown) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn lock(&self) -> Result<StateLock<'_>, StateError> {
        let deadline = tokio::time::Instant::now() + LOCK_PATIENCE;
        loop {
            match self.store.lock() {
                Err(StateError::Locked(_)) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Keeps the unreadable file, and makes the state again from the newest whole plan file.
    fn set_aside(&self, lock: &StateLock<'_>) -> anyhow::Result<()> {
        // First of all: from here on an absent file says nothing.
        fs::write(&self.unknown, b"the state file could not be read; see the agent's log\n")?;
        if let Some(aside) = lock.set_aside(self.clock.now())? {
            tracing::error!(path = %aside.display(), "the unreadable state file is kept here");
        }
        if let Some(plan) = newest_plan(self.store.path()) {
            lock.save(&plan, self.clock.now())?;
            self.is_known_again()?;
            tracing::warn!(generation = plan.generation, "the state file was made again from its plan file");
        } else {
            tracing::error!(
                "what should run is unknown: what runs goes on; `decnet deploy` or `decnet teardown --all` makes it known again"
            );
        }
        Ok(())
    }
}

/// The plan of the highest generation beside the state file that can be read.
fn newest_plan(state_file: &Path) -> Option<Plan> {
    let stem = state_file.file_stem()?.to_str()?;
    let mut found: Vec<(u64, PathBuf)> = fs::read_dir(state_file.parent()?)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix(stem)?.strip_prefix("-plan-")?.strip_suffix(".json")?;
            Some((number.parse().ok()?, entry.path()))
        })
        .collect();
    found.sort();
    found.into_iter().rev().find_map(|(generation, path)| {
        let plan: Plan = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (plan.generation == generation && plan.schema <= PLAN_SCHEMA).then_some(plan)
    })
}
