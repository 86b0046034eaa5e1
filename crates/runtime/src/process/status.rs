//! The state of one decky, from what its supervisor knows, what the kernel says listens, and the decoy's own report.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use decnet_fleet::{DeckyState, ServiceState, aggregate};
use serde::Deserialize;

use super::{
    decky::{Decky, Phase},
    folder::Folder,
    listening::Listening,
};
use crate::DeckyStatus;

/// How long a decoy may take to listen before that counts as a failure.
const PATIENCE: Duration = Duration::from_secs(10);
/// Age at which the decoy's report (written every five seconds) means that it hangs.
const STALE_S: i64 = 60;

/// The part of the decoy's report that matters here.
#[derive(Deserialize)]
struct Report {
    at: DateTime<Utc>,
    #[serde(default)]
    events_dropped: u64,
}

/// The status of `decky`.
pub(super) fn of(decky: &Decky, listening: &Listening, now: DateTime<Utc>) -> DeckyStatus {
    let (deployment, phase, mut last_error, hopeless) = {
        let live = decky.live();
        (live.deployment.clone(), live.phase, live.last_error.clone(), live.hopeless)
    };
    let Some(deployment) = deployment else {
        return DeckyStatus {
            name: decky.name.clone(),
            plan_hash: None,
            state: DeckyState::Failed,
            services: BTreeMap::new(),
            addresses: BTreeMap::new(),
            port_base: 0,
            last_error: last_error.or_else(|| Some("its record cannot be read: deploy it again".to_owned())),
            hopeless: true,
            egress_blocked: 0,
            incarnation: Some(decky.incarnation.clone()),
        };
    };
    let mut services = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for (service, places) in deployment.addresses() {
        let all_listen =
            || service.ports.iter().zip(&places).all(|(port, addr)| listening.has(port.proto, *addr));
        let state = match phase {
            Phase::Up { .. } if all_listen() => ServiceState::Running,
            Phase::Up { .. } => ServiceState::Starting,
            Phase::Idle | Phase::Down => ServiceState::Exited,
        };
        services.insert(service.slug.clone(), state);
        addresses.insert(service.slug.clone(), places);
    }
    let slugs: Vec<&String> = services.keys().collect();
    let mut state = aggregate(&slugs, &services);
    if let Phase::Up { since } = phase {
        let age = since.elapsed();
        if state == DeckyState::Running {
            last_error = report_problem(&decky.folder, age, now);
            if last_error.is_some() {
                state = DeckyState::Degraded;
            }
        } else if age < PATIENCE {
            state = DeckyState::Pending;
        } else if last_error.is_none() {
            last_error =
                Some(format!("its decoy runs and does not listen everywhere after {} s", age.as_secs()));
        }
    }
    DeckyStatus {
        name: decky.name.clone(),
        plan_hash: Some(deployment.plan.plan_hash.clone()),
        state,
        services,
        addresses,
        port_base: deployment.port_base,
        last_error,
        hopeless,
        egress_blocked: 0,
        incarnation: Some(decky.incarnation.clone()),
    }
}

/// What the decoy's report says against it. No report is no reason: it is written a moment after the start.
fn report_problem(folder: &Folder, age: Duration, now: DateTime<Utc>) -> Option<String> {
    let report: Report = serde_json::from_slice(&std::fs::read(folder.health()).ok()?).ok()?;
    let silent = (now - report.at).num_seconds();
    // A report of an earlier process says nothing about a young one.
    if silent > STALE_S && age > Duration::from_secs(STALE_S.unsigned_abs()) {
        return Some(format!(
            "its decoy has not reported for {silent} s: it hangs, or the machine is overloaded"
        ));
    }
    (report.events_dropped > 0).then(|| {
        format!("its decoy lost {} lines because the disk was too slow or full", report.events_dropped)
    })
}
