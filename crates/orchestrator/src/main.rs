//! The orchestrator: keeps deckies busy, so that nobody who watches them sees machines that never do anything.

use std::process::ExitCode;

use clap::Parser;
use decnet_bus::Worker;
use decnet_core::Seed;
use decnet_kit::{WorkerInfo, args::CommonArgs};
use decnet_orchestrator::{Options, orchestrate};

#[derive(Parser)]
#[command(name = "decnet-orchestrator", version, about = "Keeps deckies busy with traffic, files and mail")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    /// Let a language model write texts ahead of time (else: if `DECNET_REALISM_LLM` names one)
    #[arg(long, overrides_with = "no_llm")]
    llm: bool,
    /// Use templates only, whatever the settings say
    #[arg(long)]
    no_llm: bool,
    /// Bring every disk in order, let every machine do what comes next, and end
    #[arg(long)]
    once: bool,
    /// Print what would be done in the next 24 hours, one JSON object a line, and touch nothing
    #[arg(long)]
    dry_run: bool,
    /// Draw life from this node (64 hexadecimal digits) instead of the fleet secret's
    #[arg(long, value_name = "HEX", value_parser = seed)]
    seed: Option<Seed>,
}

fn seed(text: &str) -> Result<Seed, String> {
    Seed::from_hex(text).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let llm = match (cli.llm, cli.no_llm) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let options = Options { seed: cli.seed, llm, once: cli.once, dry_run: cli.dry_run, nap: None };
    let info = WorkerInfo::new(Worker::Orchestrator, env!("CARGO_PKG_VERSION"));
    decnet_kit::run(info, &cli.common, move |ctx| orchestrate(ctx, options))
}
