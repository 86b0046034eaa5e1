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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use decnet_core::FleetSecret;
    use proptest::prelude::*;

    use super::*;

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, last)
    }

    #[test]
    fn ranges_by_common_prefix() {
        assert_eq!(smallest_range(&[ip(7), ip(8)]), Some("10.0.0.0/28".parse().unwrap()));
        assert_eq!(smallest_range(&[ip(9)]), Some("10.0.0.9/32".parse().unwrap()));
        assert_eq!(smallest_range(&[ip(4), ip(7), ip(5)]), Some("10.0.0.4/30".parse().unwrap()));
        assert_eq!(smallest_range(&[]), None);
        let ends = [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST];
        assert_eq!(smallest_range(&ends), Some("0.0.0.0/0".parse().unwrap()));
        assert_eq!(host_routes(&[ip(7), ip(200)])[1], "10.0.0.200/32".parse().unwrap());
    }

    #[test]
    fn the_error_names_subnet_and_count() {
        let used = HashSet::from([IpAddr::V4(ip(3))]);
        let subnet = "10.0.0.0/29".parse().unwrap();
        let pool = Pool { subnet, gateway: Some(ip(1)), host: Some(ip(2)), start: None, used: &used };
        assert_eq!(pool.allocate(3, &HashSet::new()), Ok(vec![ip(4), ip(5), ip(6)]));
        let error = pool.allocate(4, &HashSet::new()).unwrap_err();
        assert!(
            error.to_string().starts_with("subnet 10.0.0.0/29 has 3 free addresses and 4 are needed"),
            "{error}"
        );
    }

    #[test]
    fn fleets_get_different_loopback_ranges() {
        let range = |n, count| loopback_range(&FleetSecret::from_number(n).seed(), count);
        let ranges: HashSet<Ipv4Net> = (0..100).map(|n| range(n, 5)).collect();
        assert!(ranges.len() > 95, "{}", ranges.len());
        assert!(ranges.iter().all(|r| r.prefix_len() == 24 && (64..=126).contains(&r.network().octets()[1])));
        assert_eq!(range(1, 5), range(1, 200));
        assert_eq!(range(1, 1000).prefix_len(), 16);
        assert!(range(1, 1000).contains(&range(1, 5)));
    }

    proptest! {
        /// A8: what is handed out is inside, ascending, and nobody's.
        #[test]
        fn nothing_that_is_somebodys_is_handed_out(
            base in any::<u32>(), prefix in 20u8..=30, offsets in proptest::collection::vec(0u32..4096, 0..40),
            start in 0u32..4096, count in 0usize..300, with_start in any::<bool>(),
        ) {
            let subnet = Ipv4Net::new(Ipv4Addr::from(base), prefix).unwrap().trunc();
            let at = |offset: u32| Ipv4Addr::from(u32::from(subnet.network()).wrapping_add(offset));
            let gateway = offsets.first().copied().map(at);
            let host = offsets.get(1).copied().map(at);
            let used: HashSet<IpAddr> = offsets.iter().skip(2).step_by(2).map(|o| at(*o).into()).collect();
            let taken: HashSet<Ipv4Addr> = offsets.iter().skip(3).step_by(2).map(|o| at(*o)).collect();
            let start = with_start.then(|| at(start));
            let pool = Pool { subnet, gateway, host, start, used: &used };
            let bad = |ip: &Ipv4Addr| {
                !subnet.contains(ip) || *ip == subnet.network() || *ip == subnet.broadcast() || gateway == Some(*ip)
                    || host == Some(*ip) || used.contains(&IpAddr::V4(*ip)) || taken.contains(ip)
                    || ip.octets()[0] == 0 || ip.octets()[0] >= 224 || *ip == Ipv4Addr::LOCALHOST
                    || start.is_some_and(|s| *ip < s)
            };
            let free = subnet.hosts().filter(|ip| !bad(ip)).count();
            match pool.allocate(count, &taken) {
                Ok(found) => {
                    prop_assert_eq!(found.len(), count);
                    prop_assert!(found.windows(2).all(|w| w[0] < w[1]));
                    prop_assert!(!found.iter().any(bad));
                }
                Err(error) => {
                    prop_assert!(free < count);
                    prop_assert_eq!(error, PoolError { subnet, wanted: count, found: free });
                }
            }
        }
    }
}
