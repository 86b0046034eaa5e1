//! Events waiting to be published. A row is written in the transaction that changes the state it speaks of; the
//! producer's relay publishes it and stamps it. This file knows nothing of subjects: they are text made by `bus`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, Statement, Value,
};
use serde::Serialize;
use uuid::Uuid;

use crate::bounds::{json_text, micros, time};
use crate::bulk::{Bulk, pad, padded, placeholders};
use crate::entity::outbox::{Column, Entity};
use crate::{Db, DbError};

const OUTBOX: Bulk = Bulk {
    table: "outbox",
    columns: &["id", "producer", "subject", "topic", "msg_id", "headers", "body", "created_at"],
    key: &[],
    replace: &[],
};

/// With the columns in the order of [`OutboxRow`]'s reader.
const PENDING: &str = "SELECT id, producer, subject, topic, msg_id, headers, body, created_at, published_at \
                       FROM outbox WHERE producer = ";

/// Rows deleted in one transaction, so that writers do not wait long.
const PRUNE_STEP: u64 = 2000;

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
        // The limit is part of the text: SQLite would prepare the statement anew for every limit that is bound.
        let reader = self.0.reader();
        let (backend, mut sql, mut number) = (reader.get_database_backend(), PENDING.to_owned(), 0);
        placeholders(&mut sql, backend, 1, &mut number);
        let _ = write!(sql, " AND published_at IS NULL ORDER BY id LIMIT {limit}");
        let statement = Statement::from_sql_and_values(backend, sql, [producer.into()]);
        reader.query_all_raw(statement).await?.iter().map(OutboxRow::try_from).collect()
    }

    /// Stamps rows as published; unknown and already stamped ids are harmless.
    pub async fn mark_published(&self, ids: &[Uuid]) -> Result<(), DbError> {
        if ids.is_empty() {
            return Ok(());
        }
        let now = micros(self.0.now());
        let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
        let ids: &Vec<&str> = &ids.iter().map(String::as_str).collect();
        self.0
            .write(|tx| async move {
                for ids in ids.chunks(256) {
                    let (backend, length) = (tx.get_database_backend(), padded(ids.len()));
                    let (mut sql, mut number) = ("UPDATE outbox SET published_at = ".to_owned(), 0);
                    placeholders(&mut sql, backend, 1, &mut number);
                    sql.push_str(" WHERE published_at IS NULL AND id IN (");
                    placeholders(&mut sql, backend, length, &mut number);
                    sql.push(')');
                    let mut values = vec![Value::from(now)];
                    values.extend(pad(ids, length));
                    tx.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
                }
                Ok(())
            })
            .await
    }

    /// Deletes rows published before `before`; returns how many.
    pub async fn prune(&self, before: DateTime<Utc>) -> Result<u64, DbError> {
        // Nothing is published before it is made: a range of the primary key, without an index that every insert pays.
        let old = Column::Id.lt(first_id_of(before)).and(Column::PublishedAt.lt(micros(before)));
        let old = &old;
        let mut gone = 0;
        loop {
            let last: Option<String> = Entity::find()
                .select_only()
                .column(Column::Id)
                .filter(old.clone())
                .order_by_asc(Column::Id)
                .offset(PRUNE_STEP - 1)
                .limit(1)
                .into_tuple()
                .one(self.0.reader())
                .await?;
            let step = &match last.clone() {
                Some(last) => old.clone().and(Column::Id.lte(last)),
                None => old.clone(),
            };
            gone += self
                .0
                .write(|tx| async move {
                    Ok(Entity::delete_many().filter(step.clone()).exec(&*tx).await?.rows_affected)
                })
                .await?;
            if last.is_none() {
                return Ok(gone);
            }
        }
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
    tx: &DatabaseTransaction,
    rows: &[NewOutbox],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    OUTBOX.write(tx, rows.iter().map(|row| values(row, now))).await?;
    Ok(())
}

fn values(row: &NewOutbox, now: DateTime<Utc>) -> [Value; 8] {
    let headers = (!row.headers.is_empty()).then(|| json_text(&row.headers));
    [
        row.id.to_string().into(),
        row.producer.as_str().into(),
        row.subject.as_str().into(),
        row.topic.as_str().into(),
        row.msg_id.as_str().into(),
        headers.into(),
        row.body.as_str().into(),
        micros(now).into(),
    ]
}

/// The smallest id a row made at `at` can have: UUID v7 begins with the milliseconds.
fn first_id_of(at: DateTime<Utc>) -> String {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid().to_string()
}

impl TryFrom<&QueryResult> for OutboxRow {
    type Error = DbError;

    fn try_from(row: &QueryResult) -> Result<Self, DbError> {
        let damaged = |what: String| DbError::Damaged { table: "outbox", what };
        let id: String = row.try_get_by_index(0)?;
        let headers: Option<String> = row.try_get_by_index(5)?;
        Ok(Self {
            id: id.parse().map_err(|_| damaged(format!("id {id:?}")))?,
            headers: match headers {
                None => Vec::new(),
                Some(text) => {
                    serde_json::from_str(&text).map_err(|err| damaged(format!("headers of {id}: {err}")))?
                }
            },
            producer: row.try_get_by_index(1)?,
            subject: row.try_get_by_index(2)?,
            topic: row.try_get_by_index(3)?,
            msg_id: row.try_get_by_index(4)?,
            body: row.try_get_by_index(6)?,
            created_at: time(row.try_get_by_index(7)?),
            published_at: row.try_get_by_index::<Option<i64>>(8)?.map(time),
        })
    }
}
