//! Connections of attackers, as sessions.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use decnet_db::{Session, SessionQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    attackers::unknown,
    credentials::canonical,
    page::{MAX_LIMIT, PageOf, check_length, check_paging, paging},
};
use crate::{
    app::App,
    auth::ViewerUser,
    extract::{Check, Params, PathParam},
    problem::{FieldError, Outcome, Problem},
};

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Row id.
    pub id: Uuid,
    /// Host of the decky.
    pub host_uuid: String,
    /// Decky.
    pub decky: String,
    /// Connection id within the decky.
    pub conn_id: String,
    /// The attacker's row.
    pub attacker_uuid: Uuid,
    /// Source address.
    pub attacker_ip: String,
    /// Source port.
    pub src_port: Option<u16>,
    /// Service.
    pub service: String,
    /// First line.
    pub started_at: DateTime<Utc>,
    /// Latest line.
    pub last_seen: DateTime<Utc>,
    /// When it ended, if it did.
    pub ended_at: Option<DateTime<Utc>>,
    /// Lines.
    pub event_count: u64,
    /// Commands.
    pub command_count: u64,
    /// Login attempts.
    pub auth_count: u64,
    /// A login was let in.
    pub authenticated: bool,
    /// Client banner, user agent or HASSH.
    pub client: Option<String>,
}

impl From<Session> for SessionView {
    fn from(row: Session) -> Self {
        Self {
            id: row.id,
            host_uuid: row.host_uuid,
            decky: row.decky,
            conn_id: row.conn_id,
            attacker_uuid: row.attacker_uuid,
            attacker_ip: row.attacker_ip,
            src_port: row.src_port,
            service: row.service,
            started_at: row.started_at,
            last_seen: row.last_seen,
            ended_at: row.ended_at,
            event_count: row.event_count,
            command_count: row.command_count,
            auth_count: row.auth_count,
            authenticated: row.authenticated,
            client: row.client,
        }
    }
}

/// Which sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionParams {
    /// Rows of the page (50).
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Rows to skip.
    #[param(minimum = 0, maximum = 2_147_483_647)]
    offset: Option<u64>,
    /// Only from this address.
    #[param(max_length = 45)]
    attacker_ip: Option<String>,
    /// Only on this decky.
    #[param(max_length = 255)]
    decky: Option<String>,
    /// Only on this service.
    #[param(max_length = 48)]
    service: Option<String>,
    /// Only open (`true`) or only ended (`false`) ones.
    open: Option<bool>,
}

impl Check for SessionParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_paging(self.limit, MAX_LIMIT, self.offset, errors);
        check_length("attacker_ip", self.attacker_ip.as_deref(), 45, errors);
        check_length("decky", self.decky.as_deref(), 255, errors);
        check_length("service", self.service.as_deref(), 48, errors);
    }
}

impl SessionParams {
    fn query(self, attacker_uuid: Option<Uuid>) -> SessionQuery {
        SessionQuery {
            attacker_uuid,
            attacker_ip: self.attacker_ip.map(canonical),
            decky: self.decky,
            service: self.service,
            open: self.open,
            paging: paging(self.limit, self.offset),
        }
    }
}

/// Sessions, latest start first.
#[utoipa::path(
    get, path = "/sessions", tag = "attackers", params(SessionParams),
    responses((status = 200, description = "A page of sessions", body = PageOf<SessionView>))
)]
pub async fn list_sessions(
    _: ViewerUser,
    State(app): State<App>,
    Params(params): Params<SessionParams>,
) -> Outcome<Json<PageOf<SessionView>>> {
    let page = app.db().await?.sessions().page(&params.query(None)).await?;
    Ok(Json(PageOf::of(page, SessionView::from)))
}

/// Sessions of an attacker, latest start first.
#[utoipa::path(
    get, path = "/attackers/{uuid}/sessions", tag = "attackers",
    params(("uuid" = Uuid, Path, description = "The attacker"), SessionParams),
    responses(
        (status = 200, description = "A page of sessions", body = PageOf<SessionView>),
        (status = 404, description = "Unknown attacker", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn list_attacker_sessions(
    _: ViewerUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
    Params(params): Params<SessionParams>,
) -> Outcome<Json<PageOf<SessionView>>> {
    let db = app.db().await?;
    db.attackers().get(uuid).await?.ok_or_else(unknown)?;
    let page = db.sessions().page(&params.query(Some(uuid))).await?;
    Ok(Json(PageOf::of(page, SessionView::from)))
}
