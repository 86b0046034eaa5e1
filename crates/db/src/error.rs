//! The one error of the database family. Every message says what to do; "not found" is `Option`, never an error.

use decnet_migrations::SchemaError;
use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// Why a repository call failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The address is not one this crate can open.
    #[error(
        "{0:?} is not a database address: use sqlite://PATH, postgres://USER:PASSWORD@HOST/NAME or mysql://USER:PASSWORD@HOST/NAME"
    )]
    Url(String),
    /// The database could not be opened.
    #[error(
        "cannot open the database at {url}: {source}; check that it runs and that DECNET_DB_URL names it"
    )]
    Connect {
        /// The address without its password.
        url: String,
        /// What the driver said.
        source: DbErr,
    },
    /// The schema is newer or older than this binary.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A value breaks a promise of the schema (a name already taken, a path too long).
    #[error("{0}")]
    Refused(String),
    /// A row that this crate cannot have written.
    #[error("a row of table {table} is damaged ({what}): repair or delete it, then try again")]
    Damaged {
        /// The table.
        table: &'static str,
        /// Which value, and why.
        what: String,
    },
    /// The database refused a statement, after retries where they could have helped.
    #[error("the database refused a statement: {0}; see its own log for the reason")]
    Sql(DbErr),
}

impl DbError {
    /// Stale or newer schema: a worker exits with 78 so that it is not restarted in a loop.
    pub fn is_schema(&self) -> bool {
        matches!(self, Self::Schema(SchemaError::Newer { .. } | SchemaError::Stale { .. }))
    }

    /// A unique key was taken already.
    pub(crate) fn is_twin(&self) -> bool {
        matches!(self, Self::Sql(err) if matches!(err.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))))
    }

    /// Another writer was in the way; the same transaction may succeed when it is run again.
    pub(crate) fn is_transient(&self) -> bool {
        let Self::Sql(err) = self else { return false };
        let (DbErr::Exec(RuntimeErr::SqlxError(source))
        | DbErr::Query(RuntimeErr::SqlxError(source))
        | DbErr::Conn(RuntimeErr::SqlxError(source))) = err
        else {
            return false;
        };
        let sea_orm::sqlx::Error::Database(database) = source.as_ref() else { return false };
        if let Some(mysql) = database.try_downcast_ref::<sea_orm::sqlx::mysql::MySqlDatabaseError>() {
            // 1205 lock wait timeout, 1213 deadlock, 1020 record changed since last read.
            return matches!(mysql.number(), 1205 | 1213 | 1020);
        }
        // SQLite primary and extended BUSY and LOCKED; PostgreSQL serialization failure and deadlock.
        matches!(database.code().as_deref(), Some("5" | "6" | "261" | "262" | "517" | "40001" | "40P01"))
    }
}

impl From<DbErr> for DbError {
    fn from(err: DbErr) -> Self {
        Self::Sql(err)
    }
}
