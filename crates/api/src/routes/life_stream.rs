//! `GET /orchestrator/events/stream`: what the orchestrator does, as it does it. First a comment, then `snapshot` with the newest
//! actions, then one event an action, named `traffic`, `file` or `email`.
//!
//! Listening begins before the snapshot is read, and what is in both is sent once: nothing is lost or doubled in between.

use std::{collections::HashSet, sync::Arc};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{Response, sse::Event},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::broadcast;
use utoipa::IntoParams;

use super::{
    orchestrator::{ActionView, newest},
    page::check_length,
    stream::{Live, Over, Sender, opened, position, resync_event, slot},
};
use crate::{
    app::App,
    auth::{Caller, StreamUser},
    extract::{Check, Params},
    live::{Backlog, Frame, Kind, Position, Slot},
    problem::{FieldError, Outcome, Problem},
};

/// Path of the stream, which stream tokens are asked for.
pub const PATH: &str = "/api/v1/orchestrator/events/stream";
/// Actions of the snapshot.
const SNAPSHOT: u64 = 50;
/// What the hub calls these events, without the word that tells them apart.
const FAMILY: &str = "orchestrator.";

/// Where to go on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LifeStreamParams {
    /// Where to go on, for clients that cannot send `Last-Event-ID`.
    #[serde(rename = "lastEventId")]
    #[param(rename = "lastEventId", max_length = 64)]
    last_event_id: Option<String>,
    /// A single-use stream token, read by the guard.
    #[param(ignore)]
    #[serde(rename = "token")]
    _token: Option<String>,
}

impl Check for LifeStreamParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_length("lastEventId", self.last_event_id.as_deref(), 64, errors);
    }
}

/// What the orchestrator does, as it does it, until the login ends.
#[utoipa::path(
    get, path = "/orchestrator/events/stream", tag = "life",
    params(LifeStreamParams, ("Last-Event-ID" = Option<String>, Header, description = "Where to go on after a break")),
    responses(
        (status = 200, description = "Server-sent events: `snapshot` with `{events: [...]}` as `GET /orchestrator/events` shows them, newest first; then `traffic`, `file`, `email` with JSON `{topic, type, ts, payload}`, and `resync`", body = String, content_type = "text/event-stream"),
        (status = 429, description = "The user has five streams open already", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn stream_actions(
    StreamUser(caller): StreamUser,
    State(app): State<App>,
    Params(params): Params<LifeStreamParams>,
    headers: HeaderMap,
) -> Outcome<Response> {
    let slot = slot(&app, &caller)?;
    let from = position(&headers, params.last_event_id.as_deref());
    let (sender, response) = opened(&app);
    tokio::spawn(run(app, caller, sender, from, slot));
    Ok(response)
}

async fn run(app: App, caller: Caller, sender: Sender, from: Option<Position>, slot: Slot) {
    tracing::debug!(user = caller.name(), "life stream opened");
    let _ = serve(&app, &caller, &sender, from).await;
    tracing::debug!(user = caller.name(), "life stream closed");
    drop(slot);
}

async fn serve(app: &App, caller: &Caller, sender: &Sender, from: Option<Position>) -> Result<(), Over> {
    send(sender, Event::default().comment("connected")).await?;
    let (frames, backlog) = app.hub().listen(from);
    let shown = snapshot(app, sender).await?;
    catch_up(sender, backlog, &shown).await?;
    follow(app, caller, sender, frames, &shown).await
}

/// What tells an action of the snapshot from others: its time and where it was done.
type Key = (i64, String);

/// Sends the newest actions; which they are.
async fn snapshot(app: &App, sender: &Sender) -> Result<HashSet<Key>, Over> {
    let events = match app.db().await {
        Ok(db) => newest(&db, SNAPSHOT).await.unwrap_or_default(),
        // Without a database the stream goes on with what the bus tells.
        Err(_) => Vec::new(),
    };
    let keys = events.iter().map(|event| (event.ts.timestamp_micros(), place(event).to_owned())).collect();
    let data = serde_json::json!({ "events": events }).to_string();
    send(sender, Event::default().event("snapshot").data(data)).await?;
    Ok(keys)
}

fn place(event: &ActionView) -> &str {
    event.mail.as_ref().map_or(&event.dst_decky_uuid, |mail| &mail.mail_decky_uuid)
}

async fn catch_up(sender: &Sender, backlog: Backlog, shown: &HashSet<Key>) -> Result<(), Over> {
    if backlog.gap {
        send(sender, resync_event("too much happened meanwhile")).await?;
    }
    for frame in &backlog.events {
        pass_on(sender, frame, shown).await?;
    }
    Ok(())
}

async fn follow(
    app: &App,
    caller: &Caller,
    sender: &Sender,
    frames: broadcast::Receiver<Arc<Frame>>,
    shown: &HashSet<Key>,
) -> Result<(), Over> {
    let mut live = Live::of(app, caller, sender, frames);
    loop {
        match live.next().await? {
            Some(frame) => pass_on(sender, &frame, shown).await?,
            None => send(sender, resync_event("you read too slowly")).await?,
        }
    }
}

async fn pass_on(sender: &Sender, frame: &Frame, shown: &HashSet<Key>) -> Result<(), Over> {
    let kind = match frame.kind {
        Kind::Event => frame.name.strip_prefix(FAMILY),
        Kind::Resync => return send(sender, Event::default().event("resync").data(&frame.data)).await,
        Kind::Log | Kind::Stats => None,
    };
    let Some(kind) = kind else { return Ok(()) };
    if key(&frame.data).is_some_and(|key| shown.contains(&key)) {
        return Ok(());
    }
    let event = Event::default().event(kind).id(frame.position.to_string());
    send(sender, event.data(&frame.data)).await
}

/// The key of an event on its way.
fn key(data: &str) -> Option<Key> {
    let event: Value = serde_json::from_str(data).ok()?;
    let payload = event.get("payload")?;
    let at: chrono::DateTime<chrono::Utc> = payload.get("ts")?.as_str()?.parse().ok()?;
    let place = payload.get("mail_decky_uuid").or_else(|| payload.get("dst_decky_uuid"))?.as_str()?;
    Some((at.timestamp_micros(), place.to_owned()))
}

async fn send(sender: &Sender, event: Event) -> Result<(), Over> {
    sender.send(Ok(event)).await.map_err(|_| Over)
}
