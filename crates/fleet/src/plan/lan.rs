//! Which LAN a deployment is on, and which decky gets which address of it.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv4Addr},
};

use ipnet::Ipv4Net;

use super::{
    NetworkDriver, NetworkPlan, PlanError, PlanProblem, PlanRequest, RuntimeKind, build::about, fleet_tag,
};
use crate::addressing::{Pool, host_routes, loopback_range, smallest_range};

/// 127.0.0.0/8.
const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

/// The LAN of a deployment.
pub(super) struct Lan {
    name: String,
    driver: NetworkDriver,
    parent: Option<String>,
    subnet: Ipv4Net,
    gateway: Option<Ipv4Addr>,
    host: Option<Ipv4Addr>,
    start: Option<Ipv4Addr>,
}

impl Lan {
    pub(super) fn of(request: &PlanRequest<'_>, warnings: &mut Vec<String>) -> Result<Self, PlanProblem> {
        match request.runtime {
            RuntimeKind::Process => Self::loopback(request),
            RuntimeKind::Docker => Self::detected(request, warnings),
        }
    }

    /// A range of 127.0.0.0/8: the operator's, else the fleet's own.
    fn loopback(request: &PlanRequest<'_>) -> Result<Self, PlanProblem> {
        let spec = request.spec;
        let own = loopback_range(&request.secret.seed(), spec.deckies.len());
        let outside = |ip: Ipv4Addr| !own.contains(&ip);
        let (subnet, start) = match spec.subnet {
            Some(named) if !LOOPBACK.contains(&named) => return Err(PlanProblem::NotLoopback(named)),
            Some(named) => (named.trunc(), spec.ip_start),
            // A named address elsewhere on loopback is fine; the others still come from the fleet's own range.
            None if spec.deckies.iter().filter_map(|d| d.ip).chain(spec.ip_start).any(outside) => {
                (LOOPBACK, spec.ip_start.or(own.hosts().next()))
            }
            None => (own, spec.ip_start),
        };
        Ok(Self {
            name: "decnet_loopback".to_owned(),
            driver: NetworkDriver::Loopback,
            parent: Some("lo".to_owned()),
            subnet,
            gateway: None,
            host: None,
            start,
        })
    }

    /// The named LAN, else the detected one.
    fn detected(request: &PlanRequest<'_>, warnings: &mut Vec<String>) -> Result<Self, PlanProblem> {
        let (spec, detected) = (request.spec, request.detected);
        let named = spec.subnet.or(detected.map(|d| d.subnet));
        let subnet = named.ok_or(PlanProblem::NoSubnet)?.trunc();
        let inside = |ip: &Ipv4Addr| subnet.contains(ip);
        let gateway = spec.gateway.or(detected.and_then(|d| d.gateway).filter(inside)).or_else(|| {
            let first = subnet.hosts().next()?;
            warnings.push(format!(
                "no gateway of {subnet} is known: {first} is taken for it (--gateway, or gw= in [general])"
            ));
            Some(first)
        });
        let parent = spec.interface.clone().or_else(|| detected.map(|d| d.interface.clone()));
        if parent.is_none() {
            warnings.push(
                "no interface is known: a deploy needs --interface, or interface= in [general]".to_owned(),
            );
        }
        let driver = if spec.ipvlan { NetworkDriver::Ipvlan } else { NetworkDriver::Macvlan };
        let host = detected.and_then(|d| d.address).filter(inside);
        // Two fleets of one host must not touch each other's network. 15 characters: also the name of a link.
        let name = format!("decnet-{}", fleet_tag(&request.secret.seed()));
        Ok(Self { name, driver, parent, subnet, gateway, host, start: spec.ip_start })
    }

    fn pool<'a>(&self, used: &'a HashSet<IpAddr>) -> Pool<'a> {
        Pool { subnet: self.subnet, gateway: self.gateway, host: self.host, start: self.start, used }
    }

    /// The network to make for deckies at `ips`.
    pub(super) fn network(&self, ips: &[Ipv4Addr]) -> NetworkPlan {
        NetworkPlan {
            name: self.name.clone(),
            driver: self.driver,
            parent: self.parent.clone(),
            shim: (self.driver != NetworkDriver::Loopback).then(|| self.name.clone()),
            subnet: self.subnet,
            gateway: self.gateway,
            host_address: self.host,
            ip_range: smallest_range(ips).unwrap_or(self.subnet),
            routes: host_routes(ips),
        }
    }
}

/// One address per decky, in order: the named one, else the one it had before, else the next free one.
pub(super) fn assign(request: &PlanRequest<'_>, lan: &Lan) -> Result<Vec<Ipv4Addr>, Vec<PlanError>> {
    let pool = lan.pool(request.used);
    let wishes = &request.spec.deckies;
    let mut errors = Vec::new();
    let mut owners = HashMap::new();
    for (decky, ip) in wishes.iter().filter_map(|d| d.ip.map(|ip| (d, ip))) {
        if let Err(problem) = pool.check(ip) {
            errors.push(about(decky, problem.into()));
        } else if let Some(other) = owners.insert(ip, decky.name.clone()) {
            errors.push(about(decky, PlanProblem::DuplicateAddress { ip, other }));
        }
    }
    let mut taken: HashSet<Ipv4Addr> = owners.into_keys().collect();
    let before: HashMap<&str, Ipv4Addr> = request
        .previous
        .iter()
        .flat_map(|config| &config.deckies)
        .filter_map(|d| match d.ip {
            IpAddr::V4(ip) => Some((d.name.as_str(), ip)),
            IpAddr::V6(_) => None,
        })
        .collect();
    let keep = |decky: &crate::DeckySpec, taken: &HashSet<Ipv4Addr>| {
        let ip = *before.get(decky.name.as_str())?;
        let fits = pool.check(ip).is_ok() && lan.start.is_none_or(|start| ip >= start);
        (fits && !taken.contains(&ip)).then_some(ip)
    };
    let mut addresses: Vec<Option<Ipv4Addr>> = Vec::with_capacity(wishes.len());
    for decky in wishes {
        let ip = decky.ip.or_else(|| keep(decky, &taken));
        taken.extend(ip);
        addresses.push(ip);
    }
    let open = addresses.iter().filter(|a| a.is_none()).count();
    match pool.allocate(open, &taken) {
        Ok(_) if !errors.is_empty() => Err(errors),
        Ok(fresh) => {
            let mut fresh = fresh.into_iter();
            Ok(addresses.into_iter().filter_map(|ip| ip.or_else(|| fresh.next())).collect())
        }
        Err(problem) => {
            errors.push(PlanError { decky: None, line: None, problem: problem.into() });
            Err(errors)
        }
    }
}
