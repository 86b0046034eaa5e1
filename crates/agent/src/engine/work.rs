//! The steps of an operation: starting deckies, waiting for them, removing them. What to do, and what is recorded of it, is
//! decided in `mod.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use decnet_core::DeckyName;
use decnet_fleet::{DeckyPlan, DeckyState, Plan};
use decnet_runtime::{DeckyStatus, Deployed, RuntimeError};
use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture, stream};
use tokio::time::Instant;

use super::{Engine, Report, lifecycle::Lifecycle, report::Steps, summary::not_well};

/// How long deckies may take to come up.
const HEALTHY: Duration = Duration::from_secs(30);
/// Tries of what may succeed later, and the pause before the second; it doubles.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Deckies worked on at once.
const AT_ONCE: usize = 8;
/// How often deckies on their way up are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often a wait is reported, so that the operator's tool does not lose its patience.
const STILL: Duration = Duration::from_secs(10);

impl Engine {
    /// Starts one decky. What may succeed later is tried three times (spec 6.2).
    pub(super) async fn start(&self, decky: &DeckyPlan, steps: &Steps<'_>) -> Result<Deployed, RuntimeError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            let error = match self.runtime.deploy(decky).await {
                Err(error) if !error.is_permanent() => error,
                outcome => return outcome,
            };
            tracing::warn!(decky = %decky.name(), %error, "a decky was not started; trying again");
            steps.say(Some(decky.name()), &format!("trying again in {} s: {error}", pause.as_secs())).await;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.runtime.deploy(decky).await
    }

    /// Waits until each decky runs or will not by itself, within a bound; their last states.
    pub(super) async fn wait_until_well(
        &self,
        deckies: &[&DeckyPlan],
        steps: &Steps<'_>,
    ) -> BTreeMap<DeckyName, DeckyStatus> {
        let deadline = Instant::now() + HEALTHY;
        let mut told = Instant::now();
        let mut waiting: BTreeSet<&DeckyName> = deckies.iter().map(|decky| decky.name()).collect();
        let mut last = BTreeMap::new();
        loop {
            // Not known right now: the next look may tell.
            if let Ok(statuses) = self.inspect().await {
                last = statuses;
            }
            let over = Instant::now() >= deadline;
            for name in waiting.clone() {
                let status = last.get(name);
                let well = status.is_some_and(|status| status.state == DeckyState::Running);
                if well || over || status.is_some_and(|status| status.hopeless) {
                    waiting.remove(name);
                    let text = if well { "runs".to_owned() } else { not_well(status) };
                    steps.done(name, &text).await;
                }
            }
            if waiting.is_empty() {
                return last;
            }
            if told.elapsed() >= STILL {
                told = Instant::now();
                steps.say(None, &format!("waiting for {} deckies to come up", waiting.len())).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Removes deckies that are no longer recorded; what went wrong.
    pub(super) async fn remove_all(
        &self,
        names: &[DeckyName],
        services: &BTreeMap<DeckyName, Vec<String>>,
        report: &Report,
        steps: &Steps<'_>,
    ) -> Vec<String> {
        let mut troubles = Vec::new();
        let removals =
            names.iter().map(|name| async move { (name, self.runtime.remove(name).await) }.boxed());
        let mut removals = at_once(removals.collect());
        while let Some((name, outcome)) = removals.next().await {
            match outcome {
                Ok(_) => {
                    steps.done(name, "removed").await;
                    self.mirror.unset(std::slice::from_ref(name));
                    self.tell(report, Lifecycle::retired(name, services.get(name)));
                }
                Err(error) => {
                    steps.done(name, &format!("not removed: {error}")).await;
                    self.mirror.set_failed(name, DeckyState::TeardownFailed, &error.to_string());
                    troubles.push(format!("{name}: {error}"));
                }
            }
        }
        troubles
    }

    /// Removes what is left of first starts that failed. Their rows go on saying so.
    pub(super) async fn undo(&self, names: &[DeckyName]) {
        let removals =
            names.iter().map(|name| async move { (name, self.runtime.remove(name).await) }.boxed());
        let mut removals = at_once(removals.collect());
        while let Some((decky, outcome)) = removals.next().await {
            if let Err(error) = outcome {
                tracing::error!(%decky, %error, "something is left of a decky that did not start");
            }
        }
    }

    /// Removes what no decky of `plan` needs any more; what went wrong.
    pub(super) async fn settle(&self, plan: Option<&Plan>) -> Option<String> {
        let error = self.runtime.settle(plan).await.err()?;
        Some(format!("something that no decky needs any more was not removed: {error}"))
    }

    /// Hands a lifecycle event to the mirror, to be written with the next rows. A failure only warns.
    pub(super) fn tell(&self, report: &Report, lifecycle: Option<Lifecycle>) {
        let Some(lifecycle) = lifecycle else { return };
        match lifecycle.events(&self.ctx, report) {
            Ok(events) => events.into_iter().for_each(|event| self.mirror.enqueue(event)),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "a lifecycle event is lost"),
        }
    }
}

/// The outcomes of this work, a few pieces at a time.
pub(super) fn at_once<T>(work: Vec<BoxFuture<'_, T>>) -> impl Stream<Item = T> + Unpin {
    stream::iter(work).buffer_unordered(AT_ONCE)
}
