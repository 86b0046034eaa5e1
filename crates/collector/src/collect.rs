//! The loop: fetch a batch, read it, commit it, then acknowledge. A crash anywhere brings the batch back, and the
//! database's unique key makes that harmless. When the database is away, lines wait in the stream.

use std::time::Duration;

use anyhow::{Context as _, Result};
use chrono::TimeDelta;
use decnet_bus::{
    Delivered, Durable, Topic,
    payload::{CollectorLine, IngestCommitted, IngestLine},
};
use decnet_core::{FleetSecret, traffic::SourcePorts};
use decnet_db::{IngestBatch, NewLog, Session};
use decnet_kit::Ctx;
use tokio::time::Instant;

use crate::{
    events,
    read::{Line, Reader},
};

/// Pause after a failure of broker or database; the lines are safe in the stream meanwhile.
const PAUSE: Duration = Duration::from_secs(1);
/// How often an outage that goes on is told of.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);
/// How often sessions without an end are looked for, and after how much silence they count as ended.
const SWEEP_EVERY: Duration = Duration::from_mins(1);
const SILENT: TimeDelta = TimeDelta::minutes(65);
/// Lines of one batch that are announced one by one; a flood is announced by the batch's notice alone.
const ANNOUNCED: usize = 50;

/// The collector's life.
pub async fn collect(ctx: Ctx) -> Result<()> {
    let settings = ctx.settings();
    let secret = FleetSecret::load_or_create(&settings.secret_file)?;
    let reader = Reader::new(SourcePorts::of_fleet(&secret.seed()));
    let most = usize::try_from(settings.batch_size.get()).unwrap_or(usize::MAX);
    let wait = settings.batch_max_wait_ms.duration();
    let mut consumer = ctx.bus().consume(Durable::collector()).await;
    ctx.outbox();
    ctx.subscribed();
    let mut swept = Instant::now();
    let mut complained: Option<Instant> = None;
    while !ctx.is_stopping() {
        if swept.elapsed() >= SWEEP_EVERY {
            swept = Instant::now();
            if let Err(error) = end_silent(&ctx).await {
                tracing::warn!(error = format!("{error:#}"), "silent sessions stay open for now");
            }
        }
        let fetched = tokio::select! {
            fetched = ctx.idle(consumer.fetch(most, wait)) => fetched,
            () = ctx.stopping() => break,
        };
        let delivered = match fetched {
            Ok(delivered) => {
                if complained.take().is_some() {
                    tracing::info!("lines are fetched again");
                }
                delivered
            }
            Err(error) => {
                // An outage is told of at its start and then now and then, not with every attempt.
                if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
                    complained = Some(Instant::now());
                    tracing::warn!(%error, "no lines can be fetched; trying again");
                }
                pause(&ctx).await;
                continue;
            }
        };
        if delivered.is_empty() {
            ctx.progress();
            continue;
        }
        // Not interrupted by a stop: what was fetched is finished, within the kit's bound.
        if let Err(error) = store(&ctx, &reader, &delivered).await {
            tracing::error!(
                error = format!("{error:#}"),
                lines = delivered.len(),
                "batch not stored; it comes back"
            );
            for message in &delivered {
                // If this is lost too, the server's own timer brings the message back.
                let _ = message.nak(PAUSE).await;
            }
            pause(&ctx).await;
            continue;
        }
        if let Err(error) = Delivered::ack_all(&delivered).await {
            tracing::warn!(%error, "batch stored but not acknowledged; its lines come back and change nothing");
        }
        ctx.progress();
    }
    Ok(())
}

/// Ends the sessions whose decoy died before it could tell. A decoy closes a connection after an hour at the latest.
async fn end_silent(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await.context("database")?;
    let since = ctx.now() - SILENT;
    let tell = |sessions: &[Session]| events::ended(sessions, ctx);
    let ended = db.sessions().end_silent(since, 1000, tell).await?;
    if ended > 0 {
        tracing::info!(ended, "silent sessions ended");
        ctx.outbox().nudge();
    }
    Ok(())
}

async fn pause(ctx: &Ctx) {
    tokio::select! {
        () = ctx.idle(tokio::time::sleep(PAUSE)) => {}
        () = ctx.stopping() => {}
    }
}

async fn store(ctx: &Ctx, reader: &Reader, delivered: &[Delivered]) -> Result<()> {
    let mut batch = IngestBatch::default();
    for message in delivered {
        // A message that is no ingest record was not made by an agent: no evidence of any decky is lost with it.
        let line: IngestLine = match message.ingest_line() {
            Ok(line) => line,
            Err(error) => {
                tracing::error!(subject = message.topic.subject(), %error, "unreadable ingest record dropped");
                continue;
            }
        };
        match reader.read(&line, ctx.now()) {
            Line::Log(log) => batch.logs.push(*log),
            Line::Rejected(line) => {
                tracing::warn!(
                    decky = line.decky,
                    seq = line.seq,
                    error = line.error,
                    "line kept as raw evidence"
                );
                batch.rejected.push(line);
            }
            Line::Empty => {}
        }
    }
    let db = ctx.db().await.context("database")?;
    let outcome = db.ingest(&batch, |facts| events::rows(facts, ctx)).await?;
    if outcome.outbox_rows > 0 {
        ctx.outbox().nudge();
    }
    announce(ctx, &batch.logs, outcome.logs_inserted).await;
    Ok(())
}

/// Tells listeners that there is something to look at; the rows are the truth, so a lost notice only costs time.
async fn announce(ctx: &Ctx, logs: &[NewLog], inserted: u64) {
    if inserted == 0 {
        return;
    }
    let committed = IngestCommitted { component: ctx.worker().to_string(), flushed: inserted, position: 0 };
    ctx.bus().publish(&Topic::NoticeIngestCommitted, &committed).await;
    for log in logs.iter().take(ANNOUNCED) {
        let line = CollectorLine {
            decky: log.decky.clone(),
            service: log.service.clone(),
            event_type: log.event_type.clone(),
            attacker_ip: log.attacker_ip,
            timestamp: log.timestamp,
        };
        ctx.bus().publish(&Topic::NoticeCollectorLine, &line).await;
    }
}
