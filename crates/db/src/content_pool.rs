//! Texts that a language model wrote ahead of time, each to be used once. Whether a text is fit to be used was decided before it
//! came here.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::bounds::{BODY, micros, owned};
use crate::entity::content_pool::{ActiveModel, Column, Entity, Model};
use crate::{Db, DbError};

/// A text for the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPoolText {
    /// Content class.
    pub content_class: String,
    /// Who writes: his address.
    pub persona: String,
    /// In which language.
    pub language: String,
    /// What it was to be about.
    pub context: String,
    /// Subject, for mail.
    pub subject: String,
    /// The text.
    pub body: String,
    /// SHA-256 (hex) of it: no text twice.
    pub content_hash: String,
    /// Which model wrote it.
    pub model: String,
}

/// A text of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolText {
    /// Row id.
    pub uuid: Uuid,
    /// Language.
    pub language: String,
    /// What it is about.
    pub context: String,
    /// Subject, for mail.
    pub subject: String,
    /// The text.
    pub body: String,
    /// Which model wrote it.
    pub model: String,
}

/// The pool's repository.
#[derive(Debug, Clone, Copy)]
pub struct ContentPool<'a>(pub(crate) &'a Db);

impl ContentPool<'_> {
    /// Adds a text; false if there was one like it.
    pub async fn add(&self, text: &NewPoolText) -> Result<bool, DbError> {
        let row = &Model {
            uuid: self.0.new_id().to_string(),
            content_class: owned(&text.content_class, 32),
            persona: owned(&text.persona, 128),
            language: owned(&text.language, 8),
            context: owned(&text.context, 255),
            subject: owned(&text.subject, 512),
            body: owned(&text.body, BODY),
            content_hash: owned(&text.content_hash, 64),
            model: owned(&text.model, 128),
            created_at: micros(self.0.now()),
            used_at: None,
        };
        self.0
            .write(|tx| async move {
                let known =
                    Entity::find().filter(Column::ContentHash.eq(row.content_hash.as_str())).count(&*tx);
                if known.await? > 0 {
                    return Ok(false);
                }
                Entity::insert(ActiveModel::from(row.clone()).reset_all())
                    .exec_without_returning(&*tx)
                    .await?;
                Ok(true)
            })
            .await
    }

    /// The oldest unused text of a class by somebody in a language; it stays until it is [`Self::used`].
    pub async fn next(
        &self,
        class: &str,
        persona: &str,
        language: &str,
    ) -> Result<Option<PoolText>, DbError> {
        let row = Entity::find()
            .filter(Column::ContentClass.eq(class))
            .filter(Column::Persona.eq(persona))
            .filter(Column::UsedAt.is_null())
            .filter(Column::Language.eq(language))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Uuid)
            .one(self.0.reader())
            .await?;
        row.map(PoolText::try_from).transpose()
    }

    /// Notes that a text was used; false if somebody else was quicker.
    pub async fn used(&self, uuid: Uuid) -> Result<bool, DbError> {
        let now = micros(self.0.now());
        self.0
            .write(|tx| async move {
                let update = Entity::update_many()
                    .col_expr(Column::UsedAt, Expr::value(Some(now)))
                    .filter(Column::Uuid.eq(uuid.to_string()))
                    .filter(Column::UsedAt.is_null());
                Ok(update.exec(&*tx).await?.rows_affected > 0)
            })
            .await
    }

    /// How many unused texts each (class, persona) has.
    pub async fn waiting(&self) -> Result<Vec<(String, String, u64)>, DbError> {
        let rows: Vec<(String, String, i64)> = Entity::find()
            .select_only()
            .columns([Column::ContentClass, Column::Persona])
            .column_as(Column::Uuid.count(), "n")
            .filter(Column::UsedAt.is_null())
            .group_by(Column::ContentClass)
            .group_by(Column::Persona)
            .into_tuple()
            .all(self.0.reader())
            .await?;
        Ok(rows.into_iter().map(|(class, who, n)| (class, who, u64::try_from(n).unwrap_or(0))).collect())
    }

    /// Forgets texts used before `used`, and those that nobody has used since `made`.
    pub async fn prune(&self, used: DateTime<Utc>, made: DateTime<Utc>) -> Result<u64, DbError> {
        self.0
            .write(|tx| async move {
                let old = sea_orm::Condition::any().add(Column::UsedAt.lt(micros(used))).add(
                    sea_orm::Condition::all()
                        .add(Column::UsedAt.is_null())
                        .add(Column::CreatedAt.lt(micros(made))),
                );
                Ok(Entity::delete_many().filter(old).exec(&*tx).await?.rows_affected)
            })
            .await
    }
}

impl TryFrom<Model> for PoolText {
    type Error = DbError;

    fn try_from(row: Model) -> Result<Self, DbError> {
        Ok(Self {
            uuid: row.uuid.parse().map_err(|_| DbError::Damaged {
                table: "content_pool",
                what: format!("uuid {:?}", row.uuid),
            })?,
            language: row.language,
            context: row.context,
            subject: row.subject,
            body: row.body,
            model: row.model,
        })
    }
}
