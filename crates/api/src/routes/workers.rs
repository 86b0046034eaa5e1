//! The workers panel: who beats, and stopping and starting them.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use decnet_bus::{RequestError, Topic, Worker, payload::Control};
use decnet_kit::ControlReply;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::users::audit;
use crate::{
    app::App,
    auth::{AdminUser, ViewerUser},
    extract::PathParam,
    problem::{Failure, Outcome, Problem},
    registry::WorkerStatus,
};

/// How long a worker may take to answer an order.
const PATIENCE: Duration = Duration::from_secs(5);

/// A worker.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkerView {
    /// Its name.
    pub name: String,
    /// How it is.
    pub status: WorkerStatus,
    /// Its last beat, in epoch seconds.
    pub last_heartbeat_ts: Option<f64>,
    /// Seconds since then.
    pub seconds_since: Option<f64>,
    /// What the beat said besides.
    #[schema(value_type = Object)]
    pub extra: Map<String, Value>,
    /// It has a systemd unit here, so it can be started.
    pub installed: bool,
}

/// All workers.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkersView {
    /// In the registry's order.
    pub workers: Vec<WorkerView>,
    /// When this was put together.
    pub generated_at: DateTime<Utc>,
    /// The API hears beats at all.
    pub bus_connected: bool,
}

/// All workers of this release.
#[utoipa::path(
    get, path = "/workers", tag = "workers",
    responses((status = 200, description = "The workers", body = WorkersView))
)]
pub async fn list_workers(_: ViewerUser, State(app): State<App>) -> Outcome<Json<WorkersView>> {
    let generated_at = app.clock().now();
    let mut workers = Vec::new();
    for sign in app.registry().signs(app.bus()) {
        workers.push(WorkerView {
            name: sign.worker.to_string(),
            status: sign.status,
            last_heartbeat_ts: sign.last.map(decnet_bus::epoch_seconds),
            seconds_since: sign.last.map(|at| seconds_between(at, generated_at)),
            extra: sign.extra,
            installed: app.systemd().has_unit(sign.worker).await,
        });
    }
    Ok(Json(WorkersView { workers, generated_at, bus_connected: app.bus().is_connected() }))
}

fn seconds_between(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (decnet_bus::epoch_seconds(to) - decnet_bus::epoch_seconds(from)).max(0.0)
}

/// An order that was given.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderView {
    /// The worker (or systemd) took it.
    pub accepted: bool,
    /// Which worker.
    pub worker: String,
    /// `stop` or `start`.
    pub action: &'static str,
}

/// Asks a worker to stop, over the bus; one that does not answer is stopped by systemd where it has a unit. It stays stopped
/// until it is started again.
#[utoipa::path(
    post, path = "/workers/{name}/stop", tag = "workers",
    params(("name" = String, Path, description = "The worker")),
    responses(
        (status = 202, description = "The worker is stopping", body = OrderView),
        (status = 404, description = "Unknown worker", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "This one cannot be stopped from here", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "Systemd refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn stop_worker(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    PathParam(name): PathParam<String>,
) -> Outcome<(StatusCode, Json<OrderView>)> {
    let worker = known(&name)?;
    let stopped = StatusCode::ACCEPTED;
    let view = Json(OrderView { accepted: true, worker: worker.to_string(), action: "stop" });
    if worker == Worker::Bus {
        // The broker takes no orders over itself.
        if !app.systemd().has_unit(worker).await {
            let detail = "the broker has no unit here; stop `decnet up`, or the broker's own service";
            return Err(Problem::conflict(detail).into());
        }
        audit(&caller, "stop-worker", worker);
        stop_unit(&app, worker).await?;
        return Ok((stopped, view));
    }
    if worker == Worker::Api {
        // An order to ourselves would not come back to us; this answer is still given before the end.
        audit(&caller, "stop-worker", worker);
        app.stop().cancel();
        return Ok((stopped, view));
    }
    let topic = Topic::SystemControl { host: app.config().host.clone(), worker: worker.token() };
    let order = Control {
        action: "stop".to_owned(),
        requested_by: caller.user.username.clone(),
        ts: decnet_bus::epoch_seconds(app.clock().now()),
    };
    audit(&caller, "stop-worker", worker);
    match app.bus().request::<_, ControlReply>(&topic, &order, PATIENCE).await {
        Ok(_) => Ok((stopped, view)),
        // It hangs, falls over and over, or nobody carries the order: its service manager does not ask it.
        Err(_) if app.systemd().has_unit(worker).await => {
            stop_unit(&app, worker).await?;
            Ok((stopped, view))
        }
        Err(RequestError::NoResponder { .. } | RequestError::TimedOut { .. }) => {
            Err(Problem::unavailable(format!("{worker} does not answer: it is not running, or it hangs"), 5)
                .into())
        }
        Err(other) => Err(Problem::unavailable(other.to_string(), 5).into()),
    }
}

async fn stop_unit(app: &App, worker: Worker) -> Result<(), Failure> {
    let refused = |error| Problem::new(StatusCode::BAD_GATEWAY, format!("systemd: {error}"));
    Ok(app.systemd().stop(worker).await.map_err(refused)?)
}

/// Starts a worker through systemd.
#[utoipa::path(
    post, path = "/workers/{name}/start", tag = "workers",
    params(("name" = String, Path, description = "The worker")),
    responses(
        (status = 202, description = "Systemd started it", body = OrderView),
        (status = 404, description = "Unknown worker", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "Systemd refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn start_worker(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    PathParam(name): PathParam<String>,
) -> Outcome<(StatusCode, Json<OrderView>)> {
    let worker = known(&name)?;
    if !app.systemd().has_unit(worker).await {
        let detail =
            format!("{} is not installed here; `decnet up` starts workers without systemd", worker.unit());
        return Err(Problem::unavailable(detail, 30).into());
    }
    audit(&caller, "start-worker", worker);
    app.systemd()
        .start(worker)
        .await
        .map_err(|error| Problem::new(StatusCode::BAD_GATEWAY, format!("systemd: {error}")))?;
    Ok((
        StatusCode::ACCEPTED,
        Json(OrderView { accepted: true, worker: worker.to_string(), action: "start" }),
    ))
}

/// What starting all came to.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct StartedAll {
    /// Started now.
    pub started: Vec<String>,
    /// Ran already.
    pub already_running: Vec<String>,
    /// Did not start.
    pub failed: Vec<FailedStart>,
}

/// A worker that did not start.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailedStart {
    /// Which.
    pub name: String,
    /// What systemd said.
    pub reason: String,
}

/// Starts every installed worker, one after the other, in the order in which they need each other.
#[utoipa::path(
    post, path = "/workers/start-all", tag = "workers",
    responses((status = 200, description = "What came of it", body = StartedAll))
)]
pub async fn start_all_workers(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
) -> Outcome<Json<StartedAll>> {
    audit(&caller, "start-all-workers", "all");
    let mut all = StartedAll::default();
    for worker in Worker::START_ORDER.iter().copied().filter(|worker| Worker::BUILT.contains(worker)) {
        if !app.systemd().has_unit(worker).await {
            continue;
        }
        let name = worker.to_string();
        if app.systemd().is_active(worker).await {
            all.already_running.push(name);
            continue;
        }
        match app.systemd().start(worker).await {
            Ok(()) => all.started.push(name),
            Err(error) => all.failed.push(FailedStart { name, reason: error.to_string() }),
        }
    }
    Ok(Json(all))
}

fn known(name: &str) -> Result<Worker, Failure> {
    Worker::parse(name)
        .filter(|worker| Worker::BUILT.contains(worker))
        .ok_or_else(|| Problem::not_found("no such worker; see GET /api/v1/workers").into())
}
