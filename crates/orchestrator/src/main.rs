//! The orchestrator: keeps deckies busy, so that nobody who watches them sees machines that never do anything.

use std::process::ExitCode;

use clap::Parser;
use decnet_bus::Worker;
use decnet_kit::{WorkerInfo, args::CommonArgs};

#[derive(Parser)]
#[command(name = "decnet-orchestrator", version, about = "Keeps deckies busy with traffic and files")]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let info = WorkerInfo::new(Worker::Orchestrator, env!("CARGO_PKG_VERSION"));
    decnet_kit::run(info, &cli.common, decnet_orchestrator::orchestrate)
}
