//! What should run on this host: the state file, and what to do when it cannot be read.
//!
//! An unreadable file means that we do not know, which is never a reason to delete anything. It is kept aside; if the
//! plan file beside it is whole, the state is made again from that, else "unknown" is remembered until the next deploy.

use std::{path::Path, sync::Arc, time::Duration};

use decnet_core::{Clock, DeckyName};
use decnet_fleet::{Plan, StateError, StateFile, StateStore, reconcile::Wanted, state::StateLock};

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

impl Deployed {
    /// The same, as a comparison takes it.
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        match self {
            Self::Known(state) => Wanted::Known(state.as_deref()),
            Self::Unknown => Wanted::Unknown,
        }
    }

    /// Whether this decky should run.
    pub(crate) fn has(&self, name: &DeckyName) -> bool {
        matches!(self, Self::Known(Some(state)) if state.decky(name.as_str()).is_some())
    }
}

/// The record of what should run.
pub(crate) struct Desired {
    store: StateStore,
    clock: Arc<dyn Clock>,
}

impl Desired {
    /// Opens the record. A file that cannot be read is set aside.
    pub(crate) fn open(state_file: &Path, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let desired = Self { store: StateStore::new(state_file), clock };
        if let Err(error @ StateError::Unreadable { .. }) = desired.store.load() {
            tracing::error!(%error, "the state file cannot be read: nothing is stopped or deleted");
            desired.set_aside(&desired.store.lock()?)?;
        }
        Ok(desired)
    }

    /// What should run.
    pub(crate) fn read(&self) -> Deployed {
        match self.store.known() {
            Ok(state) => Deployed::Known(state.map(Box::new)),
            // Told when it was set aside.
            Err(StateError::Lost(_)) => Deployed::Unknown,
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
        Ok(lock.set_lost(false)?)
    }

    /// Records that one decky shall not run any more.
    pub(crate) async fn remove(&self, name: &DeckyName) -> anyhow::Result<()> {
        let lock = self.lock().await?;
        // Else the next start would make the state again from a plan that still has the decky.
        if self.store.load().is_err() {
            self.set_aside(&lock)?;
        }
        lock.remove_decky(name.as_str(), self.clock.now())?;
        Ok(())
    }

    /// Records that nothing shall run.
    pub(crate) async fn clear(&self) -> anyhow::Result<()> {
        let lock = self.lock().await?;
        if self.store.load().is_err() {
            lock.set_aside(self.clock.now())?;
        }
        lock.clear()?;
        Ok(lock.set_lost(false)?)
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
        lock.set_lost(true)?;
        if let Some(aside) = lock.set_aside(self.clock.now())? {
            tracing::error!(path = %aside.display(), "the unreadable state file is kept here");
        }
        if let Some(plan) = self.store.newest_plan() {
            lock.save(&plan, self.clock.now())?;
            lock.set_lost(false)?;
            tracing::warn!(generation = plan.generation, "the state file was made again from its plan file");
        } else {
            tracing::error!(
                "what should run is unknown: what runs goes on; `decnet deploy` or `decnet teardown --all` makes it known again"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, fs};

    use decnet_core::{FleetSecret, HostId, SystemClock};
    use decnet_fleet::{FlagOptions, PlanRequest, RuntimeKind, from_flags, plan};

    use super::*;

    fn two_deckies() -> Plan {
        let options =
            FlagOptions { deckies: 2, services: vec!["redis".to_owned()], ..FlagOptions::default() };
        plan(&PlanRequest {
            spec: &from_flags(&options).unwrap(),
            secret: &FleetSecret::from_number(1),
            runtime: RuntimeKind::Process,
            generation: 1,
            host: &HostId::default(),
            detected: None,
            used: &HashSet::new(),
            previous: None,
            shells: None,
        })
        .unwrap()
    }

    #[tokio::test]
    async fn a_decky_removed_beside_a_torn_state_file_does_not_come_back_with_the_next_agent() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        let open = || Desired::open(&file, Arc::new(SystemClock)).unwrap();
        let desired = open();
        desired.save(&two_deckies()).await.unwrap();
        fs::write(&file, b"{ torn").unwrap();
        desired.remove(&"decky-01".parse().unwrap()).await.unwrap();
        for desired in [desired, open()] {
            let Deployed::Known(Some(state)) = desired.read() else { panic!("the state is lost") };
            let names: Vec<_> = state.config.deckies.iter().map(|d| d.name.as_str()).collect();
            assert_eq!(names, ["decky-02"]);
        }
        let aside = fs::read_dir(folder.path()).unwrap().flatten();
        assert!(aside.into_iter().any(|e| fs::read(e.path()).is_ok_and(|text| text == b"{ torn")));
    }
}
