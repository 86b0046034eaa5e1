//! Keeps one decky up: what the engine does not restart by itself, or restarts without its containment.
//!
//! A front that the engine started again has a new network without rules: they come first, and then whatever shared the old
//! one is started again. What somebody removed by hand stays so and is reported, and so does a front that was stopped; what
//! shares its network has no life of its own. While a front cannot be contained, nothing that obeys an intruder runs.

use std::{sync::Arc, time::Duration};

use decnet_fleet::plan::{ContainerPlan, ContainerRole};
use tokio::time::{Instant, sleep};

use super::{
    decky::{Decky, Deployment},
    engine::pid,
};
use crate::{RuntimeError, capture::Before};

/// First pause before a shell is started again; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A shell that ran this long starts the next series of pauses from the beginning.
const STEADY: Duration = Duration::from_mins(2);
/// How long a shell may take to end.
const SHELL_FAREWELL_S: i32 = 2;

/// What a look brought.
enum Look {
    /// Nothing more to do until something happens.
    Settled,
    /// Look again then.
    Later(Duration),
}

impl Decky {
    /// Looks after it whenever something happened to it, until it is removed or the runtime goes.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = self.tend().await;
            if outcome.is_ok() {
                self.live().trouble = None;
            }
            let wait = match outcome {
                Ok(Look::Settled) => {
                    pause = FIRST_PAUSE;
                    None
                }
                Ok(Look::Later(wait)) => Some(wait),
                Err(error) => {
                    let error = error.of(&self.name);
                    tracing::warn!(decky = %self.name, %error, "a decky is not well looked after; trying again");
                    // While the engine is away its error says nothing about this decky.
                    if !matches!(error, RuntimeError::NoEngine { .. }) {
                        self.live().trouble = Some(error.to_string());
                    }
                    self.host.changed();
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    Some(pause)
                }
            };
            let again = async {
                match wait {
                    Some(wait) => sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.over.cancelled() => return,
                () = self.attention.notified() => {}
                () = again => {}
            }
        }
    }

    async fn tend(self: &Arc<Self>) -> Result<Look, RuntimeError> {
        // It is never closed.
        let _few = self.host.tending.acquire().await;
        let _one = self.alone().await;
        let Some(deployment) = self.deployment().filter(|_| !self.is_removed()) else {
            return Ok(Look::Settled);
        };
        let Some((front, beside)) = deployment.plan.containers.split_first() else {
            return Ok(Look::Settled);
        };
        let found = self.host.engine.inspect(&front.name).await?;
        let found = found.filter(|found| {
            self.host.ours.has(found.config.as_ref().and_then(|config| config.labels.as_ref()))
        });
        let Some(process) = found.as_ref().and_then(pid) else {
            self.unwatch();
            self.live().since = None;
            // Their network is gone: whoever is in there holds a dead machine.
            self.stop_beside(beside).await?;
            return Ok(Look::Settled);
        };
        if self.live().since.is_none() {
            self.live().since = Some(Instant::now());
        }
        let contained = self.contain(process).await;
        if contained.is_err() && namespace(process).is_none() {
            // It ended meanwhile. The engine says so in a moment, and that is what there is to say.
            return Ok(Look::Later(FIRST_PAUSE));
        }
        if contained.is_err() {
            self.stop_beside(beside).await?;
        }
        if contained? {
            self.live().since = Some(Instant::now());
            self.output.finish_line()?;
            self.host.changed();
        }
        let mut look = Look::Settled;
        for container in beside {
            if let Some(wait) = self.tend_beside(container, process, &deployment).await? {
                look = Look::Later(wait);
            }
        }
        Ok(look)
    }

    async fn stop_beside(&self, beside: &[ContainerPlan]) -> Result<(), RuntimeError> {
        for container in beside {
            self.host.engine.stop(&container.name, SHELL_FAREWELL_S).await?;
        }
        Ok(())
    }

    /// Looks after a container that shares the front's network; how long to wait if it may not be started yet.
    async fn tend_beside(
        self: &Arc<Self>,
        container: &ContainerPlan,
        front: u32,
        deployment: &Deployment,
    ) -> Result<Option<Duration>, RuntimeError> {
        let Some(found) = self.host.engine.inspect(&container.name).await? else { return Ok(None) };
        let process = pid(&found);
        let is_shell = container.role == ContainerRole::Shell;
        if let Some(process) = process {
            if namespace(process) == namespace(front) {
                let captured = if is_shell { self.capture(process, Before::Running).await } else { Ok(()) };
                if captured.is_err() && namespace(process).is_none() {
                    return Ok(Some(FIRST_PAUSE));
                }
                return captured.map(|()| None);
            }
            tracing::info!(decky = %self.name, container = container.name, "its front has a new network: starting it again");
            self.host.engine.stop(&container.name, SHELL_FAREWELL_S).await?;
        }
        if let Some(wait) = self.must_wait(&container.name) {
            return Ok(Some(wait));
        }
        tracing::info!(decky = %self.name, container = container.name, "starting it again");
        if is_shell {
            self.start_shell(&container.name, deployment, false).await?;
        } else {
            self.host.engine.start(&container.name).await?;
        }
        self.host.changed();
        Ok(None)
    }

    /// How long this container may not be started yet. Notes the start if it may be.
    fn must_wait(&self, container: &str) -> Option<Duration> {
        let mut live = self.live();
        let patience = live.patience.entry(container.to_owned()).or_default();
        let since = patience.last.map(|last| last.elapsed());
        match since {
            Some(since) if since < patience.pause => Some(patience.pause.saturating_sub(since)),
            _ => {
                let is_fresh = since.is_none_or(|since| since >= STEADY);
                patience.pause = if is_fresh { FIRST_PAUSE } else { (patience.pause * 2).min(LONGEST_PAUSE) };
                patience.last = Some(Instant::now());
                None
            }
        }
    }
}

/// The network namespace of a process; `None` once it has ended.
pub(super) fn namespace(pid: u32) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}
