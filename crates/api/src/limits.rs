//! What holds for every request: a bound on time and number, an id for failures, headers that keep browsers safe.
//!
//! The body limit is axum's own, set in [`crate::router`]. Streams are bounded per user in [`crate::live`].

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use tokio::time::Instant;

use crate::{
    app::App,
    problem::{Problem, Unexplained},
};

/// Longest body, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;
/// Longest time until an answer begins.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);
/// Requests that are worked on at the same time.
pub const AT_ONCE: usize = 256;

/// Refuses requests beyond [`AT_ONCE`] instead of queueing them in memory.
pub async fn bounded(State(app): State<App>, request: Request, next: Next) -> Response {
    // The slot is held until the answer begins; a stream's body has a bound of its own.
    let Ok(slot) = Arc::clone(app.requests()).try_acquire_owned() else {
        return Problem::unavailable("the server is busy; try again in a moment", 1).into_response();
    };
    let response = next.run(request).await;
    drop(slot);
    response
}

/// Ends a request after [`REQUEST_TIME`].
pub async fn timed(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable(
            "the request took longer than 30 seconds; try again with a narrower query",
            5,
        )
        .into_response(),
    }
}

/// Gives failures and panics their id, and logs each request without its query string: a token may stand in it.
pub async fn explained(State(app): State<App>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "(no route)".to_owned());
    let started = Instant::now();
    let response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => crate::problem::Failure::internal("the handler panicked").into_response(),
    };
    let response = match response.extensions().get::<Unexplained>() {
        Some(Unexplained(reason)) => {
            let error_id = app.ids().next_id();
            tracing::error!(%error_id, %method, route, reason = %decnet_logline::clean(reason), "request failed");
            Problem::internal(error_id).into_response()
        }
        None => response,
    };
    let (status, took_ms) = (response.status().as_u16(), started.elapsed().as_millis());
    tracing::debug!(%method, route, status, took_ms, "answered");
    response
}

/// Headers of every answer. Captured text travels in JSON only; these keep a browser from taking it for anything else.
pub async fn hardened(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-site"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
