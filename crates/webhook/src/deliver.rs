//! The task of one subscription: fetch, post, settle. A message is settled only by its receiver's answer; a crash, a broker
//! that restarts or a receiver that is away bring it back, in order, until the stream's own limits end it.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use decnet_alerts::{Dialect, Event, Permit, TRIES_OF_A_ROUND, body};
use decnet_bus::{Consumer, Delivered, FetchError};
use decnet_db::NewDeadLetter;
use decnet_kit::Nudge;
use futures_util::future::join_all;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    health::{Health, Noted},
    job::{Job, Surroundings},
    letters,
    post::{Tried, post},
};

/// How long one fetch waits for an event. It is not given up for a change of settings: a message on its way to a fetch that
/// nobody waits for any more would come again only after the server's patience. So this is how long a change may take.
const FETCH_WAIT: Duration = Duration::from_secs(2);
/// Pause after a failure of broker or database, which are not the receiver's fault.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the consumer is looked after while nothing else says so, and while events wait: an operator wants to know how many.
const LOOK_EVERY: Duration = Duration::from_mins(1);
const LOOK_AT_QUEUE: Duration = Duration::from_secs(5);

/// What the supervisor tells a task.
pub(crate) struct Order {
    /// The subscription.
    pub(crate) job: Arc<Job>,
    /// Raised at every pass: a change of nothing else means "look around".
    pub(crate) pass: u64,
}

/// The task.
pub(crate) struct Task {
    around: Arc<Surroundings>,
    orders: watch::Receiver<Order>,
    nudge: Nudge,
    end: CancellationToken,
    job: Arc<Job>,
    health: Health,
    consumer: Option<Consumer>,
    looked: Option<Instant>,
    complained: bool,
}

/// What became of a fetched event.
struct Settled {
    tried: Tried,
    attempt: u64,
}

impl Task {
    pub(crate) fn new(
        around: Arc<Surroundings>,
        mut orders: watch::Receiver<Order>,
        nudge: Nudge,
        end: CancellationToken,
    ) -> Self {
        let job = Arc::clone(&orders.borrow_and_update().job);
        let health = Health::of(&job.webhook);
        Self { around, orders, nudge, end, job, health, consumer: None, looked: None, complained: false }
    }

    /// Serves the subscription to its end, or the worker's.
    pub(crate) async fn run(mut self) -> Result<()> {
        while !self.end.is_cancelled() {
            self.take_orders();
            if let Err(error) = self.look_after_consumer().await {
                self.complain(&error.to_string());
                self.wait(PAUSE).await;
                continue;
            }
            self.note().await;
            if !self.job.webhook.settings.enabled {
                // What it was sent and did not take comes back; nothing is posted late.
                self.consumer = None;
                self.wait(LOOK_EVERY).await;
                continue;
            }
            match self.health.permit(&self.around.ctx, self.around.pace) {
                Permit::Wait(until) => {
                    self.consumer = None;
                    self.note().await;
                    let left = (until - self.around.ctx.now()).to_std().unwrap_or_default();
                    self.wait(left.max(Duration::from_millis(1))).await;
                }
                Permit::Probe => Box::pin(self.round(1)).await,
                Permit::Send => {
                    let again = letters::send_again(&self.job, &self.around, &mut self.health, &self.end);
                    Box::pin(again).await;
                    Box::pin(self.round(self.job.durable().max_ack_pending())).await;
                }
            }
        }
        self.health.note(&self.around.ctx, true).await;
        Ok(())
    }

    /// Takes over what the supervisor said. Settings that changed bring the row's own counters: an operator may have reset them.
    fn take_orders(&mut self) {
        if !self.orders.has_changed().unwrap_or(false) {
            return;
        }
        let job = Arc::clone(&self.orders.borrow_and_update().job);
        if job.webhook.revision != self.health.revision() {
            let (before, now) = (self.job.webhook.settings.enabled, job.webhook.settings.enabled);
            if before != now {
                let state = if now { "resumed" } else { "paused; its events wait" };
                tracing::info!(webhook = %job.webhook.uuid, state, "subscription changed");
            }
            self.health = Health::of(&job.webhook);
            self.job = job;
        }
        self.looked = None;
    }

    /// Brings the consumer to the subscription's wishes and reads where it stands.
    async fn look_after_consumer(&mut self) -> Result<(), decnet_bus::ProvisionError> {
        let every = self.around.pace.of(if self.health.is_behind() { LOOK_AT_QUEUE } else { LOOK_EVERY });
        if self.looked.is_some_and(|at| at.elapsed() < every) {
            return Ok(());
        }
        let (bus, durable) = (self.around.ctx.bus(), self.job.durable());
        let position = bus.put_siem(&durable, self.job.webhook.created_at, self.health.settled()).await?;
        self.looked = Some(Instant::now());
        self.complained = false;
        self.health.at(position);
        Ok(())
    }

    /// Fetches up to `most` events and settles them.
    async fn round(&mut self, most: u32) {
        let started = Instant::now();
        if self.consumer.is_none() {
            self.consumer = Some(self.around.ctx.bus().consume(self.job.durable()).await);
        }
        let Some(consumer) = self.consumer.as_mut() else { return };
        let most = usize::try_from(most).unwrap_or(1);
        let fetched = tokio::select! {
            biased;
            () = self.end.cancelled() => return,
            fetched = consumer.fetch(most, FETCH_WAIT) => fetched,
        };
        match fetched {
            Ok(messages) if messages.is_empty() => {
                // The server answers at once while the one message it lets out is on its pause.
                if started.elapsed() < PAUSE {
                    self.wait(self.around.pace.of(PAUSE).max(Duration::from_millis(20))).await;
                }
            }
            Ok(messages) => {
                self.complained = false;
                let settled = join_all(messages.iter().map(|message| Box::pin(self.settle(message)))).await;
                for settled in settled.into_iter().flatten() {
                    self.count(&settled);
                }
            }
            Err(error) => {
                if matches!(error, FetchError::NotProvisioned { .. }) {
                    self.looked = None;
                }
                self.complain(&error.to_string());
                self.wait(self.around.pace.of(PAUSE)).await;
            }
        }
        self.note().await;
    }

    /// Posts one event and tells the broker what became of it. `None`: it could not even be tried.
    async fn settle(&self, message: &Delivered) -> Option<Settled> {
        let ctx = &self.around.ctx;
        let envelope = match message.envelope() {
            Ok(envelope) => envelope,
            Err(error) => {
                if let Some(consumer) = &self.consumer {
                    consumer.reject(message, &error).await;
                }
                return None;
            }
        };
        let event = Event {
            id: &envelope.id,
            topic: &envelope.topic,
            kind: &envelope.r#type,
            at: instant(envelope.ts),
            payload: &envelope.payload,
        };
        let bytes = Bytes::from(body(Dialect::Native, &event));
        let attempt = message.delivery;
        let tried = post(&self.job, ctx, event.id, event.topic, bytes.clone()).await;
        let told = match &tried {
            Tried::Delivered { .. } => message.ack().await,
            Tried::Later { after, error, .. } => {
                let pause = match after {
                    Some(asked) => (*asked).max(Duration::from_millis(1)),
                    None => self.around.pace.retry(attempt),
                };
                tracing::debug!(webhook = %self.job.webhook.uuid, attempt, error, "not delivered; it is tried again");
                // A breaker that is open, or opens now, probes with this very event: it must be there by then.
                let is_final = attempt >= TRIES_OF_A_ROUND;
                let pause = if after.is_none() && self.health.opens_with(is_final) {
                    pause.min(self.around.pace.probe_after())
                } else {
                    pause
                };
                message.nak(pause).await
            }
            Tried::Refused { error, .. } => {
                let letter = NewDeadLetter {
                    webhook: self.job.webhook.uuid,
                    event_id: event.id.to_owned(),
                    topic: event.topic.to_owned(),
                    body: String::from_utf8_lossy(&bytes).into_owned(),
                    attempts: attempt,
                    last_error: error.clone(),
                };
                let buried = async { anyhow::Ok(ctx.db().await?.webhooks().bury(&letter).await?) };
                match buried.await {
                    Ok(true) => message.term().await,
                    // The subscription is gone; so is its consumer in a moment.
                    Ok(false) => return None,
                    Err(error) => {
                        tracing::warn!(webhook = %self.job.webhook.uuid, error = format!("{error:#}"), "a dead letter cannot be kept; the event comes again");
                        // If this is lost too, the server's own timer brings the event back.
                        drop(message.nak(self.around.pace.of(PAUSE)).await);
                        return None;
                    }
                }
            }
        };
        if let Err(error) = told {
            tracing::warn!(webhook = %self.job.webhook.uuid, %error, "the event may be posted twice");
        }
        Some(Settled { tried, attempt })
    }

    fn count(&mut self, settled: &Settled) {
        let ctx = &self.around.ctx;
        match &settled.tried {
            Tried::Delivered { .. } => self.health.succeeded(ctx),
            Tried::Later { error, .. } => {
                let is_final = settled.attempt >= TRIES_OF_A_ROUND || self.health.is_tripped();
                self.health.failed(ctx, error, is_final);
            }
            Tried::Refused { error, .. } => self.health.failed(ctx, error, true),
        }
    }

    async fn note(&mut self) {
        if Box::pin(self.health.note(&self.around.ctx, false)).await == Noted::Outdated {
            self.nudge.now();
            // The supervisor reads the row; until then the old settings hold, as if the change came a moment later.
            self.wait(PAUSE).await;
        }
    }

    /// Waits, unless there is something new.
    async fn wait(&mut self, pause: Duration) {
        tokio::select! {
            () = self.end.cancelled() => {}
            changed = self.orders.changed() => {
                if changed.is_ok() {
                    self.orders.mark_changed();
                }
            }
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// An outage is told of once, not with every try.
    fn complain(&mut self, error: &str) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(webhook = %self.job.webhook.uuid, error, "its events cannot be fetched; trying again");
        }
    }
}

/// The envelope's time as an instant.
fn instant(ts: f64) -> DateTime<Utc> {
    #[expect(clippy::cast_possible_truncation, reason = "beyond the range of instants it is the epoch")]
    let micros = (ts * 1_000_000.0).round() as i64;
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
