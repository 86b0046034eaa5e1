//! Which addresses may be called. The default is the public Internet and nothing else: whoever may type an address into a
//! form must not reach what only this machine reaches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::CallError;

/// IPv4 ranges that are not public (IANA special-purpose registry, multicast and class E).
const CLOSED_4: &[(u32, u8)] = &[
    (0x0000_0000, 8),  // this network
    (0x0a00_0000, 8),  // private
    (0x6440_0000, 10), // shared by providers
    (0x7f00_0000, 8),  // loopback
    (0xa9fe_0000, 16), // link-local; cloud metadata
    (0xac10_0000, 12), // private
    (0xc000_0000, 24), // protocol assignments
    (0xc000_0200, 24), // documentation
    (0xc058_6300, 24), // 6to4 relays
    (0xc0a8_0000, 16), // private
    (0xc612_0000, 15), // benchmarking
    (0xc633_6400, 24), // documentation
    (0xcb00_7100, 24), // documentation
    (0xe000_0000, 4),  // multicast
    (0xf000_0000, 4),  // reserved, broadcast
];

/// Ranges within IPv6's global unicast (`2000::/3`) that are not public, among them those that carry an IPv4 address.
const CLOSED_6: &[(u128, u8)] = &[
    (0x2001_0000 << 96, 23), // protocol assignments, Teredo, benchmarking, ORCHID
    (0x2001_0db8 << 96, 32), // documentation
    (0x2002_0000 << 96, 16), // 6to4
    (0x3fff_0000 << 96, 20), // documentation
];

/// Whether an address is one of the public Internet.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !within_4(ip),
        // Everything outside of 2000::/3 is loopback, local, multicast, mapped, translated or unassigned.
        IpAddr::V6(ip) => ip.to_bits() >> 125 == 1 && !within_6(ip),
    }
}

fn within_4(ip: Ipv4Addr) -> bool {
    CLOSED_4.iter().any(|(net, length)| {
        Ipv4Net::new(Ipv4Addr::from_bits(*net), *length).is_ok_and(|net| net.contains(&ip))
    })
}

fn within_6(ip: Ipv6Addr) -> bool {
    CLOSED_6.iter().any(|(net, length)| {
        Ipv6Net::new(Ipv6Addr::from_bits(*net), *length).is_ok_and(|net| net.contains(&ip))
    })
}

/// What may be called.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allow: Vec<IpNet>,
}

impl Guard {
    /// The public Internet, and `allow`.
    pub const fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// Whether an address was allowed by hand.
    fn is_allowed(&self, ip: IpAddr) -> bool {
        self.allow.iter().any(|net| net.contains(&ip))
    }

    /// Checks all addresses of a host: one that is not public spoils them all, because nobody knows which one is meant.
    pub fn check(&self, is_tls: bool, host: &str, addresses: &[IpAddr]) -> Result<(), CallError> {
        for ip in addresses {
            if self.is_allowed(*ip) {
                continue;
            }
            if !is_public(*ip) {
                return Err(CallError::Closed { host: host.to_owned(), ip: *ip });
            }
            if !is_tls {
                return Err(CallError::NeedsTls { host: host.to_owned(), ip: *ip });
            }
        }
        if addresses.is_empty() {
            return Err(CallError::Unresolved {
                host: host.to_owned(),
                reason: "it has no address".to_owned(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for closed in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(closed.parse().unwrap()), "{closed}");
        }
        for open in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860::8888",
        ] {
            assert!(is_public(open.parse().unwrap()), "{open}");
        }
    }

    #[test]
    fn an_allowance_opens_its_range_also_to_plain_http_and_nothing_else() {
        let guard = Guard::new(vec!["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()]);
        let check = |tls, ips: &[&str]| {
            let ips: Vec<IpAddr> = ips.iter().map(|ip| ip.parse().unwrap()).collect();
            guard.check(tls, "siem", &ips)
        };
        assert!(check(true, &["10.1.2.3"]).is_ok() && check(false, &["10.1.2.3", "::1"]).is_ok());
        assert!(check(true, &["1.1.1.1", "10.1.2.3"]).is_ok());
        assert!(matches!(check(true, &["10.2.0.1"]), Err(CallError::Closed { .. })));
        assert!(matches!(check(true, &["1.1.1.1", "127.0.0.1"]), Err(CallError::Closed { .. })));
        assert!(matches!(check(true, &["::ffff:10.1.2.3"]), Err(CallError::Closed { .. })), "mapped");
        assert!(matches!(check(false, &["1.1.1.1"]), Err(CallError::NeedsTls { .. })));
        assert!(matches!(check(true, &[]), Err(CallError::Unresolved { .. })));
    }
}
