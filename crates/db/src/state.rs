//! The key/value shelf (`deployment`, `config_limits`, cursors): JSON values under short names. Not for secrets.

use sea_orm::sea_query::{OnConflict, Query};
use sea_orm::{ConnectionTrait, EntityTrait};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bounds::{json_text, micros};
use crate::entity::state::{Column, Entity};
use crate::{Db, DbError};

/// The shelf.
#[derive(Debug, Clone, Copy)]
pub struct State<'a>(pub(crate) &'a Db);

impl State<'_> {
    /// The value under `key`, if there is one.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, DbError> {
        match Entity::find_by_id(key).one(self.0.reader()).await? {
            None => Ok(None),
            Some(row) => serde_json::from_str(&row.value)
                .map(Some)
                .map_err(|err| DbError::Damaged { table: "state", what: format!("key {key:?}: {err}") }),
        }
    }

    /// Puts a value under `key`, in place of an older one.
    pub async fn set<T: Serialize + Sync>(&self, key: &str, value: &T) -> Result<(), DbError> {
        if key.is_empty() || key.chars().count() > 128 {
            return Err(DbError::Refused(format!("the state key {key:?} must have 1 to 128 characters")));
        }
        let (value, now) = (&json_text(value), micros(self.0.now()));
        self.0
            .write(|tx| async move {
                let insert = Query::insert()
                    .into_table(Entity)
                    .columns([Column::Key, Column::Value, Column::UpdatedAt])
                    .values_panic([key.into(), value.as_str().into(), now.into()])
                    .on_conflict(
                        OnConflict::column(Column::Key)
                            .update_columns([Column::Value, Column::UpdatedAt])
                            .to_owned(),
                    )
                    .to_owned();
                tx.execute(&insert).await?;
                Ok(())
            })
            .await
    }

    /// Takes the value under `key` away; true if there was one.
    pub async fn remove(&self, key: &str) -> Result<bool, DbError> {
        self.0
            .write(|tx| async move { Ok(Entity::delete_by_id(key).exec(&*tx).await?.rows_affected > 0) })
            .await
    }
}
