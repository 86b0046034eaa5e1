//! The smallest whole worker: a pass on a timer and on events, each leaving a line in a file. The template for a new
//! worker, and the process that `tests/life.rs` starts, stops, freezes and kills.

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Parser;
use decnet_bus::{TopicFilter, Worker};
use decnet_kit::{CommonArgs, Ctx, Wake, WorkerInfo};

/// Looks after nothing, regularly.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Seconds between two passes
    #[arg(long, default_value_t = 60.0)]
    interval: f64,
    /// File that gets a line a pass
    #[arg(long)]
    passes: Option<PathBuf>,
    /// For tests: hang after this many passes
    #[arg(long)]
    freeze_after: Option<u32>,
    /// For tests: block a thread for ever instead of stopping
    #[arg(long)]
    deaf: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let info = WorkerInfo::new(Worker::Clusterer, env!("CARGO_PKG_VERSION"));
    let common = args.common.clone();
    decnet_kit::run(info, &common, |ctx| work(ctx, args))
}

async fn work(ctx: Ctx, args: Args) -> anyhow::Result<()> {
    let interval = Duration::try_from_secs_f64(args.interval).context("--interval")?;
    let mut wakeups = ctx.wakeups(interval).on(ctx.bus(), &TopicFilter::family("attacker")).await;
    // This worker writes outbox rows, so it publishes what an earlier run left behind.
    ctx.outbox();
    let mut passes = 0;
    while let Some(wake) = wakeups.next().await {
        if let Err(error) = pass(&ctx, wake, &args).await {
            // A pass that failed is tried again by the next one.
            tracing::warn!(error = format!("{error:#}"), "pass failed");
            continue;
        }
        ctx.progress();
        passes += 1;
        if args.freeze_after == Some(passes) {
            std::future::pending::<()>().await;
        }
        if args.deaf {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
    Ok(())
}

async fn pass(ctx: &Ctx, wake: Wake, args: &Args) -> anyhow::Result<()> {
    let db = ctx.db().await?;
    let (waiting, _) = db.outbox().backlog(ctx.worker().as_str()).await?;
    ctx.progress_handle().queue_depth(waiting);
    if let Some(path) = &args.passes {
        let mut file = std::fs::File::options().create(true).append(true).open(path)?;
        writeln!(file, "{wake:?}")?;
    }
    Ok(())
}
