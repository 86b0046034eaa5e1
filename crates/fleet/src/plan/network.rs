//! The networks of a plan, and what is detected of the host's LAN. Detection itself is the caller's.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::RuntimeKind;

/// What the host's default route and its interface say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNetwork {
    /// The outbound interface.
    pub interface: String,
    /// Its first IPv4 network.
    pub subnet: Ipv4Net,
    /// The gateway of the default route.
    pub gateway: Option<Ipv4Addr>,
    /// The host's own address on it.
    pub address: Option<Ipv4Addr>,
}

/// What the agent of a host says of it: everything that a plan for it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// What runs deckies there.
    pub runtime: RuntimeKind,
    /// Its LAN.
    pub network: Option<HostNetwork>,
    /// Distributions that it has a shell image for.
    pub shells: BTreeSet<String>,
}

impl HostFacts {
    /// From the words on the bus. `network`: interface, `address/bits`, gateway, own address.
    pub fn parse(
        runtime: &str,
        network: Option<(&str, &str, Option<IpAddr>, Option<IpAddr>)>,
        shells: impl IntoIterator<Item = String>,
    ) -> Result<Self, String> {
        let runtime = RuntimeKind::from_word(runtime).ok_or_else(|| {
            format!("the agent runs {runtime:?}, which this version does not know: update it")
        })?;
        let v4 = |ip: Option<IpAddr>| match ip {
            Some(IpAddr::V4(ip)) => Some(ip),
            Some(IpAddr::V6(_)) | None => None,
        };
        let lan = |(interface, subnet, gateway, address): (&str, &str, _, _)| {
            let net =
                subnet.parse::<Ipv4Net>().map_err(|_| format!("the agent's LAN {subnet:?} is no network"))?;
            Ok::<_, String>(HostNetwork {
                interface: interface.to_owned(),
                subnet: net.trunc(),
                gateway: v4(gateway),
                address: v4(address),
            })
        };
        Ok(Self { runtime, network: network.map(lan).transpose()?, shells: shells.into_iter().collect() })
    }
}

/// How deckies reach the LAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkDriver {
    /// One MAC per decky on the parent interface.
    Macvlan,
    /// The parent's MAC for all: Wi-Fi, and guests bridged over Wi-Fi.
    Ipvlan,
    /// Loopback addresses of the host: the process runtime.
    Loopback,
}

/// One network of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkPlan {
    /// Its name at the container engine.
    pub name: String,
    /// How it reaches the LAN.
    pub driver: NetworkDriver,
    /// The parent interface.
    pub parent: Option<String>,
    /// The host's own link on it, through which the host reaches its deckies; none on loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shim: Option<String>,
    /// The LAN.
    pub subnet: Ipv4Net,
    /// Its gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The host's own address, which the shim interface takes.
    pub host_address: Option<Ipv4Addr>,
    /// The smallest range that holds every decky: the engine's `ip_range`.
    pub ip_range: Ipv4Net,
    /// Host routes to the deckies, one /32 each: the range may cover the gateway or real machines.
    pub routes: Vec<Ipv4Net>,
}

/// The range of a plan without networks, which `plan` never makes but a hand-written document could hold.
pub(super) fn nowhere() -> ipnet::IpNet {
    ipnet::IpNet::V4(Ipv4Net::default())
}
