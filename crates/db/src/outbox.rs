//! Events waiting to be published. A row is written in the transaction that changes the state it speaks of; the
//! producer's relay publishes it and stamps it. This file knows nothing of subjects: they are text made by `bus`.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{OnConflict, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::Serialize;
use uuid::Uuid;

use crate::bounds::{json_text, micros, time};
use crate::entity::outbox::{Column, Entity, Model};
use crate::{Db, DbError};

/// An event to publish once the transaction is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOutbox {
    /// Row id: UUID v7, so that rows publish in the order they were made.
    pub id: Uuid,
    /// The worker whose relay publishes it (its bus account may publish `subject`).
    pub producer: String,
    /// The NATS subject.
    pub subject: String,
    /// The public topic name.
    pub topic: String,
    /// `Nats-Msg-Id`; usually `id`.
    pub msg_id: String,
    /// Extra message headers, if any.
    pub headers: Vec<(String, String)>,
    /// The encoded envelope.
    pub body: String,
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutboxRow {
    /// Row id.
    pub id: Uuid,
    /// The worker whose relay publishes it.
    pub producer: String,
    /// The NATS subject.
    pub subject: String,
    /// The public topic name.
    pub topic: String,
    /// `Nats-Msg-Id`.
    pub msg_id: String,
    /// Extra message headers.
    pub headers: Vec<(String, String)>,
    /// The encoded envelope.
    pub body: String,
    /// When the row was written.
    pub created_at: DateTime<Utc>,
    /// When the broker had acknowledged it.
    pub published_at: Option<DateTime<Utc>>,
}

/// The outbox repository.
#[derive(Debug, Clone, Copy)]
pub struct Outbox<'a>(pub(crate) &'a Db);

impl Outbox<'_> {
    /// The oldest rows of `producer` that nobody has stamped yet.
    pub async fn pending(&self, producer: &str, limit: u64) -> Result<Vec<OutboxRow>, DbError> {
        let rows = Entity::find()
            .filter(Column::Producer.eq(producer))
            .filter(Column::PublishedAt.is_null())
            .order_by_asc(Column::Id)
            .limit(limit)
            .all(self.0.reader())
            .await?;
        rows.into_iter().map(OutboxRow::try_from).collect()
    }

    /// Stamps rows as published; unknown and already stamped ids are harmless.
    pub async fn mark_published(&self, ids: &[Uuid]) -> Result<(), DbError> {
        if ids.is_empty() {
            return Ok(());
        }
        let now = micros(self.0.now());
        let ids: &Vec<String> = &ids.iter().map(Uuid::to_string).collect();
        self.0
            .write(|tx| async move {
                for ids in ids.chunks(500) {
                    Entity::update_many()
                        .col_expr(Column::PublishedAt, now.into())
                        .filter(Column::Id.is_in(ids.iter().map(String::as_str)))
                        .filter(Column::PublishedAt.is_null())
                        .exec(&*tx)
                        .await?;
                }
                Ok(())
            })
            .await
    }

    /// Deletes rows published before `before`; returns how many.
    pub async fn prune(&self, before: DateTime<Utc>) -> Result<u64, DbError> {
        let before = micros(before);
        self.0
            .write(|tx| async move {
                let done = Entity::delete_many().filter(Column::PublishedAt.lt(before)).exec(&*tx).await?;
                Ok(done.rows_affected)
            })
            .await
    }

    /// Writes events that go with no other row.
    pub async fn insert(&self, rows: &[NewOutbox]) -> Result<(), DbError> {
        let now = self.0.now();
        self.0.write(|tx| async move { insert(&tx, rows, now).await }).await
    }

    /// How many rows of `producer` wait, and since when the oldest does.
    pub async fn backlog(&self, producer: &str) -> Result<(u64, Option<DateTime<Utc>>), DbError> {
        let row: Option<(i64, Option<i64>)> = Entity::find()
            .select_only()
            .column_as(Column::Id.count(), "n")
            .column_as(Column::CreatedAt.min(), "oldest")
            .filter(Column::Producer.eq(producer))
            .filter(Column::PublishedAt.is_null())
            .into_tuple()
            .one(self.0.reader())
            .await?;
        let (waiting, oldest) = row.unwrap_or_default();
        Ok((u64::try_from(waiting).unwrap_or(0), oldest.map(time)))
    }
}

/// Writes events inside a transaction of another repository.
pub(crate) async fn insert(
    conn: &DatabaseTransaction,
    rows: &[NewOutbox],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    for chunk in rows.chunks(128) {
        let mut insert = Query::insert();
        insert.into_table(Entity).columns([
            Column::Id,
            Column::Producer,
            Column::Subject,
            Column::Topic,
            Column::MsgId,
            Column::Headers,
            Column::Body,
            Column::CreatedAt,
        ]);
        for row in chunk {
            let headers = (!row.headers.is_empty()).then(|| json_text(&row.headers));
            insert.values_panic([
                row.id.to_string().into(),
                row.producer.clone().into(),
                row.subject.clone().into(),
                row.topic.clone().into(),
                row.msg_id.clone().into(),
                headers.into(),
                row.body.clone().into(),
                micros(now).into(),
            ]);
        }
        insert.on_conflict(OnConflict::column(Column::Id).do_nothing_on([Column::Id]).to_owned());
        conn.execute(&insert).await?;
    }
    Ok(())
}

impl TryFrom<Model> for OutboxRow {
    type Error = DbError;

    fn try_from(row: Model) -> Result<Self, DbError> {
        let damaged = |what: String| DbError::Damaged { table: "outbox", what };
        Ok(Self {
            id: row.id.parse().map_err(|_| damaged(format!("id {:?}", row.id)))?,
            headers: match row.headers.as_deref() {
                None => Vec::new(),
                Some(text) => serde_json::from_str(text)
                    .map_err(|err| damaged(format!("headers of {}: {err}", row.id)))?,
            },
            producer: row.producer,
            subject: row.subject,
            topic: row.topic,
            msg_id: row.msg_id,
            body: row.body,
            created_at: time(row.created_at),
            published_at: row.published_at.map(time),
        })
    }
}
