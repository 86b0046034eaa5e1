//! Dead letters: what a receiver refused for good. They are sent again by the worker, under the same event id.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use decnet_db::DeadLetter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{announced, found};
use crate::{
    app::App,
    auth::{AdminUser, Caller},
    extract::{Check, Params, PathParam},
    problem::{Failure, FieldError, Outcome, Problem},
    routes::{
        page::{MAX_LIMIT, PageOf, check_paging, paging},
        users::audit,
    },
};

/// Which letters are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LetterParams {
    /// Letters at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Letters to skip.
    #[param(minimum = 0, maximum = 2_147_483_647_u64)]
    offset: Option<u64>,
}

impl Check for LetterParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_paging(self.limit, MAX_LIMIT, self.offset, errors);
    }
}

/// A letter that was refused.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeadLetterView {
    /// Its id.
    pub uuid: Uuid,
    /// The event.
    pub event_id: String,
    /// Its public topic.
    pub topic: String,
    /// Exactly what was sent.
    pub body: String,
    /// Tries.
    pub attempts: u64,
    /// Why the receiver refused it.
    pub last_error: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When somebody asked to send it again, while that is open.
    pub requested_at: Option<DateTime<Utc>>,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        Self {
            uuid: letter.uuid,
            event_id: letter.event_id,
            topic: letter.topic,
            body: letter.body,
            attempts: letter.attempts,
            last_error: letter.last_error,
            created_at: letter.created_at,
            requested_at: letter.requested_at,
        }
    }
}

/// How many letters it was about.
#[derive(Debug, Serialize, ToSchema)]
pub struct LettersCount {
    /// Letters.
    pub letters: u64,
}

/// A subscription's dead letters, newest first.
#[utoipa::path(
    get, path = "/webhooks/{uuid}/dead-letters", tag = "webhooks",
    params(("uuid" = Uuid, Path, description = "The subscription"), LetterParams),
    responses(
        (status = 200, description = "The letters", body = PageOf<DeadLetterView>),
        (status = 404, description = "Unknown subscription", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn list_dead_letters(
    _: AdminUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
    Params(params): Params<LetterParams>,
) -> Outcome<Json<PageOf<DeadLetterView>>> {
    found(&app, uuid).await?;
    let page = app.db().await?.webhooks().dead_letters(uuid, paging(params.limit, params.offset)).await?;
    Ok(Json(PageOf::of(page, DeadLetterView::from)))
}

/// Sends all dead letters of a subscription again.
#[utoipa::path(
    post, path = "/webhooks/{uuid}/dead-letters/redeliver", tag = "webhooks",
    params(("uuid" = Uuid, Path, description = "The subscription")),
    responses(
        (status = 202, description = "The worker sends them", body = LettersCount),
        (status = 404, description = "Unknown subscription", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn redeliver_dead_letters(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
) -> Outcome<(StatusCode, Json<LettersCount>)> {
    found(&app, uuid).await?;
    let letters = requested(&app, &caller, uuid, None).await?;
    Ok((StatusCode::ACCEPTED, Json(LettersCount { letters })))
}

/// Sends one dead letter again.
#[utoipa::path(
    post, path = "/webhooks/{uuid}/dead-letters/{letter}/redeliver", tag = "webhooks",
    params(("uuid" = Uuid, Path, description = "The subscription"), ("letter" = Uuid, Path, description = "The letter")),
    responses(
        (status = 202, description = "The worker sends it", body = LettersCount),
        (status = 404, description = "Unknown subscription or letter", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn redeliver_dead_letter(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    PathParam((uuid, letter)): PathParam<(Uuid, Uuid)>,
) -> Outcome<(StatusCode, Json<LettersCount>)> {
    found(&app, uuid).await?;
    match requested(&app, &caller, uuid, Some(letter)).await? {
        0 => Err(Problem::not_found("no such dead letter").into()),
        letters => Ok((StatusCode::ACCEPTED, Json(LettersCount { letters }))),
    }
}

async fn requested(app: &App, caller: &Caller, uuid: Uuid, one: Option<Uuid>) -> Result<u64, Failure> {
    let letters = app.db().await?.webhooks().request_letters(uuid, one).await?;
    announced(app).await;
    audit(caller, "redeliver-dead-letters", format_args!("{letters} of webhook {uuid}"));
    Ok(letters)
}

/// Forgets all dead letters of a subscription.
#[utoipa::path(
    delete, path = "/webhooks/{uuid}/dead-letters", tag = "webhooks",
    params(("uuid" = Uuid, Path, description = "The subscription")),
    responses(
        (status = 200, description = "Forgotten", body = LettersCount),
        (status = 404, description = "Unknown subscription", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn purge_dead_letters(
    AdminUser(caller): AdminUser,
    State(app): State<App>,
    PathParam(uuid): PathParam<Uuid>,
) -> Outcome<Json<LettersCount>> {
    found(&app, uuid).await?;
    let letters = app.db().await?.webhooks().purge_letters(uuid, None).await?;
    audit(&caller, "purge-dead-letters", format_args!("{letters} of webhook {uuid}"));
    Ok(Json(LettersCount { letters }))
}
