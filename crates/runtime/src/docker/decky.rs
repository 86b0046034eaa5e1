//! One decky of the Docker runtime: its files, what is to run of it, and what watches over it. How it is brought up is
//! `deploy.rs`, and how it is kept up `tend.rs`.
//!
//! Deploy, remove, file work and tending of one decky exclude each other. What is to run stands in `deployment.json`, so that
//! an agent that starts after a crash knows what to look after.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use decnet_core::{Clock, DeckyName, IdSource};
use decnet_fleet::{DeckyPlan, plan::ContainerRole};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    engine::Engine,
    identity::Facts,
    images::Images,
    labels::{Ours, list_of},
    paths::{Paths, removed},
    watchers::Watchers,
};
use crate::{
    RuntimeError,
    capture::Capture,
    error::{blocking, io_error},
    output::{HostLines, Output, Watcher},
    process::{delete_path, make_folder, read_record, write_record},
};

/// What all deckies of a runtime share.
pub(super) struct Host {
    /// Canonical folder of the deckies.
    pub(super) base: PathBuf,
    pub(super) artifacts: PathBuf,
    pub(super) engine: Arc<Engine>,
    pub(super) images: Images,
    pub(super) ours: Ours,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) watcher: Option<Watcher>,
    pub(super) changes: watch::Sender<u64>,
    /// Cancelled when the runtime goes: watching ends and deckies live on.
    pub(super) detach: CancellationToken,
    /// Addresses that deckies of this fleet may talk to: each other.
    pub(super) fleet: Mutex<BTreeSet<Ipv4Addr>>,
    pub(super) capture: Capture,
    /// Deckies looked after at once: an engine that comes back must not meet all of them.
    pub(super) tending: Semaphore,
    /// What is known of each shell image, so that its accounts are read once.
    pub(super) facts: tokio::sync::Mutex<std::collections::HashMap<String, Arc<Facts>>>,
}

impl Host {
    /// Something that others look at is different now.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Folder of the files that are captured of a decky.
    pub(super) fn artifacts_of(&self, decky: &DeckyName) -> PathBuf {
        self.artifacts.join(decky.as_str())
    }
}

/// What is to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Deployment {
    pub(super) plan: DeckyPlan,
    pub(super) placed_at: DateTime<Utc>,
}

/// When a container beside the front may be started again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Patience {
    pub(super) last: Option<Instant>,
    pub(super) pause: Duration,
}

/// What is known of a decky at the moment.
pub(super) struct Live {
    pub(super) deployment: Option<Arc<Deployment>>,
    /// When its front was last seen to start.
    pub(super) since: Option<Instant>,
    /// Why its last deploy failed.
    pub(super) last_error: Option<String>,
    /// Why it was not well looked after the last time.
    pub(super) trouble: Option<String>,
    pub(super) watchers: Watchers,
    /// By the name of the container.
    pub(super) patience: BTreeMap<String, Patience>,
    removed: bool,
}

/// One decky.
pub(super) struct Decky {
    pub(super) name: DeckyName,
    pub(super) paths: Paths,
    pub(super) output: Arc<Output>,
    pub(super) lines: HostLines,
    pub(super) host: Arc<Host>,
    /// Something happened to a container of it.
    pub(super) attention: Notify,
    ops: tokio::sync::Mutex<()>,
    live: Mutex<Live>,
    /// Ends its tender.
    pub(super) over: CancellationToken,
}

impl Decky {
    /// The decky of this name as its folder has it. The folder is made if need be; nothing is started. Blocks.
    pub(super) fn load(host: &Arc<Host>, name: &DeckyName) -> Result<Self, RuntimeError> {
        let paths = Paths::of(&host.base, name);
        paths.make()?;
        let watcher = host.watcher.as_ref();
        let output = Output::open_at(paths.decoy_output(), name, &*host.ids, watcher)?;
        let lines = HostLines::open(&paths.host(), name, &*host.ids, watcher)?;
        let deployment = read_record::<Deployment>(&paths.deployment())?.map(Arc::new);
        let live = Live {
            deployment,
            since: None,
            last_error: None,
            trouble: None,
            watchers: Watchers::default(),
            patience: BTreeMap::new(),
            removed: false,
        };
        Ok(Self {
            name: name.clone(),
            paths,
            output: Arc::new(output),
            lines,
            host: Arc::clone(host),
            attention: Notify::new(),
            ops: tokio::sync::Mutex::default(),
            live: Mutex::new(live),
            over: host.detach.child_token(),
        })
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn deployment(&self) -> Option<Arc<Deployment>> {
        self.live().deployment.clone()
    }

    pub(super) fn is_removed(&self) -> bool {
        self.live().removed
    }

    /// Keeps others from working on it.
    pub(super) async fn alone(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.ops.lock().await
    }

    /// Whether its removal was begun by an agent that did not live to end it.
    pub(super) fn is_being_removed(&self) -> bool {
        self.paths.removing().exists()
    }

    /// Its two outputs.
    pub(super) fn outputs(&self) -> [Arc<Output>; 2] {
        [Arc::clone(&self.output), Arc::clone(self.lines.output())]
    }

    /// The name of its container with this role, if its plan has one.
    pub(super) fn container(&self, role: ContainerRole) -> Option<String> {
        let deployment = self.deployment()?;
        deployment.plan.containers.iter().find(|c| c.role == role).map(|c| c.name.clone())
    }

    /// Removes its containers and keeps its outputs. False if it was removed already.
    pub(super) async fn remove(&self) -> Result<bool, RuntimeError> {
        let _one = self.alone().await;
        if self.is_removed() {
            return Ok(false);
        }
        // From here on a crash does not bring it back: the next agent ends what this one began.
        if let Err(error) = write_record(&self.paths.removing(), &self.host.clock.now()) {
            // A full disk must not keep anybody from removing things.
            tracing::warn!(decky = %self.name, %error, "an interrupted removal will not be ended by the next agent");
        }
        self.remove_containers().await?;
        let kept = removed(&self.host.base).join(&*self.output.source);
        let (from, to) = (self.paths.clone(), Paths { folder: kept });
        let there = to.clone();
        let base = self.host.base.clone();
        blocking(move || {
            make_folder(&removed(&base))?;
            std::fs::rename(&from.folder, &to.folder).map_err(io_error("move", from.folder))?;
            clear_all_but_outputs(&to)
        })
        .await?;
        self.output.end_in(there.decoy_output());
        self.lines.output().end_in(there.host_output());
        self.live().removed = true;
        self.over.cancel();
        Ok(true)
    }

    /// Removes every container of it that there is: those beside the front first, since they share its network.
    pub(super) async fn remove_containers(&self) -> Result<(), RuntimeError> {
        let mut there = list_of(&self.host, &self.name).await.map_err(|error| error.of(&self.name))?;
        there.sort_by_key(|seen| seen.role == ContainerRole::Decky);
        // Dropped first: taking a namespace down under its watchers gives only noise.
        self.unwatch();
        for seen in there {
            if seen.role == ContainerRole::Decky && seen.runs() {
                // Its decoy says farewell in its output.
                self.host.engine.stop(&seen.name, FAREWELL_S).await.map_err(|error| error.of(&self.name))?;
            }
            self.host.engine.remove(&seen.name).await.map_err(|error| error.of(&self.name))?;
        }
        self.output.finish_line()
    }
}

/// How long a decoy may take to say farewell.
const FAREWELL_S: i32 = 5;

/// Deletes what the outputs of a removed decky do not need. Blocks.
pub(super) fn clear_all_but_outputs(paths: &Paths) -> Result<(), RuntimeError> {
    let (decoy, host) = (paths.decoy_output(), paths.host_output());
    let keep = [&decoy.lines, &decoy.about, &host.lines, &host.about];
    for folder in [&paths.folder, &paths.out(), &paths.host()] {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io_error("list", folder)(error)),
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if !keep.contains(&&path) && path != paths.out() && path != paths.host() {
                delete_path(&path)?;
            }
        }
    }
    Ok(())
}
