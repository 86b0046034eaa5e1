//! Ports of services, and which service of a decky gets a port that two could serve.
//!
//! The functions used on tables are `const`, so that a clash within an archetype does not compile.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::service::{SERVICES, Service};

/// Transport of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A port of one transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// Its transport.
    pub proto: Proto,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proto = match self.proto {
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
        };
        write!(f, "{}/{proto}", self.number)
    }
}

/// A port as a service of the catalogue claims it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PortInfo {
    /// The port.
    #[serde(flatten)]
    pub port: Port,
    /// False while the decoy does not listen there yet: such a port is never promised by a plan.
    pub available: bool,
    /// The service that gets the port where a decky has both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yields_to: Option<&'static str>,
}

impl PortInfo {
    pub(super) const fn tcp(number: u16) -> Self {
        Self { port: Port { number, proto: Proto::Tcp }, available: true, yields_to: None }
    }

    pub(super) const fn udp(number: u16) -> Self {
        Self { port: Port { number, proto: Proto::Udp }, available: true, yields_to: None }
    }

    pub(super) const fn later(mut self) -> Self {
        self.available = false;
        self
    }

    pub(super) const fn yields_to(mut self, slug: &'static str) -> Self {
        self.yields_to = Some(slug);
        self
    }
}

/// The ports of `service` on a decky that also has `others`: what the decoy really listens on.
pub fn listening_ports(service: &Service, others: &[&str]) -> Vec<Port> {
    let ours =
        |info: &&PortInfo| info.available && !info.yields_to.is_some_and(|slug| others.contains(&slug));
    service.ports.iter().filter(ours).map(|info| info.port).collect()
}

/// Ports that two services of one decky both listen on: the first service, the second, the port.
pub fn port_clashes<'a>(services: &[(&'a str, Vec<Port>)]) -> Vec<(&'a str, &'a str, Port)> {
    let mut owners: BTreeMap<Port, &str> = BTreeMap::new();
    let mut clashes = Vec::new();
    for (slug, ports) in services {
        for port in ports {
            if let Some(first) = owners.insert(*port, slug) {
                clashes.push((first, *slug, *port));
            }
        }
    }
    clashes
}

/// True if two services of the list want one port; for assertions at compile time.
pub(super) const fn has_clash(slugs: &[&str]) -> bool {
    let mut i = 0;
    while i < slugs.len() {
        let mut j = i + 1;
        while j < slugs.len() {
            if clash(slugs[i], slugs[j]).is_some() {
                return true;
            }
            j += 1;
        }
        i += 1;
    }
    false
}

const fn clash(a: &str, b: &str) -> Option<Port> {
    let (Some(first), Some(second)) = (find(a), find(b)) else { return None };
    let mut i = 0;
    while i < first.ports.len() {
        let mut j = 0;
        while j < second.ports.len() {
            let (mine, theirs) = (&first.ports[i], &second.ports[j]);
            let same =
                mine.port.number == theirs.port.number && mine.port.proto as u8 == theirs.port.proto as u8;
            if same && !yields(mine, b) && !yields(theirs, a) {
                return Some(mine.port);
            }
            j += 1;
        }
        i += 1;
    }
    None
}

const fn yields(port: &PortInfo, slug: &str) -> bool {
    match port.yields_to {
        Some(other) => same_text(other, slug),
        None => false,
    }
}

/// The service of this slug; `const`, unlike the public [`super::service()`].
pub(super) const fn find(slug: &str) -> Option<&'static Service> {
    let mut i = 0;
    while i < SERVICES.len() {
        if same_text(SERVICES[i].slug, slug) {
            return Some(&SERVICES[i]);
        }
        i += 1;
    }
    None
}

/// `a == b` for constants: the trait's comparison is not const.
pub(super) const fn same_text(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clashes_are_found_and_yielding_is_not_one() {
        assert!(has_clash(&["ssh", "smtp", "smtp_relay"]));
        assert!(has_clash(&["ssh", "ssh"]));
        assert!(!has_clash(&["conpot", "snmp"]));
        assert!(!has_clash(&["ssh", "nothing"]));
    }

    #[test]
    fn a_yielded_port_has_one_owner() {
        let conpot = super::super::service("conpot").unwrap();
        let snmp_port = Port { number: 161, proto: Proto::Udp };
        assert!(listening_ports(conpot, &["ssh"]).contains(&snmp_port));
        assert!(!listening_ports(conpot, &["snmp"]).contains(&snmp_port));
    }

    #[test]
    fn ports_that_are_not_built_are_not_promised() {
        let imap = super::super::service("imap").unwrap();
        assert_eq!(listening_ports(imap, &[]), [Port { number: 143, proto: Proto::Tcp }]);
    }
}
