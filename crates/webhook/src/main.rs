//! The webhook worker as a process. Everything it does is in the library.

use std::process::ExitCode;

use clap::Parser;
use decnet_bus::Worker;
use decnet_kit::{CommonArgs, WorkerInfo};
use decnet_webhook::Pace;

/// Posts signed events to the receivers that operators named.
#[derive(Debug, Parser)]
#[command(name = "decnet-webhook", version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// For tests: every pause is this many times as long
    #[arg(long, default_value_t = 1.0, hide = true)]
    pace: f64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let info = WorkerInfo::new(Worker::Webhook, env!("CARGO_PKG_VERSION"));
    decnet_kit::run(info, &args.common, move |ctx| decnet_webhook::run(ctx, Pace::new(args.pace)))
}
