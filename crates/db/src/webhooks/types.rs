//! Subscriptions and letters as the repository takes and gives them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::DbError;
use crate::bounds::{count, time};
use crate::entity::{webhook::Model, webhook_deadletter as letter};

/// A secret that is still good while receivers learn the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousSecret {
    /// Sealed.
    pub sealed: String,
    /// Good until then.
    pub until: DateTime<Utc>,
}

/// What an operator decides about a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Name, unique.
    pub name: String,
    /// Where to post.
    pub url: String,
    /// Sealed.
    pub secret: String,
    /// The secret before, for a while.
    pub previous_secret: Option<PreviousSecret>,
    /// Names of simple choices.
    pub simple_events: Vec<String>,
    /// Patterns.
    pub topic_patterns: Vec<String>,
    /// Address ranges that may be called although they are not public.
    pub allow_cidrs: Vec<String>,
    /// Whether events are sent.
    pub enabled: bool,
    /// One event at a time, in order.
    pub ordered: bool,
}

/// How a subscription does: the worker's part of the row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookHealth {
    /// Final failures in a row.
    pub failure_count: u64,
    /// State of the breaker, as a word.
    pub breaker: String,
    /// When it opened last.
    pub opened_at: Option<DateTime<Utc>>,
    /// When it opened first since the last success.
    pub auto_disabled_at: Option<DateTime<Utc>>,
    /// Last delivery.
    pub last_success_at: Option<DateTime<Utc>>,
    /// Last failure.
    pub last_failure_at: Option<DateTime<Utc>>,
    /// Why.
    pub last_error: Option<String>,
    /// Position in the stream.
    pub settled: Option<u64>,
    /// Events that wait.
    pub waiting: u64,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub uuid: Uuid,
    /// What was decided.
    pub settings: WebhookSettings,
    /// How it does.
    pub health: WebhookHealth,
    /// Raised by every decision.
    pub revision: u64,
    /// When it was made: it gets what happened since.
    pub created_at: DateTime<Utc>,
    /// When something was decided last.
    pub updated_at: DateTime<Utc>,
}

impl Webhook {
    /// Whose secrets they are, for [`crate::SealKey`].
    pub fn seal_owner(&self) -> String {
        Self::owner(self.uuid)
    }

    /// The same before there is a row.
    pub fn owner(uuid: Uuid) -> String {
        format!("webhook:{uuid}")
    }
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edited {
    /// It is made.
    Done(Box<Webhook>),
    /// The name belongs to another one.
    NameTaken,
    /// Somebody else was quicker, or it is gone: read it again.
    Stale,
}

/// A letter to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeadLetter {
    /// Whose.
    pub webhook: Uuid,
    /// The event.
    pub event_id: String,
    /// Its public topic.
    pub topic: String,
    /// Exactly what was sent.
    pub body: String,
    /// Tries.
    pub attempts: u64,
    /// Why the receiver refused it.
    pub last_error: String,
}

/// A letter that a receiver refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Its id.
    pub uuid: Uuid,
    /// Whose.
    pub webhook: Uuid,
    /// The event.
    pub event_id: String,
    /// Its public topic.
    pub topic: String,
    /// Exactly what was sent.
    pub body: String,
    /// Tries.
    pub attempts: u64,
    /// Why the receiver refused it.
    pub last_error: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When an operator asked to send it again, while that is open.
    pub requested_at: Option<DateTime<Utc>>,
}

impl TryFrom<Model> for Webhook {
    type Error = DbError;

    fn try_from(row: Model) -> Result<Self, DbError> {
        let damaged =
            |what: &str| DbError::Damaged { table: "webhooks", what: format!("{what} of {:?}", row.uuid) };
        let list =
            |text: &str, what: &str| serde_json::from_str::<Vec<String>>(text).map_err(|_| damaged(what));
        let previous_secret = match (&row.previous_secret, row.previous_until) {
            (Some(sealed), Some(until)) => {
                Some(PreviousSecret { sealed: sealed.clone(), until: time(until) })
            }
            _ => None,
        };
        Ok(Self {
            uuid: row.uuid.parse().map_err(|_| damaged("uuid"))?,
            settings: WebhookSettings {
                previous_secret,
                simple_events: list(&row.simple_events, "simple_events")?,
                topic_patterns: list(&row.topic_patterns, "topic_patterns")?,
                allow_cidrs: list(&row.allow_cidrs, "allow_cidrs")?,
                name: row.name,
                url: row.url,
                secret: row.secret,
                enabled: row.enabled,
                ordered: row.ordered,
            },
            health: WebhookHealth {
                failure_count: count(row.failure_count),
                breaker: row.breaker,
                opened_at: row.opened_at.map(time),
                auto_disabled_at: row.auto_disabled_at.map(time),
                last_success_at: row.last_success_at.map(time),
                last_failure_at: row.last_failure_at.map(time),
                last_error: row.last_error,
                settled: row.settled.map(count),
                waiting: count(row.waiting),
            },
            revision: count(row.revision),
            created_at: time(row.created_at),
            updated_at: time(row.updated_at),
        })
    }
}

impl TryFrom<letter::Model> for DeadLetter {
    type Error = DbError;

    fn try_from(row: letter::Model) -> Result<Self, DbError> {
        let damaged =
            || DbError::Damaged { table: "webhook_deadletters", what: format!("uuid {:?}", row.uuid) };
        Ok(Self {
            uuid: row.uuid.parse().map_err(|_| damaged())?,
            webhook: row.webhook_uuid.parse().map_err(|_| damaged())?,
            event_id: row.event_id,
            topic: row.topic,
            body: row.body,
            attempts: count(row.attempts),
            last_error: row.last_error,
            created_at: time(row.created_at),
            requested_at: row.requested_at.map(time),
        })
    }
}
