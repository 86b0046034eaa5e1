//! The mirror of what is deployed in `fleet_deckies`, as far as the agent writes it: after each step of the engine, with the
//! events of the step, in one transaction. The periodic comparison is the reconciler's; both act by `fleet::reconcile`, and a
//! row that the other one wrote first is not told twice.
//!
//! A pass never fails its caller: what could not be written while the database was down follows by itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use decnet_bus::{Topic, payload};
use decnet_core::{DeckyId, DeckyName};
use decnet_db::{FleetDecky, FleetStep, NewOutbox};
use decnet_fleet::{
    DeckyState,
    reconcile::{Action, Observation, Override, Pass, Transition, World, reconcile},
};
use decnet_kit::Ctx;
use decnet_runtime::{DeckyStatus, HostRuntime};
use futures_util::FutureExt;

use crate::desired::Desired;

/// How long a pass may take: a deploy waits for it.
const PATIENCE: Duration = Duration::from_secs(4);
/// Events that may wait for the database in memory.
const MAX_WAITING: usize = 4096;
/// How old `last_seen` of a running decky may get, twice over.
const INTERVAL: TimeDelta = TimeDelta::seconds(30);
/// How often a pass is begun again because somebody else wrote a row in between.
const MOST_ROUNDS: u32 = 4;

/// The mirror.
pub(crate) struct Mirror {
    ctx: Ctx,
    runtime: Arc<dyn HostRuntime>,
    desired: Arc<Desired>,
    /// Passes exclude each other: a later one must not be overtaken by an earlier one.
    turn: tokio::sync::Mutex<()>,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    /// What the engine is doing right now, and what it could not do.
    overrides: BTreeMap<DeckyName, Override>,
    /// Events to be written with the next pass.
    waiting: Vec<NewOutbox>,
    /// The last pass was not written, which was told.
    behind: bool,
}

impl Mirror {
    pub(crate) fn new(ctx: Ctx, runtime: Arc<dyn HostRuntime>, desired: Arc<Desired>) -> Self {
        Self { ctx, runtime, desired, turn: tokio::sync::Mutex::default(), shared: Mutex::default() }
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
    pub(crate) fn unset(&self, names: &[DeckyName]) {
        let mut shared = self.lock();
        for name in names {
            shared.overrides.remove(name);
        }
    }

    /// Takes back what was set since `overrides` were read.
    pub(crate) fn put_back(&self, overrides: BTreeMap<DeckyName, Override>) {
        self.lock().overrides = overrides;
    }

    /// What the engine says of its deckies.
    pub(crate) fn overrides(&self) -> BTreeMap<DeckyName, Override> {
        self.lock().overrides.clone()
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

    /// Writes what an earlier pass could not.
    pub(crate) async fn catch_up(&self) {
        let waits = {
            let shared = self.lock();
            shared.behind || !shared.waiting.is_empty()
        };
        if waits {
            self.pass().await;
        }
    }

    /// Brings the rows up to date. True if they are.
    pub(crate) async fn pass(&self) -> bool {
        let _turn = self.turn.lock().await;
        let outcome = match tokio::time::timeout(PATIENCE, self.write().boxed()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!("the database did not answer within {} s", PATIENCE.as_secs())),
        };
        let was_behind = std::mem::replace(&mut self.lock().behind, outcome.is_err());
        match &outcome {
            Ok(()) if was_behind => tracing::info!("the rows of the deckies are up to date again"),
            Err(error) if was_behind => tracing::debug!(error = format!("{error:#}"), "rows still wait"),
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
        let db = self.ctx.db().await?;
        for _ in 0..MOST_ROUNDS {
            // Not known: rows stay as they are. Why, is told where it is looked for.
            let observed: Option<Vec<Observation>> =
                self.runtime.inspect().await.ok().map(|all| all.into_iter().map(observation).collect());
            let rows = db.fleet().list(Some(host.as_str())).await?;
            let rows: Vec<_> = rows.into_iter().map(FleetDecky::into_row).collect();
            let (overrides, waiting) = {
                let shared = self.lock();
                (shared.overrides.clone(), shared.waiting.clone())
            };
            let deployed = self.desired.read();
            let Pass { actions, .. } = reconcile(&World {
                host,
                wanted: deployed.wanted(),
                rows: &rows,
                observed: observed.as_deref(),
                overrides: &overrides,
                now: self.ctx.now(),
                interval: INTERVAL,
                is_writer: true,
            });
            if actions.is_empty() && waiting.is_empty() {
                return Ok(());
            }
            let steps = actions.into_iter().map(|a| self.step(a)).collect::<anyhow::Result<Vec<_>>>()?;
            let done = db.fleet().converge(host.as_str(), &steps, &waiting).await?;
            self.lock().waiting.drain(..waiting.len());
            self.ctx.outbox().nudge();
            if done.overtaken == 0 {
                return Ok(());
            }
        }
        anyhow::bail!(
            "others wrote the same rows at the same time, again and again: is a second agent running?"
        )
    }

    /// An action with its event.
    fn step(&self, action: Action) -> anyhow::Result<FleetStep> {
        let event = match action.transition {
            Some(transition) => Some(self.event(&action.name, transition)?),
            None => None,
        };
        Ok(FleetStep { action, event })
    }

    /// The event of a decky's new state.
    fn event(&self, name: &DeckyName, transition: Transition) -> anyhow::Result<NewOutbox> {
        let decky = DeckyId::new(self.ctx.settings().host.clone(), name.clone());
        let Transition { from, to, word } = transition;
        let previous = from.map(decnet_fleet::DeckyState::as_str);
        let payload = payload::DeckyState::of_fleet(&decky, to.as_str(), word.as_str(), previous);
        let topic = Topic::decky_state(&decky);
        Ok(self.ctx.event(&topic, &payload)?)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn observation(status: DeckyStatus) -> Observation {
    Observation {
        name: status.name,
        state: status.state,
        last_error: status.last_error,
        plan_hash: status.plan_hash,
    }
}
