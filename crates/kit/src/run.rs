//! A worker as a process: what it is, how it ends, and `run`, the whole of its `main`.
//!
//! The life itself is in `life.rs`; nothing here decides anything about the work.

use std::{fmt, future::Future, process::ExitCode, sync::Arc, time::Duration};

use decnet_bus::{Bus, Worker};
use decnet_core::{Clock, IdSource, SystemClock, SystemIds};
use rustix::fs::Mode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    args::CommonArgs,
    ctx::Ctx,
    life::run_in,
    logging::{self, ErrorMeter},
    progress::Notifier,
    settings::Settings,
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
    // Databases, cursors and logs hold captured secrets: what a worker makes is its owner's alone.
    own_files_only();
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
        watch_supervisor(&parts.stop);
        run_in(parts, body).await
    });
    // What did not end within the bound is left behind; the process ends under it.
    runtime.shutdown_background();
    exit.into()
}

/// What we make is its owner's alone. A service manager that keeps everyone else out (`UMask=0027`) may let the group in.
fn own_files_only() {
    let given = rustix::process::umask(Mode::from_raw_mode(0o077));
    if given.as_raw_mode() & 0o007 == 0o007 {
        rustix::process::umask(given);
    }
}

fn complain(worker: Worker, error: &dyn fmt::Display) {
    eprintln!("{worker}: {error}");
}

/// Under `decnet up` stdin is a pipe whose other end the supervisor holds: when it closes, the supervisor is gone, however
/// that came, and a worker without it would run on unwatched beside the ones of the next start.
fn watch_supervisor(stop: &CancellationToken) {
    if std::env::var_os("DECNET_SUPERVISED").is_none() {
        return;
    }
    let stop = stop.clone();
    // A thread of its own: a blocking read would keep the async runtime from ending.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        if !stop.is_cancelled() {
            tracing::warn!("the supervisor is gone; stopping");
            stop.cancel();
        }
    });
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
