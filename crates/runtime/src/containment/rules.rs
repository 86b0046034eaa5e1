//! The rules of a contained namespace, as a document for `nft`. Pure: loading it is [`super::namespace`]'s.
//!
//! A refused packet is not dropped where it is sent: the sender would be told so (`sendto` fails with EPERM), which no
//! router on the way would do. It is turned to the loopback device and dropped where it arrives, so that an attempt looks
//! like one whose packets are lost far away: connections time out, pings stay unanswered. Two further rules hold in case
//! that turning fails: the output chain drops by policy, and nothing that carries the mark leaves through a real device.

use std::{collections::BTreeSet, fmt::Write, net::Ipv4Addr};

/// Family `inet`; the name that half the world's firewalls have. Nobody in a container can list it anyway: that takes
/// `NET_ADMIN`.
pub(super) const TABLE: &str = "filter";
/// Counts every refused packet, logged or not.
pub(super) const COUNTER: &str = "refused";
/// Addresses of the fleet.
pub(super) const FLEET: &str = "fleet";
/// NFLOG groups of refused packets: the first that nobody listens to. A listener before us may not have ended yet.
pub(super) const LOG_GROUPS: std::ops::RangeInclusive<u16> = 1..=64;
/// Bytes of a refused packet that are logged: its headers.
pub(super) const SNAPLEN: u32 = 128;

/// Packets logged a second in the long run, and at once: a scan from within must not cost the host more than this.
const LOG_RATE: u32 = 25;
const LOG_BURST: u32 = 100;
/// Before address translation (priority -100), so that ports are those that the sender wrote; after connection tracking (-200).
const PRIORITY: i32 = -150;
/// Mark of a refused packet on its way round.
const MARK: &str = "0x1";

/// Services that answer a question to many from another address than it was asked at, or from another port: connection
/// tracking does not take that for a reply. Name services of a LAN, and TFTP.
const ASKED_PORTS: &str = "{ 69, 137, 5353, 5355 }";
/// How long the asker may wait.
const ASKED_FOR: &str = "5s";

/// What may leave beside replies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Allowed<'a> {
    pub(super) fleet: Option<&'a BTreeSet<Ipv4Addr>>,
    pub(super) resolvers: Option<&'a BTreeSet<Ipv4Addr>>,
    pub(super) callbacks: Option<&'a BTreeSet<Ipv4Addr>>,
}

/// The document; refused packets are told to NFLOG group `group`. With `keep`, what counter and fleet hold from before stays, which fails if a table of that name has
/// another shape; else the table is made anew. Either way it is one transaction: at no time are there fewer rules.
pub(super) fn document(allowed: &Allowed<'_>, group: u16, keep: bool) -> String {
    let mut text = String::with_capacity(4096);
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{words}");
    };
    line(format_args!("add table inet {TABLE}"));
    if !keep {
        line(format_args!("delete table inet {TABLE}"));
        line(format_args!("add table inet {TABLE}"));
    }
    line(format_args!("add counter inet {TABLE} {COUNTER}"));
    for (set, members) in
        [(FLEET, allowed.fleet), ("resolvers", allowed.resolvers), ("callbacks", allowed.callbacks)]
    {
        line(format_args!("add set inet {TABLE} {set} {{ type ipv4_addr; }}"));
        line(format_args!("flush set inet {TABLE} {set}"));
        if let Some(list) = members.and_then(list) {
            line(format_args!("add element inet {TABLE} {set} {{ {list} }}"));
        }
    }
    line(format_args!(
        "add set inet {TABLE} asked {{ type ipv4_addr . inet_service; flags dynamic,timeout; timeout {ASKED_FOR}; size 1024; }}"
    ));
    let chains = [
        ("refuse", String::new()),
        ("input", hook("filter", "input", PRIORITY, "accept")),
        ("forward", hook("filter", "forward", PRIORITY, "drop")),
        ("output", hook("route", "output", PRIORITY, "drop")),
        ("postrouting", hook("filter", "postrouting", 300, "accept")),
    ];
    for (chain, hook) in &chains {
        line(format_args!("add chain inet {TABLE} {chain} {hook}"));
        line(format_args!("flush chain inet {TABLE} {chain}"));
    }
    for (chain, rule) in rules(group) {
        line(format_args!("add rule inet {TABLE} {chain} {rule}"));
    }
    text
}

fn hook(kind: &str, hook: &str, priority: i32, policy: &str) -> String {
    format!("{{ type {kind} hook {hook} priority {priority}; policy {policy}; }}")
}

fn rules(group: u16) -> Vec<(&'static str, String)> {
    let rule = |chain, text: &str| (chain, text.to_owned());
    vec![
        (
            "refuse",
            format!(
                "limit rate {LOG_RATE}/second burst {LOG_BURST} packets log group {group} snaplen {SNAPLEN}"
            ),
        ),
        ("refuse", format!("counter name {COUNTER} meta mark set {MARK}")),
        rule("refuse", "meta nfproto ipv4 ip daddr set 127.0.0.1 accept"),
        rule("refuse", "meta nfproto ipv6 ip6 daddr set ::1 accept"),
        rule("refuse", "drop"),
        ("input", format!("iif \"lo\" meta mark {MARK} drop")),
        ("input", format!("udp dport {ASKED_PORTS} update @asked {{ ip saddr . udp sport }}")),
        // The engine's own name server, which would ask the host's: first of all, its replies included.
        rule("output", "ip daddr 127.0.0.11 goto refuse"),
        rule("output", "ct state established,related accept"),
        rule("output", "oif \"lo\" accept"),
        rule(
            "output",
            "icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept",
        ),
        rule("output", "ip protocol igmp accept"),
        // What the kernel says of packets that connection tracking makes nothing of; without NET_RAW nobody else can
        // say it. A scan from outside must see what it would see without rules.
        rule("output", "tcp flags & (syn | rst) == rst accept"),
        rule("output", "icmp type { destination-unreachable, time-exceeded, parameter-problem } accept"),
        rule(
            "output",
            "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept",
        ),
        ("output", format!("ip daddr @{FLEET} accept")),
        rule("output", "ip daddr @resolvers udp dport 53 accept"),
        rule("output", "ip daddr @resolvers tcp dport 53 accept"),
        rule("output", "ip daddr @callbacks tcp dport { 80, 443 } accept"),
        ("output", format!("udp sport {ASKED_PORTS} ip daddr . udp dport @asked accept")),
        rule("output", "goto refuse"),
        ("postrouting", format!("meta mark {MARK} oif != \"lo\" drop")),
    ]
}

fn list(addresses: &BTreeSet<Ipv4Addr>) -> Option<String> {
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    (!list.is_empty()).then(|| list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_names_its_addresses_and_an_empty_set_has_no_elements() {
        let fleet = BTreeSet::from([Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::new(192, 0, 2, 8)]);
        let text = document(&Allowed { fleet: Some(&fleet), ..Allowed::default() }, 1, true);
        assert!(text.contains("add element inet filter fleet { 192.0.2.7, 192.0.2.8 }\n"), "{text}");
        assert_eq!(text.matches("add element").count(), 1);
        assert!(!text.contains("delete table"));
    }

    #[test]
    fn the_engines_name_server_is_refused_before_anything_is_accepted() {
        let text = document(&Allowed::default(), 3, false);
        let refused = text.find("ip daddr 127.0.0.11 goto refuse").unwrap();
        let accepted = text.find("ct state established").unwrap();
        assert!(refused < accepted);
        assert!(text.contains("log group 3 "));
        assert!(text.contains("hook output priority -150; policy drop;"));
        assert!(text.contains("hook forward priority -150; policy drop;"));
    }
}
