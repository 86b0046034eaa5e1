//! The mirror of what is deployed in `fleet_deckies`: the one place of the agent that writes those rows.
//!
//! Each pass compares state file, runtime and rows, and writes the difference with its events in one transaction. The
//! engine asks for a pass after each step and a timer does now and then, so rows that could not be written while the
//! database was down follow by themselves. A pass never fails its caller.

mod diff;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use decnet_bus::{Topic, payload};
use decnet_core::{DeckyId, DeckyName};
use decnet_db::NewOutbox;
use decnet_fleet::DeckyState;
use decnet_kit::Ctx;
use decnet_runtime::HostRuntime;
use futures_util::FutureExt;

pub(crate) use self::diff::Override;
use self::diff::{Difference, Transition, World, difference};
use crate::desired::Desired;

/// How long a pass may take: a deploy waits for it.
const PATIENCE: Duration = Duration::from_secs(4);
/// Events that may wait for the database in memory.
const MAX_WAITING: usize = 4096;

/// The mirror.
pub(crate) struct Mirror {
    ctx: Ctx,
    runtime: Arc<dyn HostRuntime>,
    desired: Arc<Desired>,
    /// Passes exclude each other: a later one must not be overtaken by an earlier one.
    turn: tokio::sync::Mutex<()>,
    shared: Mutex<Shared>,
    unsettled: AtomicBool,
}

#[derive(Default)]
struct Shared {
    /// What the engine is doing right now.
    overrides: BTreeMap<DeckyName, Override>,
    /// Events to be written with the next pass.
    waiting: Vec<NewOutbox>,
    /// The outage was told.
    complained: bool,
}

impl Mirror {
    pub(crate) fn new(ctx: Ctx, runtime: Arc<dyn HostRuntime>, desired: Arc<Desired>) -> Self {
        Self {
            ctx,
            runtime,
            desired,
            turn: tokio::sync::Mutex::default(),
            shared: Mutex::default(),
            unsettled: AtomicBool::new(false),
        }
    }

    /// From now on these deckies are in this state, whatever the runtime says.
    pub(crate) fn set(&self, names: &[DeckyName], state: DeckyState) {
        let mut shared = self.lock();
        for name in names {
            shared.overrides.insert(name.clone(), Override { state, last_error: None });
        }
    }

    /// This decky could not be brought to what it should be.
    pub(crate) fn set_failed(&self, name: &DeckyName, state: DeckyState, reason: &str) {
        let failed = Override { state, last_error: Some(reason.to_owned()) };
        self.lock().overrides.insert(name.clone(), failed);
    }

    /// The runtime's word counts again.
    pub(crate) fn unset(&self, name: &DeckyName) {
        self.lock().overrides.remove(name);
    }

    /// Writes this event together with the next rows.
    pub(crate) fn enqueue(&self, event: NewOutbox) {
        let mut shared = self.lock();
        if shared.waiting.len() < MAX_WAITING {
            shared.waiting.push(event);
        } else {
            tracing::warn!(topic = event.topic, "an event is lost: too many wait for the database");
        }
    }

    /// Whether the runtime's last word was that something is on its way up.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed)
    }

    /// Brings the rows up to date. True if they are.
    pub(crate) async fn pass(&self) -> bool {
        let _turn = self.turn.lock().await;
        let outcome = match tokio::time::timeout(PATIENCE, self.write().boxed()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!("the database did not answer within {} s", PATIENCE.as_secs())),
        };
        let complained = std::mem::replace(&mut self.lock().complained, outcome.is_err());
        match &outcome {
            Ok(()) if complained => tracing::info!("the rows of the deckies are up to date again"),
            Err(error) if complained => tracing::debug!(error = format!("{error:#}"), "rows still wait"),
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "the rows of the deckies are not written now; the fleet itself is not affected, and they follow"
            ),
            Ok(()) => {}
        }
        outcome.is_ok()
    }

    async fn write(&self) -> anyhow::Result<()> {
        let host = &self.ctx.settings().host;
        let statuses = match self.runtime.inspect().await {
            Ok(statuses) => Some(statuses),
            Err(error) => {
                tracing::warn!(%error, "what runs is not known now");
                None
            }
        };
        let unsettled = statuses.iter().flatten().any(|status| status.state == DeckyState::Pending);
        self.unsettled.store(unsettled, Ordering::Relaxed);
        let db = self.ctx.db().await?;
        let rows = db.fleet().list(Some(host.as_str())).await?;
        let (overrides, waiting) = {
            let shared = self.lock();
            (shared.overrides.clone(), shared.waiting.clone())
        };
        let world = World {
            host,
            deployed: &self.desired.read(),
            statuses: statuses.as_deref(),
            overrides: &overrides,
            rows: &rows,
            now: self.ctx.now(),
        };
        let Difference { changes, transitions } = difference(&world)?;
        let mut events = transitions.iter().map(|t| self.event(t)).collect::<anyhow::Result<Vec<_>>>()?;
        events.extend_from_slice(&waiting);
        if changes.is_empty() && events.is_empty() {
            return Ok(());
        }
        db.fleet().apply(&changes, &events).await?;
        self.lock().waiting.drain(..waiting.len());
        if !events.is_empty() {
            self.ctx.outbox().nudge();
        }
        Ok(())
    }

    /// The event of a decky's new state.
    fn event(&self, transition: &Transition) -> anyhow::Result<NewOutbox> {
        let host = self.ctx.settings().host.clone();
        let topic = Topic::decky_state(&DeckyId::new(host.clone(), transition.name.clone()));
        let payload = payload::DeckyState {
            host_uuid: host,
            name: transition.name.to_string(),
            state: transition.to.to_string(),
            transition: transition.word.to_owned(),
            source: "fleet".to_owned(),
            previous_state: transition.from.map(|state| state.to_string()),
        };
        Ok(self.ctx.event(&topic, &payload)?)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
