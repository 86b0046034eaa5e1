//! One try: the body of an event, signed, posted, and what came of it.

use std::time::Duration;

use bytes::Bytes;
use decnet_alerts::{Outcome, sign};
use decnet_kit::Ctx;

use crate::job::Job;

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tried {
    /// The receiver has it.
    Delivered { status: u16 },
    /// Again later, after this pause where the receiver named one.
    Later { after: Option<Duration>, status: Option<u16>, error: String },
    /// The receiver will never take it.
    Refused { status: u16, error: String },
}

/// Posts a body.
pub(crate) async fn post(job: &Job, ctx: &Ctx, event_id: &str, topic: &str, body: Bytes) -> Tried {
    let now = ctx.now();
    let headers = sign(&job.secrets(now), event_id, topic, &body, now);
    match job.client.post(&job.target.url, &headers, body).await {
        Ok(answer) => {
            let error = || format!("the receiver answered {}", words(answer.status));
            match Outcome::of_status(answer.status, answer.header("retry-after"), ctx.now()) {
                Outcome::Delivered => Tried::Delivered { status: answer.status },
                Outcome::Retry(after) => Tried::Later { after, status: Some(answer.status), error: error() },
                Outcome::Refused => Tried::Refused { status: answer.status, error: error() },
            }
        }
        Err(error) => Tried::Later { after: None, status: None, error: error.to_string() },
    }
}

/// A status with the name that people know it by.
fn words(status: u16) -> String {
    let name = match status {
        301 | 302 | 303 | 307 | 308 => "which redirects; redirects are not followed, give the final address",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => return status.to_string(),
    };
    format!("{status} {name}")
}
