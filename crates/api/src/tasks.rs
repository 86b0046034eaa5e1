//! What runs beside the requests: the live feeds, the first administrator, and forgetting tokens that have ended.

use std::time::Duration;

use crate::{app::App, auth::seed_first_admin};

/// Between two attempts to seed the first administrator.
const RETRY: Duration = Duration::from_millis(500);
/// Attempts that are told of; afterwards only now and then.
const TOLD: u32 = 5;
/// Between two sweeps of ended tokens.
const SWEEP: Duration = Duration::from_hours(1);

/// Makes the first administrator, trying until the database is there.
pub async fn first_admin(app: App) -> anyhow::Result<()> {
    let mut tries: u32 = 0;
    loop {
        match seed_first_admin(&app).await {
            Ok(()) => return Ok(()),
            Err(error) => {
                tries += 1;
                if tries == TOLD {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "starting without the database: logins are refused until it answers"
                    );
                } else {
                    tracing::debug!(error = format!("{error:#}"), "cannot make the first administrator yet");
                }
            }
        }
        let pause = if tries < TOLD { RETRY } else { RETRY * 4 };
        tokio::select! {
            () = app.stop().cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Forgets revoked tokens that have ended by themselves.
pub async fn sweep_tokens(app: App) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = app.stop().cancelled() => return Ok(()),
            () = tokio::time::sleep(SWEEP) => {}
        }
        let swept = async { anyhow::Ok(app.database().await?.users().prune_revoked().await?) };
        match swept.await {
            Ok(count) => tracing::debug!(count, "forgot ended tokens"),
            Err(error) => tracing::debug!(error = format!("{error:#}"), "cannot forget ended tokens now"),
        }
    }
}
