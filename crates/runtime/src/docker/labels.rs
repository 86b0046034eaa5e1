//! How our containers and networks are found again: by label, never by name, so that two fleets on one host (and a fleet and
//! its owner's own containers) do not touch each other.

use std::collections::{BTreeMap, HashMap, HashSet};

use bollard::{
    models::{ContainerSummary, ContainerSummaryStateEnum},
    query_parameters::ListContainersOptionsBuilder,
};
use decnet_core::DeckyName;
use decnet_fleet::plan::{ContainerPlan, ContainerRole};

use super::{decky::Host, engine::Engine};
use crate::RuntimeError;

/// The fleet: 8 hexadecimal digits of a child of its secret.
pub(super) const FLEET: &str = "decnet.fleet";
/// The host that runs it.
pub(super) const HOST: &str = "decnet.host_uuid";
/// The decky.
pub(super) const DECKY: &str = "decnet.fleet.decky";
/// What the container is for: `decky`, `shell` or `service`.
pub(super) const ROLE: &str = "decnet.role";
/// The service or services that it serves.
const SERVICE: &str = "decnet.fleet.service_name";
/// The plan that it was made from.
const PLAN: &str = "decnet.plan_hash";

/// Whose things are ours.
#[derive(Debug, Clone)]
pub(super) struct Ours {
    pub(super) fleet: String,
    pub(super) host: String,
}

impl Ours {
    /// The labels that everything of ours has.
    pub(super) fn labels(&self) -> [(String, String); 2] {
        [(FLEET.to_owned(), self.fleet.clone()), (HOST.to_owned(), self.host.clone())]
    }

    /// The labels of a container.
    pub(super) fn of_container(&self, plan: &ContainerPlan) -> HashMap<String, String> {
        let role = (ROLE.to_owned(), role_word(plan.role).to_owned());
        plan.labels.clone().into_iter().chain(self.labels()).chain([role]).collect()
    }

    /// The filter of listings and events that shows only what is ours.
    pub(super) fn filter(&self, decky: Option<&DeckyName>) -> HashMap<String, Vec<String>> {
        let mut labels: Vec<String> =
            self.labels().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        labels.extend(decky.map(|name| format!("{DECKY}={name}")));
        HashMap::from([("label".to_owned(), labels)])
    }

    /// Whether a thing with these labels is ours.
    pub(super) fn has(&self, labels: Option<&HashMap<String, String>>) -> bool {
        labels.is_some_and(|labels| self.labels().iter().all(|(key, value)| labels.get(key) == Some(value)))
    }
}

fn role_word(role: ContainerRole) -> &'static str {
    match role {
        ContainerRole::Decky => "decky",
        ContainerRole::Shell => "shell",
        ContainerRole::Service => "service",
    }
}

/// A container of ours in a listing.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// The engine's id of it.
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) decky: DeckyName,
    pub(super) role: ContainerRole,
    pub(super) plan_hash: Option<String>,
    /// Slugs that its label names.
    pub(super) services: Vec<String>,
    pub(super) state: ContainerSummaryStateEnum,
    /// What the engine says about it in words, such as `Exited (137) 5 minutes ago`.
    pub(super) status: String,
}

impl Seen {
    fn of(summary: ContainerSummary) -> Option<Self> {
        let labels = summary.labels?;
        let role = match labels.get(ROLE).map(String::as_str) {
            Some("decky") => ContainerRole::Decky,
            Some("shell") => ContainerRole::Shell,
            Some("service") => ContainerRole::Service,
            _ => return None,
        };
        let services = labels.get(SERVICE).map(String::as_str).unwrap_or_default();
        Some(Self {
            id: summary.id,
            name: summary.names?.first()?.trim_start_matches('/').to_owned(),
            decky: DeckyName::parse(labels.get(DECKY)?).ok()?,
            role,
            plan_hash: labels.get(PLAN).cloned(),
            services: services.split(',').filter(|slug| !slug.is_empty()).map(str::to_owned).collect(),
            state: summary.state.unwrap_or(ContainerSummaryStateEnum::EMPTY),
            status: summary.status.unwrap_or_default(),
        })
    }

    pub(super) fn runs(&self) -> bool {
        self.state == ContainerSummaryStateEnum::RUNNING
    }
}

/// Every container of ours (of one decky), by decky: one call.
pub(super) async fn list(
    engine: &Engine,
    ours: &Ours,
    decky: Option<&DeckyName>,
) -> Result<BTreeMap<DeckyName, Vec<Seen>>, RuntimeError> {
    let options = ListContainersOptionsBuilder::new().all(true).filters(&ours.filter(decky)).build();
    let found = engine.docker().await?.list_containers(Some(options)).await;
    let found = found.map_err(|error| engine.failure("list the containers", &error))?;
    let mut deckies: BTreeMap<DeckyName, Vec<Seen>> = BTreeMap::new();
    for seen in found.into_iter().filter_map(Seen::of) {
        deckies.entry(seen.decky.clone()).or_default().push(seen);
    }
    Ok(deckies)
}

/// The containers of one decky.
pub(super) async fn list_of(host: &Host, decky: &DeckyName) -> Result<Vec<Seen>, RuntimeError> {
    Ok(list(&host.engine, &host.ours, Some(decky)).await?.remove(decky).unwrap_or_default())
}

/// The names of all containers of the engine, ours and others'.
pub(super) async fn names(engine: &Engine) -> Result<HashSet<String>, RuntimeError> {
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let found = engine.docker().await?.list_containers(Some(options)).await;
    let found = found.map_err(|error| engine.failure("list the containers", &error))?;
    let names = found.into_iter().flat_map(|container| container.names.unwrap_or_default());
    Ok(names.map(|name| name.trim_start_matches('/').to_owned()).collect())
}
