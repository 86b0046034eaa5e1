//! The totals at the top of the dashboard.

use axum::{Json, extract::State};
use decnet_db::Stats;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    auth::ViewerUser,
    problem::{Failure, Outcome},
};

/// Totals.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct StatsView {
    /// Lines stored.
    pub total_logs: u64,
    /// Source addresses seen.
    pub unique_attackers: u64,
    /// Deckies running.
    pub active_deckies: u64,
    /// Deckies deployed.
    pub deployed_deckies: u64,
}

impl From<Stats> for StatsView {
    fn from(stats: Stats) -> Self {
        Self {
            total_logs: stats.total_logs,
            unique_attackers: stats.unique_attackers,
            active_deckies: stats.active_deckies,
            deployed_deckies: stats.deployed_deckies,
        }
    }
}

/// The totals, at most a second old.
#[utoipa::path(
    get, path = "/stats", tag = "logs",
    responses((status = 200, description = "Totals", body = StatsView))
)]
pub async fn get_stats(_: ViewerUser, State(app): State<App>) -> Outcome<Json<StatsView>> {
    Ok(Json(app.caches().stats.get((), read_stats(&app)).await?))
}

pub(crate) async fn read_stats(app: &App) -> Result<StatsView, Failure> {
    Ok(app.db().await?.stats().await?.into())
}
