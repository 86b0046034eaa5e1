//! The inventory: what the state file says is deployed, joined with how the mirror in the database says it is.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use decnet_db::{DeckyState, FleetDecky};
use decnet_fleet::{
    DeckyConfig,
    state::{StateFile, StateStore},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    auth::ViewerUser,
    problem::{Failure, Outcome},
};

/// How a decky is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeckyHealth {
    /// Not started yet, or not mirrored yet.
    Pending,
    /// All services run.
    Running,
    /// No service runs.
    Failed,
    /// Removed.
    TornDown,
    /// Some services run.
    Degraded,
    /// Being removed.
    TearingDown,
    /// Could not be removed.
    TeardownFailed,
}

impl From<DeckyState> for DeckyHealth {
    fn from(state: DeckyState) -> Self {
        match state {
            DeckyState::Pending => Self::Pending,
            DeckyState::Running => Self::Running,
            DeckyState::Failed => Self::Failed,
            DeckyState::TornDown => Self::TornDown,
            DeckyState::Degraded => Self::Degraded,
            DeckyState::TearingDown => Self::TearingDown,
            DeckyState::TeardownFailed => Self::TeardownFailed,
        }
    }
}

/// A decky.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeckyView {
    /// `host:name`, its id in events.
    pub id: String,
    /// Host that runs it.
    pub host_uuid: String,
    /// Its name.
    pub name: String,
    /// Its address.
    pub ip: Option<String>,
    /// What the machine calls itself.
    pub hostname: Option<String>,
    /// Services.
    pub services: Vec<String>,
    /// Distribution.
    pub distro: Option<String>,
    /// Archetype.
    pub archetype: Option<String>,
    /// OS family that its stack shows.
    pub nmap_os: Option<String>,
    /// Minutes between mutations, where it has an interval of its own.
    pub mutate_interval: Option<u32>,
    /// How it is.
    pub state: DeckyHealth,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was last seen alive.
    pub last_seen: Option<DateTime<Utc>>,
    /// The state file names it. False for one that only the mirror remembers.
    pub deployed: bool,
}

/// All deckies, by host and name.
#[utoipa::path(
    get, path = "/deckies", tag = "fleet",
    responses((status = 200, description = "The inventory", body = Vec<DeckyView>))
)]
pub async fn list_deckies(_: ViewerUser, State(app): State<App>) -> Outcome<Json<Vec<DeckyView>>> {
    let deckies = app.caches().deckies.get((), read_deckies(&app)).await?;
    Ok(Json(deckies.as_ref().clone()))
}

async fn read_deckies(app: &App) -> Result<Arc<Vec<DeckyView>>, Failure> {
    let rows = app.db().await?.fleet().list(None).await?;
    let state = match state_file(app).await {
        Ok(state) => state,
        Err(failure) => {
            // What is deployed is unknown then; the mirror is the best that is known.
            tracing::warn!(%failure, "the inventory is shown from the database alone");
            None
        }
    };
    Ok(Arc::new(join(app.config().host.as_str(), state, rows)))
}

/// What is deployed, from the state file.
pub(crate) async fn state_file(app: &App) -> Result<Option<StateFile>, Failure> {
    let store = StateStore::new(&app.config().state_file);
    tokio::task::spawn_blocking(move || store.load())
        .await
        .map_err(Failure::internal)?
        .map_err(Failure::internal)
}

fn join(host: &str, state: Option<StateFile>, rows: Vec<FleetDecky>) -> Vec<DeckyView> {
    let mut deckies: BTreeMap<(String, String), DeckyView> =
        rows.into_iter().map(|row| ((row.host_uuid.clone(), row.name.clone()), of_row(row))).collect();
    for config in state.into_iter().flat_map(|state| state.config.deckies) {
        let host = config.host_uuid.as_ref().map_or(host, |host| host.as_str()).to_owned();
        let key = (host, config.name.to_string());
        let view = deckies.entry(key.clone()).or_insert_with(|| blank(&key.0, &key.1));
        describe(view, config);
    }
    deckies.into_values().collect()
}

fn blank(host: &str, name: &str) -> DeckyView {
    DeckyView {
        id: format!("{host}:{name}"),
        host_uuid: host.to_owned(),
        name: name.to_owned(),
        ip: None,
        hostname: None,
        services: Vec::new(),
        distro: None,
        archetype: None,
        nmap_os: None,
        mutate_interval: None,
        state: DeckyHealth::Pending,
        last_error: None,
        last_seen: None,
        deployed: false,
    }
}

fn of_row(row: FleetDecky) -> DeckyView {
    let mut view = blank(&row.host_uuid, &row.name);
    if let Some(config) = row.decky_config.as_ref().and_then(|json| serde_json::from_value(json.clone()).ok())
    {
        describe(&mut view, config);
    }
    let services = row.service_slugs();
    DeckyView {
        ip: row.decky_ip,
        services,
        state: row.state.into(),
        last_error: row.last_error,
        last_seen: row.last_seen,
        deployed: false,
        ..view
    }
}

fn describe(view: &mut DeckyView, config: DeckyConfig) {
    view.ip = Some(config.ip.to_string());
    view.services = config.services;
    view.hostname = Some(config.hostname);
    view.distro = Some(config.distro);
    view.archetype = config.archetype;
    view.nmap_os = Some(config.nmap_os);
    view.mutate_interval = config.mutate_interval;
    view.deployed = true;
}
