//! The host's link among its deckies, and who else is on the LAN.

use std::{
    collections::{BTreeMap, HashSet},
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use decnet_fleet::plan::{NetworkDriver, NetworkPlan};
use decnet_runtime::lan::{self, LanError, LinkState, Shim};
use serde_json::Value;

use crate::ground::{Space, is_root, tag};

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, last)
}

fn network(shim: &str, driver: NetworkDriver, deckies: &[u8]) -> NetworkPlan {
    NetworkPlan {
        name: shim.to_owned(),
        driver,
        parent: Some("p0".to_owned()),
        shim: Some(shim.to_owned()),
        subnet: "198.51.100.0/24".parse().unwrap(),
        gateway: Some(ip(254)),
        host_address: Some(ip(1)),
        ip_range: "198.51.100.0/24".parse().unwrap(),
        routes: deckies.iter().map(|last| ip(*last).into()).collect(),
    }
}

/// A host with a LAN behind its link `p0`.
fn host() -> (Space, Space) {
    let (host, peer) = (Space::new(), Space::new());
    host.cable("p0", &peer, "eth0");
    host.ip(&["address", "add", "198.51.100.1/24", "dev", "p0"]);
    host.ip(&["route", "add", "default", "via", "198.51.100.254"]);
    peer.ip(&["address", "add", "198.51.100.7/24", "dev", "eth0"]);
    (host, peer)
}

fn routes(host: &Space, link: &str) -> Vec<(String, String)> {
    let listed: Value = serde_json::from_str(&host.ip(&["-j", "route", "show", "dev", link])).unwrap();
    let text = |route: &Value, name: &str| route[name].as_str().unwrap_or_default().to_owned();
    let mut routes: Vec<_> =
        listed.as_array().unwrap().iter().map(|route| (text(route, "dst"), text(route, "prefsrc"))).collect();
    routes.sort();
    routes
}

fn index(host: &Space, link: &str) -> u64 {
    let listed: Value = serde_json::from_str(&host.ip(&["-j", "link", "show", link])).unwrap();
    listed[0]["ifindex"].as_u64().unwrap()
}

#[test]
fn the_default_route_tells_the_lan() {
    if !is_root() {
        return;
    }
    let (host, _peer) = host();
    let found = host.inside(lan::detect).unwrap();
    assert_eq!(found.interface, "p0");
    assert_eq!(found.subnet.to_string(), "198.51.100.0/24");
    assert_eq!((found.gateway, found.address), (Some(ip(254)), Some(ip(1))));
    // A worse route elsewhere changes nothing, a missing one everything.
    host.ip(&["link", "add", "p1", "type", "bridge"]);
    host.ip(&["address", "add", "203.0.113.1/24", "dev", "p1"]);
    host.ip(&["link", "set", "p1", "up"]);
    host.ip(&["route", "add", "default", "via", "203.0.113.2", "metric", "700"]);
    assert_eq!(host.inside(lan::detect).unwrap().interface, "p0");
    host.ip(&["route", "del", "default", "via", "198.51.100.254"]);
    assert_eq!(host.inside(lan::detect).unwrap().interface, "p1");
    host.ip(&["route", "del", "default"]);
    assert_eq!(host.inside(lan::detect), None);
}

#[test]
fn a_link_is_missing_down_or_up() {
    if !is_root() {
        return;
    }
    let (host, peer) = host();
    let state = |name: &'static str| host.inside(|| lan::link_state(name)).unwrap();
    assert_eq!(state("p0"), LinkState::Up);
    assert_eq!(state("nowhere"), LinkState::Missing);
    assert_eq!(state("a-name-that-is-much-too-long"), LinkState::Missing);
    peer.ip(&["link", "set", "eth0", "down"]);
    crate::ground::until("a cable without a partner is down", || {
        (state("p0") == LinkState::Down).then_some(())
    });
    host.ip(&["link", "set", "p0", "down"]);
    assert_eq!(state("p0"), LinkState::Down);
}

#[test]
fn the_host_reaches_its_deckies_and_the_lan_still_sees_one_host() {
    if !is_root() {
        return;
    }
    let (host, peer) = host();
    let shim = format!("ht-{}", tag());
    let ensure = |network: NetworkPlan| host.inside(|| async move { Shim::ensure(&network).await });
    ensure(network(&shim, NetworkDriver::Macvlan, &[20, 21])).unwrap();
    let wanted = |lasts: [u8; 2]| lasts.map(|last| (ip(last).to_string(), ip(1).to_string())).to_vec();
    assert_eq!(routes(&host, &shim), wanted([20, 21]));
    let made = index(&host, &shim);
    let addresses: Value = serde_json::from_str(&host.ip(&["-j", "address", "show", &shim])).unwrap();
    let list: Vec<(&str, u64)> = addresses[0]["addr_info"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a["local"].as_str().unwrap(), a["prefixlen"].as_u64().unwrap()))
        .collect();
    assert_eq!(list, [("198.51.100.1", 32)]);
    // Again: nothing changes. Other deckies: stale routes go, the link stays.
    ensure(network(&shim, NetworkDriver::Macvlan, &[20, 21])).unwrap();
    assert_eq!((routes(&host, &shim), index(&host, &shim)), (wanted([20, 21]), made));
    ensure(network(&shim, NetworkDriver::Macvlan, &[21, 22])).unwrap();
    assert_eq!((routes(&host, &shim), index(&host, &shim)), (wanted([21, 22]), made));

    // A decky on the same parent, and the host, hear each other.
    let decky = Space::new();
    let temporary = format!("ht-{}", tag());
    host.ip(&["link", "add", &temporary, "link", "p0", "type", "macvlan", "mode", "bridge"]);
    host.ip(&["link", "set", &temporary, "netns", &decky.name, "name", "eth0"]);
    decky.ip(&["address", "add", "198.51.100.21/24", "dev", "eth0"]);
    decky.ip(&["link", "set", "eth0", "up"]);
    assert!(host.ping("198.51.100.21"));
    assert!(decky.ping("198.51.100.1"));
    assert!(peer.ping("198.51.100.21"));
    // One machine, one hardware address.
    let asked = peer.run("busybox", &["arping", "-c", "3", "-I", "eth0", "198.51.100.1"]);
    let asked = String::from_utf8_lossy(&asked.stdout).to_lowercase();
    let link: Value = serde_json::from_str(&host.ip(&["-j", "link", "show", "p0"])).unwrap();
    let macs: HashSet<&str> =
        asked.lines().filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0)).collect();
    assert_eq!(macs, HashSet::from([link[0]["address"].as_str().unwrap()]), "{asked}");

    assert!(host.inside(|| Shim::remove(&shim)).unwrap());
    assert!(!host.inside(|| Shim::remove(&shim)).unwrap());
    assert!(!host.ping("198.51.100.21"));
}

#[test]
fn what_is_not_as_planned_is_told_and_left_alone() {
    if !is_root() {
        return;
    }
    let (host, _peer) = host();
    let shim = format!("ht-{}", tag());
    let ensure = |network: NetworkPlan| host.inside(|| async move { Shim::ensure(&network).await });
    let plan = || network(&shim, NetworkDriver::Macvlan, &[20]);
    let missing = ensure(NetworkPlan { parent: Some("p9".to_owned()), ..plan() });
    assert!(matches!(missing, Err(LanError::NoInterface(name)) if name == "p9"));
    assert!(matches!(ensure(NetworkPlan { parent: None, ..plan() }), Err(LanError::NoParent(_))));
    host.ip(&["link", "add", &shim, "type", "bridge"]);
    assert!(matches!(ensure(plan()), Err(LanError::Foreign { kind, .. }) if kind == "bridge"));
    assert!(matches!(host.inside(|| Shim::remove(&shim)), Err(LanError::Foreign { .. })));
    host.ip(&["link", "delete", &shim]);
    host.ip(&["link", "set", "p0", "down"]);
    assert!(matches!(ensure(plan()), Err(LanError::Down(name)) if name == "p0"));
    assert!(!host.ip(&["-brief", "link"]).contains(&shim));
}

#[test]
fn a_shim_of_another_parent_is_made_anew() {
    if !is_root() {
        return;
    }
    let (host, other) = host();
    let shim = format!("ht-{}", tag());
    host.cable("p1", &other, "eth1");
    let ensure = |network: NetworkPlan| host.inside(|| async move { Shim::ensure(&network).await });
    ensure(network(&shim, NetworkDriver::Macvlan, &[20])).unwrap();
    let first = index(&host, &shim);
    ensure(NetworkPlan { parent: Some("p1".to_owned()), ..network(&shim, NetworkDriver::Macvlan, &[20]) })
        .unwrap();
    assert_ne!(index(&host, &shim), first);
    assert!(host.ip(&["link", "show", &shim]).contains("@p1"));
    assert_eq!(routes(&host, &shim), [(ip(20).to_string(), ip(1).to_string())]);
}

#[test]
fn ipvlan_is_used_where_the_kernel_has_it() {
    if !is_root() {
        return;
    }
    let (host, _peer) = host();
    host.inside(|| lan::supports(NetworkDriver::Macvlan)).unwrap();
    let shim = format!("ht-{}", tag());
    let ensure = |network: NetworkPlan| host.inside(|| async move { Shim::ensure(&network).await });
    if let Err(error) = host.inside(|| lan::supports(NetworkDriver::Ipvlan)) {
        assert!(error.to_string().contains("no ipvlan links"), "{error}");
        assert!(matches!(
            ensure(network(&shim, NetworkDriver::Ipvlan, &[20])),
            Err(LanError::Unsupported("ipvlan"))
        ));
        assert!(!host.ip(&["-brief", "link"]).contains(&shim));
        println!("skipped: {error}");
        return;
    }
    ensure(network(&shim, NetworkDriver::Macvlan, &[20])).unwrap();
    ensure(network(&shim, NetworkDriver::Ipvlan, &[20])).unwrap();
    assert!(host.ip(&["-d", "link", "show", &shim]).contains("ipvlan mode l2"));
    assert_eq!(routes(&host, &shim), [(ip(20).to_string(), ip(1).to_string())]);
}

#[test]
fn a_survey_finds_who_is_there_but_not_ours() {
    if !is_root() {
        return;
    }
    let host = Space::new();
    host.ip(&["link", "add", "br0", "type", "bridge", "forward_delay", "0"]);
    host.ip(&["link", "set", "br0", "up"]);
    let others: Vec<(Space, &str)> = [(7, "3c:52:82:00:00:07"), (8, "3c:52:82:00:00:08")]
        .map(|(last, mac)| {
            let space = Space::new();
            let end = format!("c{last}");
            host.cable(&end, &space, "eth0");
            host.ip(&["link", "set", &end, "master", "br0"]);
            space.ip(&["link", "set", "eth0", "address", mac]);
            space.ip(&["address", "add", &format!("198.51.100.{last}/24"), "dev", "eth0"]);
            (space, mac)
        })
        .into();
    let all: Vec<Ipv4Addr> = (1..=250).map(ip).collect();
    let (two, nobody) = ([ip(7), ip(8)], HashSet::new());
    let ours = HashSet::from([[0x3c, 0x52, 0x82, 0, 0, 8]]);
    let expected = BTreeMap::from([(IpAddr::V4(ip(7)), others[0].1.to_owned())]);
    // Ports of a bridge take a moment before they forward.
    crate::ground::until("the bridge forwards", || others[0].0.ping("198.51.100.8").then_some(()));
    // Without an address of its own (a probe), and with one.
    for _ in 0..2 {
        let start = Instant::now();
        let found = host.inside(|| lan::survey("br0", &all, &ours)).unwrap();
        assert_eq!(found, expected);
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        let both = host.inside(|| lan::survey("br0", &two, &nobody)).unwrap();
        assert_eq!(both.len(), 2);
        host.ip(&["address", "replace", "198.51.100.1/24", "dev", "br0"]);
    }
    assert!(matches!(host.inside(|| lan::survey("nowhere", &all, &ours)), Err(LanError::NoInterface(_))));
}
