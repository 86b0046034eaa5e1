//! Planning against a LAN on which others live: plan, ask who has the chosen addresses, and plan again without those, until
//! nobody answers. Pure: the caller asks (the agent, by ARP) and tells.

use std::{
    collections::{BTreeSet, HashSet},
    net::{IpAddr, Ipv4Addr},
};

use super::{NetworkDriver, Plan, PlanError, PlanErrors, PlanProblem, PlanRequest, plan};

/// Most rounds of questions: a LAN so crowded needs its operator.
const MOST_ROUNDS: u32 = 12;
/// From the second round on, so many addresses behind the chosen ones are asked for as well.
const AHEAD: usize = 32;

/// A plan in the making.
#[derive(Debug)]
pub struct Draft<'a> {
    request: PlanRequest<'a>,
    used: HashSet<IpAddr>,
    asked: HashSet<IpAddr>,
    rounds: u32,
}

/// What a draft needs next.
#[derive(Debug)]
pub enum Step {
    /// Ask who has these, and tell with [`Draft::heard`].
    Ask {
        /// The interface that the deckies are put on.
        interface: Option<String>,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// Nobody else has any of its addresses.
    Done(Box<Plan>),
}

impl<'a> Draft<'a> {
    /// A draft of what `request` asks for.
    pub fn new(request: PlanRequest<'a>) -> Self {
        Self { used: request.used.clone(), request, asked: HashSet::new(), rounds: 0 }
    }

    /// The next step.
    pub fn step(&mut self) -> Result<Step, PlanErrors> {
        let plan = plan(&PlanRequest { used: &self.used, ..self.request })?;
        let Some(network) = plan.networks.first().filter(|n| n.driver != NetworkDriver::Loopback) else {
            return Ok(Step::Done(Box::new(plan)));
        };
        let chosen: BTreeSet<IpAddr> =
            plan.deckies.iter().map(super::DeckyPlan::ip).filter(|ip| !self.asked.contains(ip)).collect();
        if chosen.is_empty() {
            return Ok(Step::Done(Box::new(plan)));
        }
        if self.rounds >= MOST_ROUNDS {
            let problem = PlanProblem::CrowdedLan(network.subnet);
            return Err(PlanErrors(vec![PlanError { decky: None, line: None, problem }]));
        }
        let ahead = if self.rounds > 0 { AHEAD } else { 0 };
        let last = chosen.iter().filter_map(|ip| match ip {
            IpAddr::V4(ip) => Some(u32::from(*ip)),
            IpAddr::V6(_) => None,
        });
        let after = last.max().map_or(u32::MAX, |last| last.saturating_add(1));
        let more = (after..u32::from(network.subnet.broadcast()))
            .map(|ip| IpAddr::V4(Ipv4Addr::from(ip)))
            .filter(|ip| !self.asked.contains(ip) && !self.used.contains(ip))
            .take(ahead);
        let addresses: Vec<IpAddr> = chosen.iter().copied().chain(more).collect();
        self.asked.extend(&addresses);
        self.rounds += 1;
        Ok(Step::Ask { interface: network.parent.clone(), addresses })
    }

    /// Somebody else has these.
    pub fn heard(&mut self, taken: impl IntoIterator<Item = IpAddr>) {
        self.used.extend(taken);
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::{FleetSecret, HostId};

    use super::*;
    use crate::{ini, plan::RuntimeKind};

    /// Plans on a LAN where these have the addresses; the addresses and the number of rounds.
    fn settle(text: &str, others: &HashSet<IpAddr>) -> (Result<Vec<String>, String>, u32) {
        let (spec, none) = (ini::parse(text.as_bytes()).unwrap(), HashSet::new());
        let (secret, host) = (FleetSecret::from_number(1), HostId::default());
        let mut draft = Draft::new(PlanRequest {
            spec: &spec,
            secret: &secret,
            runtime: RuntimeKind::Docker,
            generation: 1,
            host: &host,
            detected: None,
            used: &none,
            previous: None,
            shells: None,
        });
        let outcome = loop {
            match draft.step() {
                Ok(Step::Ask { interface, addresses }) => {
                    assert_eq!(interface.as_deref(), Some("eth9"));
                    draft.heard(addresses.into_iter().filter(|ip| others.contains(ip)));
                }
                Ok(Step::Done(plan)) => {
                    break Ok(plan.deckies.iter().map(|d| d.ip().to_string()).collect());
                }
                Err(errors) => break Err(errors.to_string()),
            }
        };
        (outcome, draft.rounds)
    }

    fn lan(last: impl IntoIterator<Item = u8>) -> HashSet<IpAddr> {
        last.into_iter().map(|last| IpAddr::from([192, 0, 2, last])).collect()
    }

    const LAN: &str = "[general]\nnet=192.0.2.0/24\ngw=192.0.2.1\ninterface=eth9\n";

    #[test]
    fn who_answers_keeps_his_address() {
        let (ips, rounds) = settle(&format!("{LAN}[a]\n[b]\n[c]\nip=192.0.2.9\n"), &lan([2, 4, 5]));
        assert_eq!(ips.unwrap(), ["192.0.2.3", "192.0.2.6", "192.0.2.9"]);
        assert_eq!(rounds, 2, "the second look goes further than the chosen ones");
        let (ips, rounds) = settle(&format!("{LAN}[a]\n"), &lan(2..200));
        assert_eq!(ips.unwrap(), ["192.0.2.200"]);
        assert!(rounds <= 8, "{rounds}");
    }

    #[test]
    fn a_named_address_that_is_taken_is_an_error_that_names_the_decky() {
        let (error, _) = settle(&format!("{LAN}[a]\n[c]\nip=192.0.2.9\n"), &lan([9]));
        let error = error.unwrap_err();
        assert!(error.contains("[c]: address 192.0.2.9 is in use"), "{error}");
        let (error, _) = settle(&format!("{LAN}[a]\n"), &lan(2..=254));
        assert!(error.unwrap_err().contains("192.0.2.0/24 has 0 free addresses and 1 are needed"));
    }

    #[test]
    fn a_loopback_fleet_asks_nobody() {
        let (spec, none) = (ini::parse(b"[a]\n").unwrap(), HashSet::new());
        let (secret, host) = (FleetSecret::from_number(1), HostId::default());
        let mut draft = Draft::new(PlanRequest {
            spec: &spec,
            secret: &secret,
            runtime: RuntimeKind::Process,
            generation: 1,
            host: &host,
            detected: None,
            used: &none,
            previous: None,
            shells: None,
        });
        assert!(matches!(draft.step().unwrap(), Step::Done(_)));
    }
}
