//! Deckies as child processes on loopback addresses: no container engine and no root.
//!
//! `<folder>/<decky>/` holds everything of a decky but the files that its decoy captured (those are evidence and stay
//! in the artifact folder after a teardown); `<folder>/.removed/<source>/` holds the output of a removed one until it is
//! shipped. Decoys run as the agent's user and see the host's file system: this runtime offers no shell, and is for
//! machines without an engine, tests and demonstrations.

mod baseline;
mod decky;
mod folder;
mod launch;
mod listening;
mod mark;
mod open;
mod ports;
mod record;
mod root;
mod run;
mod status;
mod supervise;

use std::{
    collections::BTreeMap,
    fs::File,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use decnet_core::{Clock, DeckyName, IdSource};
use decnet_fleet::{DeckyPlan, RuntimeKind};
use tokio::sync::watch;

pub(crate) use self::{
    baseline::installed,
    folder::{claim, delete as delete_path, make as make_folder, make_evidence},
    record::{read_record, write_record},
};
use self::{
    decky::{Decky, Host},
    folder::removed,
    listening::Listening,
    root::Root,
    run::run,
};
use crate::{
    DeckyStatus, Deployed, FileRead, FileSpec, HostRuntime, OutputRef, OutputStream, Placed, PortChooser,
    Position, Probe, RuntimeError, Tidy, TidyOutcome,
    error::{blocking, io_error},
    output::Output,
    talk::Talk,
};

/// What is added to standard ports that cannot be bound, unless the operator says otherwise: ssh at 20022.
pub const DEFAULT_PORT_OFFSET: u16 = 20_000;

/// What a [`ProcessRuntime`] is made of.
pub struct ProcessOptions {
    /// Folder of the deckies' files.
    pub folder: PathBuf,
    /// Folder of captured files.
    pub artifacts: PathBuf,
    /// The decoy binary.
    pub decoy: PathBuf,
    /// Added to standard ports that cannot be bound.
    pub port_offset: u16,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids of outputs.
    pub ids: Arc<dyn IdSource>,
}

/// The process runtime of one host.
pub struct ProcessRuntime {
    host: Arc<Host>,
    deckies: Mutex<BTreeMap<DeckyName, Arc<Decky>>>,
    /// Outputs of removed deckies, by source.
    ended: Mutex<BTreeMap<Arc<str>, Arc<Output>>>,
    _lock: File,
}

impl Drop for ProcessRuntime {
    /// Supervision ends, decoys live on.
    fn drop(&mut self) {
        self.host.detach.cancel();
    }
}

impl ProcessRuntime {
    /// Ends supervision and lets decoys live on, for the next agent to take over.
    pub fn detach(self) {
        drop(self);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeckyName, Arc<Decky>>> {
        self.deckies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_ended(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<Output>>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &DeckyName) -> Result<Arc<Decky>, RuntimeError> {
        self.lock().get(name).cloned().ok_or_else(|| RuntimeError::UnknownDecky(name.clone()))
    }

    /// The decky of this name, made if there is none.
    fn find_or_make(&self, name: &DeckyName) -> Result<Arc<Decky>, RuntimeError> {
        let mut deckies = self.lock();
        if let Some(decky) = deckies.get(name) {
            return Ok(Arc::clone(decky));
        }
        let decky = Arc::new(Decky::load(&self.host, name)?);
        deckies.insert(name.clone(), Arc::clone(&decky));
        drop(deckies);
        self.changed();
        Ok(decky)
    }

    fn changed(&self) {
        self.host.changed();
    }

    fn output(&self, output: &OutputRef) -> Result<Arc<Output>, RuntimeError> {
        let living = self.lock().get(&output.decky).map(|decky| Arc::clone(&decky.output));
        living
            .filter(|living| living.source == output.source)
            .or_else(|| self.lock_ended().get(&output.source).cloned())
            .ok_or_else(|| RuntimeError::UnknownOutput(output.source.to_string()))
    }

    /// Where a standard port of a decky of this host really is.
    fn really_at(&self, to: SocketAddr) -> SocketAddr {
        let deckies: Vec<Arc<Decky>> = self.lock().values().cloned().collect();
        let shifted = deckies.iter().find_map(|decky| {
            let deployment = decky.live().deployment.clone().filter(|d| d.plan.ip() == to.ip())?;
            let serves =
                deployment.plan.services.iter().flat_map(|s| &s.ports).any(|port| port.number == to.port());
            serves.then(|| SocketAddr::new(to.ip(), to.port().saturating_add(deployment.port_base)))
        });
        shifted.unwrap_or(to)
    }
}

#[async_trait]
impl HostRuntime for ProcessRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Process
    }

    async fn deploy(&self, plan: &DeckyPlan) -> Result<Deployed, RuntimeError> {
        if let Some(custom) = plan.services.iter().find(|service| service.custom) {
            let what = format!("runs no images, and service {} is one", custom.slug);
            return Err(RuntimeError::Unsupported { decky: plan.name().clone(), what });
        }
        if !plan.ip().is_loopback() {
            let what = format!("serves on loopback addresses only, and {} is none", plan.ip());
            return Err(RuntimeError::Unsupported { decky: plan.name().clone(), what });
        }
        loop {
            let decky = self.find_or_make(plan.name())?;
            if let Some(deployed) = decky.deploy(plan).await? {
                return Ok(deployed);
            }
            // It was removed while we waited. Whoever removed it takes it out of the map in a moment.
            tokio::task::yield_now().await;
        }
    }

    async fn remove(&self, name: &DeckyName) -> Result<bool, RuntimeError> {
        let Ok(decky) = self.find(name) else { return Ok(false) };
        let kept = removed(&self.host.base).join(&*decky.output.source);
        let removed = decky.remove(kept).await?;
        if removed {
            self.lock_ended().insert(Arc::clone(&decky.output.source), Arc::clone(&decky.output));
            self.lock().remove(name);
            self.changed();
        }
        Ok(removed)
    }

    async fn inspect(&self) -> Result<Vec<DeckyStatus>, RuntimeError> {
        let deckies: Vec<Arc<Decky>> = self.lock().values().cloned().collect();
        let now = self.host.clock.now();
        blocking(move || {
            let listening = Listening::now().map_err(io_error("read", "/proc/net"))?;
            Ok(deckies.iter().map(|decky| status::of(decky, &listening, now)).collect())
        })
        .await
    }

    async fn put_files(&self, name: &DeckyName, files: &[FileSpec]) -> Result<Placed, RuntimeError> {
        let decky = self.find(name)?;
        let files = files.to_vec();
        decky.with_files(move |folder| Root::open(folder)?.put(&files)).await
    }

    async fn tidy_files(&self, name: &DeckyName, steps: &[Tidy]) -> Result<TidyOutcome, RuntimeError> {
        let decky = self.find(name)?;
        let steps = steps.to_vec();
        decky.with_files(move |folder| Root::open(folder)?.tidy(&steps)).await
    }

    async fn read_file(
        &self,
        name: &DeckyName,
        path: &str,
        max: u64,
    ) -> Result<Option<FileRead>, RuntimeError> {
        let folder = self.find(name)?.folder.clone();
        let path = path.to_owned();
        blocking(move || Root::open(&folder)?.read(&path, max)).await
    }

    async fn probe(
        &self,
        from: &DeckyName,
        to: SocketAddr,
        protocol: Option<&str>,
        ports: PortChooser<'_>,
    ) -> Result<Probe, RuntimeError> {
        let deployment = self.find(from)?.live().deployment.clone();
        let deployment = deployment.ok_or_else(|| RuntimeError::UnknownDecky(from.clone()))?;
        let to = self.really_at(to);
        let program = self.host.decoy.clone();
        Talk { plan: &deployment.plan, to, protocol }
            .hold(ports, |words| Box::pin(run(program.clone(), words)))
            .await
    }

    async fn outputs(&self) -> Result<Vec<OutputRef>, RuntimeError> {
        let mut outputs: Vec<Arc<Output>> =
            self.lock().values().map(|decky| Arc::clone(&decky.output)).collect();
        outputs.extend(self.lock_ended().values().cloned());
        Ok(outputs.iter().map(|output| output.reference()).collect())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.host.changes.subscribe()
    }

    async fn follow(&self, output: &OutputRef, from: Option<Position>) -> Result<OutputStream, RuntimeError> {
        Ok(self.output(output)?.stream(from))
    }

    async fn release(&self, output: &OutputRef, upto: Position) -> Result<(), RuntimeError> {
        let output = self.output(output)?;
        blocking(move || output.release(upto)).await
    }

    async fn discard(&self, output: &OutputRef) -> Result<(), RuntimeError> {
        let Some(known) = self.lock_ended().get(&output.source).cloned() else { return Ok(()) };
        let base = removed(&self.host.base);
        blocking(move || known.delete(&base)).await?;
        self.lock_ended().remove(&output.source);
        self.changed();
        Ok(())
    }
}
