//! From wishes to a plan: check everything, hand out addresses, then draw each decky from its node of the keyed tree.
//!
//! Every choice is drawn from a node with its own label, so neither the order of deckies nor a choice added later moves
//! the others. What must be unique in the fleet (host name, MAC, password) is redrawn on a collision.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use decnet_core::{DeckyId, Seed};

use super::{
    DeckyPlan, Layout, PLAN_SCHEMA, Plan, PlanError, PlanErrors, PlanProblem, PlanRequest, RuntimeKind,
    ServicePlan, containers, fleet_tag, hash,
    lan::{self, Lan},
    services::{self, Chosen},
};
use crate::{
    catalogue::{
        Archetype, Distro, HostStyle, OsFamily, archetype, distro, distros, host_name, mac_address, sysctls,
    },
    config::{DEFAULT_MUTATE_INTERVAL, DeckyConfig, Mode},
    persona::{Company, Machine, persona},
    spec::{DeckySpec, DistroChoice, MAX_DECKIES},
};

/// Plans a deployment, or says everything that is wrong with it.
pub fn plan(request: &PlanRequest<'_>) -> Result<Plan, PlanErrors> {
    let mut errors = Vec::new();
    let mut warnings = request.spec.warnings.clone();
    let wishes = &request.spec.deckies;
    let whole = |problem| PlanError { decky: None, line: None, problem };
    if wishes.is_empty() {
        return Err(PlanErrors(vec![whole(PlanProblem::NoDeckies)]));
    }
    if wishes.len() > MAX_DECKIES {
        return Err(PlanErrors(vec![whole(PlanProblem::TooMany(wishes.len()))]));
    }
    let mut names = HashSet::new();
    for decky in wishes.iter().filter(|d| !names.insert(&d.name)) {
        errors.push(about(decky, PlanProblem::DuplicateName));
    }
    let (chosen, found) = services::choose(request, &mut warnings);
    errors.extend(found);
    let faces: Vec<Option<Face>> = wishes
        .iter()
        .zip(&chosen)
        .enumerate()
        .map(|(index, (decky, chosen))| {
            let problems = match Face::of(request, decky, index, chosen.has_login(), &mut warnings) {
                Ok(face) => return Some(face),
                Err(problem) => problem,
            };
            errors.push(about(decky, problems));
            None
        })
        .collect();
    let lan = match Lan::of(request, &mut warnings) {
        Ok(lan) => lan,
        Err(problem) => {
            errors.push(whole(problem));
            return Err(PlanErrors(errors));
        }
    };
    let addresses = match lan::assign(request, &lan) {
        Ok(addresses) => addresses,
        Err(found) => {
            errors.extend(found);
            Vec::new()
        }
    };
    if !errors.is_empty() {
        return Err(PlanErrors(errors));
    }
    let networks = vec![lan.network(&addresses)];
    let mut drawer = Drawer::new(request, &networks[0].name);
    let deckies = wishes.iter().zip(faces.into_iter().flatten()).zip(chosen).zip(addresses);
    let mut deckies: Vec<DeckyPlan> =
        deckies.map(|(((wish, face), chosen), ip)| drawer.draw(wish, &face, chosen, ip)).collect();
    let fleet = fleet_tag(&request.secret.seed());
    for decky in &mut deckies {
        decky.plan_hash = hash::plan_hash(decky, &networks);
        containers::label(decky, request.generation, &fleet);
    }
    warnings.dedup();
    Ok(Plan {
        schema: PLAN_SCHEMA,
        generation: request.generation,
        host: request.host.clone(),
        fleet,
        runtime: request.runtime,
        mode: request.spec.mode,
        networks,
        mutate_interval: request.spec.mutate_interval.unwrap_or(Some(DEFAULT_MUTATE_INTERVAL)),
        log_file: request.spec.log_file.clone(),
        deckies,
        warnings,
    })
}

/// An error about one decky.
pub(super) fn about(decky: &DeckySpec, problem: PlanProblem) -> PlanError {
    PlanError { decky: Some(decky.name.clone()), line: decky.line, problem }
}

/// The decky's node of the keyed tree: the seed that its decoy is given.
pub(super) fn node(request: &PlanRequest<'_>, decky: &DeckySpec) -> Seed {
    let id = DeckyId::new(request.host.clone(), decky.name.clone());
    request.secret.seed().child("decky").child(id.to_string())
}

/// Choices for the plan live beside, not among, those of the decoy.
pub(super) fn plan_node(request: &PlanRequest<'_>, decky: &DeckySpec) -> Seed {
    node(request, decky).child("plan")
}

/// The decky of this name and archetype in the deployment that is replaced.
pub(super) fn previous<'a>(request: &PlanRequest<'a>, decky: &DeckySpec) -> Option<&'a DeckyConfig> {
    request.previous?.decky(decky.name.as_str()).filter(|d| d.archetype == decky.archetype)
}

/// What a decky looks like from outside, apart from its services.
struct Face {
    archetype: Option<&'static Archetype>,
    distro: &'static Distro,
    family: OsFamily,
    style: HostStyle,
}

impl Face {
    fn of(
        request: &PlanRequest<'_>,
        decky: &DeckySpec,
        index: usize,
        has_login: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Self, PlanProblem> {
        let unknown = |slug: &str| PlanProblem::UnknownDistro(slug.chars().take(80).collect());
        let archetype = match &decky.archetype {
            None => None,
            Some(slug) => Some(
                archetype(slug)
                    .ok_or_else(|| PlanProblem::UnknownArchetype(slug.chars().take(80).collect()))?,
            ),
        };
        let needed = if has_login && request.runtime == RuntimeKind::Docker { request.shells } else { None };
        let has_image = |slug: &str| needed.is_none_or(|shells| shells.contains(slug));
        let distro = match &decky.distro {
            DistroChoice::Fixed(slug) => {
                let found = distro(slug).ok_or_else(|| unknown(slug))?;
                if !has_image(slug) {
                    return Err(PlanProblem::NoShellImage(found.slug.to_owned()));
                }
                found
            }
            DistroChoice::Random => {
                let all: Vec<&Distro> = distros().iter().filter(|d| has_image(d.slug)).collect();
                let picked = plan_node(request, decky).child("distro").pick(&all).copied();
                picked.ok_or_else(|| PlanProblem::NoShellImage("debian".to_owned()))?
            }
            DistroChoice::Rotate => {
                let before = previous(request, decky).map(|d| d.distro.as_str());
                let suitable = archetype.map_or(&[][..], |a| a.distros);
                let of =
                    |slugs: Vec<&'static str>| slugs.into_iter().filter(|s| has_image(s)).collect::<Vec<_>>();
                let mut list = of(suitable.to_vec());
                if list.is_empty() {
                    list = of(distros().iter().map(|d| d.slug).collect());
                }
                if list.is_empty() {
                    let wanted = suitable.first().copied().unwrap_or("debian");
                    return Err(PlanProblem::NoShellImage(wanted.to_owned()));
                }
                // Turning into another distribution because of a new neighbour would be noticed.
                let slug = before.filter(|slug| list.contains(slug)).unwrap_or(list[index % list.len()]);
                distro(slug).ok_or_else(|| unknown(slug))?
            }
        };
        let family = match &decky.nmap_os {
            None => archetype.map_or_else(OsFamily::default, |a| a.os_family),
            Some(word) => OsFamily::from_word(word).unwrap_or_else(|| {
                let known = OsFamily::ALL.map(OsFamily::as_str).join(", ");
                warnings.push(format!(
                    "{}: nmap_os {word:?} is unknown and read as linux; known are {known}",
                    decky.name
                ));
                OsFamily::Linux
            }),
        };
        let style = archetype.and_then(|a| a.host_style).unwrap_or(distro.host_style);
        Ok(Self { archetype, distro, family, style })
    }
}

/// Draws deckies one after the other and remembers what must not repeat.
struct Drawer<'a> {
    request: &'a PlanRequest<'a>,
    network: &'a str,
    company: Company,
    hostnames: HashSet<String>,
    macs: HashSet<String>,
    passwords: HashSet<String>,
    last_mutated: HashMap<&'a str, f64>,
}

impl<'a> Drawer<'a> {
    fn new(request: &'a PlanRequest<'a>, network: &'a str) -> Self {
        let previous = request.previous.iter().flat_map(|config| &config.deckies);
        Self {
            request,
            network,
            company: Company::of(request.secret).with_staff(&request.spec.staff),
            hostnames: HashSet::new(),
            macs: HashSet::new(),
            passwords: HashSet::new(),
            last_mutated: previous.map(|d| (d.name.as_str(), d.last_mutated)).collect(),
        }
    }

    fn draw(&mut self, wish: &DeckySpec, face: &Face, chosen: Chosen, ip: std::net::Ipv4Addr) -> DeckyPlan {
        let node = plan_node(self.request, wish);
        let hostname =
            unique(&mut self.hostnames, |attempt| host_name(face.style, &node.child("hostname"), attempt));
        let vendors = face.archetype.map_or(&[][..], |a| a.vendors);
        let mac = unique(&mut self.macs, |attempt| {
            mac_address(&node.child("mac").child(attempt.to_be_bytes()), vendors)
        });
        let services = chosen.services;
        let machine = Machine {
            hostname: &hostname,
            distro: face.distro,
            family: face.family,
            style: face.style,
            root_password: services.iter().find_map(login_password),
        };
        let persona = persona(&self.company, &machine, &node, &mut self.passwords);
        let custom = services.iter().any(|s| s.custom);
        let host = self.request.host;
        let config = DeckyConfig {
            name: wish.name.clone(),
            ip: ip.into(),
            services: services.iter().map(|s| s.slug.clone()).collect(),
            distro: face.distro.slug.to_owned(),
            base_image: face.distro.base_image.to_owned(),
            build_base: face.distro.build_base.to_owned(),
            hostname,
            archetype: wish.archetype.clone(),
            service_config: service_config(&services),
            nmap_os: face.family.as_str().to_owned(),
            mutate_interval: wish.mutate_interval,
            last_mutated: self.last_mutated.get(wish.name.as_str()).copied().unwrap_or(0.0),
            last_login_attempt: 0.0,
            host_uuid: (self.request.spec.mode == Mode::Swarm).then(|| host.clone()),
        };
        let layout = if custom { Layout::Split } else { Layout::Single };
        let images: BTreeMap<_, _> = chosen.custom;
        let containers = containers::of(self.request.runtime, &config, &services, &images, self.network);
        DeckyPlan {
            id: DeckyId::new(host.clone(), wish.name.clone()),
            plan_hash: String::new(),
            config,
            mac,
            os_family: face.family,
            sysctls: sysctls(face.family),
            persona,
            seed: crate::plan::build::node(self.request, wish),
            services,
            layout,
            containers,
        }
    }
}

/// The first of `make`'s results that is not taken yet, which it then is.
fn unique(taken: &mut HashSet<String>, make: impl Fn(u32) -> String) -> String {
    for attempt in 0..10_000 {
        let name = make(attempt);
        if taken.insert(name.to_ascii_lowercase()) {
            return name;
        }
    }
    // Cannot happen with at most MAX_DECKIES deckies and the pools at hand; a repeated name is then the lesser evil.
    make(0)
}

fn login_password(service: &ServicePlan) -> Option<&str> {
    let login = matches!(service.slug.as_str(), "ssh" | "telnet");
    login.then(|| service.settings.get("password").map(String::as_str)).flatten()
}

fn service_config(services: &[ServicePlan]) -> BTreeMap<String, BTreeMap<String, serde_json::Value>> {
    let with_settings = services.iter().filter(|s| !s.settings.is_empty());
    with_settings
        .map(|s| {
            let settings = s.settings.iter().map(|(k, v)| (k.clone(), v.as_str().into()));
            (s.slug.clone(), settings.collect())
        })
        .collect()
}

/// For messages: `a, b and 3 more`.
pub(super) fn some_of(names: &BTreeSet<&str>) -> String {
    let shown: Vec<&str> = names.iter().copied().take(5).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
