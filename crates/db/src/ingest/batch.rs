//! One batch, one transaction: lock, sort out what is known, insert, fold, tell.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};

use super::fold::Fold;
use super::lines::{self, Line};
use super::{IngestBatch, IngestFacts, IngestOutcome};
use crate::outbox;
use crate::{Db, DbError, NewOutbox};

impl Db {
    /// Stores a batch in one transaction. `events` is asked for the outbox rows once it is certain what is new; it may
    /// be asked again when the transaction has to be repeated, so it must not do anything else.
    pub async fn ingest<F>(&self, batch: &IngestBatch, events: F) -> Result<IngestOutcome, DbError>
    where
        F: Fn(&IngestFacts) -> Vec<NewOutbox> + Send + Sync,
    {
        if batch.logs.is_empty() && batch.rejected.is_empty() {
            return Ok(IngestOutcome::default());
        }
        let lines = &batch.logs.iter().map(Line::of).collect::<Result<Vec<_>, _>>()?;
        let events = &events;
        self.write(|tx| async move {
            lock(&tx).await?;
            let rejected = lines::reject(&tx, batch).await?;
            let fresh = lines::fresh(&tx, lines).await?;
            lines::insert(&tx, &fresh).await?;
            let facts = Fold::over(self, &tx, &fresh).await?;
            let rows = events(&facts);
            outbox::insert(&tx, &rows, self.now()).await?;
            Ok(IngestOutcome {
                logs_inserted: fresh.len() as u64,
                logs_duplicate: (lines.len() - fresh.len()) as u64,
                rejected_inserted: rejected,
                rejected_duplicate: batch.rejected.len() as u64 - rejected,
                new_attackers: facts.new_attackers.len() as u64,
                sessions_started: facts.sessions_started.len() as u64,
                sessions_ended: facts.sessions_ended.len() as u64,
                credentials: facts.credentials.len() as u64,
                outbox_rows: rows.len() as u64,
            })
        })
        .await
    }
}

/// Waits for the other batches. SQLite's transaction holds the only write lock already.
pub(crate) async fn lock(tx: &DatabaseTransaction) -> Result<(), DbError> {
    let backend = tx.get_database_backend();
    if backend == DbBackend::Sqlite {
        return Ok(());
    }
    let lock = Statement::from_string(backend, "SELECT id FROM ingest_lock WHERE id = 1 FOR UPDATE");
    match tx.query_one_raw(lock).await? {
        Some(_) => Ok(()),
        None => {
            Err(DbError::Damaged { table: "ingest_lock", what: "the row with id 1 is missing".to_owned() })
        }
    }
}
