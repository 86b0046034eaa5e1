//! `decnet bus rotate`: a new key for one client of the broker. The old one is worth nothing afterwards.

use std::{path::Path, process::Command};

use anyhow::{Result, anyhow, bail};
use clap::Subcommand;
use decnet_bus::{KeyFolder, Worker, holders};
use decnet_deploy::KEYS;
use decnet_kit::args::CommonArgs;

use crate::{BadInput, config, init, render, run_file::RunFile};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Replace the key of one worker (or of `cli`, `migrate`)
    Rotate {
        /// Whose
        worker: String,
    },
}

pub(crate) fn run(common: &CommonArgs, verb: &Verb) -> Result<()> {
    let Verb::Rotate { worker } = verb;
    let Some(holder) = holders().find(|holder| holder.as_str() == worker) else {
        let all: Vec<_> = holders().map(Worker::as_str).collect();
        return Err(anyhow!(BadInput(format!("{worker:?} has no key; these have: {}", all.join(", ")))));
    };
    let state_dir = config::load(common)?.settings.state_dir;
    let foreground = state_dir.join("nats/keys");
    if foreground.is_dir() {
        return in_the_foreground(&state_dir, &KeyFolder::new(foreground), holder);
    }
    if !Path::new(KEYS).is_dir() {
        bail!("there are no keys on this machine; `decnet init` and `decnet up` make them");
    }
    installed(holder)
}

/// Of `decnet up`: its broker reads the keys when it starts.
fn in_the_foreground(state_dir: &Path, keys: &KeyFolder, holder: Worker) -> Result<()> {
    let running = RunFile::read(state_dir).filter(|run| Path::new(&format!("/proc/{}", run.pid)).exists());
    if let Some(run) = running {
        bail!("stop `decnet up` (process {}) first: its broker reads the keys when it starts", run.pid);
    }
    let public = keys.replace(holder)?;
    render::line(&format!("{holder} has a new key, {public}; the next `decnet up` uses it"))
}

/// Of an installation: file, broker, worker.
fn installed(holder: Worker) -> Result<()> {
    let public = KeyFolder::read_only(KEYS).replace(holder)?;
    init::rewrite_broker()?;
    // Reloading ends the connections of the old key and no others.
    systemctl(&["reload-or-restart", &Worker::Bus.unit()])?;
    if Worker::BUILT.contains(&holder) {
        systemctl(&["try-restart", &holder.unit()])?;
    }
    render::line(&format!("{holder} has a new key, {public}; its old one is refused"))
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let output = Command::new("systemctl").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = decnet_logline::clean_bytes(&output.stderr);
    bail!("systemctl {}: {}; the new key is written, so do this by hand", arguments.join(" "), said.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_foreground_is_replaced_while_nothing_runs() {
        let state = tempfile::tempdir().unwrap();
        let keys = KeyFolder::new(state.path().join("nats/keys"));
        keys.load_or_create().unwrap();
        let before = keys.public(Worker::Collector).unwrap();
        in_the_foreground(state.path(), &keys, Worker::Collector).unwrap();
        assert_ne!(keys.public(Worker::Collector).unwrap(), before);
        let run = RunFile {
            pid: std::process::id(),
            nats_url: String::new(),
            nats_token: None,
            nats_keys: None,
            api: String::new(),
        };
        run.write(state.path()).unwrap();
        let refusal = in_the_foreground(state.path(), &keys, Worker::Collector).unwrap_err().to_string();
        assert!(refusal.contains("first"), "{refusal}");
    }
}
