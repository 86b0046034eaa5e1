//! One pass: look, compare, write with events, tell what is over.
//!
//! Silent while all is as planned. A decision is never made here.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::Context as _;
use chrono::TimeDelta;
use decnet_bus::{
    Topic,
    payload::{DeckyState, TeardownCommand, TeardownScope},
};
use decnet_core::{DeckyId, DeckyName};
use decnet_db::{Converged, FleetDecky, FleetStep, NewOutbox};
use decnet_fleet::reconcile::{Action, Counters, Transition, World, reconcile};
use decnet_kit::Ctx;

use crate::Sight;

/// How often a pass is made again at once because somebody else wrote a row in between.
const MOST_ROUNDS: u32 = 3;
/// An orphan whose removal was ordered is not ordered again for so many intervals.
const PRUNE_AGAIN: i32 = 4;

/// Makes passes over the fleet of this host.
pub struct Reconciler {
    ctx: Ctx,
    interval: TimeDelta,
    /// Whether orphans are removed.
    prune: bool,
    ordered: BTreeMap<DeckyName, chrono::DateTime<chrono::Utc>>,
    /// What was last told of what is not known.
    complaints: [Option<String>; 2],
    told_orphans: Vec<DeckyName>,
}

/// What a pass did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was written, and how many orphans there are.
    pub counters: Counters,
    /// Rows that others wrote first.
    pub overtaken: u64,
    /// Orphans by name.
    pub orphans: Vec<DeckyName>,
    /// Orphans whose removal was ordered now.
    pub pruned: u64,
    /// Why it is not known what runs, or what should.
    pub unknown: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counters { inserted, deleted, state_updated, payload_updated, orphans } = self.counters;
        let (overtaken, pruned) = (self.overtaken, self.pruned);
        write!(
            f,
            "inserted={inserted} deleted={deleted} state_updated={state_updated} payload_updated={payload_updated} \
             orphans={orphans} overtaken={overtaken} pruned={pruned}"
        )
    }
}

impl Reconciler {
    /// A reconciler whose passes are `interval` apart.
    pub fn new(ctx: Ctx, interval: Duration, prune: bool) -> anyhow::Result<Self> {
        let interval = TimeDelta::from_std(interval).context("--interval")?;
        let (ordered, complaints) = (BTreeMap::new(), [None, None]);
        Ok(Self { ctx, interval, prune, ordered, complaints, told_orphans: Vec::new() })
    }

    /// Looks and writes.
    pub async fn pass(&mut self) -> anyhow::Result<Report> {
        let mut report = Report::default();
        for _ in 0..MOST_ROUNDS {
            let sight = Sight::of(&self.ctx).await;
            // On the heap: the futures of the database are deep.
            let overtaken = Box::pin(self.write(&sight, &mut report)).await?;
            report.overtaken += overtaken;
            if overtaken == 0 {
                break;
            }
        }
        self.tell(&report);
        if self.prune {
            report.pruned = self.remove_orphans(&report.orphans).await?;
        }
        Ok(report)
    }

    /// Compares and writes; how many rows others wrote first.
    pub async fn write(&mut self, sight: &Sight, report: &mut Report) -> anyhow::Result<u64> {
        let host = &self.ctx.settings().host;
        let db = self.ctx.db().await?;
        let rows = db.fleet().list(Some(host.as_str())).await?;
        let rows: Vec<_> = rows.into_iter().map(FleetDecky::into_row).collect();
        let pass = reconcile(&World {
            host,
            wanted: sight.wanted(),
            rows: &rows,
            observed: sight.observed(),
            overrides: &BTreeMap::new(),
            now: self.ctx.now(),
            interval: self.interval,
            is_writer: false,
        });
        report.orphans = pass.orphans;
        report.unknown = sight.unknown();
        let steps =
            pass.actions.into_iter().map(|action| self.step(action)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut done = Converged::default();
        if !steps.is_empty() {
            done = db.fleet().converge(host.as_str(), &steps, &[]).await?;
            self.ctx.outbox().nudge();
        }
        report.counters.add(&done.counters);
        report.counters.orphans = pass.counters.orphans;
        Ok(done.overtaken)
    }

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
        let payload = DeckyState::of_fleet(&decky, to.as_str(), word.as_str(), previous);
        let topic = Topic::decky_state(&decky);
        Ok(self.ctx.event(&topic, &payload)?)
    }

    /// Says what is new; nothing while all is as it was.
    fn tell(&mut self, report: &Report) {
        let Counters { inserted, deleted, state_updated, .. } = report.counters;
        if inserted + deleted + state_updated > 0 {
            tracing::info!(inserted, deleted, state_updated, "the rows of the deckies follow what runs");
        }
        for (slot, now) in self.complaints.iter_mut().zip([report.unknown.first(), report.unknown.get(1)]) {
            match (&slot, now) {
                (known, Some(reason)) if known.as_ref() != Some(reason) => {
                    tracing::warn!(reason, "not all is known; the states of the deckies stay as they are");
                }
                (Some(_), None) => tracing::info!("what was not known is known again"),
                _ => {}
            }
            *slot = now.cloned();
        }
        if report.orphans != self.told_orphans {
            for name in report.orphans.iter().filter(|name| !self.told_orphans.contains(name)) {
                tracing::warn!(decky = %name, "runs and is not deployed: `decnet reconcile --once --prune` removes it");
            }
            self.told_orphans.clone_from(&report.orphans);
        }
    }

    /// Orders the removal of orphans from the agent, which refuses if one is deployed by then.
    async fn remove_orphans(&mut self, orphans: &[DeckyName]) -> anyhow::Result<u64> {
        let now = self.ctx.now();
        let patience = self.interval * PRUNE_AGAIN;
        self.ordered.retain(|name, at| orphans.contains(name) && now - *at < patience);
        let topic = Topic::CmdTeardown { host: self.ctx.settings().host.clone() };
        let mut pruned = 0;
        for name in orphans {
            if self.ordered.contains_key(name) {
                continue;
            }
            let operation = self.ctx.next_id().to_string();
            let command = TeardownCommand {
                operation: operation.clone(),
                requested_by: self.ctx.worker().to_string(),
                scope: TeardownScope::One(name.clone()),
            };
            let envelope = self.ctx.bus().envelope(&topic, &command)?;
            self.ctx.bus().publish_acked(&topic, &operation, &envelope).await?;
            tracing::info!(decky = %name, operation, "the removal of an orphan is ordered");
            self.ordered.insert(name.clone(), now);
            pruned += 1;
        }
        Ok(pruned)
    }
}
