//! Pages of lists: what may be asked and what is answered.

use decnet_db::{Page, Paging};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::FieldError;

/// Most rows of a page.
pub const MAX_LIMIT: u64 = 1000;
/// Most rows that may be skipped.
pub const MAX_OFFSET: u64 = 2_147_483_647;

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PageOf<T> {
    /// Rows that match in all, counted up to 10 000.
    pub total: u64,
    /// There are more than `total` says.
    pub total_capped: bool,
    /// Rows asked for.
    pub limit: u64,
    /// Rows skipped.
    pub offset: u64,
    /// The rows.
    pub data: Vec<T>,
}

impl<T> PageOf<T> {
    /// A page of the database's rows as the API shows them.
    pub fn of<R>(page: Page<R>, shown: impl FnMut(R) -> T) -> Self {
        Self {
            total: page.total,
            total_capped: page.total_capped,
            limit: page.limit,
            offset: page.offset,
            data: page.data.into_iter().map(shown).collect(),
        }
    }
}

/// The part that was asked for, with the default of 50 rows.
pub fn paging(limit: Option<u64>, offset: Option<u64>) -> Paging {
    Paging { limit: limit.unwrap_or(50), offset: offset.unwrap_or(0) }
}

/// Checks the part that was asked for.
pub fn check_paging(limit: Option<u64>, max_limit: u64, offset: Option<u64>, errors: &mut Vec<FieldError>) {
    if limit.is_some_and(|limit| !(1..=max_limit).contains(&limit)) {
        errors.push(FieldError::new("limit", format!("give a number from 1 to {max_limit}")));
    }
    if offset.is_some_and(|offset| offset > MAX_OFFSET) {
        errors.push(FieldError::new("offset", format!("give a number from 0 to {MAX_OFFSET}")));
    }
}

/// Checks the length of an optional filter, in characters.
pub fn check_length(field: &str, value: Option<&str>, max: usize, errors: &mut Vec<FieldError>) {
    if value.is_some_and(|value| value.chars().count() > max) {
        errors.push(FieldError::new(field, format!("use at most {max} characters")));
    }
}
