//! `GET /stream`: server-sent events. First a comment, then `snapshot`, then what a returning client missed, then what
//! happens.
//!
//! One task per connection writes into a short channel; when the client is slow the hub's broadcast overruns and the
//! client is told to `resync`. The stream ends with the login behind it. What is sent is decided in [`crate::live`].

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use chrono::{DateTime, Utc};
use decnet_db::Search;
use serde::Deserialize;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;

use super::page::check_length;
use crate::{
    app::App,
    auth::{Caller, StreamUser},
    extract::{Check, Params},
    live::{Backlog, Frame, Kind, Position, Slot, line_json, snapshot},
    problem::{Failure, FieldError, Outcome, Problem},
};

/// Path of the stream, which stream tokens are asked for.
pub const PATH: &str = "/api/v1/stream";
/// Events between the writer and the connection.
const BUFFER: usize = 16;
/// Between two looks at the user behind a stream, for changes made by another process.
const LOOK: Duration = Duration::from_secs(10);
/// Log rows that a returning client gets at most; beyond, it reads pages.
const MAX_MISSED: usize = 5_000;
/// Rows of one read.
const ROWS: u16 = 500;

/// What to stream.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamParams {
    /// Where to go on, for clients that cannot send `Last-Event-ID`.
    #[serde(rename = "lastEventId")]
    #[param(rename = "lastEventId", max_length = 64)]
    last_event_id: Option<String>,
    /// Only log rows that match, in the search language of `GET /logs`.
    #[param(max_length = 512)]
    search: Option<String>,
    /// Only log rows at or after this time.
    start_time: Option<DateTime<Utc>>,
    /// Only log rows before this time.
    end_time: Option<DateTime<Utc>>,
    /// A single-use stream token, read by the guard.
    #[param(ignore)]
    #[serde(rename = "token")]
    _token: Option<String>,
}

impl Check for StreamParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_length("lastEventId", self.last_event_id.as_deref(), 64, errors);
        if let Some(Err(error)) = self.search.as_deref().map(Search::parse) {
            errors.push(FieldError::new("search", error.to_string()));
        }
    }
}

/// Log rows as they are committed and events of the bus, until the login ends.
#[utoipa::path(
    get, path = "/stream", tag = "live",
    params(StreamParams, ("Last-Event-ID" = Option<String>, Header, description = "Where to go on after a break")),
    responses(
        (status = 200, description = "Server-sent events: `snapshot`, then `log`, `stats`, `resync` and the public topic names; data is JSON `{topic, type, ts, payload}`", body = String, content_type = "text/event-stream"),
        (status = 429, description = "The user has five streams open already", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn stream(
    StreamUser(caller): StreamUser,
    State(app): State<App>,
    Params(params): Params<StreamParams>,
    headers: HeaderMap,
) -> Outcome<Response> {
    let slot = slot(&app, &caller)?;
    let from = position(&headers, params.last_event_id.as_deref());
    let search = params.search.as_deref().map(Search::parse).transpose().map_err(Failure::internal)?;
    let filter = Filter {
        search: search.unwrap_or_default(),
        start: params.start_time.map(|at| at.timestamp_micros()),
        end: params.end_time.map(|at| at.timestamp_micros()),
    };
    let (sender, response) = opened(&app);
    let connection = Connection { app, caller, filter, sender, line: 0 };
    tokio::spawn(connection.run(from, slot));
    Ok(response)
}

/// Where a stream's task writes.
pub(super) type Sender = mpsc::Sender<Result<Event, Infallible>>;

/// A stream that has just begun, and the end to write into.
pub(super) fn opened(app: &App) -> (Sender, Response) {
    let (sender, receiver) = mpsc::channel(BUFFER);
    let keepalive = KeepAlive::new().interval(app.config().keepalive).text("keepalive");
    let mut response = Sse::new(ReceiverStream::new(receiver)).keep_alive(keepalive).into_response();
    let answer = response.headers_mut();
    answer.insert(axum::http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    (sender, response)
}

/// Where a client wants to go on. A position that cannot be read counts as one that is out of reach.
pub(super) fn position(headers: &HeaderMap, parameter: Option<&str>) -> Option<Position> {
    let unreadable = Position { run: 0, event: u64::MAX, line: i64::MAX };
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let from = header.or(parameter).filter(|text| !text.is_empty());
    from.map(|text| text.parse().unwrap_or(unreadable))
}

/// A place for one stream more of this user.
pub(super) fn slot(app: &App, caller: &Caller) -> Result<Slot, Failure> {
    let slot = app.slots().take(caller.uuid());
    slot.ok_or_else(|| Problem::too_many("you have too many streams open; close one first", 5).into())
}

/// Which log rows.
struct Filter {
    search: Search,
    start: Option<i64>,
    end: Option<i64>,
}

impl Filter {
    fn in_time(&self, at: i64) -> bool {
        self.start.is_none_or(|start| at >= start) && self.end.is_none_or(|end| at < end)
    }
}

/// The client has gone, or must go.
pub(super) struct Over;

struct Connection {
    app: App,
    caller: Caller,
    filter: Filter,
    sender: Sender,
    /// The last log row that the client has.
    line: i64,
}

impl Connection {
    async fn run(mut self, from: Option<Position>, slot: Slot) {
        let user = self.caller.name();
        tracing::debug!(user, "stream opened");
        let _ = self.serve(from).await;
        tracing::debug!(user, "stream closed");
        drop(slot);
    }

    async fn serve(&mut self, from: Option<Position>) -> Result<(), Over> {
        // Headers go out with the first byte.
        self.send(Event::default().comment("connected")).await?;
        let (frames, backlog) = self.app.hub().listen(from);
        let snapshot = snapshot(&self.app).await;
        let mut first = Event::default().event("snapshot").data(snapshot);
        if let Some(here) = self.app.hub().here()
            && from.is_none()
        {
            first = first.id(here.to_string());
        }
        self.send(first).await?;
        if let Some(from) = from {
            self.catch_up(from, backlog).await?;
        }
        self.follow(frames).await
    }

    /// Sends what a returning client missed: log rows from the table, then bus events from memory.
    async fn catch_up(&mut self, from: Position, backlog: Backlog) -> Result<(), Over> {
        self.line = from.line;
        let rows_missing = self.missed_rows(from).await?;
        if backlog.gap || rows_missing {
            self.resync("too much happened meanwhile").await?;
        }
        for frame in backlog.events {
            let position = Position { line: self.line, ..frame.position };
            self.send(event_of(&frame, position)).await?;
        }
        Ok(())
    }

    /// Whether rows were left out.
    async fn missed_rows(&mut self, from: Position) -> Result<bool, Over> {
        let Ok(db) = self.app.db().await else { return Ok(true) };
        // A position behind the end of the table is not of this table.
        let Ok(end) = db.logs().last_id().await else { return Ok(true) };
        if from.line > end {
            self.line = end;
            return Ok(true);
        }
        let mut sent = 0;
        loop {
            let Ok(rows) = db.logs().after_id(self.line, &self.filter.search, ROWS.into()).await else {
                return Ok(true);
            };
            let last = rows.len() < usize::from(ROWS);
            for row in rows {
                let (id, at) = (row.id, row.timestamp.timestamp_micros());
                self.line = id;
                if self.filter.in_time(at) {
                    sent += 1;
                    let position = Position { line: id, ..from };
                    self.send(Event::default().event("log").id(position.to_string()).data(line_json(row)))
                        .await?;
                }
            }
            if last {
                return Ok(false);
            }
            if sent >= MAX_MISSED {
                self.line = self.line.max(end);
                return Ok(true);
            }
        }
    }

    async fn follow(&mut self, frames: broadcast::Receiver<Arc<Frame>>) -> Result<(), Over> {
        let (app, sender) = (self.app.clone(), self.sender.clone());
        let mut live = Live::of(&app, &self.caller.clone(), &sender, frames);
        loop {
            match live.next().await? {
                Some(frame) => self.pass_on(&frame).await?,
                None => self.resync("you read too slowly").await?,
            }
        }
    }

    async fn pass_on(&mut self, frame: &Frame) -> Result<(), Over> {
        if frame.kind != Kind::Log {
            return self.send(event_of(frame, frame.position)).await;
        }
        if frame.position.line <= self.line {
            return Ok(());
        }
        if self.filter.search.is_empty() {
            self.line = frame.position.line;
            return if self.filter.in_time(frame.at) {
                self.send(event_of(frame, frame.position)).await
            } else {
                Ok(())
            };
        }
        self.matching_rows(frame.position).await
    }

    /// The database knows which new rows match the search.
    async fn matching_rows(&mut self, until: Position) -> Result<(), Over> {
        let from = self.line.max(until.line - 1);
        // What was broadcast by now is answered by one query, not by one a frame.
        let known = self.app.hub().line().unwrap_or(until.line).max(until.line);
        let Ok(db) = self.app.db().await else { return Ok(()) };
        let Ok(rows) = db.logs().after_id(from, &self.filter.search, ROWS.into()).await else {
            return Ok(());
        };
        let full = rows.len() >= usize::from(ROWS);
        for row in rows {
            self.line = row.id;
            if self.filter.in_time(row.timestamp.timestamp_micros()) {
                let position = Position { line: row.id, ..until };
                self.send(Event::default().event("log").id(position.to_string()).data(line_json(row)))
                    .await?;
            }
        }
        if !full {
            self.line = self.line.max(known);
        }
        Ok(())
    }

    async fn resync(&self, reason: &str) -> Result<(), Over> {
        self.send(resync_event(reason)).await
    }

    async fn send(&self, event: Event) -> Result<(), Over> {
        self.sender.send(Ok(event)).await.map_err(|_| Over)
    }
}

/// That the client should read again what it has.
pub(super) fn resync_event(reason: &str) -> Event {
    Event::default().event("resync").data(serde_json::json!({ "reason": reason }).to_string())
}

/// Frames as they come, until the client, the login behind the stream or the server has gone.
pub(super) struct Live<'a> {
    app: &'a App,
    caller: Caller,
    sender: &'a Sender,
    frames: broadcast::Receiver<Arc<Frame>>,
    users: tokio::sync::watch::Receiver<u64>,
    look: tokio::time::Interval,
}

impl<'a> Live<'a> {
    pub(super) fn of(
        app: &'a App,
        caller: &Caller,
        sender: &'a Sender,
        frames: broadcast::Receiver<Arc<Frame>>,
    ) -> Self {
        let users = app.accounts().changes();
        Self { app, caller: caller.clone(), sender, frames, users, look: tokio::time::interval(LOOK) }
    }

    /// The next frame; `None` if some were missed because the client reads too slowly.
    pub(super) async fn next(&mut self) -> Result<Option<Arc<Frame>>, Over> {
        loop {
            tokio::select! {
                () = self.app.stop().cancelled() => return Err(Over),
                () = self.sender.closed() => return Err(Over),
                _ = self.look.tick() => self.still_allowed().await?,
                changed = self.users.changed() => {
                    changed.map_err(|_| Over)?;
                    self.still_allowed().await?;
                }
                frame = self.frames.recv() => return match frame {
                    Ok(frame) => Ok(Some(frame)),
                    Err(broadcast::error::RecvError::Lagged(_)) => Ok(None),
                    Err(broadcast::error::RecvError::Closed) => Err(Over),
                },
            }
        }
    }

    /// Ends the stream when the login behind it has ended. While the database is away, nobody is thrown out.
    async fn still_allowed(&self) -> Result<(), Over> {
        let app = self.app;
        match app.accounts().stands(app, self.caller.uuid(), &self.caller.login).await {
            Ok(user) if user.must_change_password => Err(Over),
            Err(Failure::Answer(problem)) if problem.status == 401 => Err(Over),
            _ => Ok(()),
        }
    }
}

fn event_of(frame: &Frame, position: Position) -> Event {
    let event = Event::default().event(&frame.name).data(&frame.data);
    match frame.kind {
        Kind::Log | Kind::Event => event.id(position.to_string()),
        Kind::Stats | Kind::Resync => event,
    }
}
