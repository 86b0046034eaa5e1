//! What fills the hub: events of the bus, and the log table read by row number, woken by the collector's notice or each
//! second. It also takes in heartbeats, since one subscription serves both.
//!
//! Reading goes on only while somebody listens. Rows on the stream never carry secrets, whoever listens.

use std::time::Duration;

use decnet_bus::{BusStatus, Received, Topic, TopicFilter, TopicKind, payload::Heartbeat};
use decnet_db::{Db, LogRow, Search};
use serde::Serialize;
use tokio::time::Instant;

use super::{Kind, hub::Hub};
use crate::{
    app::App,
    problem::Failure,
    routes::{
        logs::{HistogramBucket, LogLine, recent_histogram},
        stats::{StatsView, read_stats},
    },
};

/// Between two looks at the log table without a notice.
const LOOK: Duration = Duration::from_secs(1);
/// Between two frames of statistics while lines come in.
const STATS_BUSY: Duration = Duration::from_secs(2);
/// Between two frames of statistics otherwise.
const STATS_IDLE: Duration = Duration::from_secs(10);
/// Rows of one read: a part of what waits for a listener, so that a burst does not overrun a brisk one.
const ROWS: u64 = 200;
/// Pause between two reads of a burst, for listeners to take what they got.
const BREATH: Duration = Duration::from_millis(10);

/// Topics that go to listeners.
const SHOWN: &[TopicKind] = &[
    TopicKind::AttackerObserved,
    TopicKind::AttackerScored,
    TopicKind::AttackerFingerprinted,
    TopicKind::AttackerSessionStarted,
    TopicKind::AttackerSessionEnded,
    TopicKind::CredentialCaptured,
    TopicKind::CredentialReuseDetected,
    TopicKind::CanaryTriggered,
    TopicKind::DeckyState,
    TopicKind::DeckyMutation,
    TopicKind::OrchestratorTraffic,
    TopicKind::OrchestratorFile,
    TopicKind::OrchestratorEmail,
];

/// What every frame's JSON looks like.
#[derive(Serialize)]
struct Wire<'a, P> {
    topic: &'a str,
    r#type: &'a str,
    ts: f64,
    payload: P,
}

fn wire<P: Serialize>(topic: &str, r#type: &str, ts: f64, payload: P) -> String {
    serde_json::to_string(&Wire { topic, r#type, ts, payload }).unwrap_or_else(|_| "{}".to_owned())
}

/// Follows the bus until the process stops: events to the hub, beats to the registry, notices to the log tail.
pub async fn follow_bus(app: App) -> anyhow::Result<()> {
    let kinds = SHOWN.iter().copied().chain([TopicKind::SystemHealth, TopicKind::NoticeIngestCommitted]);
    let mut events = app.bus().subscribe(&TopicFilter::kinds(kinds)).await;
    let mut status = app.bus().status();
    let (mut connects, mut dropped) = (0, 0);
    loop {
        let seen = status.borrow_and_update().clone();
        if let BusStatus::Connected { connects: now, .. } = seen
            && now != connects
        {
            // The beats of before, and for listeners a hint that events of the break are not coming.
            for (topic, envelope) in app.bus().last_health().await {
                take_in(&app, &Received { topic, envelope });
            }
            if connects > 0 {
                resync(app.hub(), "the broker was away");
            }
            connects = now;
        }
        tokio::select! {
            () = app.stop().cancelled() => return Ok(()),
            changed = status.changed() => if changed.is_err() { return Ok(()) },
            received = events.recv() => match received {
                Some(received) => take_in(&app, &received),
                // Switched off: the log tail goes on by itself.
                None => return Ok(()),
            },
        }
        if events.dropped() > dropped {
            dropped = events.dropped();
            resync(app.hub(), "too many events at once");
        }
    }
}

fn take_in(app: &App, received: &Received) {
    let Received { topic, envelope } = received;
    match topic {
        Topic::SystemHealth { .. } => match envelope.decode::<Heartbeat>() {
            Ok(beat) => app.registry().hear(topic, &beat),
            Err(error) => tracing::debug!(%error, "dropped an unreadable beat"),
        },
        Topic::NoticeIngestCommitted => app.hub().nudge(),
        _ => {
            let Some(public) = topic.public() else { return };
            let mut payload = envelope.payload.clone();
            crate::mask::mask_fields(&mut payload);
            let data = wire(&public, &envelope.r#type, envelope.ts, payload);
            app.hub().send_event(event_name(topic).to_owned(), data);
        }
    }
}

/// Name of the SSE event: the public topic without its ids, so that a client can list what it listens to.
fn event_name(topic: &Topic) -> &'static str {
    match topic.kind() {
        TopicKind::CanaryTriggered => "canary.triggered",
        TopicKind::DeckyState => "decky.state",
        TopicKind::DeckyMutation => "decky.mutation",
        TopicKind::OrchestratorTraffic => "orchestrator.traffic",
        TopicKind::OrchestratorFile => "orchestrator.file",
        TopicKind::OrchestratorEmail => "orchestrator.email",
        other => other.spec().public.unwrap_or("event"),
    }
}

fn resync(hub: &Hub, reason: &str) {
    hub.send_passing(Kind::Resync, "resync", serde_json::json!({ "reason": reason }).to_string());
}

/// Follows the log table until the process stops.
pub async fn follow_logs(app: App) -> anyhow::Result<()> {
    let mut stats = StatsClock { due: Instant::now(), owed: false, last: String::new() };
    loop {
        tokio::select! {
            () = app.stop().cancelled() => return Ok(()),
            () = app.hub().nudged() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        if !app.hub().has_listeners() {
            continue;
        }
        let Ok(db) = app.db().await else { continue };
        match tail(&app, &db).await {
            Ok(grew) => stats.tick(&app, grew).await,
            Err(error) => tracing::warn!(%error, "cannot read new log rows; trying again in a second"),
        }
    }
}

/// Sends the rows since the last look; whether there were any.
async fn tail(app: &App, db: &Db) -> Result<bool, Failure> {
    let hub = app.hub();
    let Some(start) = hub.line() else {
        // The database was away when the listeners came.
        hub.start_line(db.logs().last_id().await?);
        resync(hub, "the database was away");
        return Ok(false);
    };
    let (mut line, mut grew) = (start, false);
    loop {
        let rows = db.logs().after_id(line, &Search::default(), ROWS).await?;
        let last = rows.len() < usize::try_from(ROWS)?;
        for row in rows {
            line = row.id;
            grew = true;
            let (id, at) = (row.id, row.timestamp.timestamp_micros());
            hub.send_line(id, at, line_json(row));
        }
        if last {
            return Ok(grew);
        }
        tokio::time::sleep(BREATH).await;
    }
}

impl From<std::num::TryFromIntError> for Failure {
    fn from(error: std::num::TryFromIntError) -> Self {
        Self::internal(error)
    }
}

/// A log row as the stream shows it.
pub(crate) fn line_json(row: LogRow) -> String {
    let ts = decnet_bus::epoch_seconds(row.timestamp);
    let event_type = row.event_type.clone();
    wire("log", &event_type, ts, LogLine::masked(row))
}

struct StatsClock {
    due: Instant,
    /// Lines came in that the last frame may not count.
    owed: bool,
    last: String,
}

impl StatsClock {
    async fn tick(&mut self, app: &App, grew: bool) {
        let now = Instant::now();
        if grew && !self.owed {
            // Later than the figures are cached, so that they count these lines.
            self.owed = true;
            self.due = now + STATS_BUSY;
        }
        if now < self.due {
            return;
        }
        self.owed = grew;
        self.due = now + if grew { STATS_BUSY } else { STATS_IDLE };
        // A page that is open all night gets no frame while nothing happens.
        if let Ok(figures) = figures(app).await {
            let text = serde_json::to_string(&figures).unwrap_or_default();
            if text != self.last {
                let data = wire("stats", "", decnet_bus::epoch_seconds(app.clock().now()), &figures);
                app.hub().send_passing(Kind::Stats, "stats", data);
                self.last = text;
            }
        }
    }
}

/// Totals and the shape of the last day.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Figures {
    /// Totals.
    pub stats: StatsView,
    /// Lines per 15 minutes.
    pub histogram: Vec<HistogramBucket>,
}

async fn figures(app: &App) -> Result<Figures, Failure> {
    let stats = app.caches().stats.get((), read_stats(app)).await?;
    let histogram = app.caches().histogram.get((), recent_histogram(app)).await?;
    Ok(Figures { stats, histogram: histogram.as_ref().clone() })
}

/// The first event of a stream. Starts the log tail if nobody did, so that no row after it is missed; without a database
/// it says so and the stream goes on.
pub async fn snapshot(app: &App) -> String {
    let ts = decnet_bus::epoch_seconds(app.clock().now());
    let read = async {
        let db = app.db().await?;
        if app.hub().line().is_none() {
            app.hub().start_line(db.logs().last_id().await?);
        }
        figures(app).await
    };
    match read.await {
        Ok(figures) => wire("snapshot", "", ts, figures),
        Err(failure) => {
            tracing::debug!(%failure, "stream opened without figures");
            let none: Option<Figures> = None;
            wire("snapshot", "unavailable", ts, none)
        }
    }
}
