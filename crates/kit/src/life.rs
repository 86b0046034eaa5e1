//! A worker's life: bus, database, heartbeat, control, its body, and a stop that ends within a bound.
//!
//! Everything is handed in, so that tests live the same life; what is the machine's is in `run.rs`.

use std::{
    future::Future,
    sync::{Arc, Mutex, OnceLock},
};

use decnet_bus::{Bus, BusIdentity, ConnectError, Worker};
use decnet_core::{Clock, IdSource};
use tokio::{sync::Notify, task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    control,
    ctx::{Ctx, Inner},
    database::{Database, DatabaseError},
    heartbeat,
    progress::Progress,
    readiness,
    run::{Exit, Parts},
    settings::Settings,
};

/// Runs a worker made of `parts` to its end.
pub async fn run_in<F, Fut>(parts: Parts, body: F) -> Exit
where
    F: FnOnce(Ctx) -> Fut + Send + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let started = Instant::now();
    let Parts { info, settings, bus, clock, ids, meter, notifier, timing, stop, cut } = parts;
    let settings = Arc::new(settings);
    let bus = match bus {
        Some(bus) => bus,
        None => match open_bus(info.worker, &settings, &clock, &ids).await {
            Ok(bus) => bus,
            Err(error) => {
                tracing::error!(%error, "the settings of the bus cannot be used");
                return Exit::Usage;
            }
        },
    };
    let database = info.database.then(|| {
        Database::new(settings.db_url.clone(), Arc::clone(&clock), Arc::clone(&ids), timing.database_patience)
    });
    let ctx = Ctx(Arc::new(Inner {
        worker: info.worker,
        version: info.version,
        progress: Progress::new(Arc::clone(&clock), notifier),
        settings,
        bus,
        database,
        clock,
        ids,
        stop,
        meter,
        extra: heartbeat::ExtraSlot::default(),
        tasks: TaskTracker::new(),
        services: TaskTracker::new(),
        closing: CancellationToken::new(),
        subscribed: Arc::new(Notify::new()),
        outbox: OnceLock::new(),
        verdict: Mutex::default(),
    }));
    tracing::info!(version = info.version, host = %ctx.settings().host, "worker starts");

    // These live as long as the worker, and nobody waits for them.
    let mut background = vec![
        tokio::spawn(control::run(ctx.clone())),
        tokio::spawn(heartbeat::run(ctx.clone(), timing.beat, started)),
        tokio::spawn(readiness::run(ctx.clone(), timing.broker_grace)),
    ];
    if let Some(database) = ctx.0.database.clone() {
        let ctx = ctx.clone();
        background.push(tokio::spawn(async move {
            if let Err(error @ (DatabaseError::Schema(_) | DatabaseError::Unused)) =
                database.keep_trying().await
            {
                tracing::error!(%error, "this database cannot be used");
                ctx.fail(Exit::Schema);
            }
        }));
    }

    let mut work = tokio::spawn(body(ctx.clone()));
    let early = tokio::select! {
        biased;
        ended = &mut work => Some(ended),
        () = ctx.stopping() => None,
    };
    let asked = ctx.is_stopping();
    ctx.progress_handle().notifier().stopping();
    ctx.stop();
    let in_time = tokio::select! {
        in_time = tokio::time::timeout(timing.stop_bound, wind_down(&ctx, early, &mut work, asked)) => in_time.is_ok(),
        () = cut.cancelled() => false,
    };
    if !in_time {
        tracing::warn!(
            bound_s = timing.stop_bound.as_secs_f64(),
            "parts of the worker did not stop in time and are cut"
        );
        work.abort();
    }
    background.iter().for_each(JoinHandle::abort);
    let exit = ctx.verdict().unwrap_or(Exit::Done);
    tracing::info!(code = exit.code(), "worker ends");
    exit
}

type Ended = Result<anyhow::Result<()>, tokio::task::JoinError>;

/// Body first, then its tasks, then the relay's last round, then the bus.
async fn wind_down(ctx: &Ctx, early: Option<Ended>, work: &mut JoinHandle<anyhow::Result<()>>, asked: bool) {
    let ended = match early {
        Some(ended) => ended,
        None => work.await,
    };
    match ended {
        Ok(Ok(())) => {}
        // The operator asked for the end and gets it: a failure on the way out must not start the worker again.
        Ok(Err(error)) if asked => {
            tracing::warn!(error = format!("{error:#}"), "the worker failed while it stopped");
        }
        Ok(Err(error)) => {
            tracing::error!(error = format!("{error:#}"), "the worker failed");
            ctx.fail(Exit::Failed);
        }
        Err(error) => {
            tracing::error!(%error, "the worker's body panicked");
            ctx.fail(Exit::Failed);
        }
    }
    ctx.0.tasks.close();
    ctx.0.tasks.wait().await;
    ctx.0.closing.cancel();
    ctx.0.services.close();
    ctx.0.services.wait().await;
    ctx.bus().drain().await;
    if let Some(db) = ctx.0.database.as_ref().and_then(Database::current)
        && let Err(error) = db.close().await
    {
        tracing::debug!(%error, "the database did not close cleanly");
    }
}

async fn open_bus(
    worker: Worker,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn IdSource>,
) -> Result<Bus, ConnectError> {
    let identity = BusIdentity {
        worker: worker.token(),
        host: settings.host.clone(),
        clock: Arc::clone(clock),
        ids: Arc::clone(ids),
    };
    Bus::open(&settings.bus_config(), identity).await
}
