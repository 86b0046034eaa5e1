//! The state of every decky of this host, from one listing of the engine, the decoys' own reports, and what their tenders
//! know. Whatever a front wrote is read with care: an intruder may have taken it over.

use std::{
    collections::BTreeMap, fs::File, io::Read, net::SocketAddr, os::unix::fs::OpenOptionsExt, path::Path,
    sync::Arc, time::Duration,
};

use bollard::models::ContainerSummaryStateEnum as State;
use chrono::{DateTime, Utc};
use decnet_core::DeckyName;
use decnet_fleet::{
    DeckyState, ServiceState, aggregate,
    plan::{ContainerRole, ServicePlan},
};
use rustix::fs::OFlags;
use serde::Deserialize;

use super::{decky::Decky, labels::Seen};
use crate::DeckyStatus;

/// How long a decoy may take to listen before that counts as a failure.
const PATIENCE: Duration = Duration::from_secs(15);
/// Age at which the decoy's report (written every five seconds) means that it hangs.
const STALE_S: i64 = 60;
/// Most bytes of a report.
const MAX_REPORT: u64 = 256 * 1024;

/// The part of the decoy's report that matters here.
#[derive(Deserialize)]
pub(super) struct Report {
    at: DateTime<Utc>,
    #[serde(default)]
    events_dropped: u64,
    #[serde(default)]
    services: Vec<Listening>,
}

#[derive(Deserialize)]
struct Listening {
    slug: String,
    #[serde(default)]
    listening: Vec<String>,
}

impl Report {
    /// The report in `path`, if there is a sound one.
    fn read(path: &Path) -> Option<Self> {
        let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::options().read(true).custom_flags(careful.bits().cast_signed()).open(path).ok()?;
        let mut bytes = Vec::new();
        file.take(MAX_REPORT).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn has(&self, service: &ServicePlan) -> bool {
        let found = self.services.iter().find(|there| there.slug == service.slug);
        found.is_some_and(|there| there.listening.len() >= service.ports.len())
    }
}

/// The status of a decky that this runtime knows. Blocks for as long as reading a small file takes.
pub(super) fn of(decky: &Decky, seen: &[Seen], now: DateTime<Utc>) -> DeckyStatus {
    let (deployment, since, trouble, mut last_error, egress_blocked) = {
        let live = decky.live();
        let blocked = live.watchers.egress_blocked();
        (live.deployment.clone(), live.since, live.trouble.clone(), live.last_error.clone(), blocked)
    };
    let Some(deployment) = deployment else {
        let mut status = of_stranger(&decky.name, seen);
        status.last_error = last_error.or(status.last_error);
        // Nothing of it was left: it failed, which is something else than being torn down.
        if status.last_error.is_some() && seen.is_empty() {
            status.state = DeckyState::Failed;
        }
        return status;
    };
    let plan = &deployment.plan;
    let front = seen.iter().find(|seen| seen.role == ContainerRole::Decky);
    let report = front.filter(|front| front.runs()).and_then(|_| Report::read(&decky.paths.health()));
    let age = since.map(|since| since.elapsed());
    // A report of an earlier life says nothing about a young front.
    let report = report.filter(|report| {
        let silent = (now - report.at).num_milliseconds();
        age.is_none_or(|age| silent <= i64::try_from(age.as_millis()).unwrap_or(i64::MAX) + 1000)
    });
    let mut services = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for service in &plan.services {
        let own = seen
            .iter()
            .find(|seen| seen.role == ContainerRole::Service && seen.services.contains(&service.slug));
        let state = if service.custom {
            own.map_or(ServiceState::Absent, |own| container_state(own, front))
        } else {
            built_in(service, front, report.as_ref())
        };
        // A login without the container where it ends is none.
        let shell = plan.containers.iter().find(|container| {
            container.role == ContainerRole::Shell && matches!(service.slug.as_str(), "ssh" | "telnet")
        });
        let state = match shell.map(|shell| seen.iter().find(|seen| seen.name == shell.name)) {
            Some(Some(shell)) if !shell.runs() && state != ServiceState::Absent => ServiceState::Exited,
            Some(None) if state != ServiceState::Absent => ServiceState::Absent,
            _ => state,
        };
        services.insert(service.slug.clone(), state);
        let places = service.ports.iter().map(|port| SocketAddr::new(plan.ip(), port.number)).collect();
        addresses.insert(service.slug.clone(), places);
    }
    let slugs: Vec<&String> = services.keys().collect();
    let mut state = aggregate(&slugs, &services);
    let young = age.is_some_and(|age| age < PATIENCE) && front.is_some_and(Seen::runs);
    if state == DeckyState::Running {
        last_error = trouble.or_else(|| report.as_ref().and_then(|report| problem(report, age, now)));
        if last_error.is_some() {
            state = DeckyState::Degraded;
        }
    } else if young
        && !services.values().any(|state| matches!(state, ServiceState::Exited | ServiceState::Absent))
    {
        state = DeckyState::Pending;
    } else {
        let wanted = plan.containers.iter().map(|container| container.name.as_str());
        let found = explain(wanted, seen);
        // What the engine tells of now says more than what went wrong before.
        last_error = found.or(trouble).or(last_error);
        last_error.get_or_insert_with(|| "its decoy runs and does not listen everywhere yet".to_owned());
    }
    DeckyStatus {
        name: decky.name.clone(),
        plan_hash: front.map_or_else(|| Some(plan.plan_hash.clone()), |front| front.plan_hash.clone()),
        state,
        services,
        addresses,
        port_base: 0,
        last_error,
        hopeless: front.is_none_or(|front| !front.runs() && front.state != State::RESTARTING),
        egress_blocked,
        incarnation: disk(
            plan.containers.iter().any(|container| container.role == ContainerRole::Shell),
            seen,
        ),
    }
}

/// Which container's disk files are put on: the shell's where there is to be one, else the front's.
fn disk(has_shell: bool, seen: &[Seen]) -> Option<String> {
    let role = if has_shell { ContainerRole::Shell } else { ContainerRole::Decky };
    seen.iter().find(|seen| seen.role == role)?.id.clone()
}

/// The status of a decky of which there are only containers.
pub(super) fn of_stranger(name: &DeckyName, seen: &[Seen]) -> DeckyStatus {
    let front = seen.iter().find(|seen| seen.role == ContainerRole::Decky);
    let mut services = BTreeMap::new();
    for container in seen {
        for slug in &container.services {
            services.insert(slug.clone(), container_state(container, front));
        }
    }
    let slugs: Vec<&String> = services.keys().collect();
    DeckyStatus {
        name: name.clone(),
        plan_hash: front.and_then(|front| front.plan_hash.clone()),
        state: aggregate(&slugs, &services),
        services,
        addresses: BTreeMap::new(),
        port_base: 0,
        last_error: None,
        hopeless: true,
        egress_blocked: 0,
        incarnation: disk(seen.iter().any(|seen| seen.role == ContainerRole::Shell), seen),
    }
}

/// A service that the front's decoy serves.
fn built_in(service: &ServicePlan, front: Option<&Seen>, report: Option<&Report>) -> ServiceState {
    match front {
        None => ServiceState::Absent,
        Some(front) if front.state == State::RESTARTING => ServiceState::Exited,
        Some(front) if !front.runs() => ServiceState::Exited,
        Some(_) if report.is_some_and(|report| report.has(service)) => ServiceState::Running,
        Some(_) => ServiceState::Starting,
    }
}

/// A service that is its container.
fn container_state(container: &Seen, front: Option<&Seen>) -> ServiceState {
    if container.runs() && front.is_some_and(Seen::runs) {
        ServiceState::Running
    } else {
        ServiceState::Exited
    }
}

/// What the report of a decoy that listens says against it.
fn problem(report: &Report, age: Option<Duration>, now: DateTime<Utc>) -> Option<String> {
    let silent = (now - report.at).num_seconds();
    if silent > STALE_S && age.is_none_or(|age| age > Duration::from_secs(STALE_S.unsigned_abs())) {
        return Some(format!(
            "its decoy has not reported for {silent} s: it hangs, or the machine is overloaded"
        ));
    }
    (report.events_dropped > 0).then(|| {
        format!("its decoy lost {} lines because the disk was too slow or full", report.events_dropped)
    })
}

/// What of its containers is not as it should be.
fn explain<'a>(wanted: impl Iterator<Item = &'a str>, seen: &[Seen]) -> Option<String> {
    if seen.is_empty() {
        return Some("its containers are gone: `decnet deploy` brings it up again".to_owned());
    }
    let troubles: Vec<String> = wanted
        .filter_map(|name| match seen.iter().find(|seen| seen.name == name) {
            None => Some(format!("container {name} is not there")),
            Some(seen) if !seen.runs() => {
                Some(format!("container {name}: {}", decnet_logline::clean(&seen.status)))
            }
            Some(_) => None,
        })
        .collect();
    let text = format!("{}: `decnet deploy` brings it up again", troubles.join(", "));
    (!troubles.is_empty()).then_some(text)
}

/// Every decky of this host.
pub(super) fn all(
    known: &BTreeMap<DeckyName, Arc<Decky>>,
    seen: &BTreeMap<DeckyName, Vec<Seen>>,
    now: DateTime<Utc>,
) -> Vec<DeckyStatus> {
    let none = Vec::new();
    let mut statuses: Vec<DeckyStatus> =
        known.iter().map(|(name, decky)| of(decky, seen.get(name).unwrap_or(&none), now)).collect();
    let strangers = seen.iter().filter(|(name, _)| !known.contains_key(*name));
    statuses.extend(strangers.map(|(name, seen)| of_stranger(name, seen)));
    statuses
}
