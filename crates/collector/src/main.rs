//! The collector: takes raw lines from the `INGEST` stream, reads them, and writes logs, sessions, credentials and
//! attackers. Unprivileged: it never touches a decky or an engine.

use std::process::ExitCode;

use clap::Parser;
use decnet_bus::Worker;
use decnet_kit::{WorkerInfo, args::CommonArgs};

#[derive(Parser)]
#[command(name = "decnet-collector", version, about = "Writes what deckies saw into the database")]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let info = WorkerInfo::new(Worker::Collector, env!("CARGO_PKG_VERSION"));
    decnet_kit::run(info, &cli.common, decnet_collector::collect)
}
