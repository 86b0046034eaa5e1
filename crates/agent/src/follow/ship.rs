//! Ships one output: many lines on their way at once, the cursor behind the last one that is safe.
//!
//! While the broker is away (or full) the lines stay in their output; nothing is skipped to get on.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use decnet_bus::{
    PublishError,
    payload::{IngestLine, MAX_INGEST},
};
use decnet_kit::{Backoff, Ctx};
use decnet_runtime::{HostRuntime, OutputItem, OutputLine, OutputRef, Position, RuntimeError};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesOrdered};
use tokio::time::MissedTickBehavior;

use super::{Counters, cursor::Cursors};

/// Lines on their way at once.
const WINDOW: usize = 256;
/// The cursor is stored after so many lines, or so much time.
const STORE_LINES: usize = 1024;
const STORE_EVERY: Duration = Duration::from_millis(500);
/// What the lines on their way may still take when the worker stops.
const FAREWELL: Duration = Duration::from_secs(3);

/// The shipping of one output.
pub(super) struct Ship {
    pub(super) ctx: Ctx,
    pub(super) runtime: Arc<dyn HostRuntime>,
    pub(super) cursors: Arc<Cursors>,
    pub(super) counters: Arc<Counters>,
    pub(super) output: OutputRef,
}

/// How a round of shipping ended.
enum End {
    /// Everything of an ended output is safe.
    Finished,
    /// The worker stops.
    Stopping,
    /// Something is in the way.
    Trouble(String),
}

type Sent = BoxFuture<'static, (Position, Result<(), PublishError>)>;

impl Ship {
    /// Ships until the output is done with or the worker stops.
    pub(super) async fn run(self) {
        let mut acked = self.cursors.load(&self.output.source);
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        let mut troubled = false;
        loop {
            let start = acked;
            match self.round(&mut acked).await {
                End::Stopping => return,
                End::Finished => match self.finish().await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(decky = %self.output.decky, error = format!("{error:#}"), "a shipped output is not deleted yet");
                    }
                },
                End::Trouble(reason) => {
                    if acked != start {
                        (troubled, backoff) =
                            (false, Backoff::new(Duration::from_millis(200), Duration::from_secs(5)));
                    }
                    if troubled {
                        tracing::debug!(decky = %self.output.decky, reason, "lines still wait");
                    } else {
                        tracing::warn!(decky = %self.output.decky, reason, "lines wait in their output; nothing is lost");
                    }
                    troubled = true;
                }
            }
            let mut status = self.ctx.bus().status();
            let is_down = !status.borrow_and_update().is_connected();
            tokio::select! {
                biased;
                () = self.ctx.stopping() => return,
                // No need to wait out the pause once the broker is back.
                Ok(()) = status.changed(), if is_down => {}
                () = tokio::time::sleep(backoff.delay()) => {}
            }
        }
    }

    /// Ships from `acked` on.
    async fn round(&self, acked: &mut Option<Position>) -> End {
        let mut items = match self.runtime.follow(&self.output, *acked).await {
            Ok(items) => items.fuse(),
            Err(RuntimeError::UnknownOutput(_)) => return End::Finished,
            Err(error) => return End::Trouble(error.to_string()),
        };
        let mut window: FuturesOrdered<Sent> = FuturesOrdered::new();
        let mut store = tokio::time::interval(STORE_EVERY);
        store.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut ended, mut unstored) = (false, 0);
        let end = loop {
            if ended && window.is_empty() {
                break End::Finished;
            }
            tokio::select! {
                biased;
                () = self.ctx.stopping() => break End::Stopping,
                Some(sent) = window.next(), if !window.is_empty() => {
                    if let Some(trouble) = note(acked, sent) {
                        break trouble;
                    }
                    unstored += 1;
                    if unstored >= STORE_LINES {
                        unstored = 0;
                        self.store(*acked).await;
                    }
                }
                _ = store.tick(), if unstored > 0 => {
                    unstored = 0;
                    self.store(*acked).await;
                }
                item = items.next(), if !ended && window.len() < WINDOW => match item {
                    None => ended = true,
                    Some(Err(error)) => break End::Trouble(error.to_string()),
                    Some(Ok(OutputItem::Skipped(next))) => window.push_back(async move { (next, Ok(())) }.boxed()),
                    Some(Ok(OutputItem::Line(line))) => match self.send(line).await {
                        Ok(sent) => window.push_back(sent),
                        Err(error) => break End::Trouble(error.to_string()),
                    },
                },
            }
        };
        // What is on its way when the worker stops may still arrive; after trouble it is sent again anyway.
        if matches!(end, End::Stopping) {
            let rest = async {
                while let Some(sent) = window.next().await {
                    if note(acked, sent).is_some() {
                        break;
                    }
                }
            };
            // What is not known to be safe by then is shipped again by the next agent.
            let _ = tokio::time::timeout(FAREWELL, rest).await;
        }
        self.store(*acked).await;
        end
    }

    /// Sends one line; its acknowledgement is awaited apart.
    async fn send(&self, line: OutputLine) -> Result<Sent, PublishError> {
        let OutputLine { seq, bytes, next } = line;
        let mut ingest = IngestLine {
            host: self.ctx.settings().host.clone(),
            decky: self.output.decky.clone(),
            source: self.output.source.to_string(),
            seq,
            line: bytes,
        };
        let bad = |ingest: &IngestLine, error: &serde_json::Error| PublishError::BadPayload {
            subject: ingest.topic().subject(),
            reason: error.to_string(),
        };
        let mut body = ingest.to_body().map_err(|error| bad(&ingest, &error))?;
        if body.len() > MAX_INGEST {
            // Thousands of control characters, each six bytes of JSON. No decoy of ours writes such a line.
            ingest.line.truncate(MAX_INGEST / 8);
            body = ingest.to_body().map_err(|error| bad(&ingest, &error))?;
        }
        let pending = self.ctx.bus().send_acked(&ingest.topic(), &ingest.message_id(), body).await?;
        self.counters.shipped.fetch_add(1, Ordering::Relaxed);
        Ok(async move { (next, pending.stored().await.map(drop)) }.boxed())
    }

    /// Stores the cursor and gives back the space before it.
    async fn store(&self, acked: Option<Position>) {
        let Some(acked) = acked else { return };
        if let Err(error) = self.cursors.store(&self.output.source, acked) {
            tracing::warn!(decky = %self.output.decky, %error, "a cursor is not stored: after a restart lines are shipped again");
            return;
        }
        if let Err(error) = self.runtime.release(&self.output, acked).await {
            tracing::warn!(decky = %self.output.decky, %error, "the space of shipped lines is not given back");
        }
    }

    async fn finish(&self) -> anyhow::Result<()> {
        self.runtime.discard(&self.output).await?;
        self.cursors.delete(&self.output.source)?;
        Ok(())
    }
}

/// Moves the cursor behind a line that is safe. A line that no broker can ever take is reported and passed over.
fn note(acked: &mut Option<Position>, (next, sent): (Position, Result<(), PublishError>)) -> Option<End> {
    match sent {
        Err(error) if error.is_transient() || matches!(error, PublishError::Disabled) => {
            return Some(End::Trouble(error.to_string()));
        }
        Err(error) => tracing::error!(%error, "a line cannot be shipped and is passed over"),
        Ok(()) => {}
    }
    *acked = Some(next);
    None
}
