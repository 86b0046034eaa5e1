//! The versioned schema: one file per group of tables, each with a way up and a way down, for SQLite, PostgreSQL and
//! MariaDB/MySQL.
//!
//! It deliberately knows nothing of rows: reading and writing them is `decnet-db`. Workers never migrate by themselves;
//! they call [`check`] and stop with [`SchemaError::Stale`] (exit 78) or [`SchemaError::Newer`].

mod columns;
mod m0001_access;
mod m0002_logs;
mod m0003_attackers;
mod m0004_fleet;
mod m0005_life;
mod m0006_outbox;
mod m0007_webhooks;
mod m0008_orchestrator;

use std::collections::BTreeSet;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::{IntoSchemaManagerConnection, MigrationTrait, MigratorTrait, SchemaManager};

/// Why the schema and this binary do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The database carries migrations that this binary has never heard of.
    #[error(
        "the database schema is at version {found}, newer than this binary (which knows up to {known}): install the newer DECNET release, or point DECNET_DB_URL at another database"
    )]
    Newer {
        /// The newest version found in the database.
        found: String,
        /// The newest version this binary knows.
        known: String,
    },
    /// The database lacks migrations that this binary needs.
    #[error(
        "the database schema is at version {found}, older than this binary needs ({known}): run `decnet migrate`, then start the worker again"
    )]
    Stale {
        /// The newest version found in the database, `none` for an empty one.
        found: String,
        /// The newest version this binary knows.
        known: String,
    },
    /// The database refused a statement.
    #[error(
        "the database refused a schema statement: {0}; check that the account may create tables, then run `decnet migrate` again"
    )]
    Sql(#[from] DbErr),
}

struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_access::Migration),
            Box::new(m0002_logs::Migration),
            Box::new(m0003_attackers::Migration),
            Box::new(m0004_fleet::Migration),
            Box::new(m0005_life::Migration),
            Box::new(m0006_outbox::Migration),
            Box::new(m0007_webhooks::Migration),
            Box::new(m0008_orchestrator::Migration),
        ]
    }
}

fn known() -> Vec<String> {
    Migrator::migrations().iter().map(|m| m.name().to_owned()).collect()
}

/// The newest schema version this binary knows, such as `m0008_orchestrator`.
pub fn version() -> String {
    known().pop().unwrap_or_default()
}

/// The versions applied to the database, oldest first; empty for a database never migrated.
pub async fn applied(conn: &DatabaseConnection) -> Result<Vec<String>, SchemaError> {
    applied_on(conn, conn).await
}

async fn applied_on<'c>(
    conn: &'c impl ConnectionTrait,
    executor: impl IntoSchemaManagerConnection<'c>,
) -> Result<Vec<String>, SchemaError> {
    if !SchemaManager::new(executor).has_table("seaql_migrations").await? {
        return Ok(Vec::new());
    }
    let select = "SELECT version FROM seaql_migrations ORDER BY version";
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), select)).await?;
    rows.iter().map(|row| row.try_get_by_index::<String>(0).map_err(SchemaError::from)).collect()
}

/// Refuses a database that is newer or older than this binary; says what to do.
pub async fn check(conn: &DatabaseConnection) -> Result<(), SchemaError> {
    let found = applied(conn).await?;
    refuse_newer(&found)?;
    if found.len() < known().len() {
        let found = found.last().cloned().unwrap_or_else(|| "none".to_owned());
        return Err(SchemaError::Stale { found, known: version() });
    }
    Ok(())
}

/// Applies what is missing. Returns the versions applied by this call. Harmless to repeat; a newer database is refused.
///
/// Two migrators at once take turns, and the second finds nothing to do. On SQLite and PostgreSQL all of it is one
/// transaction; MySQL and MariaDB commit each statement that changes the schema, so there a crash in the middle needs
/// a hand.
pub async fn migrate(conn: &DatabaseConnection) -> Result<Vec<String>, SchemaError> {
    take_turns(conn, async |tx: &DatabaseTransaction| {
        let before = applied_on(tx, tx).await?;
        refuse_newer(&before)?;
        Migrator::up(tx, None).await?;
        Ok(known().into_iter().filter(|name| !before.contains(name)).collect())
    })
    .await
}

/// Takes back the newest `steps` migrations (all of them for `None`), with the data in their tables.
pub async fn rollback(conn: &DatabaseConnection, steps: Option<u32>) -> Result<(), SchemaError> {
    take_turns(conn, async |tx: &DatabaseTransaction| Ok(Migrator::down(tx, steps).await?)).await
}

/// Runs `work` in a transaction while no other migrator does.
async fn take_turns<T>(
    conn: &DatabaseConnection,
    work: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, SchemaError>,
) -> Result<T, SchemaError> {
    let tx = conn
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        })
        .await?;
    let (lock, unlock) = match tx.get_database_backend() {
        DbBackend::Postgres => (Some("SELECT pg_advisory_xact_lock(5318008)"), None),
        DbBackend::MySql => (
            Some("SELECT GET_LOCK(CONCAT('decnet.migrate.', DATABASE()), 600)"),
            Some("SELECT RELEASE_LOCK(CONCAT('decnet.migrate.', DATABASE()))"),
        ),
        _ => (None, None),
    };
    if let Some(lock) = lock {
        tx.query_one_raw(Statement::from_string(tx.get_database_backend(), lock)).await?;
    }
    let result = work(&tx).await;
    // The lock of MySQL belongs to the connection, which goes back to a pool: it must not keep it.
    if let Some(unlock) = unlock {
        tx.query_one_raw(Statement::from_string(tx.get_database_backend(), unlock)).await?;
    }
    match result {
        Ok(value) => {
            tx.commit().await?;
            Ok(value)
        }
        Err(err) => {
            // The first error is the one worth telling.
            tx.rollback().await.ok();
            Err(err)
        }
    }
}

fn refuse_newer(found: &[String]) -> Result<(), SchemaError> {
    let known: BTreeSet<String> = known().into_iter().collect();
    match found.iter().rev().find(|name| !known.contains(*name)) {
        Some(newer) => Err(SchemaError::Newer { found: newer.clone(), known: version() }),
        None => Ok(()),
    }
}
