//! The networks of a plan, and what is detected of the host's LAN. Detection itself is the caller's.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

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
