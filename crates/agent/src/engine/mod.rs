//! The engine: the one function through which deckies are deployed, and its counterpart for teardown (spec 6).
//!
//! What should run is written down first, then it is made to run, and the result is reported truthfully: a later failure
//! leaves a state that the runtime and the mirror go on with. The database may be down at any time. The engine neither
//! plans nor keeps deckies alive.

mod lifecycle;
mod report;
mod summary;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use decnet_core::DeckyName;
use decnet_fleet::{DeckyPlan, DeckyState, Plan, plan::PLAN_SCHEMA};
use decnet_kit::Ctx;
use decnet_runtime::{DeckyStatus, HostRuntime};
use futures_util::{FutureExt, StreamExt};

pub(crate) use self::report::Report;
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
}

impl Engine {
    pub(crate) fn new(
        ctx: Ctx,
        runtime: Arc<dyn HostRuntime>,
        desired: Arc<Desired>,
        mirror: Arc<Mirror>,
    ) -> Self {
        Self { ctx, runtime, desired, mirror }
    }

    /// At the start: what should run is made to run. Nothing is removed: what runs and should not is only reported.
    pub(crate) async fn restore(&self) {
        let Some(plan) = self.desired.plan() else { return };
        if let Err(reason) = self.check(&plan) {
            tracing::error!(reason, "the deployment of this host is not carried on");
            return;
        }
        let starts =
            plan.deckies.iter().map(|decky| async move { (decky, self.runtime.deploy(decky).await) }.boxed());
        let mut starts = at_once(starts.collect());
        while let Some((decky, outcome)) = starts.next().await {
            if let Err(error) = outcome {
                tracing::error!(decky = %decky.name(), %error, "a decky does not run");
            }
        }
        for status in self.runtime.inspect().await.unwrap_or_default() {
            if plan.decky(status.name.as_str()).is_none() {
                tracing::warn!(decky = %status.name, "runs and is not deployed: `decnet teardown` removes it");
            }
        }
    }

    /// Brings the host's deckies to `plan`: the single sink of every deploy.
    pub(crate) async fn deploy(&self, mut plan: Plan, report: &Report) -> Result<String, Failure> {
        self.check(&plan)?;
        let running = self.inspect().await?;
        let before = self.desired.plan();
        self.carry_over(&mut plan);
        if !before.as_ref().is_some_and(|before| is_same(before, &plan)) {
            self.desired.save(&plan).await.map_err(|error| format!("nothing was deployed: {error:#}"))?;
        }

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
        self.mirror.set(&changed_names, DeckyState::Pending);
        self.mirror.set(&removed, DeckyState::TearingDown);
        steps.say(None, "the plan is saved").await;
        let mut rows = self.mirror.pass().await;

        // Those that go first: a new decky may want their addresses.
        let old_services = services_of(before.as_ref());
        let mut troubles = self.remove_all(&removed, &old_services, report, &steps).await;
        let mut bases = BTreeMap::new();
        let mut started = Vec::new();
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
                }
            }
        }
        drop(starts);
        let settled = self.wait_until_well(&started, &steps).await;
        for decky in &started {
            let status = settled.get(decky.name());
            self.mirror.unset(decky.name());
            if status.is_some_and(|status| status.state == DeckyState::Running) {
                let old = old_services.get(decky.name());
                self.tell(report, Lifecycle::deployed(decky, old.map(Vec::as_slice)));
            } else {
                troubles.push(format!("{}: {}", decky.name(), not_well(status)));
            }
        }
        rows &= self.mirror.pass().await;
        // A decky that was not started gets its own word again: the runtime goes on trying.
        for name in &changed_names {
            self.mirror.unset(name);
        }
        summary(&plan, &changed_names, &removed, &bases, &troubles, rows)
    }

    /// Removes one decky; it stays removed.
    pub(crate) async fn teardown_one(&self, name: &DeckyName, report: &Report) -> Result<String, Failure> {
        let running = self.inspect().await?;
        let deployed = matches!(self.desired.read(), desired::Deployed::Known(Some(state)) if state.decky(name.as_str()).is_some());
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
            self.mirror.unset(name);
            format!("{name} was not removed: {error:#}")
        })?;
        let steps = Steps::new(report, 1);
        let troubles = self.remove_all(&names, &services, report, &steps).await;
        rows &= self.mirror.pass().await;
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
            for name in &names {
                self.mirror.unset(name);
            }
            format!("nothing was removed: {error:#}")
        })?;
        if names.is_empty() {
            return conclude("nothing was deployed".to_owned(), &[], rows);
        }
        let steps = Steps::new(report, names.len());
        let troubles = self.remove_all(&names, &services, report, &steps).await;
        rows &= self.mirror.pass().await;
        conclude(format!("{} deckies are removed", names.len() - troubles.len()), &troubles, rows)
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
