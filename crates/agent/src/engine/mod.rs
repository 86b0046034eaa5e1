//! The engine: the one function through which deckies are deployed, and its counterpart for teardown (spec 6).
//!
//! What should run is written down first, then it is made to run, and the result is reported truthfully: a later failure
//! leaves a state that the runtime and the mirror go on with. The database may be down at any time. The engine neither
//! plans nor keeps deckies alive.

mod baseline;
mod lifecycle;
mod report;
mod summary;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use decnet_bus::Worker;
use decnet_core::DeckyName;
use decnet_fleet::{DeckyPlan, DeckyState, Plan, RuntimeKind, plan::PLAN_SCHEMA};
use decnet_kit::Ctx;
use decnet_runtime::{DeckyStatus, HostRuntime};
use futures_util::{FutureExt, StreamExt};

pub(crate) use self::{
    baseline::{Baseline, NoBaseline},
    report::Report,
};
use self::{
    lifecycle::Lifecycle,
    report::Steps,
    summary::{conclude, not_well, summary},
    work::at_once,
};
use crate::{
    desired::{self, Desired},
    mirror::Mirror,
};

/// What a failed operation says.
pub(crate) type Failure = String;

/// The engine of a host. Its callers call one operation at a time.
pub(crate) struct Engine {
    ctx: Ctx,
    runtime: Arc<dyn HostRuntime>,
    desired: Arc<Desired>,
    mirror: Arc<Mirror>,
    baseline: Arc<dyn Baseline>,
    /// The tag of this host's fleet.
    fleet: String,
}

impl Engine {
    pub(crate) fn new(
        ctx: Ctx,
        runtime: Arc<dyn HostRuntime>,
        desired: Arc<Desired>,
        mirror: Arc<Mirror>,
        baseline: Arc<dyn Baseline>,
        fleet: String,
    ) -> Self {
        Self { ctx, runtime, desired, mirror, baseline, fleet }
    }

    /// Before [`Self::restore`]: what does not run yet is on its way up. Whoever looks meanwhile must not take it for failed.
    pub(crate) async fn announce(&self) {
        let Some(plan) = self.desired.plan().filter(|plan| self.check(plan).is_ok()) else { return };
        let running = self.runtime.inspect().await.unwrap_or_default();
        let runs = |decky: &DeckyPlan| {
            running.iter().any(|s| s.name == *decky.name() && s.state == DeckyState::Running)
        };
        let names = plan.deckies.iter().filter(|decky| !runs(decky)).map(|decky| decky.name().clone());
        self.mirror.set(&names.collect::<Vec<_>>(), DeckyState::Pending);
    }

    /// At the start: what should run is made to run. Nothing is removed: what runs and should not is only reported.
    pub(crate) async fn restore(&self) {
        let Some(plan) = self.desired.plan() else { return };
        if let Err(reason) = self.check(&plan) {
            tracing::error!(reason, "the deployment of this host is not carried on");
            return;
        }
        if let Err(error) = self.runtime.prepare(&plan).await {
            tracing::error!(%error, "what the deckies of this host need is not there; starting them all the same");
        }
        let starts =
            plan.deckies.iter().map(|decky| async move { (decky, self.runtime.deploy(decky).await) }.boxed());
        let mut starts = at_once(starts.collect());
        while let Some((decky, outcome)) = starts.next().await {
            match outcome {
                Ok(_) => self.mirror.unset(std::slice::from_ref(decky.name())),
                Err(error) => {
                    tracing::error!(decky = %decky.name(), %error, "a decky does not run");
                    self.failed(decky.name(), &error.to_string()).await;
                }
            }
        }
        for status in self.runtime.inspect().await.unwrap_or_default() {
            if plan.decky(status.name.as_str()).is_none() {
                tracing::warn!(decky = %status.name, "runs and is not deployed: `decnet teardown --id` or `decnet reconcile --prune` removes it");
            }
        }
    }

    /// A decky could not be started. If the runtime keeps nothing of it, its failure is remembered here; else the runtime's
    /// own word counts, since it goes on trying.
    async fn failed(&self, name: &DeckyName, reason: &str) {
        let knows = self.inspect().await.is_ok_and(|running| running.contains_key(name));
        if knows {
            self.mirror.unset(std::slice::from_ref(name));
        } else {
            self.mirror.set_failed(name, DeckyState::Failed, reason);
        }
    }

    /// Brings the host's deckies to `plan`: the single sink of every deploy.
    pub(crate) async fn deploy(&self, mut plan: Plan, report: &Report) -> Result<String, Failure> {
        self.check(&plan)?;
        let running = self.inspect().await?;
        let before = self.desired.plan();
        self.carry_over(&mut plan);
        self.runtime.prepare(&plan).await.map_err(|error| format!("nothing was deployed: {error}"))?;

        let hash_of = |name: &DeckyName| running.get(name).and_then(|status| status.plan_hash.as_ref());
        let wanted: BTreeSet<&DeckyName> = plan.deckies.iter().map(DeckyPlan::name).collect();
        let is_at_work = |decky: &&DeckyPlan| {
            hash_of(decky.name()) != Some(&decky.plan_hash)
                || running.get(decky.name()).is_none_or(|status| status.state != DeckyState::Running)
        };
        let changed: Vec<&DeckyPlan> = plan.deckies.iter().filter(is_at_work).collect();
        let changed_names: Vec<DeckyName> = changed.iter().map(|decky| decky.name().clone()).collect();
        let removed: Vec<DeckyName> = running.keys().filter(|name| !wanted.contains(name)).cloned().collect();
        let steps = Steps::new(report, changed.len() * 2 + removed.len());
        // Before it is recorded: whoever compares must not find a decky that is recorded and neither there nor on its way.
        let known_before = self.mirror.overrides();
        self.mirror.set(&changed_names, DeckyState::Pending);
        self.mirror.set(&removed, DeckyState::TearingDown);
        if !before.as_ref().is_some_and(|before| is_same(before, &plan)) {
            self.desired.save(&plan).await.map_err(|error| {
                self.mirror.put_back(known_before.clone());
                format!("nothing was deployed: {error:#}")
            })?;
        }
        // Failures of an earlier deploy that this one has no more to do with.
        let forgotten: Vec<DeckyName> = known_before
            .into_keys()
            .filter(|name| !wanted.contains(name) && !running.contains_key(name))
            .collect();
        self.mirror.unset(&forgotten);
        steps.say(None, "the plan is saved").await;
        let mut rows = self.mirror.pass().await;

        // Those that go first: a new decky may want their addresses.
        let old_services = services_of(before.as_ref());
        let mut troubles = self.remove_all(&removed, &old_services, report, &steps).await;
        let mut bases = BTreeMap::new();
        let mut started = Vec::new();
        let mut undone = Vec::new();
        let starts = changed.iter().map(|decky| async { (*decky, self.start(decky, &steps).await) }.boxed());
        let mut starts = at_once(starts.collect());
        while let Some((decky, outcome)) = starts.next().await {
            match outcome {
                Ok(deployed) => {
                    steps.done(decky.name(), "started").await;
                    bases.insert(decky.name().clone(), deployed.port_base);
                    started.push(decky);
                }
                Err(error) => {
                    steps.done(decky.name(), &format!("not started: {error}")).await;
                    steps.skip(1);
                    self.mirror.set_failed(decky.name(), DeckyState::Failed, &error.to_string());
                    troubles.push(format!("{}: {error}", decky.name()));
                    if !running.contains_key(decky.name()) {
                        undone.push(decky.name().clone());
                    }
                }
            }
        }
        drop(starts);
        self.undo(&undone).await;
        let settled = self.wait_until_well(&started, &steps).await;
        let mut well = Vec::new();
        for decky in &started {
            let status = settled.get(decky.name());
            self.mirror.unset(std::slice::from_ref(decky.name()));
            if status.is_some_and(|status| status.state == DeckyState::Running) {
                let old = old_services.get(decky.name());
                self.tell(report, Lifecycle::deployed(decky, old.map(Vec::as_slice)));
                well.push(&decky.config);
            } else {
                troubles.push(format!("{}: {}", decky.name(), not_well(status)));
            }
        }
        rows &= self.mirror.pass().await;
        // A decky that ran before and was not started again gets its own word again: the runtime goes on trying. One of
        // which nothing is left stays failed until it is deployed again.
        let others: Vec<DeckyName> =
            changed_names.iter().filter(|name| !undone.contains(name)).cloned().collect();
        self.mirror.unset(&others);
        for decky in well {
            baseline::plant(&*self.baseline, decky).await;
        }
        troubles.extend(self.settle(Some(&plan)).await);
        summary(&plan, &changed_names, &removed, &bases, &troubles, rows)
    }

    /// Removes one decky; it stays removed.
    pub(crate) async fn teardown_one(&self, name: &DeckyName, report: &Report) -> Result<String, Failure> {
        let running = self.inspect().await?;
        let deployed = self.desired.read().has(name);
        if deployed && report.requested_by == Worker::Reconciler.as_str() {
            return Ok(format!("{name} is deployed: it is no orphan, and nothing was changed"));
        }
        if !deployed && !running.contains_key(name) {
            self.mirror.pass().await;
            return Ok(format!("there is no decky {name}: nothing was changed"));
        }
        let services = services_of(self.desired.plan().as_ref());
        let names = [name.clone()];
        self.mirror.set(&names, DeckyState::TearingDown);
        let mut rows = self.mirror.pass().await;
        // The record first: what is not in it is not started again, whatever happens from here on.
        self.desired.remove(name).await.map_err(|error| {
            self.mirror.unset(&names);
            format!("{name} was not removed: {error:#}")
        })?;
        let steps = Steps::new(report, 1);
        let mut troubles = self.remove_all(&names, &services, report, &steps).await;
        rows &= self.mirror.pass().await;
        let left = self.desired.plan();
        // What is recorded and cannot be read may need everything that is there.
        if left.is_some() || self.desired.read() == desired::Deployed::Known(None) {
            troubles.extend(self.settle(left.as_ref()).await);
        }
        conclude(format!("{name} is removed"), &troubles, rows)
    }

    /// Removes every decky of this host.
    pub(crate) async fn teardown_all(&self, report: &Report) -> Result<String, Failure> {
        let running = self.inspect().await?;
        let services = services_of(self.desired.plan().as_ref());
        let mut names: BTreeSet<DeckyName> = running.into_keys().collect();
        names.extend(services.keys().cloned());
        if let desired::Deployed::Known(Some(state)) = self.desired.read() {
            names.extend(state.config.deckies.iter().map(|decky| decky.name.clone()));
        }
        let names: Vec<DeckyName> = names.into_iter().collect();
        self.mirror.set(&names, DeckyState::TearingDown);
        let mut rows = self.mirror.pass().await;
        self.desired.clear().await.map_err(|error| {
            self.mirror.unset(&names);
            format!("nothing was removed: {error:#}")
        })?;
        if names.is_empty() {
            let troubles = self.settle(None).await.into_iter().collect::<Vec<_>>();
            return conclude("nothing was deployed".to_owned(), &troubles, rows);
        }
        let steps = Steps::new(report, names.len());
        let mut troubles = self.remove_all(&names, &services, report, &steps).await;
        let removed = names.len() - troubles.len();
        rows &= self.mirror.pass().await;
        troubles.extend(self.settle(None).await);
        conclude(format!("{removed} deckies are removed"), &troubles, rows)
    }

    /// Whether this host can carry out `plan`.
    fn check(&self, plan: &Plan) -> Result<(), Failure> {
        let host = &self.ctx.settings().host;
        let mut names = BTreeSet::new();
        if plan.schema > PLAN_SCHEMA {
            return Err(format!(
                "the plan has schema {}, this agent knows {PLAN_SCHEMA}: update it",
                plan.schema
            ));
        }
        if plan.host != *host {
            return Err(format!("the plan is for host {}, this is {host}: send it there", plan.host));
        }
        if plan.runtime != self.runtime.kind() {
            let (theirs, ours) = (plan.runtime.as_str(), self.runtime.kind().as_str());
            return Err(format!(
                "the plan is for the {theirs} runtime and this agent runs {ours}: set DECNET_RUNTIME for both"
            ));
        }
        // The process runtime knows its deckies by its own folder.
        if plan.runtime == RuntimeKind::Docker && plan.fleet != self.fleet {
            return Err(
                "the plan was made with another fleet secret than this agent's: let both use one DECNET_SECRET_FILE".to_owned(),
            );
        }
        if let Some(twice) = plan.deckies.iter().find(|decky| !names.insert(decky.name())) {
            return Err(format!("the plan has decky {} twice: give each its own name", twice.name()));
        }
        if plan.deckies.is_empty() {
            return Err("the plan has no decky: to remove all, use `decnet teardown --all`".to_owned());
        }
        Ok(())
    }

    async fn inspect(&self) -> Result<BTreeMap<DeckyName, DeckyStatus>, Failure> {
        let statuses =
            self.runtime.inspect().await.map_err(|error| format!("what runs is not known: {error}"))?;
        Ok(statuses.into_iter().map(|status| (status.name.clone(), status)).collect())
    }

    /// Numbers the plan after the last one, and keeps what is recorded of deckies that stay.
    fn carry_over(&self, plan: &mut Plan) {
        let desired::Deployed::Known(Some(state)) = self.desired.read() else { return };
        plan.generation = plan.generation.max(state.generation + 1);
        for decky in &mut plan.deckies {
            if let Some(old) = state.decky(decky.config.name.as_str()) {
                decky.config.last_mutated = old.last_mutated;
                decky.config.last_login_attempt = old.last_login_attempt;
            }
        }
    }
}

/// Whether carrying out `new` after `old` changes nothing that is recorded.
fn is_same(old: &Plan, new: &Plan) -> bool {
    let hashes = |plan: &Plan| plan.deckies.iter().map(|decky| decky.plan_hash.clone()).collect::<Vec<_>>();
    hashes(old) == hashes(new) && old.config() == new.config()
}

fn services_of(plan: Option<&Plan>) -> BTreeMap<DeckyName, Vec<String>> {
    let deckies = plan.into_iter().flat_map(|plan| &plan.deckies);
    deckies.map(|decky| (decky.name().clone(), decky.config.services.clone())).collect()
}
