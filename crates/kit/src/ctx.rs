//! What a worker's body is handed: settings, bus, database, clock, ids, the stop signal, progress and its own tasks.
//!
//! Holds no logic of any worker. Cheap to clone; all clones speak of the same worker.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use decnet_bus::{Bus, PublishError, Topic, Worker, payload::Payload};
use decnet_core::{Clock, IdSource};
use decnet_db::{Db, NewOutbox};
use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    database::{Database, DatabaseError},
    heartbeat::{Extra, ExtraSlot},
    logging::ErrorMeter,
    outbox::{self, Outbox},
    progress::Progress,
    run::Exit,
    settings::Settings,
    wake::Wakeups,
};

/// The worker's surroundings.
#[derive(Clone)]
pub struct Ctx(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) worker: Worker,
    pub(crate) version: &'static str,
    pub(crate) settings: Arc<Settings>,
    pub(crate) bus: Bus,
    pub(crate) database: Option<Database>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) stop: CancellationToken,
    pub(crate) progress: Progress,
    pub(crate) meter: ErrorMeter,
    pub(crate) extra: ExtraSlot,
    /// The worker's own parts: the stop waits for them first.
    pub(crate) tasks: TaskTracker,
    /// The kit's parts, which outlive the worker's: the relay.
    pub(crate) services: TaskTracker,
    /// The worker's parts have ended: the kit's parts do their last round.
    pub(crate) closing: CancellationToken,
    pub(crate) subscribed: Arc<Notify>,
    pub(crate) outbox: OnceLock<Outbox>,
    pub(crate) verdict: Mutex<Option<Exit>>,
}

impl Ctx {
    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Who this is.
    pub fn worker(&self) -> Worker {
        self.0.worker
    }

    /// The program's version.
    pub fn version(&self) -> &'static str {
        self.0.version
    }

    /// The bus. Works (by losing nothing but time) with no broker too.
    pub fn bus(&self) -> &Bus {
        &self.0.bus
    }

    /// The clock, to be handed on.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// The present instant.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// The id source, to be handed on.
    pub fn ids(&self) -> &Arc<dyn IdSource> {
        &self.0.ids
    }

    /// A fresh id.
    pub fn next_id(&self) -> Uuid {
        self.0.ids.next_id()
    }

    /// The database, or why there is none at the moment. A pass that gets an error logs it and ends; the next pass asks again.
    pub async fn db(&self) -> Result<Db, DatabaseError> {
        match &self.0.database {
            Some(database) => database.get().await,
            None => Err(DatabaseError::Unused),
        }
    }

    /// Waits for the database; `None` when the worker shall stop (or uses none). Feeds the watchdog meanwhile.
    pub async fn db_when_open(&self) -> Option<Db> {
        let database = self.0.database.as_ref()?;
        let wait = async {
            tokio::select! {
                biased;
                () = self.0.stop.cancelled() => None,
                db = database.opened() => db,
            }
        };
        self.0.progress.idle(wait).await
    }

    /// The signal to stop, to be handed on (axum's graceful shutdown, child tasks).
    pub fn stop_token(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// Resolves when the worker shall stop.
    pub async fn stopping(&self) {
        self.0.stop.cancelled().await;
    }

    /// Whether the worker shall stop.
    pub fn is_stopping(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// Asks this worker to stop.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// The loop finished a piece of real work: feeds the watchdog. Call it after each pass or batch.
    pub fn progress(&self) {
        self.0.progress.made();
    }

    /// The progress handle, for waits (`idle`), the queue depth, and parts that do not know `Ctx`.
    pub fn progress_handle(&self) -> &Progress {
        &self.0.progress
    }

    /// Waits for work to arrive (only that), feeding the watchdog from the calling task.
    pub async fn idle<F: Future>(&self, work: F) -> F::Output {
        self.0.progress.idle(work).await
    }

    /// Tells that the worker has subscribed to everything it listens to. `READY=1` follows once the database is open and the
    /// broker has answered or had its grace. [`Self::wakeups`] tells it by itself at the first pass.
    pub fn subscribed(&self) {
        self.0.subscribed.notify_one();
    }

    /// Wake-ups for the loop, by timer; add events with `.on(ctx.bus(), &filter).await`.
    pub fn wakeups(&self, interval: Duration) -> Wakeups {
        let subscribed = Arc::clone(&self.0.subscribed);
        Wakeups::every(interval, self.0.progress.clone(), self.0.stop.clone())
            .at_first(move || subscribed.notify_one())
    }

    /// The relay of this worker's outbox rows, started by the first call. Nudge it after each commit that wrote some.
    pub fn outbox(&self) -> &Outbox {
        self.0.outbox.get_or_init(|| outbox::start(self))
    }

    /// An event as a row of this worker's outbox, for the transaction that changes the state it speaks of.
    pub fn event<P: Payload>(&self, topic: &Topic, payload: &P) -> Result<NewOutbox, PublishError> {
        outbox::row(self, topic, payload)
    }

    /// Adds the worker's own fields to its heartbeat.
    pub fn heartbeat_extra(&self, extra: Extra) {
        self.0.extra.set(extra);
    }

    /// Errors logged in the last five minutes.
    pub fn errors_5m(&self) -> u64 {
        self.0.meter.recent()
    }

    /// Runs a task of this worker. The stop waits for it; its error or panic ends the worker with exit code 1, because a
    /// worker that lost a part of itself is better restarted than half alive.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let ctx = self.clone();
        self.0.tasks.spawn(async move {
            let reason = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => "it panicked".to_owned(),
            };
            tracing::error!(task = name, error = reason, "a part of the worker failed");
            ctx.fail(Exit::Failed);
        });
    }

    pub(crate) fn extra(&self) -> &ExtraSlot {
        &self.0.extra
    }

    /// Ends the worker with this verdict; the first one counts.
    pub(crate) fn fail(&self, exit: Exit) {
        self.0.verdict.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(exit);
        self.0.stop.cancel();
    }

    pub(crate) fn verdict(&self) -> Option<Exit> {
        *self.0.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
