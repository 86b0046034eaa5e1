//! One supervised worker: started, watched, started again with growing pauses, stopped within a bound.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::console::Console;

/// The pause before the first restart; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A worker that ran this long has recovered: its next pause is short again.
const RECOVERED: Duration = Duration::from_mins(1);
/// How long a worker may take to stop before it is killed; workers bound themselves to 15 s.
const STOP_BOUND: Duration = Duration::from_secs(20);
/// `EX_CONFIG`: a restart cannot help (schema too old or too new, settings that make no sense).
const EX_CONFIG: i32 = 78;

/// A worker's program and what it is started with.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// The worker's name.
    pub(super) name: &'static str,
    /// Its binary.
    pub(super) path: PathBuf,
    /// Its environment on top of ours.
    pub(super) env: Vec<(String, String)>,
}

impl Program {
    /// Runs the worker until `stop`, or until it ends in a way that a restart would not change.
    pub(super) async fn supervise(self, console: Console, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let started = Instant::now();
            let reason = match self.start(&console) {
                Ok(mut child) => {
                    // `wait` closes what is left in the child, and this end must stay open as long as we live.
                    let _lifeline = child.stdin.take();
                    tokio::select! {
                        status = child.wait() => match status {
                            Ok(status) if status.success() => {
                                console.say(self.name, "has ended on request; it stays stopped until the next `decnet up`");
                                return;
                            }
                            Ok(status) if status.code() == Some(EX_CONFIG) => {
                                console.say(self.name, "cannot run with this configuration (see above); it stays stopped");
                                return;
                            }
                            Ok(status) => format!("ended: {status}"),
                            Err(error) => format!("cannot be waited for: {error}"),
                        },
                        () = stop.cancelled() => {
                            self.end(child, &console).await;
                            return;
                        }
                    }
                }
                Err(error) => format!("{error:#}"),
            };
            if started.elapsed() > RECOVERED {
                pause = FIRST_PAUSE;
            }
            console.say(self.name, &format!("{reason}; starting again in {pause:?}"));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn start(&self, console: &Console) -> Result<Child> {
        let mut child = Command::new(&self.path)
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            // The worker reads its end of this pipe: when we are gone, however that came, it stops by itself.
            .env("DECNET_SUPERVISED", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the supervisor, which stops workers in their order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        if let Some(out) = child.stdout.take() {
            tokio::spawn(console.clone().copy(self.name, out));
        }
        if let Some(err) = child.stderr.take() {
            tokio::spawn(console.clone().copy(self.name, err));
        }
        Ok(child)
    }

    async fn end(&self, mut child: Child, console: &Console) {
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself in this moment.
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(STOP_BOUND, child.wait()).await.is_err() {
            console.say(self.name, "did not stop in time; killed");
            let _ = child.kill().await;
        }
    }
}
