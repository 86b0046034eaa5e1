//! How a subscription does: counted here, noted in its row now and then, because a row written for every event would cost
//! more than the event.

use std::time::Duration;

use decnet_alerts::{Breaker, BreakerState, Permit, THRESHOLD};
use decnet_bus::SiemPosition;
use decnet_db::{Webhook, WebhookHealth};
use decnet_kit::Ctx;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{Pace, pace::delta};

/// How often successes are noted while nothing else happens.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// What came of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It stands, or could wait.
    Fine,
    /// An operator changed the subscription meanwhile: it has to be read again.
    Outdated,
}

/// The health of one subscription.
pub(crate) struct Health {
    uuid: Uuid,
    revision: u64,
    breaker: Breaker,
    row: WebhookHealth,
    /// Something is worth a note at once.
    urgent: bool,
    dirty: bool,
    noted: Option<Instant>,
}

impl Health {
    /// As the row says.
    pub(crate) fn of(webhook: &Webhook) -> Self {
        let row = webhook.health.clone();
        let breaker = Breaker {
            state: BreakerState::parse(&row.breaker).unwrap_or_default(),
            failures: u32::try_from(row.failure_count).unwrap_or(u32::MAX),
            opened_at: row.opened_at,
        };
        Self {
            uuid: webhook.uuid,
            revision: webhook.revision,
            breaker,
            row,
            urgent: false,
            dirty: false,
            noted: None,
        }
    }

    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    /// What may be done now.
    pub(crate) fn permit(&mut self, ctx: &Ctx, pace: Pace) -> Permit {
        let before = self.breaker.state;
        let permit = self.breaker.permit(ctx.now(), delta(pace.probe_after()));
        self.urgent |= self.breaker.state != before;
        permit
    }

    /// Whether its events wait behind an open breaker.
    pub(crate) fn is_tripped(&self) -> bool {
        self.breaker.is_tripped()
    }

    /// Whether its events wait behind an open breaker once this failure is counted.
    pub(crate) fn opens_with(&self, is_final: bool) -> bool {
        self.is_tripped() || is_final && self.breaker.failures + 1 >= THRESHOLD
    }

    /// An event was delivered.
    pub(crate) fn succeeded(&mut self, ctx: &Ctx) {
        if self.is_tripped() {
            tracing::info!(webhook = %self.uuid, "the receiver takes events again");
        }
        self.urgent |= self.breaker != Breaker::default() || self.row.last_error.is_some();
        self.breaker.succeeded();
        self.row.last_success_at = Some(ctx.now());
        (self.row.last_error, self.row.auto_disabled_at) = (None, None);
        self.dirty = true;
    }

    /// A try failed. `is_final` when it ends a round, or when the event is refused for good.
    pub(crate) fn failed(&mut self, ctx: &Ctx, error: &str, is_final: bool) {
        let now = ctx.now();
        self.row.last_failure_at = Some(now);
        self.row.last_error = Some(error.to_owned());
        if is_final {
            let was_tripped = self.is_tripped();
            self.breaker.failed(now);
            if self.is_tripped() && self.row.auto_disabled_at.is_none() {
                self.row.auto_disabled_at = Some(now);
            }
            if self.is_tripped() && !was_tripped {
                tracing::warn!(webhook = %self.uuid, error, "too many failures in a row; events wait, and one is tried now and then");
            }
        }
        self.urgent = true;
    }

    /// It cannot be served at all, for a reason that an operator must mend.
    pub(crate) fn unfit(&mut self, ctx: &Ctx, error: &str) {
        if self.row.last_error.as_deref() != Some(error) {
            self.row.last_error = Some(error.to_owned());
            self.row.last_failure_at = Some(ctx.now());
            self.urgent = true;
        }
    }

    /// Where its consumer stands.
    pub(crate) fn at(&mut self, position: SiemPosition) {
        if self.row.settled != Some(position.settled) || self.row.waiting != position.waiting {
            self.row.settled = Some(position.settled);
            self.row.waiting = position.waiting;
            self.dirty = true;
        }
    }

    /// Whether events wait, or will soon.
    pub(crate) const fn is_behind(&self) -> bool {
        self.row.waiting > 0 || self.row.last_error.is_some()
    }

    /// The last position that was seen, from which a consumer that was lost is made anew.
    pub(crate) const fn settled(&self) -> Option<u64> {
        self.row.settled
    }

    /// Writes the row where it is time to. A failure is tried again with the next note: the counters are here.
    pub(crate) async fn note(&mut self, ctx: &Ctx, now_or_never: bool) -> Noted {
        let due = self.noted.is_none_or(|at| at.elapsed() >= NOTE_EVERY);
        if !(self.urgent || self.dirty && (due || now_or_never)) {
            return Noted::Fine;
        }
        self.breaker.state.as_str().clone_into(&mut self.row.breaker);
        self.row.failure_count = u64::from(self.breaker.failures);
        self.row.opened_at = self.breaker.opened_at;
        let noting =
            async { anyhow::Ok(ctx.db().await?.webhooks().note(self.uuid, self.revision, &self.row).await?) };
        match noting.await {
            Ok(true) => {
                (self.urgent, self.dirty, self.noted) = (false, false, Some(Instant::now()));
                Noted::Fine
            }
            Ok(false) => Noted::Outdated,
            Err(error) => {
                tracing::debug!(webhook = %self.uuid, error = format!("{error:#}"), "its health is noted later");
                Noted::Fine
            }
        }
    }
}
