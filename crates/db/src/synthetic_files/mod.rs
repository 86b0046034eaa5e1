//! Files the orchestrator planted, as it believes them to be. What is really on the decky is the agent's to say.
//!
//! Written by [`crate::Life`], together with the event that tells of it; here they are read and pruned.

mod types;
mod write;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use crate::bounds::{count, micros};
use crate::entity::synthetic_file::{Column, Entity};
use crate::page::{Page, Paging, capped_count};
use crate::{Db, DbError};

use types::Row;
pub use types::{FileState, NewSyntheticFile, SyntheticFile, SyntheticFileBody};
pub(crate) use types::{nanos, small};
pub(crate) use write::{check, set_state, upsert};

/// Rows deleted in one transaction.
const PRUNE_STEP: u64 = 500;

/// Which files are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyntheticFileQuery {
    /// On this decky.
    pub decky_uuid: Option<String>,
    /// Of this persona.
    pub persona: Option<String>,
    /// Of this class.
    pub content_class: Option<String>,
    /// In this state.
    pub state: Option<FileState>,
    /// Which part.
    pub paging: Paging,
}

/// The repository of planted files.
#[derive(Debug, Clone, Copy)]
pub struct SyntheticFiles<'a>(pub(crate) &'a Db);

impl SyntheticFiles<'_> {
    /// A page without contents, latest change first.
    pub async fn page(&self, query: &SyntheticFileQuery) -> Result<Page<SyntheticFile>, DbError> {
        let select = Entity::find()
            .apply_if(query.decky_uuid.as_deref(), |select, decky| select.filter(Column::DeckyUuid.eq(decky)))
            .apply_if(query.persona.as_deref(), |select, persona| select.filter(Column::Persona.eq(persona)))
            .apply_if(query.content_class.as_deref(), |select, class| {
                select.filter(Column::ContentClass.eq(class))
            })
            .apply_if(query.state, |select, state| select.filter(Column::State.eq(state.as_str())));
        let total = capped_count(self.0.reader(), select.clone().into_query()).await?;
        let rows = select
            .select_only()
            .columns(Row::COLUMNS)
            .order_by_desc(Column::LastModified)
            .order_by_desc(Column::Uuid)
            .limit(query.paging.limit())
            .offset(query.paging.offset)
            .into_model::<Row>()
            .all(self.0.reader())
            .await?;
        let data = rows.into_iter().map(SyntheticFile::try_from).collect::<Result<_, _>>()?;
        Ok(Page::new(query.paging, total, data))
    }

    /// One file with its content.
    pub async fn get(&self, uuid: Uuid) -> Result<Option<SyntheticFileBody>, DbError> {
        let row = Entity::find_by_id(uuid.to_string()).one(self.0.reader()).await?;
        row.map(SyntheticFileBody::try_from).transpose()
    }

    /// One file by where it is.
    pub async fn at(&self, decky_uuid: &str, path: &str) -> Result<Option<SyntheticFileBody>, DbError> {
        let row = Entity::find()
            .filter(Column::DeckyUuid.eq(decky_uuid))
            .filter(Column::Path.eq(path))
            .one(self.0.reader())
            .await?;
        row.map(SyntheticFileBody::try_from).transpose()
    }

    /// What we believe to be on a decky, in the order of paths: all but what we removed ourselves.
    pub async fn shelf(&self, decky_uuid: &str) -> Result<Vec<SyntheticFileBody>, DbError> {
        let rows = Entity::find()
            .filter(Column::DeckyUuid.eq(decky_uuid))
            .filter(Column::State.ne(FileState::Gone.as_str()))
            .order_by_asc(Column::Path)
            .all(self.0.reader())
            .await?;
        rows.into_iter().map(SyntheticFileBody::try_from).collect()
    }

    /// Which of these hashes some file of the fleet has already.
    pub async fn known_hashes(&self, hashes: &[String]) -> Result<Vec<String>, DbError> {
        let mut known = Vec::new();
        for hashes in hashes.chunks(256) {
            let found: Vec<String> = Entity::find()
                .select_only()
                .column(Column::ContentHash)
                .distinct()
                .filter(Column::ContentHash.is_in(hashes.iter().map(String::as_str)))
                .into_tuple()
                .all(self.0.reader())
                .await?;
            known.extend(found);
        }
        Ok(known)
    }

    /// How many of each state there are.
    pub async fn counts(&self) -> Result<Vec<(String, u64)>, DbError> {
        let rows: Vec<(String, i64)> = Entity::find()
            .select_only()
            .column(Column::State)
            .column_as(Column::Uuid.count(), "n")
            .group_by(Column::State)
            .order_by_asc(Column::State)
            .into_tuple()
            .all(self.0.reader())
            .await?;
        Ok(rows.into_iter().map(|(state, number)| (state, count(number))).collect())
    }

    /// Forgets what was removed from deckies before `before`, and all files of deckies that are not among `known` and were not
    /// touched since. Files that are there are never forgotten.
    pub async fn prune(&self, before: DateTime<Utc>, known: &[String]) -> Result<u64, DbError> {
        let old = Column::LastModified.lt(micros(before));
        let removed = Column::State.eq(FileState::Gone.as_str()).and(old.clone());
        let mut gone = self.delete_all(&removed).await?;
        let owners: Vec<String> = Entity::find()
            .select_only()
            .column(Column::DeckyUuid)
            .distinct()
            .into_tuple()
            .all(self.0.reader())
            .await?;
        for owner in owners.iter().filter(|owner| !known.contains(owner)) {
            gone += self.delete_all(&Column::DeckyUuid.eq(owner.as_str()).and(old.clone())).await?;
        }
        Ok(gone)
    }

    /// In short transactions.
    async fn delete_all(&self, filter: &sea_orm::sea_query::SimpleExpr) -> Result<u64, DbError> {
        let mut gone = 0;
        loop {
            let uuids: Vec<String> = Entity::find()
                .select_only()
                .column(Column::Uuid)
                .filter(filter.clone())
                .limit(PRUNE_STEP)
                .into_tuple()
                .all(self.0.reader())
                .await?;
            if uuids.is_empty() {
                return Ok(gone);
            }
            let uuids = &uuids;
            gone += self
                .0
                .write(|tx| async move {
                    // The filter once more: what was touched since it was read stays.
                    let chosen = Column::Uuid.is_in(uuids.iter().map(String::as_str)).and(filter.clone());
                    Ok(Entity::delete_many().filter(chosen).exec(&*tx).await?.rows_affected)
                })
                .await?;
        }
    }
}
