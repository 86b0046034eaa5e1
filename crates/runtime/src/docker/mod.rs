//! Deckies as containers: each with its own hardware address, address, host name and network stack on the LAN.
//!
//! A decky is a *front* (the decoy, which serves everything and owns the evidence) and, where it offers a login, a *shell* (a
//! whole distribution that the intruder lands in), which shares the front's network and nothing else. The front appends its
//! lines to a file in a folder of the host, so outputs are what they are under the process runtime. Both are watched from the
//! host: what leaves the network, and what is left in the shell. See `docs/adr/0007` and `0008`.
//!
//! `<folder>/<decky>/` holds what the host knows of a decky; captured files are in the artifact folder and stay after a
//! teardown; `<folder>/.removed/<source>/` holds the outputs of a removed decky until they are shipped.
//!
//! Everything of ours is found by label. What other fleets and the owner run on the same engine is never touched.

mod archive;
mod container;
mod decky;
mod deploy;
mod engine;
mod events;
mod files;
mod identity;
mod images;
mod labels;
mod network;
mod open;
mod paths;
mod prepare;
mod probe;
mod release;
mod resolver;
mod shell;
mod static_file;
mod status;
mod tend;
mod tiny;
mod undress;
mod watchers;

use std::{
    collections::BTreeMap,
    fs::File,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use decnet_core::{Clock, DeckyName, HostId, IdSource};
use decnet_fleet::{DeckyPlan, Plan, RuntimeKind};
use tokio::sync::watch;

use self::{
    decky::{Decky, Host},
    paths::removed,
};
use crate::{
    DeckyStatus, Deployed, FileRead, FileSpec, HostAbilities, HostRuntime, OutputRef, OutputStream, Placed,
    PortChooser, Position, Probe, RuntimeError, Tidy, TidyOutcome, error::blocking, output::Output,
};

/// What a [`DockerRuntime`] is made of.
pub struct DockerOptions {
    /// Folder of the deckies' files.
    pub folder: PathBuf,
    /// Folder of captured files.
    pub artifacts: PathBuf,
    /// Folder of root file systems for shells, `<distribution>.tar`.
    pub images: PathBuf,
    /// Whether images may be pulled from a registry.
    pub pull: bool,
    /// The decoy, a static program.
    pub decoy: PathBuf,
    /// This host.
    pub host: HostId,
    /// The fleet's tag: what tells its containers from another fleet's.
    pub fleet: String,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids of outputs.
    pub ids: Arc<dyn IdSource>,
    /// The engine's socket, if it is not where it usually is.
    pub socket: Option<PathBuf>,
}

/// The version of the engine that answers at `socket` (or where engines usually listen), if one does soon.
pub async fn engine_answers(socket: Option<PathBuf>) -> Option<String> {
    engine::Engine::new(socket).version().await
}

/// What the runtime and its tasks share.
struct Shared {
    host: Arc<Host>,
    deckies: Mutex<BTreeMap<DeckyName, Arc<Decky>>>,
    /// Outputs of removed deckies, by source.
    ended: Mutex<BTreeMap<Arc<str>, Arc<Output>>>,
}

/// The Docker runtime of one host.
pub struct DockerRuntime {
    shared: Arc<Shared>,
    /// Here and not with what is shared: a task that is about to end must not keep the next agent out.
    _lock: File,
}

impl Drop for DockerRuntime {
    /// Watching ends, deckies live on.
    fn drop(&mut self) {
        self.shared.host.detach.cancel();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeckyName, Arc<Decky>>> {
        self.deckies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_ended(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<Output>>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Decky>> {
        self.lock().values().cloned().collect()
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
        tokio::spawn(Arc::clone(&decky).keep());
        self.host.changed();
        Ok(decky)
    }

    /// Has one decky looked at.
    fn look_at(&self, name: &DeckyName) {
        if let Some(decky) = self.lock().get(name) {
            decky.attention.notify_one();
        }
    }

    /// Has every decky looked at.
    fn look_at_all(&self) {
        self.lock().values().for_each(|decky| decky.attention.notify_one());
    }

    async fn remove(&self, name: &DeckyName) -> Result<bool, RuntimeError> {
        let known = self.find(name);
        let decky = if let Ok(decky) = known {
            decky
        } else {
            // Containers of a decky that nobody here knows: an orphan, which a teardown removes as well.
            if labels::list_of(&self.host, name).await?.is_empty() {
                return Ok(false);
            }
            self.find_or_make(name)?
        };
        let removed = decky.remove().await.map_err(|error| error.of(name))?;
        if removed {
            self.lock_ended()
                .extend(decky.outputs().into_iter().map(|output| (Arc::clone(&output.source), output)));
            self.lock().remove(name);
            self.host.changed();
        }
        Ok(removed)
    }

    fn output(&self, output: &OutputRef) -> Result<Arc<Output>, RuntimeError> {
        let living = self.lock().get(&output.decky).map(|decky| decky.outputs());
        living
            .into_iter()
            .flatten()
            .find(|living| living.source == output.source)
            .or_else(|| self.lock_ended().get(&output.source).cloned())
            .ok_or_else(|| RuntimeError::UnknownOutput(output.source.to_string()))
    }
}

#[async_trait]
impl HostRuntime for DockerRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    async fn abilities(&self) -> HostAbilities {
        self.shared.abilities().await
    }

    async fn survey(
        &self,
        interface: Option<&str>,
        addresses: &[IpAddr],
    ) -> Result<BTreeMap<IpAddr, String>, RuntimeError> {
        self.shared.survey(interface, addresses).await
    }

    async fn prepare(&self, plan: &Plan) -> Result<(), RuntimeError> {
        self.shared.prepare(plan).await
    }

    async fn settle(&self, plan: Option<&Plan>) -> Result<(), RuntimeError> {
        self.shared.settle(plan).await
    }

    async fn deploy(&self, plan: &DeckyPlan) -> Result<Deployed, RuntimeError> {
        loop {
            let decky = self.shared.find_or_make(plan.name()).map_err(|error| error.of(plan.name()))?;
            let outcome = decky.deploy(plan).await;
            self.shared.host.changed();
            if let Some(deployed) = outcome? {
                return Ok(deployed);
            }
            // It was removed while we waited. Whoever removed it takes it out of the map in a moment.
            tokio::task::yield_now().await;
        }
    }

    async fn remove(&self, name: &DeckyName) -> Result<bool, RuntimeError> {
        self.shared.remove(name).await
    }

    async fn inspect(&self) -> Result<Vec<DeckyStatus>, RuntimeError> {
        let host = &self.shared.host;
        let seen = labels::list(&host.engine, &host.ours, None).await?;
        let known = self.shared.lock().clone();
        let now = host.clock.now();
        blocking(move || Ok(status::all(&known, &seen, now))).await
    }

    async fn put_files(&self, name: &DeckyName, files: &[FileSpec]) -> Result<Placed, RuntimeError> {
        self.shared.find(name)?.put_files(files).await
    }

    async fn tidy_files(&self, name: &DeckyName, steps: &[Tidy]) -> Result<TidyOutcome, RuntimeError> {
        self.shared.find(name)?.tidy_files(steps).await
    }

    async fn read_file(
        &self,
        name: &DeckyName,
        path: &str,
        max: u64,
    ) -> Result<Option<FileRead>, RuntimeError> {
        self.shared.find(name)?.read_file(path, max).await
    }

    async fn probe(
        &self,
        from: &DeckyName,
        to: SocketAddr,
        protocol: Option<&str>,
        ports: PortChooser<'_>,
    ) -> Result<Probe, RuntimeError> {
        self.shared.find(from)?.probe(to, protocol, ports).await
    }

    async fn outputs(&self) -> Result<Vec<OutputRef>, RuntimeError> {
        let mut outputs: Vec<Arc<Output>> = self.shared.lock().values().flat_map(|d| d.outputs()).collect();
        outputs.extend(self.shared.lock_ended().values().cloned());
        Ok(outputs.iter().map(|output| output.reference()).collect())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.shared.host.changes.subscribe()
    }

    async fn follow(&self, output: &OutputRef, from: Option<Position>) -> Result<OutputStream, RuntimeError> {
        Ok(self.shared.output(output)?.stream(from))
    }

    async fn release(&self, output: &OutputRef, upto: Position) -> Result<(), RuntimeError> {
        let output = self.shared.output(output)?;
        blocking(move || output.release(upto)).await
    }

    async fn discard(&self, output: &OutputRef) -> Result<(), RuntimeError> {
        let Some(known) = self.shared.lock_ended().get(&output.source).cloned() else { return Ok(()) };
        let base = removed(&self.shared.host.base);
        blocking(move || known.delete(&base)).await?;
        self.shared.lock_ended().remove(&output.source);
        self.shared.host.changed();
        Ok(())
    }
}
