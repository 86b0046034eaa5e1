//! Reading what a batch may touch, in few statements: lists are padded to a handful of lengths so that the prepared
//! statements are found again.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Statement, Value};

use crate::DbError;
use crate::bulk::{pad, padded, placeholders};

/// `SELECT columns FROM table WHERE list IN (values) AND more`, for any number of values.
pub(super) async fn rows_with(
    tx: &DatabaseTransaction,
    (table, columns): (&str, &str),
    list: &str,
    values: &[&str],
    (and_list, and_values): (&str, &[&str]),
) -> Result<Vec<QueryResult>, DbError> {
    let backend = tx.get_database_backend();
    let mut found = Vec::new();
    for chunk in values.chunks(256) {
        for and_chunk in non_empty_chunks(and_values) {
            let (length, and_length) = (padded(chunk.len()), padded(and_chunk.len()));
            let mut sql = format!("SELECT {columns} FROM {table} WHERE {list} IN (");
            let mut number = 0;
            placeholders(&mut sql, backend, length, &mut number);
            sql.push(')');
            let mut binds: Vec<Value> = pad(chunk, length);
            if !and_chunk.is_empty() {
                let _ = write!(sql, " AND {and_list} IN (");
                placeholders(&mut sql, backend, and_length, &mut number);
                sql.push(')');
                binds.extend(pad(and_chunk, and_length));
            }
            found.extend(tx.query_all_raw(Statement::from_sql_and_values(backend, sql, binds)).await?);
        }
    }
    Ok(found)
}

/// One value for each key: `SELECT (SELECT what FROM table WHERE a = ? AND b = ?), …`. Exact key lookups on any
/// database, without row values.
pub(super) async fn each<T, const N: usize>(
    tx: &DatabaseTransaction,
    (what, table): (&str, &str),
    columns: [&str; N],
    keys: &[[Value; N]],
) -> Result<Vec<Option<T>>, DbError>
where
    T: sea_orm::TryGetable,
{
    let backend = tx.get_database_backend();
    let mut found = Vec::with_capacity(keys.len());
    for chunk in keys.chunks(64) {
        let length = padded(chunk.len());
        let mut sql = String::from("SELECT ");
        let mut number = 0;
        for at in 0..length {
            let _ = write!(sql, "{}(SELECT {what} FROM {table} WHERE ", if at == 0 { "" } else { ", " });
            for (column, and) in columns.iter().zip(std::iter::once("").chain(std::iter::repeat(" AND "))) {
                let _ = write!(sql, "{and}{column} = ");
                placeholders(&mut sql, backend, 1, &mut number);
            }
            let _ = write!(sql, ") AS k{at}");
        }
        let last = chunk.last().into_iter().cycle().take(length - chunk.len());
        let binds: Vec<Value> = chunk.iter().chain(last).flat_map(|key| key.iter().cloned()).collect();
        let row = tx.query_one_raw(Statement::from_sql_and_values(backend, sql, binds)).await?;
        for at in 0..chunk.len() {
            found.push(match &row {
                Some(row) => row.try_get_by_index::<Option<T>>(at)?,
                None => None,
            });
        }
    }
    Ok(found)
}

/// Numbers out of `values` that `table` has already under `host` and `source`.
pub(super) async fn known_numbers(
    tx: &DatabaseTransaction,
    table: &str,
    (host, source): (&str, &str),
    numbers: &[i64],
) -> Result<Vec<i64>, DbError> {
    let backend = tx.get_database_backend();
    let mut known = Vec::new();
    for chunk in numbers.chunks(256) {
        let length = padded(chunk.len());
        let mut sql = format!("SELECT seq FROM {table} WHERE ");
        let mut number = 0;
        sql.push_str("source = ");
        placeholders(&mut sql, backend, 1, &mut number);
        sql.push_str(" AND host_uuid = ");
        placeholders(&mut sql, backend, 1, &mut number);
        sql.push_str(" AND seq IN (");
        placeholders(&mut sql, backend, length, &mut number);
        sql.push(')');
        let mut binds: Vec<Value> = vec![source.into(), host.into()];
        binds.extend(pad(chunk, length));
        for row in tx.query_all_raw(Statement::from_sql_and_values(backend, sql, binds)).await? {
            known.push(row.try_get_by_index(0)?);
        }
    }
    Ok(known)
}

fn non_empty_chunks<'v, 's>(values: &'v [&'s str]) -> Vec<&'v [&'s str]> {
    if values.is_empty() { vec![&[]] } else { values.chunks(256).collect() }
}
