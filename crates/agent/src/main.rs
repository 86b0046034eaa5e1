//! The agent: the one process of a host that runs deckies. It carries out deploy and teardown and writes the rows of each step,
//! answers the short verbs, and ships the lines of its deckies. The reconciler keeps the rows true from then on.
//!
//! Arguments and wiring. It plans nothing (the operator's tool and the API do) and parses no line (the collector does).

mod choice;
mod commands;
mod desired;
mod engine;
mod follow;
mod look;
mod mirror;
mod verbs;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Parser;
use decnet_bus::Worker;
use decnet_core::{FleetSecret, traffic::SourcePorts};
use decnet_kit::{CommonArgs, Ctx, Wake, WorkerInfo};
use decnet_runtime::DEFAULT_PORT_OFFSET;

use crate::{
    desired::Desired,
    engine::{Engine, NoBaseline},
    follow::Follower,
    look::Lookout,
    mirror::Mirror,
};

/// How often rows that could not be written are tried again.
const CATCH_UP: Duration = Duration::from_secs(5);
/// How often deckies on their way up are looked at.
const UNSETTLED: Duration = Duration::from_millis(500);

/// Runs the deckies of this host.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// The decoy program (else decnet-decoy beside this one)
    #[arg(long, env = "DECNET_DECOY_BIN", value_name = "FILE")]
    decoy: Option<PathBuf>,
    /// Added to standard ports that may not be bound or are taken (process runtime)
    #[arg(long, env = "DECNET_PORT_OFFSET", default_value_t = DEFAULT_PORT_OFFSET)]
    port_offset: u16,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let info = WorkerInfo::new(Worker::Agent, env!("CARGO_PKG_VERSION"));
    let common = args.common.clone();
    decnet_kit::run(info, &common, |ctx| work(ctx, args))
}

async fn work(ctx: Ctx, args: Args) -> anyhow::Result<()> {
    let settings = ctx.settings();
    let own = settings.state_dir.join("agent");
    let secret = FleetSecret::load_or_create(&settings.secret_file).context("the fleet secret")?;
    let fleet = decnet_fleet::fleet_tag(&secret.seed());
    let runtime = choice::open(&ctx, &args, &fleet).await?;
    let desired = Arc::new(Desired::open(&settings.state_file, Arc::clone(ctx.clock()))?);
    let mirror = Arc::new(Mirror::new(ctx.clone(), Arc::clone(&runtime), Arc::clone(&desired)));
    let engine = Arc::new(Engine::new(
        ctx.clone(),
        Arc::clone(&runtime),
        desired,
        Arc::clone(&mirror),
        Arc::new(NoBaseline),
        fleet,
    ));
    // Publishes what an earlier run left behind.
    ctx.outbox();

    let follower = Follower::new(ctx.clone(), Arc::clone(&runtime), own.join("cursors"))?;
    ctx.heartbeat_extra(follower.heartbeat());
    ctx.spawn("follower", follower.run());
    let ports = SourcePorts::of_fleet(&secret.seed());
    let questions = verbs::listen(&ctx).await;
    engine.announce().await;
    ctx.spawn(
        "verbs",
        verbs::answer(ctx.clone(), Arc::clone(&runtime), Arc::clone(&mirror), ports, questions),
    );
    let mut wakeups = ctx.wakeups(CATCH_UP).on_stream(changes(runtime.changes()));
    engine.restore().await;
    // What an agent that was killed half-way left unwritten.
    mirror.pass().await;
    ctx.spawn("commands", commands::run(ctx.clone(), engine));

    let mut lookout = Lookout::new(ctx.clone(), Arc::clone(&runtime));
    while let Some(wake) = wakeups.next().await {
        // On the timer nobody said that anything changed; the reconciler has a timer of its own.
        let mut looks = wake != Wake::Timer;
        while looks && !ctx.is_stopping() {
            // A decky on its way up says nothing when it has arrived.
            looks = lookout.look().await;
            mirror.catch_up().await;
            ctx.progress();
            if looks {
                ctx.idle(tokio::time::sleep(UNSETTLED)).await;
            }
        }
        mirror.catch_up().await;
        ctx.progress();
    }
    Ok(())
}

/// An item for each change that the runtime tells.
fn changes(watch: tokio::sync::watch::Receiver<u64>) -> impl futures_util::Stream<Item = ()> + Send {
    futures_util::stream::unfold(watch, |mut watch| async move {
        watch.changed().await.ok()?;
        Some(((), watch))
    })
}
