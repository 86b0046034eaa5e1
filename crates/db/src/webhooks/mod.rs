//! Webhook subscriptions, how their receivers do, and the letters that were refused.
//!
//! A row has two writers: operators change the settings and raise `revision`; the worker notes how it goes, and its note is
//! dropped when the revision is not the one it read, so that it cannot undo what an operator reset. Secrets come and go sealed;
//! what a pattern means is not known here.

mod letters;
mod types;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::bounds::{json_text, maybe, micros, owned, signed};
use crate::entity::webhook::{ActiveModel, Column, Entity, Model};
use crate::entity::webhook_deadletter as letter;
use crate::{Db, DbError};

pub use letters::DEAD_LETTERS;
pub use types::{DeadLetter, Edited, NewDeadLetter, PreviousSecret, Webhook, WebhookHealth, WebhookSettings};

/// Longest error text.
const ERROR: usize = 512;

/// The repository of subscriptions.
#[derive(Debug, Clone, Copy)]
pub struct Webhooks<'a>(pub(crate) &'a Db);

impl Webhooks<'_> {
    /// Makes a subscription under an id that the caller chose (its secret is sealed for it). `None` if the name is taken.
    pub async fn create(&self, uuid: Uuid, settings: &WebhookSettings) -> Result<Option<Webhook>, DbError> {
        checked(settings)?;
        let now = micros(self.0.now());
        let mut row = Model {
            uuid: uuid.to_string(),
            name: String::new(),
            url: String::new(),
            secret: String::new(),
            previous_secret: None,
            previous_until: None,
            simple_events: String::new(),
            topic_patterns: String::new(),
            allow_cidrs: String::new(),
            enabled: false,
            ordered: false,
            revision: 1,
            created_at: now,
            updated_at: now,
            failure_count: 0,
            breaker: "closed".to_owned(),
            opened_at: None,
            auto_disabled_at: None,
            last_success_at: None,
            last_failure_at: None,
            last_error: None,
            settled: None,
            waiting: 0,
        };
        decide(&mut row, settings);
        let insert = &row;
        let written = self
            .0
            .write(|tx| async move {
                let active = ActiveModel::from(insert.clone()).reset_all();
                Entity::insert(active).exec_without_returning(&*tx).await?;
                Ok(())
            })
            .await;
        match written {
            Ok(()) => Webhook::try_from(row).map(Some),
            Err(err) if err.is_twin() => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Replaces what was decided about the subscription as it was read. `reset` also forgets its failures: it is tried again.
    pub async fn edit(
        &self,
        read: &Webhook,
        settings: &WebhookSettings,
        reset: bool,
    ) -> Result<Edited, DbError> {
        checked(settings)?;
        let (id, revision, now) = (&read.uuid.to_string(), signed(read.revision), micros(self.0.now()));
        let written = self
            .0
            .write(|tx| async move {
                let found =
                    Entity::find_by_id(id.as_str()).filter(Column::Revision.eq(revision)).one(&*tx).await?;
                let Some(mut row) = found else { return Ok(None) };
                decide(&mut row, settings);
                row.revision += 1;
                row.updated_at = now;
                if reset {
                    row.failure_count = 0;
                    "closed".clone_into(&mut row.breaker);
                    (row.opened_at, row.auto_disabled_at, row.last_error) = (None, None, None);
                }
                let active = ActiveModel::from(row.clone()).reset_all();
                // Between reading and writing only another transaction on a server could come: it has raised the revision.
                let changed = Entity::update_many()
                    .set(active)
                    .filter(Column::Uuid.eq(id.as_str()))
                    .filter(Column::Revision.eq(revision))
                    .exec(&*tx)
                    .await?;
                Ok((changed.rows_affected > 0).then_some(row))
            })
            .await;
        match written {
            Ok(Some(row)) => Ok(Edited::Done(Box::new(row.try_into()?))),
            Ok(None) => Ok(Edited::Stale),
            Err(err) if err.is_twin() => Ok(Edited::NameTaken),
            Err(err) => Err(err),
        }
    }

    /// Removes a subscription with its dead letters; false if unknown.
    pub async fn delete(&self, uuid: Uuid) -> Result<bool, DbError> {
        let id = &uuid.to_string();
        self.0
            .write(|tx| async move {
                letter::Entity::delete_many()
                    .filter(letter::Column::WebhookUuid.eq(id.as_str()))
                    .exec(&*tx)
                    .await?;
                Ok(Entity::delete_by_id(id.as_str()).exec(&*tx).await?.rows_affected > 0)
            })
            .await
    }

    /// All subscriptions, by name.
    pub async fn list(&self) -> Result<Vec<Webhook>, DbError> {
        let rows = Entity::find().order_by_asc(Column::Name).all(self.0.reader()).await?;
        rows.into_iter().map(Webhook::try_from).collect()
    }

    /// The subscription with this id.
    pub async fn get(&self, uuid: Uuid) -> Result<Option<Webhook>, DbError> {
        let row = Entity::find_by_id(uuid.to_string()).one(self.0.reader()).await?;
        row.map(Webhook::try_from).transpose()
    }

    /// The subscription with this name.
    pub async fn by_name(&self, name: &str) -> Result<Option<Webhook>, DbError> {
        if name.contains('\0') {
            return Ok(None);
        }
        let row = Entity::find().filter(Column::Name.eq(name)).one(self.0.reader()).await?;
        row.map(Webhook::try_from).transpose()
    }

    /// Notes how a subscription does. False if an operator has changed or removed it meanwhile: then nothing is noted.
    pub async fn note(&self, uuid: Uuid, revision: u64, health: &WebhookHealth) -> Result<bool, DbError> {
        let id = &uuid.to_string();
        self.0
            .write(|tx| async move {
                let at = |time: Option<DateTime<Utc>>| Expr::value(time.map(micros));
                let update = Entity::update_many()
                    .col_expr(Column::FailureCount, Expr::value(signed(health.failure_count)))
                    .col_expr(Column::Breaker, Expr::value(owned(&health.breaker, 16)))
                    .col_expr(Column::OpenedAt, at(health.opened_at))
                    .col_expr(Column::AutoDisabledAt, at(health.auto_disabled_at))
                    .col_expr(Column::LastSuccessAt, at(health.last_success_at))
                    .col_expr(Column::LastFailureAt, at(health.last_failure_at))
                    .col_expr(Column::LastError, Expr::value(maybe(health.last_error.as_deref(), ERROR)))
                    .col_expr(Column::Settled, Expr::value(health.settled.map(signed)))
                    .col_expr(Column::Waiting, Expr::value(signed(health.waiting)))
                    .filter(Column::Uuid.eq(id.as_str()))
                    .filter(Column::Revision.eq(signed(revision)));
                Ok(update.exec(&*tx).await?.rows_affected > 0)
            })
            .await
    }
}

fn checked(settings: &WebhookSettings) -> Result<(), DbError> {
    let named = (1..=64).contains(&settings.name.chars().count()) && !settings.name.contains('\0');
    if !named || settings.url.len() > 2048 || settings.url.contains('\0') || settings.secret.len() > 2048 {
        return Err(DbError::Refused(
            "a webhook has a name of 1 to 64 characters, an address of at most 2048 and a sealed secret"
                .to_owned(),
        ));
    }
    Ok(())
}

fn decide(row: &mut Model, settings: &WebhookSettings) {
    row.name.clone_from(&settings.name);
    row.url.clone_from(&settings.url);
    row.secret.clone_from(&settings.secret);
    row.previous_secret = settings.previous_secret.as_ref().map(|previous| previous.sealed.clone());
    row.previous_until = settings.previous_secret.as_ref().map(|previous| micros(previous.until));
    row.simple_events = json_text(&settings.simple_events);
    row.topic_patterns = json_text(&settings.topic_patterns);
    row.allow_cidrs = json_text(&settings.allow_cidrs);
    row.enabled = settings.enabled;
    row.ordered = settings.ordered;
}
