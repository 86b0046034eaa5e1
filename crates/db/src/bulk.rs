//! Many rows in one statement, with few distinct statements, so that the driver's cache of prepared ones always hits.
//!
//! sea-query builds such statements value by value, which costs more than the insert itself at twenty thousand lines a
//! second; the text here depends on table and row count only.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement, Value};

use crate::DbError;

/// Rows in the largest statement; smaller ones are halves of it.
const LARGEST: usize = 256;
/// Lengths of lists; shorter ones are filled up.
const LENGTHS: [usize; 5] = [1, 4, 16, 64, 256];

/// How to write rows of one table.
pub(crate) struct Bulk {
    pub(crate) table: &'static str,
    pub(crate) columns: &'static [&'static str],
    /// The key whose holder is updated, or none: then rows are known to be new.
    pub(crate) key: &'static [&'static str],
    /// What is replaced in the row that holds the key; nothing: it stays as it is.
    pub(crate) replace: &'static [&'static str],
}

impl Bulk {
    /// Writes rows, each with one value for each column. Returns how many rows the database says it touched.
    pub(crate) async fn write<const N: usize>(
        &self,
        tx: &DatabaseTransaction,
        rows: impl ExactSizeIterator<Item = [Value; N]>,
    ) -> Result<u64, DbError> {
        let backend = tx.get_database_backend();
        let mut rows = rows;
        let mut touched = 0;
        while rows.len() > 0 {
            let take = step(rows.len(), LARGEST);
            let mut values = Vec::with_capacity(take * N);
            for row in rows.by_ref().take(take) {
                values.extend(row);
            }
            let statement = Statement::from_sql_and_values(backend, self.sql(backend, take), values);
            touched += tx.execute_raw(statement).await?.rows_affected();
        }
        Ok(touched)
    }

    fn sql(&self, backend: DbBackend, rows: usize) -> String {
        let mut sql = String::with_capacity(64 + rows * self.columns.len() * 6);
        let quote = if backend == DbBackend::MySql { '`' } else { '"' };
        let list = |names: &[&str]| {
            names.iter().map(|name| format!("{quote}{name}{quote}")).collect::<Vec<_>>().join(", ")
        };
        let verb = match (backend, self.key.is_empty()) {
            // Any error ends the transaction, so SQLite need not be able to undo one statement (which costs a journal).
            (DbBackend::Sqlite, true) => "INSERT OR FAIL INTO",
            (DbBackend::MySql, false) if self.replace.is_empty() => "INSERT IGNORE INTO",
            _ => "INSERT INTO",
        };
        // Writing into a string cannot fail.
        let _ = write!(sql, "{verb} {quote}{}{quote} ({}) VALUES ", self.table, list(self.columns));
        let mut number = 0;
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            placeholders(&mut sql, backend, self.columns.len(), &mut number);
            sql.push(')');
        }
        if !self.key.is_empty() {
            self.conflict(&mut sql, backend, quote, &list(self.key));
        }
        sql
    }

    fn conflict(&self, sql: &mut String, backend: DbBackend, quote: char, key: &str) {
        match (backend, self.replace.is_empty()) {
            (DbBackend::MySql, true) => return,
            (DbBackend::MySql, false) => sql.push_str(" ON DUPLICATE KEY UPDATE "),
            (_, true) => {
                let _ = write!(sql, " ON CONFLICT ({key}) DO NOTHING");
                return;
            }
            (_, false) => {
                let _ = write!(sql, " ON CONFLICT ({key}) DO UPDATE SET ");
            }
        }
        for (at, name) in self.replace.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let _ = if backend == DbBackend::MySql {
                write!(sql, "{comma}{quote}{name}{quote} = VALUES({quote}{name}{quote})")
            } else {
                write!(sql, "{comma}{quote}{name}{quote} = excluded.{quote}{name}{quote}")
            };
        }
    }
}

/// `count` placeholders, numbered where the database wants numbers.
pub(crate) fn placeholders(sql: &mut String, backend: DbBackend, count: usize, number: &mut usize) {
    for at in 0..count {
        if at > 0 {
            sql.push_str(", ");
        }
        *number += 1;
        if backend == DbBackend::Postgres {
            let _ = write!(sql, "${number}");
        } else {
            sql.push('?');
        }
    }
}

/// The length that a list of `length` values is filled up to.
pub(crate) fn padded(length: usize) -> usize {
    LENGTHS.into_iter().find(|padded| *padded >= length).unwrap_or(length)
}

/// A list filled up with its last value, which changes nothing in an `IN`.
pub(crate) fn pad<T: Copy + Into<Value>>(chunk: &[T], length: usize) -> Vec<Value> {
    let last = chunk.last().into_iter().cycle();
    chunk.iter().chain(last).take(length).map(|value| (*value).into()).collect()
}

/// The largest power of two that fits into `left`, at most `largest`.
pub(crate) fn step(left: usize, largest: usize) -> usize {
    let mut step = largest;
    while step > left && step > 1 {
        step /= 2;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: Bulk = Bulk { table: "t", columns: &["a", "b"], key: &["a"], replace: &["b"] };

    #[test]
    fn statements_of_each_database() {
        assert_eq!(
            PAIR.sql(DbBackend::Postgres, 2),
            r#"INSERT INTO "t" ("a", "b") VALUES ($1, $2), ($3, $4) ON CONFLICT ("a") DO UPDATE SET "b" = excluded."b""#
        );
        assert_eq!(
            PAIR.sql(DbBackend::MySql, 1),
            "INSERT INTO `t` (`a`, `b`) VALUES (?, ?) ON DUPLICATE KEY UPDATE `b` = VALUES(`b`)"
        );
        let ignore = Bulk { replace: &[], ..PAIR };
        assert_eq!(
            ignore.sql(DbBackend::Sqlite, 1),
            r#"INSERT INTO "t" ("a", "b") VALUES (?, ?) ON CONFLICT ("a") DO NOTHING"#
        );
        assert_eq!(ignore.sql(DbBackend::MySql, 1), "INSERT IGNORE INTO `t` (`a`, `b`) VALUES (?, ?)");
    }

    #[test]
    fn any_number_of_rows_is_a_sum_of_few_sizes() {
        for rows in 0..1500 {
            let mut left = rows;
            while left > 0 {
                let step = step(left, LARGEST);
                assert!(step.is_power_of_two() && step <= left);
                left -= step;
            }
        }
    }
}
