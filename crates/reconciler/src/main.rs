//! The reconciler worker: a pass at once, then on its timer and whenever the agent says that something changed.

use std::{io::Write, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use decnet_bus::{Topic, TopicFilter, Worker};
use decnet_kit::{Ctx, WorkerInfo, args::CommonArgs};
use decnet_reconciler::Reconciler;

/// How long the first pass waits for the broker: without it nobody can say what runs.
const BROKER_GRACE: Duration = Duration::from_secs(5);

/// Keeps the table of deckies true to what is deployed and to what runs
#[derive(Debug, Parser)]
#[command(name = "decnet-reconciler", version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Make one pass, print what it did, and end
    #[arg(long)]
    once: bool,
    /// Seconds between two passes
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    interval: Duration,
    /// Have the agent remove deckies that run and are not deployed
    #[arg(long)]
    prune: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds, such as 30".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(span) if (0.1..=86_400.0).contains(&span.as_secs_f64()) => Ok(span),
        _ => Err("give a number of seconds from 0.1 to 86400".to_owned()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let info = WorkerInfo::new(Worker::Reconciler, env!("CARGO_PKG_VERSION"));
    let common = args.common.clone();
    decnet_kit::run(info, &common, |ctx| work(ctx, args))
}

async fn work(ctx: Ctx, args: Args) -> anyhow::Result<()> {
    let mut reconciler = Reconciler::new(ctx.clone(), args.interval, args.prune)?;
    // Publishes what an earlier run left behind.
    ctx.outbox();
    if args.once {
        return once(&ctx, &mut reconciler).await;
    }
    let notices = TopicFilter::exact(&Topic::NoticeDeckies { host: ctx.settings().host.clone() });
    let mut wakeups = ctx.wakeups(args.interval).on(ctx.bus(), &notices).await;
    ctx.idle(ctx.bus().connected_within(BROKER_GRACE)).await;
    let mut failure: Option<String> = None;
    while wakeups.next().await.is_some() {
        match reconciler.pass().await {
            Ok(_) => {
                if failure.take().is_some() {
                    tracing::info!("passes succeed again");
                }
            }
            Err(error) => {
                let text = format!("{error:#}");
                if failure.as_ref() == Some(&text) {
                    tracing::debug!(error = text, "this pass failed as well");
                } else {
                    tracing::warn!(error = text, "this pass failed; the next one tries again");
                    failure = Some(text);
                }
            }
        }
        ctx.progress();
    }
    Ok(())
}

/// One pass; its numbers go to stdout.
async fn once(ctx: &Ctx, reconciler: &mut Reconciler) -> anyhow::Result<()> {
    ctx.bus().connected_within(BROKER_GRACE).await;
    let report = reconciler.pass().await.context("the pass failed")?;
    for name in &report.orphans {
        eprintln!("orphan: {name}");
    }
    writeln!(std::io::stdout().lock(), "{report}").context("stdout")
}
