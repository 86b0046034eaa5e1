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
use decnet_fleet::{Plan, StateError, StateFile, StateStore, state::StateLock};

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
        if let Some(plan) = self.store.newest_plan() {
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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
        let (file, own) = (folder.path().join("state.json"), folder.path().join("agent"));
        let open = || Desired::open(&file, &own, Arc::new(SystemClock)).unwrap();
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
