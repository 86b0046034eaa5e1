//! `decnet reconcile`: runs the reconciler beside this program in place of it, on the broker that the other verbs would use.
//!
//! The comparison is the reconciler's.

use std::{os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result, anyhow};
use decnet_bus::Worker;
use decnet_kit::args::CommonArgs;

use crate::{bus, config};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Make one pass, print what it did, and end
    #[arg(long)]
    once: bool,
    /// Seconds between two passes
    #[arg(long, value_name = "SECONDS")]
    interval: Option<String>,
    /// Have the agent remove deckies that run and are not deployed
    #[arg(long)]
    prune: bool,
}

pub(crate) fn run(common: &CommonArgs, args: &Args) -> Result<()> {
    let loaded = config::load(common)?;
    let own = std::env::current_exe().context("cannot find my own program file")?;
    let program = own.with_file_name(Worker::Reconciler.program());
    let mut command = Command::new(&program);
    // Flags of this program are not in the environment.
    if let Some(file) = &common.settings {
        command.arg("--settings").arg(file);
    }
    for (name, value) in &common.set {
        command.arg("--set").arg(format!("{name}={value}"));
    }
    let flags = [
        ("--state-dir", &common.state_dir),
        ("--db-url", &common.db_url),
        ("--host-id", &common.host_id),
        ("--log", &common.log),
        ("--log-format", &common.log_format),
    ];
    for (flag, value) in flags.into_iter().filter_map(|(flag, value)| Some((flag, value.as_ref()?))) {
        command.arg(flag).arg(value);
    }
    let reach = bus::reach(&loaded, Worker::Reconciler);
    command.env("DECNET_NATS_URL", reach.url);
    for (variable, value) in [
        ("DECNET_NATS_TOKEN", reach.token),
        ("DECNET_NATS_NKEY_FILE", reach.nkey_file.map(|path| path.display().to_string())),
    ] {
        if let Some(value) = value {
            command.env(variable, value);
        }
    }
    if args.once {
        command.arg("--once");
        // The numbers are what is asked for; what went wrong is still told.
        if common.log.is_none() && std::env::var_os("DECNET_LOG").is_none() {
            command.env("DECNET_LOG", "warn");
        }
    }
    if let Some(interval) = &args.interval {
        command.arg("--interval").arg(interval);
    }
    if args.prune {
        command.arg("--prune");
    }
    // It returns only if it failed.
    let error = command.exec();
    Err(anyhow!("{} cannot be run ({error}): it belongs beside this program", program.display()))
}
