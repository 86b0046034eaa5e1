//! What each decky serves: the listed services, else the archetype's that are built, else one to three at random.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use decnet_core::Seed;

use super::{
    PlanError, PlanProblem, PlanRequest, RuntimeKind, ServicePlan,
    build::{about, plan_node, previous, some_of},
};
use crate::{
    catalogue::{
        Port, Proto, Service, archetype, available_services, check_settings, listening_ports, port_clashes,
        require_built,
    },
    spec::{CustomServiceSpec, DeckySpec, ServiceChoice},
};

/// Tries to find a random set that no other decky has.
const ATTEMPTS: u32 = 20;

/// The services of one decky.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) services: Vec<ServicePlan>,
    /// Image and command of each custom service among them.
    pub(super) custom: BTreeMap<String, CustomServiceSpec>,
}

/// The services of every decky, in order (none where they are wrong), and everything that is wrong with them.
pub(super) fn choose(request: &PlanRequest<'_>, warnings: &mut Vec<String>) -> (Vec<Chosen>, Vec<PlanError>) {
    let mut errors = Vec::new();
    // A set that a decky keeps is not drawn by a new one either.
    let open =
        request.spec.deckies.iter().filter(|d| d.services == ServiceChoice::Open && d.archetype.is_none());
    let mut drawn: HashSet<Vec<String>> = open.filter_map(|d| kept(request, d)).collect();
    let mut partial: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut chosen = Vec::new();
    for decky in &request.spec.deckies {
        let slugs = match &decky.services {
            ServiceChoice::Listed(list) => list.clone(),
            ServiceChoice::Open => match decky.archetype.as_deref().and_then(archetype) {
                Some(archetype) => {
                    let (built, later) = archetype.split_services();
                    if built.is_empty() {
                        let services = archetype.services.join(", ");
                        let problem =
                            PlanProblem::ArchetypeNotBuilt { archetype: archetype.slug.to_owned(), services };
                        errors.push(about(decky, problem));
                        chosen.push(Chosen::default());
                        continue;
                    }
                    if !later.is_empty() {
                        partial.entry(archetype.slug).or_default().insert(decky.name.as_str());
                    }
                    built.iter().map(|s| s.slug.to_owned()).collect()
                }
                // An unknown archetype is reported where the face is chosen.
                None if decky.archetype.is_some() => {
                    chosen.push(Chosen::default());
                    continue;
                }
                None => match kept(request, decky) {
                    Some(kept) => kept,
                    None => random(&plan_node(request, decky).child("services"), &mut drawn),
                },
            },
        };
        let (found, problems) = resolve(request, decky, &slugs, warnings);
        errors.extend(problems.into_iter().map(|problem| about(decky, problem)));
        chosen.push(found);
    }
    for (slug, names) in partial {
        if let Some(archetype) = archetype(slug) {
            let (built, later) = archetype.split_services();
            let built: Vec<&str> = built.iter().map(|s| s.slug).collect();
            warnings.push(format!(
                "archetype {slug}: {} not built yet, so {} serve only {}",
                later.join(", "),
                some_of(&names),
                built.join(", ")
            ));
        }
    }
    (chosen, errors)
}

impl Chosen {
    /// Whether an intruder may get an interactive login, which needs a shell behind it.
    pub(super) fn has_login(&self) -> bool {
        self.services.iter().any(ServicePlan::is_login)
    }
}

/// The set that the decky drew in the deployment that is replaced.
fn kept(request: &PlanRequest<'_>, decky: &DeckySpec) -> Option<Vec<String>> {
    let services = &previous(request, decky)?.services;
    let could_be_drawn =
        (1..=3).contains(&services.len()) && services.iter().all(|s| require_built(s).is_ok());
    could_be_drawn.then(|| services.clone())
}

/// One to three services that are built, if possible a set that no other decky drew.
fn random(node: &Seed, drawn: &mut HashSet<Vec<String>>) -> Vec<String> {
    let mut set = Vec::new();
    for attempt in 0..ATTEMPTS {
        let node = node.child(attempt.to_be_bytes());
        let wanted = usize::try_from(node.child("count").range(1..=3)).unwrap_or(1);
        let mut order: Vec<(u64, &'static Service)> =
            available_services().map(|s| (node.child(s.slug).u64(), s)).collect();
        order.sort_by_key(|(key, _)| *key);
        set = order.iter().take(wanted).map(|(_, s)| s.slug.to_owned()).collect();
        set.sort();
        if drawn.insert(set.clone()) {
            break;
        }
    }
    set
}

fn resolve(
    request: &PlanRequest<'_>,
    decky: &DeckySpec,
    slugs: &[String],
    warnings: &mut Vec<String>,
) -> (Chosen, Vec<PlanProblem>) {
    let mut chosen = Chosen::default();
    let mut problems = Vec::new();
    let all: Vec<&str> = slugs.iter().map(String::as_str).collect();
    let mut seen = HashSet::new();
    for slug in slugs.iter().filter(|slug| seen.insert(slug.as_str())) {
        if let Some(custom) = request.spec.custom_services.iter().find(|c| c.name == *slug) {
            if request.runtime == RuntimeKind::Process {
                problems.push(PlanProblem::CustomNeedsDocker(slug.clone()));
            }
            let ports = custom.ports.iter().map(|number| Port { number: *number, proto: Proto::Tcp });
            chosen.services.push(ServicePlan {
                slug: slug.clone(),
                ports: ports.collect(),
                settings: BTreeMap::new(),
                custom: true,
            });
            chosen.custom.insert(slug.clone(), custom.clone());
            continue;
        }
        let service = match require_built(slug) {
            Ok(service) => service,
            Err(problem) => {
                problems.push(problem.into());
                continue;
            }
        };
        let raw = decky.service_config.get(slug).cloned().unwrap_or_default();
        let checked = check_settings(service, &raw);
        if !checked.dropped.is_empty() {
            warnings.push(format!("{}: {slug} has no setting {}", decky.name, checked.dropped.join(", ")));
        }
        problems.extend(
            checked
                .problems
                .into_iter()
                .map(|problem| PlanProblem::Setting { service: slug.clone(), problem }),
        );
        chosen.services.push(ServicePlan {
            slug: slug.clone(),
            ports: listening_ports(service, &all),
            settings: checked.settings,
            custom: false,
        });
    }
    let unused = decky.service_config.keys().filter(|slug| !all.contains(&slug.as_str()));
    for slug in unused {
        warnings.push(format!("{}: settings of {slug} are ignored, since it does not serve it", decky.name));
    }
    let ports: Vec<(&str, Vec<Port>)> =
        chosen.services.iter().map(|s| (s.slug.as_str(), s.ports.clone())).collect();
    problems.extend(port_clashes(&ports).into_iter().map(|(first, second, port)| PlanProblem::PortClash {
        first: first.to_owned(),
        second: second.to_owned(),
        port,
    }));
    (chosen, problems)
}
