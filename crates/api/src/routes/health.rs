//! Whether all is well: alive (open), ready (open, booleans only), and by component (with a login).

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use decnet_bus::Worker;
use decnet_kit::DatabaseError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    auth::{Public, ViewerUser},
    problem::Outcome,
    registry::WorkerStatus,
};

/// How long the database may take to show a sign of life.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process lives.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alive {
    /// Always `ok`.
    pub status: &'static str,
}

/// The process is alive.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "Alive", body = Alive)))]
pub async fn healthz(_: Public) -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// What the API needs.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "booleans only, by contract: the route is open")]
pub struct Ready {
    /// Requests can be answered.
    pub ready: bool,
    /// The database answers.
    pub database: bool,
    /// The broker is connected; without it the API works, only slower to notice things.
    pub nats: bool,
    /// The schema is the one of this binary.
    pub schema: bool,
}

/// Whether requests can be answered.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses((status = 200, description = "Ready", body = Ready), (status = 503, description = "Not ready", body = Ready))
)]
pub async fn readyz(_: Public, State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let trouble = database_trouble(&app).await;
    let schema = !matches!(app.database().await, Err(DatabaseError::Schema(_)));
    let ready = Ready {
        ready: trouble.is_none(),
        database: trouble.is_none(),
        nats: app.bus().is_connected(),
        schema,
    };
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ready))
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// As it should be.
    Healthy,
    /// Something that can be done without is missing.
    Degraded,
    /// Something that cannot be done without is missing.
    Unhealthy,
}

/// One part.
#[derive(Debug, Serialize, ToSchema)]
pub struct Component {
    /// How it is.
    pub status: HealthStatus,
    /// In words.
    pub detail: String,
}

/// The whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthView {
    /// How the whole is.
    pub status: HealthStatus,
    /// How each part is.
    pub components: Components,
}

/// The parts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Components {
    /// Critical.
    pub database: Component,
    /// Critical.
    pub nats: Component,
    /// The writer of captured lines; critical.
    pub collector: Component,
    /// The one that runs deckies.
    pub agent: Component,
    /// The one that keeps deckies alive.
    pub orchestrator: Component,
}

/// How each part is.
#[utoipa::path(
    get, path = "/health", tag = "health",
    responses(
        (status = 200, description = "Healthy or degraded", body = HealthView),
        (status = 503, description = "Unhealthy", body = HealthView),
    )
)]
pub async fn health(_: ViewerUser, State(app): State<App>) -> Outcome<(StatusCode, Json<HealthView>)> {
    let database = match database_trouble(&app).await {
        None => component(HealthStatus::Healthy, "answers"),
        Some(reason) => component(HealthStatus::Unhealthy, &reason),
    };
    let nats = if app.bus().is_connected() {
        component(HealthStatus::Healthy, "connected")
    } else {
        component(HealthStatus::Unhealthy, "not connected: is nats-server running?")
    };
    let components = Components {
        database,
        nats,
        collector: worker(&app, Worker::Collector, HealthStatus::Unhealthy),
        agent: worker(&app, Worker::Agent, HealthStatus::Degraded),
        orchestrator: worker(&app, Worker::Orchestrator, HealthStatus::Degraded),
    };
    let all = [
        &components.database,
        &components.nats,
        &components.collector,
        &components.agent,
        &components.orchestrator,
    ];
    let worst = if all.iter().any(|c| c.status == HealthStatus::Unhealthy) {
        HealthStatus::Unhealthy
    } else if all.iter().any(|c| c.status == HealthStatus::Degraded) {
        HealthStatus::Degraded
    } else {
        HealthStatus::Healthy
    };
    let unhealthy = worst == HealthStatus::Unhealthy;
    let status = if unhealthy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Ok((status, Json(HealthView { status: worst, components })))
}

fn component(status: HealthStatus, detail: &str) -> Component {
    Component { status, detail: detail.to_owned() }
}

fn worker(app: &App, worker: Worker, if_absent: HealthStatus) -> Component {
    match app.registry().status_of(worker, app.bus()) {
        WorkerStatus::Ok => component(HealthStatus::Healthy, "beats"),
        WorkerStatus::Stale => component(if_absent, "no beat for 90 seconds or longer"),
        WorkerStatus::Unknown => component(if_absent, "never heard"),
    }
}

/// Why the database cannot be used, if it cannot; at most a second old.
async fn database_trouble(app: &App) -> Option<String> {
    let probe = async {
        let ping = async {
            let db = app.database().await.map_err(|error| error.to_string())?;
            db.ping().await.map_err(|error| error.to_string())
        };
        let told: Option<Arc<str>> = match tokio::time::timeout(PATIENCE, ping).await {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(reason.into()),
            Err(_) => Some("did not answer within 2 seconds".into()),
        };
        Ok(told)
    };
    match app.caches().database.get((), probe).await {
        Ok(told) => told.map(|reason| reason.to_string()),
        Err(failure) => Some(failure.to_string()),
    }
}
