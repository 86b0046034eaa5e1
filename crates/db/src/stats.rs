//! The four numbers of the dashboard's first page.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use serde::Serialize;

use crate::bounds::count;
use crate::entity::{attacker, fleet_decky};
use crate::{Db, DbError, DeckyState, logs};

/// Totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Lines stored.
    pub total_logs: u64,
    /// Source addresses seen.
    pub unique_attackers: u64,
    /// Deckies running.
    pub active_deckies: u64,
    /// Deckies deployed, in any state but torn down.
    pub deployed_deckies: u64,
}

impl Db {
    /// The totals.
    pub async fn stats(&self) -> Result<Stats, DbError> {
        let running = Expr::col(fleet_decky::Column::State).eq(DeckyState::Running.as_str());
        let deployed = Expr::col(fleet_decky::Column::State).ne(DeckyState::TornDown.as_str());
        let select = Query::select()
            .expr(subcount(Query::select().expr(Expr::val(1).count()).from(attacker::Entity).to_owned()))
            .expr(subcount(
                Query::select()
                    .expr(Expr::val(1).count())
                    .from(fleet_decky::Entity)
                    .and_where(running)
                    .to_owned(),
            ))
            .expr(subcount(
                Query::select()
                    .expr(Expr::val(1).count())
                    .from(fleet_decky::Entity)
                    .and_where(deployed)
                    .to_owned(),
            ))
            .to_owned();
        let mut stats = Stats { total_logs: logs::total(self).await?, ..Stats::default() };
        if let Some(row) = self.reader().query_one(&select).await? {
            stats.unique_attackers = count(row.try_get_by_index(0)?);
            stats.active_deckies = count(row.try_get_by_index(1)?);
            stats.deployed_deckies = count(row.try_get_by_index(2)?);
        }
        Ok(stats)
    }
}

fn subcount(select: sea_orm::sea_query::SelectStatement) -> Expr {
    Expr::from(sea_orm::sea_query::SubQueryStatement::SelectStatement(select))
}
