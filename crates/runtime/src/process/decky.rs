//! One decky of the process runtime: its files, its decoy process, and the task that keeps that process alive.
//!
//! Deploy and remove of one decky exclude each other. What is to run stands in `deployment.json`, so that an agent that
//! starts after a crash (or a reboot) goes on from there.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use decnet_core::{Clock, DeckyName, IdSource};
use decnet_fleet::{DeckyPlan, DecoyPlacement};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    folder::{self, Folder, delete},
    launch::{Run, bound_stderr, complaint},
    ports, read_record, write_record,
};
use crate::{
    Deployed, RuntimeError,
    error::blocking,
    output::{Output, Watcher},
};

/// First pause before a dead decoy is started again; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A decoy that ran this long starts the next series of pauses from the beginning.
const STEADY: Duration = Duration::from_mins(1);
/// How often the file of complaints is bounded.
const HOUSEKEEPING: Duration = Duration::from_secs(15);
/// Exit code of a decoy whose document is wrong: starting it again cannot help.
const USAGE: i32 = 2;

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
    supervisor: Option<Supervisor>,
    removed: bool,
}

struct Supervisor {
    stop: CancellationToken,
    task: JoinHandle<Result<(), RuntimeError>>,
}

/// One decky.
pub(super) struct Decky {
    pub(super) name: DeckyName,
    pub(super) folder: Folder,
    pub(super) output: Arc<Output>,
    host: Arc<Host>,
    ops: tokio::sync::Mutex<()>,
    live: Mutex<Live>,
}

impl Decky {
    /// The decky of this name as its folder has it. The folder is made if need be; nothing is started. Blocks.
    pub(super) fn load(host: &Arc<Host>, name: &DeckyName) -> Result<Self, RuntimeError> {
        let folder = Folder::of(&host.base, name);
        folder.make()?;
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
            let started = self.live().supervisor.as_ref().is_none_or(|s| s.task.is_finished());
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
        folder::make(&artifacts)?;
        let placement = DecoyPlacement {
            bind: Vec::new(),
            port_base,
            artifacts: Some(artifacts),
            root: Some(self.folder.root()),
        };
        write_record(&self.folder.config(), &plan.decoy_config(&placement))?;
        let deployment = Deployment { plan, port_base, placed_at: self.host.clock.now() };
        write_record(&self.folder.deployment(), &deployment)?;
        Ok(deployment)
    }

    /// Takes over the decoy that lives (if one may) or starts one, and keeps it alive from now on.
    fn supervise(self: &Arc<Self>, may_live: bool) -> Result<(), RuntimeError> {
        let first = self.launch(may_live);
        let (first, failure) = match first {
            Ok(run) => (Some(run), None),
            Err(error) => {
                let mut live = self.live();
                live.phase = Phase::Down;
                live.last_error = Some(error.to_string());
                live.hopeless = error.is_permanent();
                (None, Some(error))
            }
        };
        let stop = CancellationToken::new();
        // A failed start is tried again in the background too: what is to run runs once it can.
        let task = tokio::spawn(Arc::clone(self).keep_alive(first, stop.clone()));
        self.live().supervisor = Some(Supervisor { stop, task });
        failure.map_or(Ok(()), Err)
    }

    fn launch(&self, may_live: bool) -> Result<Run, RuntimeError> {
        let adopted = if may_live { Run::adopt(&self.folder)? } else { None };
        let run = if let Some(run) = adopted {
            tracing::info!(decky = %self.name, pid = run.mark.pid, "took over a running decoy");
            run
        } else {
            self.output.finish_line()?;
            let run = Run::start(&self.host.decoy, &self.folder, &self.output)?;
            tracing::info!(decky = %self.name, pid = run.mark.pid, "started a decoy");
            run
        };
        let mut live = self.live();
        live.phase = Phase::Up { since: Instant::now() };
        live.hopeless = false;
        drop(live);
        self.host.changed();
        Ok(run)
    }

    async fn keep_alive(
        self: Arc<Self>,
        mut run: Option<Run>,
        stop: CancellationToken,
    ) -> Result<(), RuntimeError> {
        let mut pause = FIRST_PAUSE;
        let mut housekeeping = interval(HOUSEKEEPING);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let started = Instant::now();
            if let Some(mut running) = run.take() {
                let status = loop {
                    tokio::select! {
                        biased;
                        () = self.host.detach.cancelled() => return Ok(()),
                        () = stop.cancelled() => return self.end(running).await,
                        status = running.ended() => break status,
                        _ = housekeeping.tick() => {
                            if let Err(error) = bound_stderr(&self.folder.stderr()) {
                                tracing::debug!(decky = %self.name, %error, "the complaints of a decoy are not bounded");
                            }
                        }
                    }
                };
                self.note_end(status);
                if let Err(error) = self.output.finish_line() {
                    tracing::warn!(decky = %self.name, %error, "an unfinished line is not completed yet");
                }
            }
            if started.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                biased;
                () = self.host.detach.cancelled() => return Ok(()),
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.launch(false) {
                Ok(started) => run = Some(started),
                Err(error) => {
                    tracing::warn!(decky = %self.name, %error, "a decoy could not be started again");
                    let mut live = self.live();
                    live.phase = Phase::Down;
                    live.last_error = Some(error.to_string());
                }
            }
        }
    }

    async fn end(&self, mut run: Run) -> Result<(), RuntimeError> {
        let pid = run.mark.pid;
        let ended = run
            .terminate()
            .await
            .map_err(crate::error::io_error("end the process of", self.folder.path()))?;
        if !ended {
            return Err(RuntimeError::Undead { decky: self.name.clone(), pid });
        }
        self.output.finish_line()
    }

    fn note_end(&self, status: Option<ExitStatus>) {
        let how = status.map_or_else(|| "ended".to_owned(), |status| format!("ended with {status}"));
        let why = complaint(&self.folder).map_or_else(String::new, |text| format!(": {text}"));
        let text = format!("its decoy {how}{why}");
        tracing::warn!(decky = %self.name, reason = text, "a decoy ended and is started again");
        let mut live = self.live();
        live.phase = Phase::Down;
        live.hopeless = status.and_then(|status| status.code()) == Some(USAGE);
        live.last_error = Some(text);
        drop(live);
        self.host.changed();
    }

    /// Ends its decoy and the supervision.
    async fn halt(&self) -> Result<(), RuntimeError> {
        let supervisor = self.live().supervisor.take();
        if let Some(Supervisor { stop, task }) = supervisor {
            stop.cancel();
            match task.await {
                Ok(outcome) => outcome?,
                Err(error) => return Err(RuntimeError::Internal(error.to_string())),
            }
        }
        // Also one that an earlier agent started and nobody looks after, such as when the record cannot be read.
        if let Some(run) = Run::adopt(&self.folder)? {
            self.end(run).await?;
        }
        let mut live = self.live();
        live.phase = Phase::Idle;
        live.last_error = None;
        live.hopeless = false;
        Ok(())
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
            std::fs::rename(decky.folder.path(), &kept)
                .map_err(crate::error::io_error("move", decky.folder.path()))?;
            decky.output.end_in(kept.clone());
            clear_all_but_output(&kept)
        })
        .await?;
        self.live().removed = true;
        Ok(true)
    }
}

/// Deletes what an output does not need. Blocks.
pub(super) fn clear_all_but_output(folder: &std::path::Path) -> Result<(), RuntimeError> {
    let entries = std::fs::read_dir(folder).map_err(crate::error::io_error("list", folder))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name != crate::output::LINES && name != crate::output::ABOUT {
            delete(&entry.path())?;
        }
    }
    Ok(())
}
