//! Every refusal as RFC 9457 problem JSON, and the one error type of handlers.
//!
//! It keeps the member `detail`, so clients of the older contract find their text. What went wrong inside is never
//! shown: it goes to the log under an `error_id` that the answer repeats. The id is stamped by [`crate::limits`],
//! because only the application holds an id source.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use decnet_db::DbError;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Media type of RFC 9457.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A refusal as it goes over the wire.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`, or a name for this kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short text of the status.
    pub title: String,
    /// HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened and what to do about it.
    pub detail: String,
    /// Name under which the log tells more (status 500 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_id: Option<Uuid>,
    /// The wrong fields of a request (status 400 only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    #[serde(skip)]
    retry_after: Option<u64>,
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Its name, or a path into the body; empty for the request as a whole.
    pub field: String,
    /// What would have been right.
    pub reason: String,
}

impl FieldError {
    /// `field` is wrong because of `reason`.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

impl Problem {
    /// A refusal with this status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            error_id: None,
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// 400 with the list of wrong fields.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] if only.field.is_empty() => only.reason.clone(),
            [only] => format!("{}: {}", only.field, only.reason),
            many => format!("{} fields of the request are wrong", many.len()),
        };
        let kind = "urn:decnet:problem:invalid-request".to_owned();
        Self { kind, errors, ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }

    /// 401.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 429, to be tried again after so many seconds.
    pub fn too_many(detail: impl Into<String>, retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// 503, to be tried again after so many seconds.
    pub fn unavailable(detail: impl Into<String>, retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// 500 under this id.
    pub fn internal(error_id: Uuid) -> Self {
        let detail = "the server failed on this request; the log tells why under the error_id";
        Self { error_id: Some(error_id), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Why a handler did not answer as asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The client gets exactly this.
    #[error("{}", .0.detail)]
    Answer(Box<Problem>),
    /// The client gets an id; the log gets this text.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// A failure whose reason belongs in the log only.
    pub fn internal(reason: impl std::fmt::Display) -> Self {
        Self::Internal(reason.to_string())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Answer(Box::new(problem))
    }
}

/// Marks a response that [`crate::limits`] turns into a 500 with an id.
#[derive(Debug, Clone)]
pub(crate) struct Unexplained(pub(crate) String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Answer(problem) => problem.into_response(),
            Self::Internal(reason) => {
                let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
                response.extensions_mut().insert(Unexplained(reason));
                response
            }
        }
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Connect { .. } | DbError::Schema(_) => no_database(&error),
            DbError::Refused(reason) => Problem::invalid(vec![FieldError::new("", reason)]).into(),
            // The repository does not tell a lost connection from a bad statement by type.
            DbError::Sql(_) if is_lost(&error.to_string()) => no_database(&error),
            other => Self::internal(other),
        }
    }
}

fn no_database(error: &DbError) -> Failure {
    tracing::warn!(%error, "request refused: no usable database");
    Problem::unavailable("the database does not answer; try again in a moment", 5).into()
}

/// Whether a driver's text speaks of the connection.
fn is_lost(text: &str) -> bool {
    [
        "Connection Error",
        "Failed to acquire connection",
        "error communicating with database",
        "pool timed out",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

/// What a handler returns.
pub type Outcome<T> = Result<T, Failure>;
