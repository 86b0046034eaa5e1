//! Old rows go, by the clock and not by a count of passes: the time of the last pruning is kept, so a restart changes nothing.

use std::time::Duration;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use decnet_db::{Db, FleetDecky};
use decnet_kit::Ctx;

/// Between two prunings.
const EVERY: TimeDelta = TimeDelta::hours(2);
/// Actions that are kept for each destination, and messages for each mail decky.
const ACTIONS: u64 = 10_000;
const MESSAGES: u64 = 5_000;
/// How long removed files, and files of deckies that are gone, are remembered.
const FORGET: TimeDelta = TimeDelta::days(30);
/// How long texts of a model are kept, used and unused.
const USED: TimeDelta = TimeDelta::days(7);
const UNUSED: TimeDelta = TimeDelta::days(30);
/// Where the time of the last pruning is kept.
const KEY: &str = "orchestrator.pruned_at";
/// How often the time is looked at.
const LOOK: Duration = Duration::from_mins(10);

/// Prunes until the worker stops.
pub(crate) async fn run(ctx: Ctx) -> Result<()> {
    loop {
        if let Ok(db) = ctx.db().await
            && let Err(error) = when_due(&ctx, &db).await
        {
            tracing::warn!(
                error = format!("{error:#}"),
                "old rows were not pruned; the next time tries again"
            );
        }
        tokio::select! {
            () = ctx.stopping() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn when_due(ctx: &Ctx, db: &Db) -> Result<()> {
    let now = ctx.now();
    let last: Option<DateTime<Utc>> = db.state().get(KEY).await?;
    if last.is_some_and(|last| last <= now && now - last < EVERY) {
        return Ok(());
    }
    prune(db, now).await?;
    db.state().set(KEY, &now).await?;
    Ok(())
}

/// Prunes once.
pub(crate) async fn prune(db: &Db, now: DateTime<Utc>) -> Result<()> {
    let known: Vec<String> = db.fleet().list(None).await?.iter().map(FleetDecky::id).collect();
    let actions = db.orchestrator().prune(ACTIONS).await?;
    let messages = db.emails().prune(MESSAGES).await?;
    let files = db.synthetic_files().prune(now - FORGET, &known).await?;
    let states = db.life().prune(now - FORGET, &known).await?;
    let texts = db.content_pool().prune(now - USED, now - UNUSED).await?;
    tracing::debug!(actions, messages, files, states, texts, "pruned");
    Ok(())
}
