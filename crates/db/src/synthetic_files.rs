//! Files the orchestrator planted, as it believes them to be. What is really on the decky is the agent's to say.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use serde::Serialize;
use uuid::Uuid;

use crate::bounds::{BODY, DECKY_ID, PATH, count, micros, owned, time};
use crate::entity::synthetic_file::{Column, Entity, Model};
use crate::page::{Page, Paging, capped_count};
use crate::{Db, DbError};

/// A file as planted or edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSyntheticFile {
    /// Opaque id of the decky.
    pub decky_uuid: String,
    /// Where (at most 512 characters: longer ones are refused).
    pub path: String,
    /// Whose file it is.
    pub persona: String,
    /// What kind of content.
    pub content_class: String,
    /// SHA-256 (hex) of the body.
    pub content_hash: String,
    /// The body, cut to 65 536 characters.
    pub last_body: String,
}

/// A planted file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SyntheticFile {
    /// Row id.
    pub uuid: Uuid,
    /// Opaque id of the decky.
    pub decky_uuid: String,
    /// Where.
    pub path: String,
    /// Whose file it is.
    pub persona: String,
    /// What kind of content.
    pub content_class: String,
    /// When the row was made (not the planted time).
    pub created_at: DateTime<Utc>,
    /// When it was planted or edited last.
    pub last_modified: DateTime<Utc>,
    /// Edits.
    pub edit_count: u64,
    /// SHA-256 of the body.
    pub content_hash: String,
    /// The body.
    pub last_body: String,
}

/// The repository of planted files.
#[derive(Debug, Clone, Copy)]
pub struct SyntheticFiles<'a>(pub(crate) &'a Db);

impl SyntheticFiles<'_> {
    /// Records a plant, or an edit when the path is known already: then class, persona and body are replaced and
    /// `edit_count` grows.
    pub async fn upsert(&self, file: &NewSyntheticFile) -> Result<(), DbError> {
        if file.path.is_empty() || file.path.chars().count() > PATH || file.path.contains('\0') {
            return Err(DbError::Refused(format!(
                "the path of a planted file has 1 to {PATH} characters and no NUL"
            )));
        }
        let now = micros(self.0.now());
        let insert = &Query::insert()
            .into_table(Entity)
            .columns([
                Column::Uuid,
                Column::DeckyUuid,
                Column::Path,
                Column::Persona,
                Column::ContentClass,
                Column::CreatedAt,
                Column::LastModified,
                Column::EditCount,
                Column::ContentHash,
                Column::LastBody,
            ])
            .values_panic([
                self.0.new_id().to_string().into(),
                owned(&file.decky_uuid, DECKY_ID).into(),
                file.path.as_str().into(),
                owned(&file.persona, 128).into(),
                owned(&file.content_class, 32).into(),
                now.into(),
                now.into(),
                0i64.into(),
                owned(&file.content_hash, 64).into(),
                owned(&file.last_body, BODY).into(),
            ])
            .on_conflict(
                OnConflict::columns([Column::DeckyUuid, Column::Path])
                    .update_columns([
                        Column::Persona,
                        Column::ContentClass,
                        Column::LastModified,
                        Column::ContentHash,
                        Column::LastBody,
                    ])
                    .value(Column::EditCount, Expr::col((Entity, Column::EditCount)).add(1))
                    .to_owned(),
            )
            .to_owned();
        self.0
            .write(|tx| async move {
                tx.execute(insert).await?;
                Ok(())
            })
            .await
    }

    /// A page, latest change first.
    pub async fn list(
        &self,
        decky_uuid: Option<&str>,
        paging: Paging,
    ) -> Result<Page<SyntheticFile>, DbError> {
        let select =
            Entity::find().apply_if(decky_uuid, |select, decky| select.filter(Column::DeckyUuid.eq(decky)));
        let total = capped_count(self.0.reader(), select.clone().into_query()).await?;
        let rows = select
            .order_by_desc(Column::LastModified)
            .order_by_desc(Column::Uuid)
            .limit(paging.limit())
            .offset(paging.offset)
            .all(self.0.reader())
            .await?;
        let data = rows.into_iter().map(SyntheticFile::try_from).collect::<Result<_, _>>()?;
        Ok(Page::new(paging, total, data))
    }

    /// One file by where it is.
    pub async fn get(&self, decky_uuid: &str, path: &str) -> Result<Option<SyntheticFile>, DbError> {
        let row = Entity::find()
            .filter(Column::DeckyUuid.eq(decky_uuid))
            .filter(Column::Path.eq(path))
            .one(self.0.reader())
            .await?;
        row.map(SyntheticFile::try_from).transpose()
    }

    /// Files of a decky that may be edited: of one of `classes`, changed within `age`. The caller picks one.
    pub async fn editable(
        &self,
        decky_uuid: &str,
        classes: &[&str],
        age: TimeDelta,
    ) -> Result<Vec<SyntheticFile>, DbError> {
        let since = micros(self.0.now() - age);
        let rows = Entity::find()
            .filter(Column::DeckyUuid.eq(decky_uuid))
            .filter(Column::ContentClass.is_in(classes.iter().copied()))
            .filter(Column::LastModified.gte(since))
            .order_by_asc(Column::Path)
            .limit(1000)
            .all(self.0.reader())
            .await?;
        rows.into_iter().map(SyntheticFile::try_from).collect()
    }

    /// Forgets a file; true if it was known.
    pub async fn delete(&self, decky_uuid: &str, path: &str) -> Result<bool, DbError> {
        self.0
            .write(|tx| async move {
                let filter = Column::DeckyUuid.eq(decky_uuid).and(Column::Path.eq(path));
                Ok(Entity::delete_many().filter(filter).exec(&*tx).await?.rows_affected > 0)
            })
            .await
    }
}

impl TryFrom<Model> for SyntheticFile {
    type Error = DbError;

    fn try_from(row: Model) -> Result<Self, DbError> {
        Ok(Self {
            uuid: row.uuid.parse().map_err(|_| DbError::Damaged {
                table: "synthetic_files",
                what: format!("uuid {:?}", row.uuid),
            })?,
            decky_uuid: row.decky_uuid,
            path: row.path,
            persona: row.persona,
            content_class: row.content_class,
            created_at: time(row.created_at),
            last_modified: time(row.last_modified),
            edit_count: count(row.edit_count),
            content_hash: row.content_hash,
            last_body: row.last_body,
        })
    }
}
