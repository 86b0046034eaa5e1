//! A contained namespace answers its callers, reaches its fleet, and nothing else; every attempt is counted and told.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use decnet_core::{DeckyName, SystemClock};
use decnet_logline::{EventClass, Severity, class_of};
use decnet_runtime::containment::{ContainmentError, Guard, GuardOptions};

use crate::ground::{Running, Space, Written, field, is_root, until};

const DECKY: &str = "198.51.100.1";
const STRANGER: &str = "198.51.100.2";
const FLEET: &str = "198.51.100.3";
const STRANGER6: &str = "2001:db8:9::2";

/// A decky, and a LAN with a router that is also a stranger, and a friend.
struct Ground {
    decky: Space,
    lan: Space,
    process: Running,
    _servers: [Running; 2],
}

impl Ground {
    fn new() -> Self {
        let (decky, lan) = (Space::new(), Space::new());
        decky.cable("eth0", &lan, "eth0");
        decky.ip(&["address", "add", "198.51.100.1/24", "dev", "eth0"]);
        decky.ip(&["-6", "address", "add", "2001:db8:9::1/64", "dev", "eth0", "nodad"]);
        for address in [STRANGER, FLEET] {
            lan.ip(&["address", "add", &format!("{address}/24"), "dev", "eth0"]);
        }
        lan.ip(&["-6", "address", "add", &format!("{STRANGER6}/64"), "dev", "eth0", "nodad"]);
        decky.ip(&["route", "add", "default", "via", STRANGER]);
        let process = decky.spawn("sleep", &["infinity"]);
        let servers = [decky.web_server(80), lan.web_server(8080)];
        until("IPv6 works", || decky.ping6(STRANGER6).then_some(()));
        Self { decky, lan, process, _servers: servers }
    }
}

impl Space {
    fn ping6(&self, to: &str) -> bool {
        self.run("busybox", &["ping6", "-c", "1", "-W", "1", to]).status.success()
    }

    /// Whether a datagram can be sent: the sender must not notice that it is lost.
    fn send(&self, to: &str) -> std::io::Result<usize> {
        let to: SocketAddr = to.parse().unwrap();
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        self.inside(|| async move { UdpSocket::bind(any)?.send_to(b"x", to) })
    }
}

fn options(fleet: &[&str]) -> GuardOptions {
    GuardOptions {
        decky: DeckyName::parse("web-01").unwrap(),
        fleet: addresses(fleet),
        resolvers: BTreeSet::new(),
        callbacks: BTreeSet::new(),
        clock: Arc::new(SystemClock),
    }
}

fn addresses(list: &[&str]) -> BTreeSet<Ipv4Addr> {
    list.iter().map(|ip| ip.parse().unwrap()).collect()
}

/// Ends a thread also if its test fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn nft_counter(space: &Space) -> u64 {
    let listed = space.run("nft", &["-j", "list", "counters"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let counters = listed["nftables"].as_array().unwrap();
    counters.iter().find_map(|entry| entry["counter"]["packets"].as_u64()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_but_replies_and_what_the_fleet_is_told() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let (decky, lan) = (&ground.decky, &ground.lan);
    // Without rules, all of it works: a failure below is the rules' doing.
    assert!(decky.curl("http://198.51.100.2:8080/") && decky.curl("http://[2001:db8:9::2]:8080/"));
    assert!(decky.ping(STRANGER));
    let lines = Written::default();
    let guard = Guard::install(ground.process.pid(), options(&[FLEET]), lines.sink()).await.unwrap();
    assert!(guard.covers(ground.process.pid()) && !guard.covers(std::process::id()));
    assert_eq!(guard.blocked().unwrap(), 0);

    assert!(!decky.curl("http://198.51.100.2:8080/"));
    assert!(!decky.curl("http://[2001:db8:9::2]:8080/"));
    assert!(!decky.ping(STRANGER) && !decky.ping6(STRANGER6));
    assert_eq!(decky.send("203.0.113.1:53").unwrap(), 1);
    assert_eq!(decky.send("[2001:db8:9::2]:53").unwrap(), 1);
    // Still allowed.
    assert!(decky.curl("http://198.51.100.3:8080/"));
    assert!(decky.curl("http://127.0.0.1/") && decky.curl("http://198.51.100.1/"));
    assert!(lan.curl("http://198.51.100.1/"));
    assert!(lan.ping(DECKY) && lan.ping6("2001:db8:9::1"));

    let expected = BTreeSet::from([
        ("tcp", STRANGER, "8080", ""),
        ("tcp", STRANGER6, "8080", ""),
        ("icmp", STRANGER, "", "8"),
        ("icmpv6", STRANGER6, "", "128"),
        ("udp", "203.0.113.1", "53", ""),
        ("udp", STRANGER6, "53", ""),
    ]);
    lines.wait_for("the last attempt", |line| {
        field(line, "dst") == STRANGER6 && field(line, "proto") == "udp"
    });
    until("one line for each", || (lines.all().len() >= expected.len()).then_some(()));
    let told = lines.all();
    let seen: BTreeSet<(&str, &str, &str, &str)> = told
        .iter()
        .map(|line| (field(line, "proto"), field(line, "dst"), field(line, "port"), field(line, "icmp_type")))
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for line in &told {
        assert_eq!((line.msgid.as_str(), line.app_name.as_str()), ("egress_blocked", "ssh"));
        assert_eq!((line.hostname.as_str(), line.severity), ("web-01", Severity::Warning));
        assert_eq!((field(line, "count"), field(line, "attribution")), ("1", "unknown"));
        assert_eq!(decnet_logline::attacker_ip(line), None);
        assert_eq!(class_of(&line.msgid), EventClass::Interaction);
    }
    assert!(guard.blocked().unwrap() >= 6);
    assert_eq!(guard.blocked().unwrap(), nft_counter(decky));

    // The fleet's addresses change at once.
    guard.set_fleet(&addresses(&[STRANGER])).unwrap();
    assert!(decky.curl("http://198.51.100.2:8080/") && !decky.curl("http://198.51.100.3:8080/"));
    guard.set_fleet(&BTreeSet::new()).unwrap();
    assert!(!decky.curl("http://198.51.100.2:8080/") && !decky.curl("http://198.51.100.3:8080/"));
    let many: BTreeSet<Ipv4Addr> = (0..2500).map(|n| Ipv4Addr::from_bits(0xc612_0000 + n)).collect();
    guard.set_fleet(&many).unwrap();
    guard.set_fleet(&addresses(&[FLEET])).unwrap();
    assert!(decky.curl("http://198.51.100.3:8080/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_installation_leaves_no_gap_and_keeps_the_counter() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let lines = Written::default();
    let pid = ground.process.pid();
    let first = Guard::install(pid, options(&[FLEET]), lines.sink()).await.unwrap();
    ground.decky.send("198.51.100.2:99").unwrap();
    until("an attempt was counted", || (first.blocked().unwrap() == 1).then_some(()));
    drop(first);
    // While datagrams are sent all the time, the rules are replaced again and again. None arrives.
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        let listener = ground.lan.inside(|| async { UdpSocket::bind("198.51.100.2:4000").unwrap() });
        listener.set_nonblocking(true).unwrap();
        let sender = scope.spawn(|| {
            ground.decky.inside(|| async {
                let mut sent = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    // A socket, and so a connection to the tracker, of its own each.
                    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                    sent += u64::from(socket.send_to(b"x", "198.51.100.2:4000").is_ok());
                }
                sent
            })
        });
        let mut counted = 1;
        for _ in 0..20 {
            let install = Guard::install(pid, options(&[FLEET]), lines.sink());
            let guard =
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(install)).unwrap();
            let now = guard.blocked().unwrap();
            assert!(now >= counted, "{now} after {counted}");
            counted = now;
        }
        stop.store(true, Ordering::Relaxed);
        let sent = sender.join().unwrap();
        assert!(sent > 100, "{sent}");
        let mut buffer = [0; 8];
        let arrived = listener.recv(&mut buffer);
        assert!(arrived.is_err(), "{arrived:?} of {sent} datagrams got out");
        let last = tokio::task::block_in_place(|| {
            let install = Guard::install(pid, options(&[FLEET]), lines.sink());
            tokio::runtime::Handle::current().block_on(install)
        });
        assert_eq!(last.unwrap().blocked().unwrap(), sent + 1);
    });
    // A table of another shape is replaced as well.
    let foreign = "table inet filter { set fleet { type ether_addr; } }";
    ground.decky.run("nft", &["delete", "table", "inet", "filter"]);
    ground.decky.run("nft", &[foreign]);
    let guard = Guard::install(pid, options(&[FLEET]), lines.sink()).await.unwrap();
    assert_eq!(guard.blocked().unwrap(), 0);
    assert!(
        !ground.decky.curl("http://198.51.100.2:8080/") && ground.decky.curl("http://198.51.100.3:8080/")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_from_outside_sees_the_same() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let scans: [&[&str]; 7] = [
        &["-sS", "-p", "22,80,81"],
        &["-sF", "-p", "80,81"],
        &["-sX", "-p", "80,81"],
        &["-sA", "-p", "80,81"],
        // The kernel says only so much about closed ports in a second.
        &["-sU", "-p", "9,5353", "--scan-delay", "1100ms"],
        &["-sO", "-p", "2,6,17,50", "--scan-delay", "1100ms"],
        &["-sn", "-PE"],
    ];
    let scan = || -> Vec<Vec<String>> {
        scans
            .map(|kind| {
                let args = ["-n", "-Pn", "--reason", "--max-retries", "2", "--send-ip"];
                let args: Vec<&str> = args.iter().chain(kind).chain(&[DECKY]).copied().collect();
                let output = ground.lan.run("nmap", &args);
                assert!(output.status.success(), "{output:?}");
                let text = String::from_utf8(output.stdout).unwrap();
                let told = |line: &&str| !line.starts_with("Starting") && !line.starts_with("Nmap done");
                text.lines().filter(told).map(|line| line.split(" (0.").next().unwrap().to_owned()).collect()
            })
            .into()
    };
    let before = scan();
    assert!(
        before[0].iter().any(|line| line.contains("80/tcp open") && line.contains("syn-ack")),
        "{before:?}"
    );
    assert!(before[4].iter().any(|line| line.contains("port-unreach")), "{before:?}");
    let lines = Written::default();
    let guard = Guard::install(ground.process.pid(), options(&[]), lines.sink()).await.unwrap();
    assert_eq!(scan(), before);
    assert_eq!(guard.blocked().unwrap(), 0, "{:#?}", lines.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_all_is_answered_by_one() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let lines = Written::default();
    let guard = Guard::install(ground.process.pid(), options(&[]), lines.sink()).await.unwrap();
    // A name service answers a broadcast from its own address: no reply in the eyes of connection tracking.
    let service = ground.decky.inside(|| async { UdpSocket::bind("0.0.0.0:137").unwrap() });
    let asker = ground.lan.inside(|| async { UdpSocket::bind("198.51.100.2:40137").unwrap() });
    for socket in [&service, &asker] {
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    }
    asker.set_broadcast(true).unwrap();
    asker.send_to(b"who?", "198.51.100.255:137").unwrap();
    let mut buffer = [0; 16];
    let (_, from) = service.recv_from(&mut buffer).unwrap();
    service.send_to(b"me", from).unwrap();
    assert_eq!(asker.recv_from(&mut buffer).unwrap().1.to_string(), "198.51.100.1:137");
    // Whoever did not ask is not told.
    service.send_to(b"me", "198.51.100.2:40138").unwrap();
    until("it was refused", || (guard.blocked().unwrap() == 1).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_own_namespace_is_never_contained() {
    if !is_root() {
        return;
    }
    let refused = Guard::install(std::process::id(), options(&[]), Written::default().sink()).await;
    assert!(matches!(refused, Err(ContainmentError::OwnNamespace(_))), "{refused:?}");
    let gone = Guard::install(u32::MAX, options(&[]), Written::default().sink()).await;
    assert!(matches!(gone, Err(ContainmentError::Namespace { .. })), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_from_within_is_bounded_and_counted_whole() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let lines = Written::default();
    let guard = Guard::install(ground.process.pid(), options(&[]), lines.sink()).await.unwrap();
    let sent = ground.decky.inside(|| async {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let send =
            |n: u32| socket.send_to(b"x", (Ipv4Addr::from_bits(0xcb00_7100 | (n % 256)), 1000)).is_ok();
        (0..2000).filter(|n| send(*n)).count()
    });
    assert_eq!(sent, 2000);
    until("all are counted", || (guard.blocked().unwrap() == 2000).then_some(()));
    lines.wait_for("some are told", |line| field(line, "port") == "1000");
    assert!(lines.all().len() <= 256, "{}", lines.all().len());
    // Told at the end: the repeats that were gathered.
    drop(guard);
}
