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

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

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
        ]
    }
}

fn known() -> Vec<String> {
    Migrator::migrations().iter().map(|m| m.name().to_owned()).collect()
}

/// The newest schema version this binary knows, such as `m0006_outbox`.
pub fn version() -> String {
    known().pop().unwrap_or_default()
}

/// The versions applied to the database, oldest first; empty for a database never migrated.
pub async fn applied(conn: &DatabaseConnection) -> Result<Vec<String>, SchemaError> {
    let manager = sea_orm_migration::SchemaManager::new(conn);
    if !manager.has_table("seaql_migrations").await? {
        return Ok(Vec::new());
    }
    let rows = conn
        .query_all_raw(sea_orm::Statement::from_string(
            conn.get_database_backend(),
            "SELECT version FROM seaql_migrations ORDER BY version",
        ))
        .await?;
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
/// Two migrators must not run at once against one server: `decnet migrate` and `decnet up` are the only callers, both
/// before any worker starts.
pub async fn migrate(conn: &DatabaseConnection) -> Result<Vec<String>, SchemaError> {
    let before = applied(conn).await?;
    refuse_newer(&before)?;
    Migrator::up(conn, None).await?;
    Ok(known().into_iter().filter(|name| !before.contains(name)).collect())
}

/// Takes back the newest `steps` migrations (all of them for `None`), with the data in their tables.
pub async fn rollback(conn: &DatabaseConnection, steps: Option<u32>) -> Result<(), SchemaError> {
    Ok(Migrator::down(conn, steps).await?)
}

fn refuse_newer(found: &[String]) -> Result<(), SchemaError> {
    let known: BTreeSet<String> = known().into_iter().collect();
    match found.iter().rev().find(|name| !known.contains(*name)) {
        Some(newer) => Err(SchemaError::Newer { found: newer.clone(), known: version() }),
        None => Ok(()),
    }
}
