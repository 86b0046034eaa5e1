//! One batch, one transaction: lock, sort out what is known, insert, fold, tell.

use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::{IngestBatch, IngestFacts, IngestOutcome};
use crate::{Db, DbError, NewOutbox};

impl Db {
    /// Stores a batch in one transaction. `events` is asked for the outbox rows once it is certain what is new; it may
    /// be asked again when the transaction has to be repeated, so it must not do anything else.
    pub async fn ingest<F>(&self, batch: &IngestBatch, events: F) -> Result<IngestOutcome, DbError>
    where
        F: Fn(&IngestFacts) -> Vec<NewOutbox> + Send + Sync,
    {
        let _ = (batch, events);
        Err(DbError::Refused("ingest is being written".to_owned()))
    }
}

pub(crate) async fn lock(tx: &DatabaseTransaction) -> Result<(), DbError> {
    let _ = tx.get_database_backend();
    Ok(())
}
