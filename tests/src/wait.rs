//! Waiting for something to become true, with a bound and a reason; never for time to pass.

use std::{future::Future, time::Duration};

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Asks `probe` until it answers something, at most for `bound`; the error names `what` and the last refusal.
pub async fn eventually<T, F>(what: &str, bound: Duration, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + bound;
    let mut refusal = String::from("not yet");
    loop {
        match probe().await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {}
            Err(error) => refusal = format!("{error:#}"),
        }
        if Instant::now() >= deadline {
            bail!("{what} did not happen within {bound:?}: {refusal}");
        }
        sleep(Duration::from_millis(50)).await;
    }
}
