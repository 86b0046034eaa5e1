//! Starting workers through systemd, where there is one, and stopping those that do not listen. Names come from the worker
//! table and never from text, and no shell is involved; the polkit rule of `decnet init` decides whether the API's user may.
//!
//! `systemctl` and not a D-Bus library: three calls a day do not earn a protocol stack in the most exposed process.

use std::{collections::BTreeSet, process::Output, sync::Arc, time::Duration};

use decnet_bus::Worker;
use moka::future::Cache;
use tokio::process::Command;

/// How long the list of units is believed.
const FRESH: Duration = Duration::from_secs(30);
/// How long systemd may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a unit did not start or stop: what systemd said, cut to one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UnitError(String);

/// The units of this machine.
pub(crate) struct Systemd {
    installed: Cache<(), Arc<BTreeSet<String>>>,
}

impl Systemd {
    pub(crate) fn new() -> Self {
        Self { installed: Cache::builder().max_capacity(1).time_to_live(FRESH).build() }
    }

    /// Whether the worker has a unit file. A machine without systemd has none.
    pub(crate) async fn has_unit(&self, worker: Worker) -> bool {
        self.installed.get_with((), list()).await.contains(&worker.unit())
    }

    /// Whether the worker's unit runs.
    pub(crate) async fn is_active(&self, worker: Worker) -> bool {
        run(&["is-active", "--quiet", &worker.unit()]).await.is_ok_and(|output| output.status.success())
    }

    /// Starts the worker's unit.
    pub(crate) async fn start(&self, worker: Worker) -> Result<(), UnitError> {
        order("start", worker).await
    }

    /// Stops the worker's unit.
    pub(crate) async fn stop(&self, worker: Worker) -> Result<(), UnitError> {
        order("stop", worker).await
    }
}

async fn order(verb: &str, worker: Worker) -> Result<(), UnitError> {
    match run(&[verb, "--no-ask-password", &worker.unit()]).await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let line: String = text.lines().next().unwrap_or("systemctl failed").chars().take(200).collect();
            Err(UnitError(decnet_logline::clean(&line).into_owned()))
        }
        Err(error) => Err(UnitError(format!("systemctl cannot be run: {error}"))),
    }
}

async fn list() -> Arc<BTreeSet<String>> {
    let listed =
        run(&["list-unit-files", "--no-legend", "--no-pager", "--type=service", "decnet-*.service"]).await;
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    Arc::new(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

async fn run(arguments: &[&str]) -> std::io::Result<Output> {
    let command = Command::new("systemctl").args(arguments).kill_on_drop(true).output();
    tokio::time::timeout(PATIENCE, command).await.unwrap_or_else(|_| {
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "systemctl did not answer"))
    })
}
