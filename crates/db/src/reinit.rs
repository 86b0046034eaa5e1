//! Forgetting everything captured, for a developer's machine: children first, in one transaction, so that no database
//! is left with orphans. Accounts, the fleet and the outbox stay.

use sea_orm::EntityTrait;
use serde::Serialize;

use crate::entity::{attacker, credential, log, rejected_line};
use crate::{Db, DbError};

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Lines, readable and not.
    pub logs: u64,
    /// Credentials.
    pub credentials: u64,
    /// Attackers, with their sessions, services, deckies and commands.
    pub attackers: u64,
}

impl Db {
    /// Deletes captured lines and all that was derived from them.
    pub async fn reinit(&self) -> Result<Deleted, DbError> {
        self.write(|tx| async move {
            crate::ingest::lock(&tx).await?;
            let rejected = rejected_line::Entity::delete_many().exec(&*tx).await?.rows_affected;
            Ok(Deleted {
                logs: rejected + log::Entity::delete_many().exec(&*tx).await?.rows_affected,
                credentials: credential::Entity::delete_many().exec(&*tx).await?.rows_affected,
                // The foreign keys take the children along.
                attackers: attacker::Entity::delete_many().exec(&*tx).await?.rows_affected,
            })
        })
        .await
    }
}
