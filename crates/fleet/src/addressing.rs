//! Which addresses may be handed out, and handing them out (spec 4). Pure: who answers an ARP probe is told by
//! the caller through the set of used addresses.

use std::{collections::HashSet, net::Ipv4Addr};

use decnet_core::Seed;
use ipnet::Ipv4Net;

use crate::plan::AddressProblem;

/// Too few addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "subnet {subnet} has {found} free addresses and {wanted} are needed: widen the subnet, lower --ip-start or deploy fewer deckies"
)]
pub struct PoolError {
    /// Where they were sought.
    pub subnet: Ipv4Net,
    /// How many are needed.
    pub wanted: usize,
    /// How many there are.
    pub found: usize,
}

/// The addresses of a LAN that may be handed out.
#[derive(Debug, Clone)]
pub struct Pool<'a> {
    /// The LAN.
    pub subnet: Ipv4Net,
    /// Its gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The host's own address.
    pub host: Option<Ipv4Addr>,
    /// First address to hand out.
    pub start: Option<Ipv4Addr>,
    /// Addresses that others have.
    pub used: &'a HashSet<std::net::IpAddr>,
}

impl Pool<'_> {
    /// Why `ip` must not be handed out, even if the operator named it.
    pub fn check(&self, ip: Ipv4Addr) -> Result<(), AddressProblem> {
        check_fixed(ip, self.subnet, self.gateway)?;
        if self.host == Some(ip) {
            return Err(AddressProblem::Reserved { ip, what: "this host's own" });
        }
        if self.used.contains(&ip.into()) {
            return Err(AddressProblem::InUse(ip));
        }
        Ok(())
    }

    /// `count` addresses in ascending order, none of them in `taken`.
    pub fn allocate(&self, count: usize, taken: &HashSet<Ipv4Addr>) -> Result<Vec<Ipv4Addr>, PoolError> {
        let first = u32::from(self.subnet.network());
        let start = self.start.map_or(first, u32::from).max(first);
        let last = u32::from(self.subnet.broadcast());
        let free =
            (start..=last).map(Ipv4Addr::from).filter(|ip| !taken.contains(ip) && self.check(*ip).is_ok());
        let found: Vec<Ipv4Addr> = free.take(count).collect();
        if found.len() < count {
            return Err(PoolError { subnet: self.subnet, wanted: count, found: found.len() });
        }
        Ok(found)
    }
}

/// What can be said of a named address from the subnet and gateway alone.
pub fn check_fixed(ip: Ipv4Addr, subnet: Ipv4Net, gateway: Option<Ipv4Addr>) -> Result<(), AddressProblem> {
    let reserved = |what| Err(AddressProblem::Reserved { ip, what });
    if !subnet.contains(&ip) {
        return Err(AddressProblem::Outside { ip, subnet });
    }
    if ip == subnet.network() {
        return reserved("the network's own");
    }
    if ip == subnet.broadcast() {
        return reserved("the broadcast address");
    }
    if gateway == Some(ip) {
        return reserved("the gateway's");
    }
    check_anywhere(ip)
}

/// What can be said of a named address with no subnet known.
pub fn check_anywhere(ip: Ipv4Addr) -> Result<(), AddressProblem> {
    let what = if ip.is_unspecified() || ip.octets()[0] == 0 {
        "of the network 0.0.0.0/8"
    } else if ip.is_multicast() {
        "a multicast address"
    } else if ip.octets()[0] >= 240 {
        "of the reserved range 240.0.0.0/4"
    } else if ip == Ipv4Addr::LOCALHOST {
        "the machine's own loopback address"
    } else {
        return Ok(());
    };
    Err(AddressProblem::Reserved { ip, what })
}

/// The smallest range that holds every address (`.7` and `.8` give a /28); `None` of none.
pub fn smallest_range(ips: &[Ipv4Addr]) -> Option<Ipv4Net> {
    let low = u32::from(*ips.iter().min()?);
    let high = u32::from(*ips.iter().max()?);
    let prefix = u8::try_from((low ^ high).leading_zeros()).ok()?;
    Some(Ipv4Net::new(Ipv4Addr::from(low), prefix).ok()?.trunc())
}

/// One host route per address: the smallest range can cover the gateway or real machines.
pub fn host_routes(ips: &[Ipv4Addr]) -> Vec<Ipv4Net> {
    ips.iter().map(|ip| Ipv4Net::from(*ip)).collect()
}

/// The loopback range of a fleet without a LAN: `127.64..=126.x.0/24`, or a /16 where a /24 is too narrow. It is keyed,
/// so that two fleets on one machine are unlikely to meet.
pub fn loopback_range(fleet: &Seed, count: usize) -> Ipv4Net {
    let node = fleet.child("loopback");
    let octet = |label: &str, range| u8::try_from(node.child(label).range(range)).unwrap_or(77);
    let second = octet("second", 64..=126);
    let (third, prefix) = if count <= 200 { (octet("third", 0..=255), 24) } else { (0, 16) };
    let all = Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8);
    Ipv4Net::new(Ipv4Addr::new(127, second, third, 0), prefix).unwrap_or(all)
}
