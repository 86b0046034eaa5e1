//! Who was seen: attackers with what they used, touched and typed.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use decnet_db::{Attacker, AttackerCommand, AttackerDecky, AttackerQuery, AttackerService, AttackerSort};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::page::{MAX_LIMIT, PageOf, check_length, check_paging, paging};
use crate::{
    app::App,
    auth::ViewerUser,
    extract::{Check, Params, PathParam},
    problem::{FieldError, Outcome, Problem},
};

/// An attacker: one source address.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AttackerView {
    /// Row id.
    pub uuid: Uuid,
    /// Source address.
    pub ip: String,
    /// The identity behind the address, once one is known.
    pub identity_id: Option<Uuid>,
    /// First line.
    pub first_seen: DateTime<Utc>,
    /// Latest line.
    pub last_seen: DateTime<Utc>,
    /// Lines.
    pub event_count: u64,
    /// Distinct services.
    pub service_count: u64,
    /// Distinct deckies.
    pub decky_count: u64,
    /// Distinct secrets tried.
    pub credential_count: u64,
    /// Sessions.
    pub session_count: u64,
    /// Commands typed.
    pub command_count: u64,
    /// Touched more than one decky.
    pub is_traversal: bool,
    /// When the row changed.
    pub updated_at: DateTime<Utc>,
}

impl From<Attacker> for AttackerView {
    fn from(row: Attacker) -> Self {
        Self {
            uuid: row.uuid,
            ip: row.ip,
            // The clusterer of a later release fills this in.
            identity_id: None,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            event_count: row.event_count,
            service_count: row.service_count,
            decky_count: row.decky_count,
            credential_count: row.credential_count,
            session_count: row.session_count,
            command_count: row.command_count,
            is_traversal: row.is_traversal,
            updated_at: row.updated_at,
        }
    }
}

/// Order of the list.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortBy {
    /// Latest line first.
    #[default]
    Recent,
    /// Most lines first.
    Active,
    /// Most deckies first, those of one decky left out.
    Traversals,
}

impl From<SortBy> for AttackerSort {
    fn from(sort: SortBy) -> Self {
        match sort {
            SortBy::Recent => Self::Recent,
            SortBy::Active => Self::Active,
            SortBy::Traversals => Self::Traversals,
        }
    }
}

/// Which attackers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttackerParams {
    /// Rows of the page (50).
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Rows to skip.
    #[param(minimum = 0, maximum = 2_147_483_647)]
    offset: Option<u64>,
    /// Part of the address.
    #[param(max_length = 45)]
    search: Option<String>,
    /// Order (`recent`).
    #[param(inline)]
    sort_by: Option<SortBy>,
    /// Only those who used this service.
    #[param(max_length = 48)]
    service: Option<String>,
}

impl Check for AttackerParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_paging(self.limit, MAX_LIMIT, self.offset, errors);
        check_length("search", self.search.as_deref(), 45, errors);
        check_length("service", self.service.as_deref(), 48, errors);
    }
}

/// A page of attackers.
#[utoipa::path(
    get, path = "/attackers", tag = "attackers", params(AttackerParams),
    responses((status = 200, description = "A page of attackers", body = PageOf<AttackerView>))
)]
pub async fn list_attackers(
    _: ViewerUser,
    State(app): State<App>,
    Params(params): Params<AttackerParams>,
) -> Outcome<Json<PageOf<AttackerView>>> {
    let query = AttackerQuery {
        search: params.search,
        service: params.service,
        sort: params.sort_by.unwrap_or_default().into(),
        paging: paging(params.limit, params.offset),
    };
    let page = app.db().await?.attackers().page(&query).await?;
    Ok(Json(PageOf::of(page, AttackerView::from)))
}

/// A service that an attacker used.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceView {
    /// Service.
    pub service: String,
    /// Used, not only scanned.
    pub interacted: bool,
    /// Lines.
    pub event_count: u64,
    /// First line.
    pub first_seen: DateTime<Utc>,
    /// Latest line.
    pub last_seen: DateTime<Utc>,
}

impl From<&AttackerService> for ServiceView {
    fn from(row: &AttackerService) -> Self {
        Self {
            service: row.service.clone(),
            interacted: row.interacted,
            event_count: row.event_count,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
        }
    }
}

/// A decky that an attacker touched.
#[derive(Debug, Serialize, ToSchema)]
pub struct TouchedDecky {
    /// Host of the decky.
    pub host_uuid: String,
    /// Its name.
    pub decky: String,
    /// Order of first contact, from 0.
    pub ord: u64,
    /// Lines.
    pub event_count: u64,
    /// First line.
    pub first_seen: DateTime<Utc>,
    /// Latest line.
    pub last_seen: DateTime<Utc>,
}

impl From<AttackerDecky> for TouchedDecky {
    fn from(row: AttackerDecky) -> Self {
        Self {
            host_uuid: row.host_uuid,
            decky: row.decky,
            ord: row.ord,
            event_count: row.event_count,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
        }
    }
}

/// Which services were used and which only scanned.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceActivity {
    /// Used.
    pub interacted: Vec<String>,
    /// Only scanned.
    pub scanned: Vec<String>,
}

/// An attacker with its lists.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttackerDetailView {
    /// The row.
    #[serde(flatten)]
    pub attacker: AttackerView,
    /// Services by name.
    pub services: Vec<ServiceView>,
    /// Deckies in order of first contact.
    pub deckies: Vec<TouchedDecky>,
    /// The path through the fleet: decky names in order of first contact, for those who touched more than one.
    pub traversal_path: Option<Vec<String>>,
    /// Services by depth of contact.
    pub service_activity: ServiceActivity,
}

/// One attacker.
#[utoipa::path(
    get, path = "/attackers/{uuid}", tag = "attackers",
    params(("uuid" = Uuid, Path, description = "The attacker")),
    responses(
        (status = 200, description = "The attacker", body = AttackerDetailView),
        (status = 404, description = "Unknown attacker", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn get_attacker(
    _: ViewerUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
) -> Outcome<Json<AttackerDetailView>> {
    let detail = app.db().await?.attackers().get(uuid).await?.ok_or_else(unknown)?;
    let names = |interacted: bool| {
        detail.services.iter().filter(|s| s.interacted == interacted).map(|s| s.service.clone()).collect()
    };
    let service_activity = ServiceActivity { interacted: names(true), scanned: names(false) };
    let services = detail.services.iter().map(ServiceView::from).collect();
    let path = detail.deckies.iter().map(|decky| decky.decky.clone()).collect();
    Ok(Json(AttackerDetailView {
        traversal_path: detail.attacker.is_traversal.then_some(path),
        attacker: detail.attacker.into(),
        services,
        deckies: detail.deckies.into_iter().map(TouchedDecky::from).collect(),
        service_activity,
    }))
}

pub(crate) fn unknown() -> Problem {
    Problem::not_found("no such attacker")
}

/// A command that was typed.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommandView {
    /// Row number.
    pub id: i64,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// Host of the decky.
    pub host_uuid: String,
    /// Where.
    pub decky: String,
    /// In which service.
    pub service: String,
    /// In which connection.
    pub conn_id: Option<String>,
    /// The command.
    pub command: String,
}

impl From<AttackerCommand> for CommandView {
    fn from(row: AttackerCommand) -> Self {
        Self {
            id: row.id,
            timestamp: row.timestamp,
            host_uuid: row.host_uuid,
            decky: row.decky,
            service: row.service,
            conn_id: row.conn_id,
            command: row.command,
        }
    }
}

/// Most commands of a page.
const MAX_COMMANDS: u64 = 200;

/// Which commands.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CommandParams {
    /// Rows of the page (50).
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// Rows to skip.
    #[param(minimum = 0, maximum = 2_147_483_647)]
    offset: Option<u64>,
    /// Only of this service.
    #[param(max_length = 48)]
    service: Option<String>,
}

impl Check for CommandParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_paging(self.limit, MAX_COMMANDS, self.offset, errors);
        check_length("service", self.service.as_deref(), 48, errors);
    }
}

/// Commands of an attacker, newest first.
#[utoipa::path(
    get, path = "/attackers/{uuid}/commands", tag = "attackers",
    params(("uuid" = Uuid, Path, description = "The attacker"), CommandParams),
    responses(
        (status = 200, description = "A page of commands", body = PageOf<CommandView>),
        (status = 404, description = "Unknown attacker", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn list_commands(
    _: ViewerUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
    Params(params): Params<CommandParams>,
) -> Outcome<Json<PageOf<CommandView>>> {
    let db = app.db().await?;
    db.attackers().get(uuid).await?.ok_or_else(unknown)?;
    let paging = paging(params.limit, params.offset);
    let page = db.attackers().commands(uuid, params.service.as_deref(), paging).await?;
    Ok(Json(PageOf::of(page, CommandView::from)))
}
