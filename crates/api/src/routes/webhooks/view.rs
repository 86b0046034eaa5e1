//! Subscriptions as the API shows them.

use chrono::{DateTime, Utc};
use decnet_bus::public_topics;
use decnet_db::Webhook;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::draft;

/// A subscription.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookView {
    /// Its id.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// Where it posts.
    pub url: String,
    /// The secret, in the one answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Until when the secret before is good too.
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// Simple choices.
    pub simple_events: Vec<String>,
    /// Patterns besides.
    pub topic_patterns: Vec<String>,
    /// What all of it is worth, pattern by pattern.
    pub patterns: Vec<PatternView>,
    /// Address ranges that may be called although they are not public.
    pub allow_cidrs: Vec<String>,
    /// Whether events are sent.
    pub enabled: bool,
    /// One event at a time, in order.
    pub ordered: bool,
    /// `insecure_url`, `pattern_not_streamed`, `unusable`.
    pub warnings: Vec<String>,
    /// `closed`, `open` (events wait, one is tried every five minutes) or `half_open` (one is being tried).
    pub breaker: String,
    /// Final failures in a row.
    pub failure_count: u64,
    /// When the breaker opened.
    pub auto_disabled_at: Option<DateTime<Utc>>,
    /// Last delivery.
    pub last_success_at: Option<DateTime<Utc>>,
    /// Last failure.
    pub last_failure_at: Option<DateTime<Utc>>,
    /// Why.
    pub last_error: Option<String>,
    /// Events that wait, as of the worker's last look.
    pub waiting: u64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

/// What a pattern is worth.
#[derive(Debug, Serialize, ToSchema)]
pub struct PatternView {
    /// The pattern.
    pub pattern: String,
    /// Public topics that it matches.
    pub known_topics: usize,
    /// Those of them that are kept for webhooks.
    pub streamed_topics: usize,
}

/// What came of a trial.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestView {
    /// The receiver answered with 2xx.
    pub delivered: bool,
    /// What it answered.
    pub status_code: Option<u16>,
    /// Why it was not delivered.
    pub error: Option<String>,
}

impl WebhookView {
    pub(super) fn of(webhook: Webhook, secret: Option<String>) -> Self {
        let (warnings, patterns) = match draft(&webhook.settings).check(&public_topics()) {
            Ok(target) => (
                target.warnings().into_iter().map(str::to_owned).collect(),
                target
                    .selection
                    .matches
                    .iter()
                    .map(|found| PatternView {
                        pattern: found.pattern.to_string(),
                        known_topics: found.known,
                        streamed_topics: found.streamed,
                    })
                    .collect(),
            ),
            // Written by a release that knew other topics.
            Err(_) => (vec!["unusable".to_owned()], Vec::new()),
        };
        let (settings, health) = (webhook.settings, webhook.health);
        Self {
            uuid: webhook.uuid,
            name: settings.name,
            url: settings.url,
            secret,
            previous_secret_until: settings.previous_secret.map(|previous| previous.until),
            simple_events: settings.simple_events,
            topic_patterns: settings.topic_patterns,
            patterns,
            allow_cidrs: settings.allow_cidrs,
            enabled: settings.enabled,
            ordered: settings.ordered,
            warnings,
            breaker: health.breaker,
            failure_count: health.failure_count,
            auto_disabled_at: health.auto_disabled_at,
            last_success_at: health.last_success_at,
            last_failure_at: health.last_failure_at,
            last_error: health.last_error,
            waiting: health.waiting,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }
}
