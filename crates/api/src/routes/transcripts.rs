//! Recorded terminals: what an intruder typed and saw, as asciinema events, also while the session goes on.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{artifacts::decky_name, page::check_paging};
use crate::{
    app::App,
    auth::AdminUser,
    evidence::{Event, Header, MAX_EVENTS},
    extract::{Check, Params, PathParam},
    problem::{Failure, FieldError, Outcome, Problem},
};

/// Events of a page unless told otherwise.
const USUAL_EVENTS: u64 = 500;
/// Longest session id.
const MAX_SID: usize = 64;

/// A part of a recorded terminal.
#[derive(Debug, Serialize, ToSchema)]
pub struct TranscriptView {
    /// The session.
    pub sid: String,
    /// The service that it came by.
    pub service: String,
    /// Head of an asciinema recording, version 2; null where it is lost.
    #[schema(value_type = Option<serde_json::Value>)]
    pub header: Option<Header>,
    /// Events `[seconds, channel, data]`: channel `o` is output, `i` input, `r` a new size `COLSxROWS`. Data is what the
    /// intruder's terminal got: never write it to yours as it is.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pub events: Vec<Event>,
    /// Events skipped.
    pub offset: u64,
    /// Events asked for; fewer may come when they are large.
    pub limit: u64,
    /// Events so far.
    pub total: u64,
    /// There are events after these.
    pub has_more: bool,
    /// The recording was cut off at its limit.
    pub truncated: bool,
}

/// Which part.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TranscriptParams {
    /// Events of the page (500).
    #[param(minimum = 1, maximum = 5000)]
    limit: Option<u64>,
    /// Events to skip.
    #[param(minimum = 0, maximum = 2_147_483_647)]
    offset: Option<u64>,
}

impl Check for TranscriptParams {
    fn check(&self, errors: &mut Vec<FieldError>) {
        check_paging(self.limit, MAX_EVENTS, self.offset, errors);
    }
}

/// A recorded terminal. Its id is the field `sid` of the line `session_recorded`.
#[utoipa::path(
    get, path = "/transcripts/{decky}/{sid}", tag = "evidence",
    params(
        ("decky" = String, Path, description = "The decky", pattern = "^[a-z0-9][a-z0-9-]{0,62}$"),
        ("sid" = String, Path, description = "The session", pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$"),
        TranscriptParams,
    ),
    responses(
        (status = 200, description = "A part of the recording", body = TranscriptView),
        (status = 404, description = "No recording of this session", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn get_transcript(
    _: AdminUser,
    State(app): State<App>,
    PathParam((decky, sid)): PathParam<(String, String)>,
    Params(params): Params<TranscriptParams>,
) -> Outcome<Json<TranscriptView>> {
    let decky = decky_name(&decky)?;
    if !is_sid(&sid) {
        let reason = "give the id that a line `session_recorded` names (sid)";
        return Err(Problem::invalid(vec![FieldError::new("sid", reason)]).into());
    }
    let (offset, limit) = (params.offset.unwrap_or(0), params.limit.unwrap_or(USUAL_EVENTS));
    let slot = app.evidence().searches.clone().acquire_owned().await.map_err(Failure::internal)?;
    let (searched, wanted) = (sid.clone(), usize::try_from(limit).map_err(Failure::internal)?);
    let found = tokio::task::spawn_blocking(move || {
        let found = app.evidence().recording(&decky, &searched, offset, wanted);
        drop(slot);
        found
    });
    let found = found.await.map_err(Failure::internal)?.map_err(Failure::internal)?;
    let found = found.ok_or_else(|| Problem::not_found("there is no recording of this session"))?;
    let service = found.header.as_ref().and_then(|header| header.get("service")?.as_str());
    let shown = found.events.len() as u64;
    Ok(Json(TranscriptView {
        service: service.unwrap_or("ssh").to_owned(),
        sid,
        header: found.header,
        events: found.events,
        offset,
        limit,
        total: found.total,
        has_more: offset.saturating_add(shown) < found.total,
        truncated: found.truncated,
    }))
}

fn is_sid(text: &str) -> bool {
    (1..=MAX_SID).contains(&text.len())
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}
