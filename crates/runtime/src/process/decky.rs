//! One decky of the process runtime: its files, and what is to run of it. `supervise.rs` keeps it running.
//!
//! Deploy and remove of one decky exclude each other. What is to run stands in `deployment.json`, so that an agent that
//! starts after a crash (or a reboot) goes on from there.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use decnet_core::{Clock, DeckyName, IdSource};
use decnet_fleet::{DeckyPlan, DecoyPlacement};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    baseline,
    folder::{self, Folder, delete},
    ports, read_record,
    root::Root,
    supervise::Supervisor,
    write_record,
};
use crate::{
    Deployed, RuntimeError,
    error::{blocking, io_error},
    output::{Files, Output, Watcher},
};

/// What all deckies of a runtime share.
pub(super) struct Host {
    /// Canonical folder of the deckies.
    pub(super) base: PathBuf,
    pub(super) artifacts: PathBuf,
    pub(super) decoy: PathBuf,
    pub(super) port_offset: u16,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) watcher: Option<Watcher>,
    pub(super) changes: watch::Sender<u64>,
    /// Cancelled when the runtime goes: supervision ends and decoys live on.
    pub(super) detach: CancellationToken,
}

impl Host {
    /// Something that others look at is different now.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

/// What is to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Deployment {
    pub(super) plan: DeckyPlan,
    pub(super) port_base: u16,
    pub(super) placed_at: DateTime<Utc>,
}

impl Deployment {
    /// Where each service can be reached.
    pub(super) fn addresses(
        &self,
    ) -> impl Iterator<Item = (&decnet_fleet::plan::ServicePlan, Vec<SocketAddr>)> {
        self.plan.services.iter().map(|service| {
            let shifted = service.ports.iter().map(|port| port.number.saturating_add(self.port_base));
            (service, shifted.map(|number| SocketAddr::new(self.plan.ip(), number)).collect())
        })
    }
}

/// What is known of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was started.
    Idle,
    /// It runs.
    Up {
        /// Since when this agent knows it.
        since: Instant,
    },
    /// It has ended and will be started again.
    Down,
}

/// What the supervisor last saw.
pub(super) struct Live {
    pub(super) deployment: Option<Arc<Deployment>>,
    pub(super) phase: Phase,
    pub(super) last_error: Option<String>,
    pub(super) hopeless: bool,
    pub(super) supervisor: Option<Supervisor>,
    removed: bool,
}

/// One decky.
pub(super) struct Decky {
    pub(super) name: DeckyName,
    pub(super) folder: Folder,
    /// Which root it has.
    pub(super) incarnation: String,
    pub(super) output: Arc<Output>,
    pub(super) host: Arc<Host>,
    ops: tokio::sync::Mutex<()>,
    live: Mutex<Live>,
}

impl Decky {
    /// The decky of this name as its folder has it. The folder is made if need be; nothing is started. Blocks.
    pub(super) fn load(host: &Arc<Host>, name: &DeckyName) -> Result<Self, RuntimeError> {
        let folder = Folder::of(&host.base, name);
        folder.make()?;
        let incarnation = if let Some(incarnation) = read_record::<String>(&folder.incarnation())? {
            incarnation
        } else {
            let made = host.ids.next_id().simple().to_string();
            write_record(&folder.incarnation(), &made)?;
            made
        };
        let output = Output::open(folder.path(), name, &*host.ids, host.watcher.as_ref())?;
        let deployment = read_record::<Deployment>(&folder.deployment())?.map(Arc::new);
        let live = Live {
            deployment,
            phase: Phase::Idle,
            last_error: None,
            hopeless: false,
            supervisor: None,
            removed: false,
        };
        Ok(Self {
            name: name.clone(),
            folder,
            incarnation,
            output: Arc::new(output),
            host: Arc::clone(host),
            ops: tokio::sync::Mutex::default(),
            live: Mutex::new(live),
        })
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its removal was begun by an agent that did not live to end it.
    pub(super) fn is_being_removed(&self) -> bool {
        self.folder.removing().exists()
    }

    /// Goes on with what its folder says: takes over the decoy that lives, or starts it.
    pub(super) async fn resume(self: &Arc<Self>) -> Result<(), RuntimeError> {
        let _one = self.ops.lock().await;
        if self.live().deployment.is_some() { self.supervise(true) } else { Ok(()) }
    }

    /// Brings it to `plan`. `None` if it was removed meanwhile: look it up again.
    pub(super) async fn deploy(self: &Arc<Self>, plan: &DeckyPlan) -> Result<Option<Deployed>, RuntimeError> {
        let _one = self.ops.lock().await;
        if self.live().removed {
            return Ok(None);
        }
        let running = self.live().deployment.clone();
        if let Some(running) = running.filter(|running| running.plan.plan_hash == plan.plan_hash) {
            let port_base = running.port_base;
            let started = self.live().supervisor.as_ref().is_none_or(Supervisor::is_over);
            if started {
                self.supervise(true)?;
            }
            return Ok(Some(Deployed { started, port_base }));
        }
        self.halt().await?;
        let decky = Arc::clone(self);
        let plan = plan.clone();
        let deployment = match blocking(move || decky.place(plan)).await {
            Ok(deployment) => deployment,
            Err(error) => {
                self.live().last_error = Some(error.to_string());
                return Err(error);
            }
        };
        let port_base = deployment.port_base;
        self.live().deployment = Some(Arc::new(deployment));
        self.supervise(false)?;
        Ok(Some(Deployed { started: true, port_base }))
    }

    /// Runs file work that excludes other file work, deploy and remove. Fails if it was removed meanwhile.
    pub(super) async fn with_files<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Folder) -> Result<T, RuntimeError> + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let _one = self.ops.lock().await;
        if self.live().removed {
            return Err(RuntimeError::UnknownDecky(self.name.clone()));
        }
        let folder = self.folder.clone();
        blocking(move || work(&folder)).await
    }

    /// Writes down what is to run.
    fn place(&self, plan: DeckyPlan) -> Result<Deployment, RuntimeError> {
        self.folder.make()?;
        let port_base = ports::choose(&plan, self.host.port_offset)?;
        let artifacts = self.host.artifacts.join(self.name.as_str());
        folder::make_evidence(&artifacts)?;
        let placement = DecoyPlacement {
            bind: Vec::new(),
            port_base,
            artifacts: Some(artifacts),
            root: Some(self.folder.root()),
            shell: false,
        };
        let root = Root::open(&self.folder)?;
        for file in baseline::files(&plan, self.host.clock.now()) {
            // An unchanged file keeps its age.
            if root.read(&file.path, 1 << 20)?.is_none_or(|there| there.content != file.content) {
                root.put(std::slice::from_ref(&file))?;
            }
        }
        write_record(&self.folder.config(), &plan.decoy_config(&placement))?;
        let deployment = Deployment { plan, port_base, placed_at: self.host.clock.now() };
        write_record(&self.folder.deployment(), &deployment)?;
        Ok(deployment)
    }

    /// Ends its decoy, deletes its files, and moves its output to `kept`. False if it was removed already.
    pub(super) async fn remove(self: &Arc<Self>, kept: PathBuf) -> Result<bool, RuntimeError> {
        let _one = self.ops.lock().await;
        if self.live().removed {
            return Ok(false);
        }
        // From here on a crash does not bring it back: the next agent ends what this one began.
        write_record(&self.folder.removing(), &self.host.clock.now())?;
        self.halt().await?;
        let decky = Arc::clone(self);
        blocking(move || {
            if let Some(parent) = kept.parent() {
                folder::make(parent)?;
            }
            std::fs::rename(decky.folder.path(), &kept).map_err(io_error("move", decky.folder.path()))?;
            decky.output.end_in(Files::within(&kept));
            clear_all_but_output(&kept)
        })
        .await?;
        self.live().removed = true;
        Ok(true)
    }
}

/// Deletes what an output does not need. Blocks.
pub(super) fn clear_all_but_output(folder: &std::path::Path) -> Result<(), RuntimeError> {
    let entries = std::fs::read_dir(folder).map_err(io_error("list", folder))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name != crate::output::LINES && name != crate::output::ABOUT {
            delete(&entry.path())?;
        }
    }
    Ok(())
}
