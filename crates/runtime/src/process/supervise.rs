//! Keeps the decoy of one decky alive: takes it over or starts it, starts it again when it ends, and ends it when it shall.
//!
//! Supervision ends with the runtime, the decoy does not.

use std::{process::ExitStatus, sync::Arc, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    decky::{Decky, Phase},
    launch::{Run, bound_stderr, complaint},
};
use crate::{RuntimeError, error::io_error};

/// First pause before a dead decoy is started again; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A decoy that ran this long starts the next series of pauses from the beginning.
const STEADY: Duration = Duration::from_mins(1);
/// How often the file of complaints is bounded.
const HOUSEKEEPING: Duration = Duration::from_secs(15);
/// Exit code of a decoy whose document is wrong: starting it again cannot help.
const USAGE: i32 = 2;

/// The task that keeps a decoy alive.
pub(super) struct Supervisor {
    stop: CancellationToken,
    task: JoinHandle<Result<(), RuntimeError>>,
}

impl Supervisor {
    /// Whether it gave up, which only a panic makes it do.
    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

impl Decky {
    /// Takes over the decoy that lives (if one may) or starts one, and keeps it alive from now on.
    pub(super) fn supervise(self: &Arc<Self>, may_live: bool) -> Result<(), RuntimeError> {
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
        let ended = run.terminate().await.map_err(io_error("end the process of", self.folder.path()))?;
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
    pub(super) async fn halt(&self) -> Result<(), RuntimeError> {
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
}
