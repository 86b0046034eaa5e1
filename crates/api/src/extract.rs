//! Request parts as typed values, with one rule: malformed or schema-invalid is 400 with the list of wrong fields.
//!
//! Authentication is not done here; a handler names its role first, so it is checked before any of these run.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, Uri, header, request::Parts},
};
use serde::de::DeserializeOwned;

use crate::problem::{Failure, FieldError, Problem};

/// Rules that a type's shape cannot say.
pub trait Check {
    /// Adds every broken rule to `errors`.
    fn check(&self, errors: &mut Vec<FieldError>);
}

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Check> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        if !is_json(request.headers()) {
            let detail = "send the body as JSON with Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).into());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(body_problem)?;
        let mut document = serde_json::Deserializer::from_slice(&bytes);
        let value: T = serde_path_to_error::deserialize(&mut document).map_err(|error| {
            let field = match error.path().to_string() {
                dot if dot == "." => String::new(),
                path => path,
            };
            Problem::invalid(vec![FieldError::new(field, error.inner().to_string())])
        })?;
        document.end().map_err(|e| Problem::invalid(vec![FieldError::new("", e.to_string())]))?;
        checked(value).map(Self)
    }
}

fn checked<T: Check>(value: T) -> Result<T, Failure> {
    let mut errors = Vec::new();
    value.check(&mut errors);
    if errors.is_empty() { Ok(value) } else { Err(Problem::invalid(errors).into()) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn body_problem(rejection: BytesRejection) -> Failure {
    match rejection {
        BytesRejection::FailedToBufferBody(failed) if failed.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = "the body is larger than 1 MiB; send a smaller one";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into()
        }
        other => Problem::invalid(vec![FieldError::new("", other.to_string())]).into(),
    }
}

/// The query string. `null`, `NULL`, `undefined` and empty values count as absent; unknown names are refused when
/// the type says so.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Check> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let kept = parts.uri.query().map(present).unwrap_or_default();
        let invalid = |text: String| {
            let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            let (field, reason) = match text.split_once(": ") {
                Some((field, reason)) if is_name(field) => (field, reason),
                _ => ("", text),
            };
            Problem::invalid(vec![FieldError::new(field, reason)])
        };
        let uri: Uri =
            format!("/?{kept}").parse().map_err(|_| invalid("the query string is malformed".into()))?;
        let Query(value) =
            Query::<T>::try_from_uri(&uri).map_err(|rejection| invalid(rejection.body_text()))?;
        checked(value).map(Self)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The pairs of a query string that say something.
fn present(query: &str) -> String {
    let says_nothing = |pair: &&str| {
        let value = pair.split_once('=').map_or("", |(_, value)| value);
        matches!(value, "" | "null" | "NULL" | "undefined")
    };
    query.split('&').filter(|pair| !says_nothing(pair)).collect::<Vec<_>>().join("&")
}

/// The parameters of the path.
#[derive(Debug)]
pub struct PathParam<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParam<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => {
                Err(Problem::invalid(vec![FieldError::new("path", rejection.body_text())]).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_say_nothing_are_dropped() {
        assert_eq!(present("a=null&b=1&c=&d&e=undefined&f=NULL&g=nullable"), "b=1&g=nullable");
        assert_eq!(present(""), "");
    }
}
