//! A subscription made ready: its wishes checked again, its secrets opened, its own HTTP client.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use chrono::{DateTime, Utc};
use decnet_alerts::{Draft, Target, USER_AGENT};
use decnet_bus::{Durable, public_topics};
use decnet_db::{SealKey, Webhook};
use decnet_kit::Ctx;
use decnet_outbound::{Client, Guard, Options, Trust};

use crate::Pace;

/// What all parts of the worker share.
pub(crate) struct Surroundings {
    pub(crate) ctx: Ctx,
    pub(crate) key: SealKey,
    pub(crate) trust: Trust,
    pub(crate) pace: Pace,
}

/// A subscription that can be served. It has no `Debug`: it holds secrets.
pub(crate) struct Job {
    pub(crate) webhook: Webhook,
    pub(crate) target: Target,
    pub(crate) client: Client,
    secret: String,
    previous: Option<(String, DateTime<Utc>)>,
}

impl Job {
    /// Makes a subscription ready, or says why it cannot be served.
    pub(crate) fn prepare(webhook: Webhook, around: &Surroundings) -> Result<Arc<Self>> {
        let settings = &webhook.settings;
        let draft = Draft {
            name: &settings.name,
            url: &settings.url,
            simple_events: &settings.simple_events,
            topic_patterns: &settings.topic_patterns,
            allow_cidrs: &settings.allow_cidrs,
        };
        let target = draft.check(&public_topics()).map_err(|faults| {
            let faults: Vec<_> =
                faults.iter().map(|fault| format!("{}: {}", fault.field, fault.reason)).collect();
            anyhow!("{}", faults.join("; "))
        })?;
        let secret = around.key.open(&webhook.seal_owner(), &settings.secret)?;
        let previous = match &settings.previous_secret {
            Some(old) => Some((around.key.open(&webhook.seal_owner(), &old.sealed)?, old.until)),
            None => None,
        };
        let guard = Guard::new(target.allow_cidrs.clone());
        let client = Client::new(Options { guard, ..Options::new(USER_AGENT, around.trust.clone()) });
        Ok(Arc::new(Self { webhook, target, client, secret, previous }))
    }

    /// The secrets in force, newest first.
    pub(crate) fn secrets(&self, now: DateTime<Utc>) -> Vec<&str> {
        let previous = self.previous.iter().filter(|(_, until)| *until > now);
        std::iter::once(self.secret.as_str()).chain(previous.map(|(secret, _)| secret.as_str())).collect()
    }

    /// Its consumer.
    pub(crate) fn durable(&self) -> Durable {
        Durable::webhook(self.webhook.uuid, &self.target.selection, self.webhook.settings.ordered)
    }
}
