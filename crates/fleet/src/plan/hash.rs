//! The hash of a decky: SHA-256 of canonical JSON of everything whose change needs a restart.
//!
//! Left out: what only schedules or records (mutation interval and times), and labels, which repeat the rest.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::Ipv4Net;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{ContainerPlan, DeckyPlan, NetworkDriver, NetworkPlan, ServicePlan};

/// What a decky notices of a network: not its routes and range, which change with the other deckies.
type Network<'a> = (&'a str, NetworkDriver, &'a Option<String>, Ipv4Net, Option<Ipv4Addr>);

#[derive(Serialize)]
struct Matters<'a> {
    id: String,
    ip: std::net::IpAddr,
    mac: &'a str,
    hostname: &'a str,
    distro: &'a str,
    archetype: &'a Option<String>,
    sysctls: &'a BTreeMap<String, String>,
    persona: &'a decnet_core::HostPersona,
    seed: String,
    services: &'a [ServicePlan],
    layout: &'a str,
    containers: Vec<ContainerPlan>,
    networks: Vec<Network<'a>>,
}

/// The hash of `decky` on `networks`. `plan_hash` itself does not count.
#[expect(clippy::expect_used, reason = "plain structs with text keys always become JSON")]
pub(super) fn plan_hash(decky: &DeckyPlan, networks: &[NetworkPlan]) -> String {
    let unlabelled = |c: &ContainerPlan| ContainerPlan { labels: BTreeMap::new(), ..c.clone() };
    let matters = Matters {
        id: decky.id.to_string(),
        ip: decky.config.ip,
        mac: &decky.mac,
        hostname: &decky.config.hostname,
        distro: &decky.config.distro,
        archetype: &decky.config.archetype,
        sysctls: &decky.sysctls,
        persona: &decky.persona,
        seed: decky.seed.to_hex(),
        services: &decky.services,
        layout: decky.layout.as_str(),
        containers: decky.containers.iter().map(unlabelled).collect(),
        networks: networks
            .iter()
            .map(|n| (n.name.as_str(), n.driver, &n.parent, n.subnet, n.gateway))
            .collect(),
    };
    let value = serde_json::to_value(matters).expect("a decky's plan is JSON");
    hex::encode(Sha256::digest(canonical(&value)))
}

/// Compact JSON with sorted keys, whatever order the maps had.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, String> = map.iter().map(|(k, v)| (k, canonical(v))).collect();
            let pairs: Vec<String> =
                sorted.iter().map(|(k, v)| format!("{}:{v}", Value::from(k.as_str()))).collect();
            format!("{{{}}}", pairs.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_json_sorts_at_every_depth() {
        let a: Value = serde_json::from_str(r#"{"b":[{"y":1,"x":"\u00e9\n"}],"a":null}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{ "a":null, "b":[{"x":"é\n","y":1}] }"#).unwrap();
        assert_eq!(canonical(&a), r#"{"a":null,"b":[{"x":"é\n","y":1}]}"#);
        assert_eq!(canonical(&a), canonical(&b));
    }
}
