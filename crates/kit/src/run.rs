//! A worker's life: settings, logs, bus, database, heartbeat, control, its body, and a stop that ends within a bound.
//!
//! Decides nothing about the work. `run` is for `main`; `run_in` is the same life with everything handed in, for tests.

use std::{
    fmt,
    future::Future,
    process::ExitCode,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use decnet_bus::{Bus, BusIdentity, ConnectError, Worker};
use decnet_core::{Clock, IdSource, SystemClock, SystemIds};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
    task::JoinHandle,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    args::CommonArgs,
    control,
    ctx::{Ctx, Inner},
    database::{Database, DatabaseError},
    heartbeat,
    logging::{self, ErrorMeter},
    progress::{Notifier, Progress},
    settings::Settings,
    signs::Link,
};

/// Who a worker is and what it needs.
#[derive(Debug, Clone, Copy)]
pub struct WorkerInfo {
    /// Its name in subjects, units and the registry.
    pub worker: Worker,
    /// `env!("CARGO_PKG_VERSION")` of its own crate.
    pub version: &'static str,
    /// Whether it uses the database: then it is ready only once that is open.
    pub database: bool,
}

impl WorkerInfo {
    /// A worker that uses the database.
    pub const fn new(worker: Worker, version: &'static str) -> Self {
        Self { worker, version, database: true }
    }

    /// The same without a database.
    #[must_use]
    pub const fn without_database(self) -> Self {
        Self { database: false, ..self }
    }
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to stop, or its work was done.
    Done,
    /// It failed; the service manager may start it again.
    Failed,
    /// Its settings are wrong.
    Usage,
    /// The database's schema is not the one of this binary: starting again cannot help (`EX_CONFIG`).
    Schema,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Schema => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The spans of a worker's life. The defaults are the promises; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between two beats.
    pub beat: Duration,
    /// From the wish to stop until the process is gone.
    pub stop_bound: Duration,
    /// How long readiness waits for the broker before the worker declares itself ready without it.
    pub broker_grace: Duration,
    /// How long one attempt to open the database may take.
    pub database_patience: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(30),
            stop_bound: Duration::from_secs(15),
            broker_grace: Duration::from_secs(3),
            database_patience: Duration::from_secs(5),
        }
    }
}

/// Everything a worker's life is made of.
pub struct Parts {
    /// Who.
    pub info: WorkerInfo,
    /// With what.
    pub settings: Settings,
    /// On which bus; `None` makes the one that the settings name.
    pub bus: Option<Bus>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdSource>,
    /// Errors logged.
    pub meter: ErrorMeter,
    /// The service manager.
    pub notifier: Notifier,
    /// Spans.
    pub timing: Timing,
    /// Cancelled: stop gracefully.
    pub stop: CancellationToken,
    /// Cancelled: stop now.
    pub cut: CancellationToken,
}

impl Parts {
    /// The machine's clock and ids, no service manager, the promised spans.
    pub fn new(info: WorkerInfo, settings: Settings) -> Self {
        Self {
            info,
            settings,
            bus: None,
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            meter: ErrorMeter::default(),
            notifier: Notifier::silent(),
            timing: Timing::default(),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }
}

/// Runs a worker as a process: to be the whole of `main`.
pub fn run<F, Fut>(info: WorkerInfo, args: &CommonArgs, body: F) -> ExitCode
where
    F: FnOnce(Ctx) -> Fut + Send + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let loaded = match args.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(info.worker, &error);
            return Exit::Usage.into();
        }
    };
    let meter = logging::init(info.worker.as_str(), &loaded.settings.log, loaded.settings.log_format);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // Two threads at least: a body that spins must not keep the stop's bound from being noticed.
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4));
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                complain(
                    info.worker,
                    &format!("cannot start the async runtime: {error}; is a process limit reached?"),
                );
                return Exit::Failed.into();
            }
        };
    let parts = Parts { meter, notifier: Notifier::process(), ..Parts::new(info, loaded.settings) };
    let exit = runtime.block_on(async {
        if let Err(error) = watch_signals(&parts.stop, &parts.cut) {
            complain(info.worker, &format!("cannot listen for signals: {error}"));
            return Exit::Failed;
        }
        run_in(parts, body).await
    });
    // What did not end within the bound is left behind; the process ends under it.
    runtime.shutdown_background();
    exit.into()
}

fn complain(worker: Worker, error: &dyn fmt::Display) {
    eprintln!("{worker}: {error}");
}

/// The first SIGTERM or SIGINT stops gracefully, the second at once.
fn watch_signals(stop: &CancellationToken, cut: &CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, cut) = (stop.clone(), cut.clone());
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if stop.is_cancelled() {
                tracing::warn!(signal = name, "stopping at once");
                cut.cancel();
            } else {
                tracing::info!(signal = name, "stopping");
                stop.cancel();
            }
        }
    });
    Ok(())
}

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
        tokio::spawn(tell_readiness(ctx.clone(), timing.broker_grace)),
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

/// `READY=1` once the body has subscribed, the database is open and the broker has answered. A broker that does not answer
/// within its grace does not hold readiness back: the worker lives from the database, says so, and connects later.
async fn tell_readiness(ctx: Ctx, grace: Duration) {
    ctx.0.subscribed.notified().await;
    if let Some(database) = &ctx.0.database
        && database.opened().await.is_none()
    {
        return;
    }
    let notifier = ctx.progress_handle().notifier();
    let mut link = Link::new(ctx.bus());
    if ctx.bus().is_enabled() && !link.is_up() {
        let _ = tokio::time::timeout(grace, link.came_up()).await;
    }
    let status = |link: &Link| match link.refusal() {
        _ if link.is_up() => "running".to_owned(),
        Some(reason) => format!("running without the broker, polling the database: {reason}"),
        None => "running without the broker, polling the database".to_owned(),
    };
    let tell = |link: &Link| {
        if link.is_up() || !ctx.bus().is_enabled() {
            tracing::info!("{}", status(link));
        } else {
            tracing::warn!("{}", status(link));
        }
    };
    notifier.ready(&status(&link));
    tell(&link);
    loop {
        link.changed().await;
        notifier.status(&status(&link));
        tell(&link);
    }
}
