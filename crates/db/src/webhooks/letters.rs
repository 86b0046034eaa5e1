//! Letters that receivers refused for good: kept up to a limit, sent again when an operator asks, or forgotten.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};
use uuid::Uuid;

use super::{DeadLetter, ERROR, NewDeadLetter, Webhooks};
use crate::DbError;
use crate::bounds::{maybe, micros, owned, signed};
use crate::entity::webhook::Entity;
use crate::entity::webhook_deadletter as letter;
use crate::page::{Page, Paging, capped_count};

/// Dead letters kept for one subscription; the oldest go.
pub const DEAD_LETTERS: u64 = 10_000;

impl Webhooks<'_> {
    /// Keeps a letter that was refused; false if its subscription is gone. The oldest beyond [`DEAD_LETTERS`] go.
    pub async fn bury(&self, new: &NewDeadLetter) -> Result<bool, DbError> {
        let row = &letter::Model {
            uuid: self.0.new_id().to_string(),
            webhook_uuid: new.webhook.to_string(),
            event_id: owned(&new.event_id, 64),
            topic: owned(&new.topic, 256),
            body: new.body.replace('\0', "\u{fffd}"),
            attempts: signed(new.attempts),
            last_error: maybe(Some(&new.last_error), ERROR),
            created_at: micros(self.0.now()),
            requested_at: None,
        };
        self.0
            .write(|tx| async move {
                if Entity::find_by_id(row.webhook_uuid.as_str()).one(&*tx).await?.is_none() {
                    return Ok(false);
                }
                // A crash between this row and the end of the message in the stream brings the event here again.
                let twins = letter::Entity::find()
                    .filter(letter::Column::WebhookUuid.eq(row.webhook_uuid.as_str()))
                    .filter(letter::Column::EventId.eq(row.event_id.as_str()));
                if twins.one(&*tx).await?.is_none() {
                    let active = letter::ActiveModel::from(row.clone()).reset_all();
                    letter::Entity::insert(active).exec_without_returning(&*tx).await?;
                    trim(&tx, &row.webhook_uuid).await?;
                }
                Ok(true)
            })
            .await
    }

    /// A page of a subscription's letters, newest first.
    pub async fn dead_letters(&self, webhook: Uuid, paging: Paging) -> Result<Page<DeadLetter>, DbError> {
        let select = letter::Entity::find().filter(letter::Column::WebhookUuid.eq(webhook.to_string()));
        let total = capped_count(self.0.reader(), select.clone().into_query()).await?;
        let rows = select
            .order_by_desc(letter::Column::CreatedAt)
            .order_by_desc(letter::Column::Uuid)
            .limit(paging.limit())
            .offset(paging.offset)
            .all(self.0.reader())
            .await?;
        let data = rows.into_iter().map(DeadLetter::try_from).collect::<Result<_, _>>()?;
        Ok(Page::new(paging, total, data))
    }

    /// Asks for letters to be sent again: one, or all. Returns how many.
    pub async fn request_letters(&self, webhook: Uuid, one: Option<Uuid>) -> Result<u64, DbError> {
        let (webhook, one) = (&webhook.to_string(), &one.map(|id| id.to_string()));
        let now = micros(self.0.now());
        self.0
            .write(|tx| async move {
                let mut update = letter::Entity::update_many()
                    .col_expr(letter::Column::RequestedAt, Expr::value(Some(now)))
                    .filter(letter::Column::WebhookUuid.eq(webhook.as_str()));
                if let Some(one) = one {
                    update = update.filter(letter::Column::Uuid.eq(one.as_str()));
                }
                Ok(update.exec(&*tx).await?.rows_affected)
            })
            .await
    }

    /// A letter was sent again and refused again: the request is done with.
    pub async fn refuse_letter(&self, webhook: Uuid, uuid: Uuid, error: &str) -> Result<(), DbError> {
        let (id, error) = (&uuid.to_string(), &maybe(Some(error), ERROR));
        let webhook = &webhook.to_string();
        self.0
            .write(|tx| async move {
                letter::Entity::update_many()
                    .col_expr(letter::Column::RequestedAt, Expr::value(None::<i64>))
                    .col_expr(letter::Column::LastError, Expr::value(error.clone()))
                    .col_expr(letter::Column::Attempts, Expr::col(letter::Column::Attempts).add(1))
                    .filter(letter::Column::WebhookUuid.eq(webhook.as_str()))
                    .filter(letter::Column::Uuid.eq(id.as_str()))
                    .exec(&*tx)
                    .await?;
                Ok(())
            })
            .await
    }

    /// Letters that shall be sent again, oldest first.
    pub async fn requested_letters(&self, webhook: Uuid, most: u64) -> Result<Vec<DeadLetter>, DbError> {
        let rows = letter::Entity::find()
            .filter(letter::Column::WebhookUuid.eq(webhook.to_string()))
            .filter(letter::Column::RequestedAt.is_not_null())
            .order_by_asc(letter::Column::CreatedAt)
            .order_by_asc(letter::Column::Uuid)
            .limit(most)
            .all(self.0.reader())
            .await?;
        rows.into_iter().map(DeadLetter::try_from).collect()
    }

    /// Forgets letters: one, or all. Returns how many.
    pub async fn purge_letters(&self, webhook: Uuid, one: Option<Uuid>) -> Result<u64, DbError> {
        let (webhook, one) = (&webhook.to_string(), &one.map(|id| id.to_string()));
        self.0
            .write(|tx| async move {
                let mut delete =
                    letter::Entity::delete_many().filter(letter::Column::WebhookUuid.eq(webhook.as_str()));
                if let Some(one) = one {
                    delete = delete.filter(letter::Column::Uuid.eq(one.as_str()));
                }
                Ok(delete.exec(&*tx).await?.rows_affected)
            })
            .await
    }
}

/// Removes the oldest letters beyond the limit.
async fn trim(tx: &DatabaseTransaction, webhook: &str) -> Result<(), DbError> {
    // The newest letter that must go.
    let mark: Option<(i64, String)> = letter::Entity::find()
        .select_only()
        .columns([letter::Column::CreatedAt, letter::Column::Uuid])
        .filter(letter::Column::WebhookUuid.eq(webhook))
        .order_by_desc(letter::Column::CreatedAt)
        .order_by_desc(letter::Column::Uuid)
        .offset(DEAD_LETTERS)
        .limit(1)
        .into_tuple()
        .one(tx)
        .await?;
    let Some((at, uuid)) = mark else { return Ok(()) };
    let older = letter::Column::CreatedAt
        .lt(at)
        .or(letter::Column::CreatedAt.eq(at).and(letter::Column::Uuid.lte(uuid)));
    letter::Entity::delete_many()
        .filter(letter::Column::WebhookUuid.eq(webhook))
        .filter(older)
        .exec(tx)
        .await?;
    Ok(())
}
