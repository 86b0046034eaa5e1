//! Pages of lists: what is asked for and what is answered. Totals stop counting at a bound, since an exact count of a
//! large table costs more than anyone learns from it.

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde::Serialize;

use crate::DbError;

/// Totals are exact up to here.
pub(crate) const COUNT_CAP: u64 = 10_000;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// Rows at most (1..=1000).
    pub limit: u64,
    /// Rows to skip (at most 10 000: use a cursor beyond).
    pub offset: u64,
}

impl Default for Paging {
    fn default() -> Self {
        Self { limit: 50, offset: 0 }
    }
}

impl Paging {
    pub(crate) fn limit(self) -> u64 {
        self.limit.clamp(1, 1000)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// Rows that match in all, counted up to a bound.
    pub total: u64,
    /// The true total is larger than `total`.
    pub total_capped: bool,
    /// Rows asked for.
    pub limit: u64,
    /// Rows skipped.
    pub offset: u64,
    /// The rows.
    pub data: Vec<T>,
}

impl<T> Page<T> {
    pub(crate) fn new(paging: Paging, (total, total_capped): (u64, bool), data: Vec<T>) -> Self {
        Self { total, total_capped, limit: paging.limit(), offset: paging.offset, data }
    }
}

/// How many rows `select` yields, up to [`COUNT_CAP`]; the flag says that there are more.
pub(crate) async fn capped_count(
    conn: &DatabaseConnection,
    mut select: SelectStatement,
) -> Result<(u64, bool), DbError> {
    select.clear_selects().clear_order_by().expr(Expr::val(1)).reset_offset().limit(COUNT_CAP + 1);
    let count = Query::select()
        .expr(Expr::col(sea_orm::sea_query::Asterisk).count())
        .from_subquery(select, "n")
        .to_owned();
    let row = conn.query_one(&count).await?;
    let number: i64 = match row {
        Some(row) => row.try_get_by_index(0)?,
        None => 0,
    };
    let number = u64::try_from(number).unwrap_or(0);
    Ok((std::cmp::min(number, COUNT_CAP), number > COUNT_CAP))
}
