//! The outbox relay: publishes this worker's waiting rows in the order of their ids, stamps them on the broker's ack, prunes
//! them after a day. A crash in between is absorbed by the message id within the broker's duplicate window. Only where the
//! broker itself dies may rows that were in flight change places among each other: who needs their order has their ids.
//!
//! Never holds up the worker: with no broker or database it tries again later, by backoff, timer, nudge or reconnect.

use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use decnet_bus::{Bus, Pending, PublishError, Topic, payload::Payload};
use decnet_db::{Db, NewOutbox, OutboxRow};
use futures_util::FutureExt;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{ctx::Ctx, retry::Backoff, signs::Link, wake::Nudge};

/// Without a nudge, how often the relay looks for rows that a crash left behind.
const SWEEP: Duration = Duration::from_secs(10);
/// Rows in flight at once. They are stamped in one transaction, which costs more than the rows in it.
const WINDOW: u64 = 512;
/// How long published rows are kept for the curious.
const KEEP: TimeDelta = TimeDelta::days(1);
/// How often old rows are looked for.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// What the last pass may take when the worker stops.
const LAST_PASS: Duration = Duration::from_secs(3);

/// Handle of the relay.
#[derive(Debug, Clone)]
pub struct Outbox(Nudge);

impl Outbox {
    /// Rows were committed: publish them now.
    pub fn nudge(&self) {
        self.0.now();
    }
}

/// An event as a row of this worker's outbox, to be written in the transaction that changes the state it speaks of.
pub(crate) fn row<P: Payload>(ctx: &Ctx, topic: &Topic, payload: &P) -> Result<NewOutbox, PublishError> {
    let subject = topic.subject();
    let body = serde_json::to_string(&ctx.bus().envelope(topic, payload)?)
        .map_err(|error| PublishError::BadPayload { subject: subject.clone(), reason: error.to_string() })?;
    let id = ctx.next_id();
    Ok(NewOutbox {
        id,
        producer: ctx.worker().to_string(),
        subject,
        topic: topic.label(),
        msg_id: id.to_string(),
        headers: Vec::new(),
        body,
    })
}

pub(crate) fn start(ctx: &Ctx) -> Outbox {
    let nudge = Nudge::default();
    let relay = Relay {
        ctx: ctx.clone(),
        nudge: nudge.clone(),
        link: Link::new(ctx.bus()),
        backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(15)),
        pruned: None,
    };
    ctx.0.services.spawn(relay.run());
    Outbox(nudge)
}

struct Relay {
    ctx: Ctx,
    nudge: Nudge,
    link: Link,
    backoff: Backoff,
    pruned: Option<Instant>,
}

impl Relay {
    async fn run(mut self) {
        // Not the stop signal: the body may still commit rows on its way out.
        let stop = self.ctx.0.closing.clone();
        let mut troubled = false;
        loop {
            let swept = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                swept = self.pass() => swept,
            };
            let rest = match swept {
                Ok(()) => {
                    if troubled {
                        tracing::info!("outbox rows are published again");
                    }
                    troubled = false;
                    self.backoff.reset();
                    SWEEP
                }
                Err(error) => {
                    if troubled {
                        tracing::debug!(error, "outbox rows still wait");
                    } else {
                        tracing::warn!(error, "outbox rows wait; they are published when this is over");
                    }
                    troubled = true;
                    self.backoff.delay()
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.link.came_up() => {}
                // While in trouble, new rows are no reason to hurry.
                () = self.nudge.asked(), if !troubled => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
        // The body committed its last rows before it ended; what does not go out now goes out at the next start.
        if !troubled && !matches!(tokio::time::timeout(LAST_PASS, self.pass()).await, Ok(Ok(()))) {
            tracing::debug!("outbox rows are left for the next start");
        }
    }

    /// Publishes all that waits.
    async fn pass(&mut self) -> Result<(), String> {
        let db = self.ctx.db().await.map_err(|e| e.to_string())?;
        let producer = self.ctx.worker().as_str();
        if self.ctx.bus().is_enabled() {
            while publish_some(&db, self.ctx.bus(), producer).await? {}
        }
        if self.pruned.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) {
            let gone = db.outbox().prune(self.ctx.now() - KEEP).await.map_err(|e| e.to_string())?;
            // Only now: a pass that is cut short prunes next time.
            self.pruned = Some(Instant::now());
            tracing::debug!(rows = gone, "pruned the outbox");
        }
        Ok(())
    }
}

/// Publishes one window of rows; whether there may be more.
async fn publish_some(db: &Db, bus: &Bus, producer: &str) -> Result<bool, String> {
    let rows = db.outbox().pending(producer, WINDOW).await.map_err(|e| e.to_string())?;
    let full = rows.len() as u64 == WINDOW;
    if rows.is_empty() {
        return Ok(false);
    }
    let mut done = Vec::with_capacity(rows.len());
    let mut trouble = None;
    let mut sent = Vec::with_capacity(rows.len());
    for row in &rows {
        match send(bus, row).await {
            Ok(pending) => sent.push((row, pending)),
            Err(Refused::Never(reason)) => done.push(give_up(row, &reason)),
            Err(Refused::Now(reason)) => {
                trouble = Some(reason);
                break;
            }
        }
    }
    for (row, pending) in sent {
        // All are on their way, so waiting for one is waiting for all. After trouble only what is there already counts:
        // the rest goes out again.
        let stored = match trouble {
            None => pending.stored().await,
            Some(_) => match pending.stored().now_or_never() {
                Some(stored) => stored,
                None => continue,
            },
        };
        match stored {
            Ok(_) => done.push(row.id),
            Err(error) if error.is_transient() => trouble = Some(error.to_string()),
            Err(error) => done.push(give_up(row, &error.to_string())),
        }
    }
    db.outbox().mark_published(&done).await.map_err(|e| e.to_string())?;
    match trouble {
        Some(reason) => Err(reason),
        None => Ok(full),
    }
}

enum Refused {
    /// Perhaps later.
    Now(String),
    /// Not in this form.
    Never(String),
}

async fn send(bus: &Bus, row: &OutboxRow) -> Result<Pending, Refused> {
    let topic = Topic::parse(&row.subject).map_err(|e| Refused::Never(e.to_string()))?;
    let body = Bytes::copy_from_slice(row.body.as_bytes());
    bus.send_acked(&topic, &row.msg_id, body).await.map_err(|error: PublishError| {
        if error.is_transient() || matches!(error, PublishError::Disabled) {
            Refused::Now(error.to_string())
        } else {
            Refused::Never(error.to_string())
        }
    })
}

/// The state that the row speaks of is in the database; a row that no broker can take must not stop the others.
fn give_up(row: &OutboxRow, reason: &str) -> Uuid {
    tracing::error!(row = %row.id, subject = row.subject, reason, "dropped an outbox row that cannot be published");
    row.id
}
