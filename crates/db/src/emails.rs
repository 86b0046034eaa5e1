//! Mail that the orchestrator delivered to mail deckies: for the operator's eyes, for the next answer, and to be put back as it
//! was. Written by [`crate::Life`], together with the event that tells of it.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::bounds::{DECKY_ID, EXCERPT, count, json_or_text, json_text, maybe, micros, owned, signed, time};
use crate::entity::orchestrator_email::{ActiveModel, Column, Entity, Model};
use crate::page::{Page, Paging, capped_count};
use crate::synthetic_files::{nanos, small};
use crate::{Db, DbError};

/// A message to record.
#[derive(Debug, Clone, PartialEq)]
pub struct NewOrchestratorEmail {
    /// Row id.
    pub uuid: Uuid,
    /// When it was delivered, or the attempt was made.
    pub ts: DateTime<Utc>,
    /// The decky that holds the mailbox.
    pub mail_decky_uuid: String,
    /// Thread.
    pub thread_id: String,
    /// `Message-ID` with its brackets.
    pub message_id: String,
    /// The parent's.
    pub in_reply_to: Option<String>,
    /// Sender's address.
    pub sender_email: String,
    /// Recipient's address.
    pub recipient_email: String,
    /// Decoded.
    pub subject: String,
    /// Language of the text.
    pub language: String,
    /// Where it lies.
    pub eml_path: String,
    /// It was delivered.
    pub success: bool,
    /// Details.
    pub payload: Value,
    /// `Message-ID`s of its ancestors, oldest first.
    pub references: Vec<String>,
    /// Its text for the quotation in an answer, cut to 2000 characters.
    pub excerpt: String,
    /// It has been answered.
    pub answered: bool,
    /// Its time, to the nanosecond.
    pub mtime: DateTime<Utc>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// SHA-256 (hex) of all of it.
    pub content_hash: String,
    /// All of it.
    pub raw: String,
}

/// A recorded message, without its bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OrchestratorEmail {
    /// Row id.
    pub uuid: Uuid,
    /// When.
    pub ts: DateTime<Utc>,
    /// The decky that holds the mailbox.
    pub mail_decky_uuid: String,
    /// Thread.
    pub thread_id: String,
    /// `Message-ID` with its brackets.
    pub message_id: String,
    /// The parent's.
    pub in_reply_to: Option<String>,
    /// Sender's address.
    pub sender_email: String,
    /// Recipient's address.
    pub recipient_email: String,
    /// Decoded.
    pub subject: String,
    /// Language of the text.
    pub language: String,
    /// Where it lies.
    pub eml_path: String,
    /// It was delivered.
    pub success: bool,
    /// Details.
    pub payload: Value,
    /// Ancestors, oldest first.
    pub references: Vec<String>,
    /// Its text, cut.
    pub excerpt: String,
    /// It has been answered.
    pub answered: bool,
    /// Its time on the decky.
    pub mtime: DateTime<Utc>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of all of it.
    pub content_hash: String,
}

/// Which messages are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmailQuery {
    /// On this decky.
    pub mail_decky_uuid: Option<String>,
    /// Of this thread.
    pub thread_id: Option<String>,
    /// That were delivered, or not.
    pub success: Option<bool>,
    /// At or after this time.
    pub since: Option<DateTime<Utc>>,
    /// Which part.
    pub paging: Paging,
}

/// The repository of mail.
#[derive(Debug, Clone, Copy)]
pub struct OrchestratorEmails<'a>(pub(crate) &'a Db);

impl OrchestratorEmails<'_> {
    /// A page, newest first.
    pub async fn page(&self, query: &EmailQuery) -> Result<Page<OrchestratorEmail>, DbError> {
        let select = Entity::find()
            .apply_if(query.mail_decky_uuid.as_deref(), |select, decky| {
                select.filter(Column::MailDeckyUuid.eq(decky))
            })
            .apply_if(query.thread_id.as_deref(), |select, thread| select.filter(Column::ThreadId.eq(thread)))
            .apply_if(query.success, |select, success| select.filter(Column::Success.eq(success)))
            .apply_if(query.since, |select, since| select.filter(Column::Ts.gte(micros(since))));
        let total = capped_count(self.0.reader(), select.clone().into_query()).await?;
        let rows = select
            .order_by_desc(Column::Ts)
            .order_by_desc(Column::Uuid)
            .limit(query.paging.limit())
            .offset(query.paging.offset)
            .all(self.0.reader())
            .await?;
        let data = rows.into_iter().map(OrchestratorEmail::try_from).collect::<Result<_, _>>()?;
        Ok(Page::new(query.paging, total, data))
    }

    /// The newest delivered messages of a decky since `since`, oldest first: what may be answered.
    pub async fn recent(
        &self,
        decky_uuid: &str,
        since: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<OrchestratorEmail>, DbError> {
        let rows = Entity::find()
            .filter(Column::MailDeckyUuid.eq(decky_uuid))
            .filter(Column::Success.eq(true))
            .filter(Column::Ts.gte(micros(since)))
            .order_by_desc(Column::Ts)
            .order_by_desc(Column::Uuid)
            .limit(limit)
            .all(self.0.reader())
            .await?;
        rows.into_iter().rev().map(OrchestratorEmail::try_from).collect()
    }

    /// All delivered messages of a decky with their bytes, oldest first, from `after` on (a row id and time), `limit` at most.
    pub async fn whole(
        &self,
        decky_uuid: &str,
        after: Option<&(DateTime<Utc>, Uuid)>,
        limit: u64,
    ) -> Result<Vec<(OrchestratorEmail, String)>, DbError> {
        let rows = Entity::find()
            .filter(Column::MailDeckyUuid.eq(decky_uuid))
            .filter(Column::Success.eq(true))
            .apply_if(after, |select, (ts, uuid)| {
                let ts = micros(*ts);
                select.filter(Column::Ts.gt(ts).or(Column::Ts.eq(ts).and(Column::Uuid.gt(uuid.to_string()))))
            })
            .order_by_asc(Column::Ts)
            .order_by_asc(Column::Uuid)
            .limit(limit)
            .all(self.0.reader())
            .await?;
        rows.into_iter()
            .map(|mut row| {
                let raw = std::mem::take(&mut row.raw);
                Ok((OrchestratorEmail::try_from(row)?, raw))
            })
            .collect()
    }

    /// Keeps the newest `keep` messages of each mail decky; returns how many went.
    pub async fn prune(&self, keep: u64) -> Result<u64, DbError> {
        let crowded: Vec<String> = Entity::find()
            .select_only()
            .column(Column::MailDeckyUuid)
            .group_by(Column::MailDeckyUuid)
            .having(Expr::col(Column::Uuid).count().gt(signed(keep)))
            .into_tuple()
            .all(self.0.reader())
            .await?;
        let mut gone = 0;
        for decky in &crowded {
            // The newest row that must go; a short transaction for each decky.
            let mark: Option<(i64, String)> = Entity::find()
                .select_only()
                .columns([Column::Ts, Column::Uuid])
                .filter(Column::MailDeckyUuid.eq(decky.as_str()))
                .order_by_desc(Column::Ts)
                .order_by_desc(Column::Uuid)
                .offset(keep)
                .limit(1)
                .into_tuple()
                .one(self.0.reader())
                .await?;
            let Some((ts, uuid)) = &mark else { continue };
            gone += self
                .0
                .write(|tx| async move {
                    let older =
                        Column::Ts.lt(*ts).or(Column::Ts.eq(*ts).and(Column::Uuid.lte(uuid.as_str())));
                    let delete =
                        Entity::delete_many().filter(Column::MailDeckyUuid.eq(decky.as_str())).filter(older);
                    Ok(delete.exec(&*tx).await?.rows_affected)
                })
                .await?;
        }
        Ok(gone)
    }
}

/// Writes a message inside a transaction.
pub(crate) async fn insert(tx: &DatabaseTransaction, mail: &NewOrchestratorEmail) -> Result<(), DbError> {
    let row = Model {
        uuid: mail.uuid.to_string(),
        ts: micros(mail.ts),
        mail_decky_uuid: owned(&mail.mail_decky_uuid, DECKY_ID),
        thread_id: owned(&mail.thread_id, 64),
        message_id: owned(&mail.message_id, 255),
        in_reply_to: maybe(mail.in_reply_to.as_deref(), 255),
        sender_email: owned(&mail.sender_email, 255),
        recipient_email: owned(&mail.recipient_email, 255),
        subject: owned(&mail.subject, 512),
        language: owned(&mail.language, 8),
        eml_path: mail.eml_path.clone(),
        success: mail.success,
        payload: json_text(&mail.payload),
        ancestors: json_text(&mail.references),
        excerpt: owned(&mail.excerpt, EXCERPT),
        answered: mail.answered,
        planted_mtime: nanos(mail.mtime),
        mode: i64::from(mail.mode),
        uid: i64::from(mail.uid),
        gid: i64::from(mail.gid),
        size: signed(mail.raw.len() as u64),
        content_hash: owned(&mail.content_hash, 64),
        raw: mail.raw.clone(),
        state: "planted".to_owned(),
    };
    Entity::insert(ActiveModel::from(row).reset_all()).exec_without_returning(tx).await?;
    Ok(())
}

/// Notes inside a transaction that a message of a decky has its answer.
pub(crate) async fn answered(tx: &DatabaseTransaction, decky: &str, message_id: &str) -> Result<(), DbError> {
    Entity::update_many()
        .col_expr(Column::Answered, Expr::value(true))
        .filter(Column::MailDeckyUuid.eq(decky))
        .filter(Column::MessageId.eq(message_id))
        .exec(tx)
        .await?;
    Ok(())
}

impl TryFrom<Model> for OrchestratorEmail {
    type Error = DbError;

    fn try_from(row: Model) -> Result<Self, DbError> {
        let damaged = |what: String| DbError::Damaged { table: "orchestrator_emails", what };
        Ok(Self {
            uuid: row.uuid.parse().map_err(|_| damaged(format!("uuid {:?}", row.uuid)))?,
            ts: time(row.ts),
            mail_decky_uuid: row.mail_decky_uuid,
            thread_id: row.thread_id,
            message_id: row.message_id,
            in_reply_to: row.in_reply_to,
            sender_email: row.sender_email,
            recipient_email: row.recipient_email,
            subject: row.subject,
            language: row.language,
            eml_path: row.eml_path,
            success: row.success,
            payload: json_or_text(row.payload),
            references: serde_json::from_str(&row.ancestors)
                .map_err(|error| damaged(format!("ancestors of {}: {error}", row.uuid)))?,
            excerpt: row.excerpt,
            answered: row.answered,
            mtime: DateTime::from_timestamp_nanos(row.planted_mtime),
            mode: small(row.mode),
            uid: small(row.uid),
            gid: small(row.gid),
            size: count(row.size),
            content_hash: row.content_hash,
        })
    }
}
