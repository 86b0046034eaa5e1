//! Where a scenario runs: a fresh, migrated database on each server at hand.

use std::sync::atomic::{AtomicU32, Ordering};

use decnet_db::{Db, DbOptions};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

/// A database of one scenario.
pub(crate) struct Place {
    pub(crate) db: Db,
    pub(crate) url: String,
    folder: Option<tempfile::TempDir>,
    server: Option<(String, String)>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Place {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("decnet.db").display());
        let db = Db::connect(&url, DbOptions::default()).await.unwrap();
        Self { db, url, folder: Some(folder), server: None }
    }

    async fn server(admin: &str) -> Self {
        let name = format!("decnet_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        raw(admin, &format!("CREATE DATABASE {name}")).await;
        let (server, _) = admin.rsplit_once('/').unwrap();
        let url = format!("{server}/{name}");
        let db = Db::connect(&url, DbOptions { readers: 8, ..DbOptions::default() }).await.unwrap();
        Self { db, url, folder: None, server: Some((admin.to_owned(), name)) }
    }

    /// Runs a statement behind the repositories' back.
    pub(crate) async fn raw(&self, sql: &str) {
        raw(&self.url, sql).await;
    }

    /// The number a query gives, behind the repositories' back.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let conn = Database::connect(&self.url).await.unwrap();
        let statement = Statement::from_string(conn.get_database_backend(), sql);
        let number = conn.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        conn.close().await.unwrap();
        number
    }

    async fn remove(self) {
        self.db.close().await.unwrap();
        drop(self.folder);
        if let Some((admin, name)) = self.server {
            raw(&admin, &format!("DROP DATABASE {name}")).await;
        }
    }
}

async fn raw(url: &str, sql: &str) {
    let conn: DatabaseConnection = Database::connect(url).await.unwrap();
    conn.execute_unprepared(sql).await.unwrap();
    conn.close().await.unwrap();
}

/// Quotes a column name for the database of `url`.
pub(crate) fn quoted(url: &str, name: &str) -> String {
    if url.starts_with("mysql") { format!("`{name}`") } else { format!("\"{name}\"") }
}

/// Runs `scenario` on a fresh, migrated database of each server at hand.
pub(crate) async fn on_each(scenario: impl AsyncFn(&Place)) {
    on_each_empty(async |place: &Place| {
        place.db.migrate().await.unwrap();
        place.db.check_schema().await.unwrap();
        scenario(place).await;
    })
    .await;
}

/// Runs `scenario` on a fresh database without tables, of each server at hand.
pub(crate) async fn on_each_empty(scenario: impl AsyncFn(&Place)) {
    let place = Place::sqlite().await;
    scenario(&place).await;
    place.remove().await;
    for (kind, variable) in
        [(DbBackend::Postgres, "DECNET_TEST_POSTGRES_URL"), (DbBackend::MySql, "DECNET_TEST_MARIADB_URL")]
    {
        let Ok(admin) = std::env::var(variable) else {
            println!("skipped: {kind:?}: {variable} is not set");
            continue;
        };
        let place = Place::server(&admin).await;
        scenario(&place).await;
        place.remove().await;
    }
}
