//! Opening a database and running a transaction on it: pools, pragmas, the write lock, the retry.
//!
//! SQLite gets one writer connection and a pool of readers; PostgreSQL and MariaDB/MySQL one pool for both. What is
//! stored is the business of the repositories.

use std::sync::Arc;
use std::time::Duration;

use decnet_core::{Clock, IdSource, SystemClock, SystemIds};
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use crate::DbError;

const TRIES: u32 = 6;

/// How to open a database; the defaults fit a worker.
#[derive(Clone)]
pub struct DbOptions {
    /// Where row times come from.
    pub clock: Arc<dyn Clock>,
    /// Where row ids come from.
    pub ids: Arc<dyn IdSource>,
    /// Connections that read at the same time.
    pub readers: u32,
    /// How long a call waits for a connection, and SQLite for another writer.
    pub patience: Duration,
}

impl Default for DbOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            readers: 4,
            patience: Duration::from_secs(5),
        }
    }
}

/// A database, open. Cheap to clone; every repository hangs on it.
#[derive(Clone)]
pub struct Db {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("backend", &self.backend()).finish_non_exhaustive()
    }
}

impl Db {
    /// Opens `sqlite://PATH` (made if absent), `postgres://…` or `mysql://…`. Does not look at the schema.
    pub async fn connect(url: &str, options: DbOptions) -> Result<Self, DbError> {
        let (writer, reader) = if url.starts_with("sqlite:") {
            let writer = open(url, &options, Use::Write).await?;
            let reader = if in_memory(url) { writer.clone() } else { open(url, &options, Use::Read).await? };
            (writer, reader)
        } else if ["postgres://", "postgresql://", "mysql://", "mariadb://"]
            .iter()
            .any(|p| url.starts_with(p))
        {
            let both = open(url, &options, Use::Both).await?;
            (both.clone(), both)
        } else {
            return Err(DbError::Url(redacted(url)));
        };
        Ok(Self { writer, reader, clock: options.clock, ids: options.ids })
    }

    /// Applies what the schema lacks; returns the versions applied.
    pub async fn migrate(&self) -> Result<Vec<String>, DbError> {
        Ok(decnet_migrations::migrate(&self.writer).await?)
    }

    /// Refuses a schema that is newer or older than this binary ([`DbError::is_schema`]: exit 78).
    pub async fn check_schema(&self) -> Result<(), DbError> {
        Ok(decnet_migrations::check(&self.reader).await?)
    }

    /// Takes back the newest `steps` migrations, with their data (all for `None`).
    pub async fn rollback(&self, steps: Option<u32>) -> Result<(), DbError> {
        Ok(decnet_migrations::rollback(&self.writer, steps).await?)
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), DbError> {
        Ok(self.reader.ping().await?)
    }

    /// Closes all connections (SQLite folds its write-ahead log back into the file).
    pub async fn close(self) -> Result<(), DbError> {
        self.reader.close_by_ref().await?;
        Ok(self.writer.close_by_ref().await?)
    }

    /// `sqlite`, `postgres` or `mysql`.
    pub fn kind(&self) -> &'static str {
        match self.backend() {
            DbBackend::Sqlite => "sqlite",
            DbBackend::Postgres => "postgres",
            _ => "mysql",
        }
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }

    pub(crate) fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    pub(crate) fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.clock.now()
    }

    pub(crate) fn new_id(&self) -> uuid::Uuid {
        self.ids.next_id()
    }

    /// Runs `work` in one write transaction, again (a bounded number of times) when another writer was in the way.
    ///
    /// The transaction is handed over shared, not borrowed: a borrow would make the future's `Send` depend on a
    /// lifetime, which the compiler cannot prove yet.
    pub(crate) async fn write<T, F, W>(&self, work: F) -> Result<T, DbError>
    where
        F: Fn(Arc<DatabaseTransaction>) -> W,
        W: Future<Output = Result<T, DbError>>,
    {
        let mut pause = Duration::from_millis(5);
        for _ in 1..TRIES {
            match self.write_once(&work).await {
                Err(err) if err.is_transient() => {
                    tracing::debug!(error = %err, "another writer was in the way; trying again");
                    tokio::time::sleep(pause).await;
                    pause *= 3;
                }
                result => return result,
            }
        }
        self.write_once(&work).await
    }

    async fn write_once<T, F, W>(&self, work: &F) -> Result<T, DbError>
    where
        F: Fn(Arc<DatabaseTransaction>) -> W,
        W: Future<Output = Result<T, DbError>>,
    {
        let isolation = (self.backend() != DbBackend::Sqlite).then_some(IsolationLevel::ReadCommitted);
        let transaction = Arc::new(
            self.writer
                .begin_with_options(TransactionOptions {
                    isolation_level: isolation,
                    access_mode: None,
                    sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                })
                .await?,
        );
        let result = work(Arc::clone(&transaction)).await;
        // The work is over, so its handle is gone. A handle kept anyway rolls back when it is dropped.
        let Some(transaction) = Arc::into_inner(transaction) else {
            return Err(DbError::Refused("a transaction outlived its work: report this".to_owned()));
        };
        match result {
            Ok(value) => {
                transaction.commit().await?;
                Ok(value)
            }
            Err(err) => {
                // The first error is the one worth telling; a connection that cannot roll back is dropped by the pool.
                transaction.rollback().await.ok();
                Err(err)
            }
        }
    }
}

/// What a pool is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Write,
    Read,
    Both,
}

async fn open(url: &str, options: &DbOptions, purpose: Use) -> Result<DatabaseConnection, DbError> {
    let patience = options.patience.max(Duration::from_secs(1));
    let sqlite = url.starts_with("sqlite:");
    let mut connect = ConnectOptions::new(url.replacen("mariadb://", "mysql://", 1));
    connect
        .max_connections(match purpose {
            Use::Write => 1,
            Use::Read => options.readers.max(1),
            Use::Both => options.readers.saturating_add(2),
        })
        .acquire_timeout(patience * 2)
        .connect_timeout(patience)
        .test_before_acquire(!sqlite)
        .record_stmt_in_spans(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
            let sqlite = sqlite
                .create_if_missing(true)
                // Of new files. A line's row is a fifth of such a page: less is written and left empty than with 4 KiB.
                .page_size(8192)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal)
                .foreign_keys(true)
                .busy_timeout(patience)
                // A checkpoint rewrites every page that changed since the last one: the same hot pages each time.
                .pragma("wal_autocheckpoint", "4000")
                .pragma("journal_size_limit", "67108864");
            match purpose {
                Use::Read => sqlite.pragma("query_only", "ON"),
                // In memory: what undoes one statement of many rows; it is a few hundred pages at most.
                Use::Write | Use::Both => sqlite
                    .pragma("cache_size", "-16000")
                    .pragma("temp_store", "MEMORY")
                    .statement_cache_capacity(256),
            }
        });
    if in_memory(url) {
        // The data live as long as the connection does.
        connect.idle_timeout(None).max_lifetime(None);
    } else if sqlite {
        // An idle worker keeps neither page caches nor threads.
        connect.idle_timeout(Duration::from_mins(1));
    }
    Database::connect(connect).await.map_err(|source| DbError::Connect { url: redacted(url), source })
}

/// A database that only its own connection sees: one pool then reads and writes.
fn in_memory(url: &str) -> bool {
    url.contains(":memory:") || url.contains("mode=memory")
}

/// The address without its password: addresses end up in logs.
fn redacted(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            let user = url.get(scheme + 3..at).and_then(|login| login.split(':').next()).unwrap_or_default();
            format!(
                "{}{user}:***{}",
                url.get(..scheme + 3).unwrap_or_default(),
                url.get(at..).unwrap_or_default()
            )
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_shows() {
        assert_eq!(redacted("postgres://u:p@ss@h/db"), "postgres://u:***@h/db");
        assert_eq!(redacted("sqlite:///tmp/x.db"), "sqlite:///tmp/x.db");
    }

    #[tokio::test]
    async fn a_database_in_memory_is_one_database() {
        let db = Db::connect("sqlite::memory:", DbOptions::default()).await.unwrap();
        db.migrate().await.unwrap();
        db.check_schema().await.unwrap();
        db.state().set("k", &1).await.unwrap();
        assert_eq!(db.state().get::<u8>("k").await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn an_unknown_scheme_is_named() {
        let err = Db::connect("oracle://x", DbOptions::default()).await.unwrap_err();
        assert!(err.to_string().contains("sqlite://PATH"), "{err}");
    }

    /// Workers spawn these calls: their futures must be `Send`. Compiling is the test.
    #[test]
    fn futures_may_cross_threads() {
        fn send<F: Future + Send>(_: F) {}
        fn all(db: &Db) {
            send(db.outbox().mark_published(&[]));
            send(db.outbox().insert(&[]));
            send(db.fleet().apply(&[], &[]));
            send(db.ingest(&crate::IngestBatch::default(), |_| Vec::new()));
            send(db.sessions().end_silent(chrono::DateTime::UNIX_EPOCH, 1, |_| Vec::new()));
            send(db.users().set_role(uuid::Uuid::nil(), crate::Role::Viewer));
            send(db.state().set("x", &1));
            send(db.logs().prune(chrono::DateTime::UNIX_EPOCH, 1));
        }
        let _ = all;
    }
}
