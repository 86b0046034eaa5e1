//! The worker's database, which may be down when the worker starts: opened in the background, again and again, and checked
//! against the schema that this binary was built for. Once open, the pool itself reconnects.
//!
//! Never migrates: `decnet migrate` and `decnet up` do.

use std::{sync::Arc, time::Duration};

use decnet_core::{Clock, IdSource};
use decnet_db::{Db, DbError, DbOptions};
use tokio::sync::{Mutex, watch};

use crate::{retry::Backoff, settings::Address};

/// Why there is no database at the moment.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be opened now; the worker tries again by itself.
    #[error("the database is not available: {0}")]
    Down(Arc<DbError>),
    /// The schema is not the one of this binary: trying again cannot help.
    #[error("{0}")]
    Schema(Arc<DbError>),
    /// It did not answer in time.
    #[error("the database at {0} did not answer in time; check that it runs and that DECNET_DB_URL names it")]
    Slow(Address),
    /// This worker was declared to need none.
    #[error("this worker was started without a database")]
    Unused,
}

/// A database that is opened when it can be.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    url: Address,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    patience: Duration,
    opening: Mutex<()>,
    open: watch::Sender<Option<Db>>,
}

impl Database {
    /// A handle for `url`; nothing is opened yet.
    pub fn new(url: Address, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>, patience: Duration) -> Self {
        let open = watch::Sender::new(None);
        Self(Arc::new(Inner { url, clock, ids, patience, opening: Mutex::default(), open }))
    }

    /// The open database, opening it now if need be. Concurrent callers share one attempt's result.
    pub async fn get(&self) -> Result<Db, DatabaseError> {
        if let Some(db) = self.current() {
            return Ok(db);
        }
        let attempt = async {
            let _one_at_a_time = self.0.opening.lock().await;
            if let Some(db) = self.current() {
                return Ok(db);
            }
            let options = DbOptions {
                clock: Arc::clone(&self.0.clock),
                ids: Arc::clone(&self.0.ids),
                patience: self.0.patience,
                ..DbOptions::default()
            };
            let db = Db::connect(self.0.url.expose(), options).await.map_err(refusal)?;
            db.check_schema().await.map_err(refusal)?;
            self.0.open.send_replace(Some(db.clone()));
            Ok(db)
        };
        match tokio::time::timeout(self.0.patience, attempt).await {
            Ok(result) => result,
            Err(_) => Err(DatabaseError::Slow(self.0.url.clone())),
        }
    }

    /// The database if it is open.
    pub fn current(&self) -> Option<Db> {
        self.0.open.borrow().clone()
    }

    /// Waits until somebody opened it.
    pub async fn opened(&self) -> Option<Db> {
        let mut open = self.0.open.subscribe();
        open.wait_for(Option::is_some).await.ok().and_then(|db| db.clone())
    }

    /// Tries until it is open; ends early only for a schema that does not fit.
    pub(crate) async fn keep_trying(&self) -> Result<(), DatabaseError> {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(15));
        let mut told = false;
        loop {
            match self.get().await {
                Ok(db) => {
                    tracing::info!(kind = db.kind(), "database open");
                    return Ok(());
                }
                Err(error @ (DatabaseError::Schema(_) | DatabaseError::Unused)) => return Err(error),
                Err(error) if told => tracing::debug!(%error, "still no database"),
                Err(error) => {
                    told = true;
                    tracing::warn!(%error, "starting without the database; trying again in the background");
                }
            }
            tokio::time::sleep(backoff.delay()).await;
        }
    }
}

fn refusal(error: DbError) -> DatabaseError {
    let wrong_schema = error.is_schema();
    let error = Arc::new(error);
    if wrong_schema { DatabaseError::Schema(error) } else { DatabaseError::Down(error) }
}
