//! Containment of a real container on a network of the engine's, whose own name server must not be a way out.

use std::{collections::BTreeSet, process::Command, sync::Arc};

use decnet_core::{DeckyName, SystemClock};
use decnet_runtime::containment::{Guard, GuardOptions};
use decnet_tests::lan::Lan;

use crate::{
    container::{Shell, mark},
    ground::{Written, field, sh, tag, until},
};

/// A network of the engine's. Dropping it removes it.
struct Network(String);

impl Network {
    /// A LAN and a network on it. Another suite's network may be where the first free LAN is.
    fn new() -> (Lan, Self) {
        let mut taken = Vec::new();
        loop {
            let lan = Lan::new().unwrap();
            let name = format!("ht{}", tag());
            let (gateway, parent) = (lan.router().to_string(), format!("parent={}", lan.bridge));
            let made = Command::new("docker")
                .args([
                    "network",
                    "create",
                    "-d",
                    "macvlan",
                    "--subnet",
                    &lan.subnet(),
                    "--gateway",
                    &gateway,
                ])
                .args(["-o", &parent, &name])
                .output()
                .unwrap();
            if made.status.success() {
                return (lan, Self(name));
            }
            let refusal = String::from_utf8_lossy(&made.stderr).into_owned();
            assert!(refusal.contains("overlaps"), "{refusal}");
            taken.push(lan);
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["network", "rm", &self.0]).output();
    }
}

fn options() -> GuardOptions {
    GuardOptions {
        decky: DeckyName::parse("web-01").unwrap(),
        fleet: BTreeSet::new(),
        resolvers: BTreeSet::new(),
        callbacks: BTreeSet::new(),
        clock: Arc::new(SystemClock),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intruder_reaches_neither_the_lan_nor_the_engines_name_server() {
    if decnet_tests::engine::docker_or_skip().unwrap().is_none() {
        return;
    }
    let (lan, network) = Network::new();
    let ip = lan.host(10).to_string();
    let shell = Shell::start(&["--network", &network.0, "--ip", &ip, "--network-alias", "somebody"]).unwrap();
    // Without rules the engine's name server answers: a failure below is the rules' doing.
    let answered = until("the engine's name server answers", || {
        let asked = shell.exec("/bin/busybox nslookup somebody 127.0.0.11 2>&1; :");
        asked.contains(&ip).then_some(asked)
    });
    assert!(answered.contains("127.0.0.11"));
    let lines = Written::default();
    let guard = Guard::install(shell.pid, options(), lines.sink()).await.unwrap();
    let asked = shell.exec("/bin/busybox timeout 3 /bin/busybox nslookup somebody 127.0.0.11 2>&1; :");
    assert!(!asked.contains(&ip), "{asked}");
    let line = lines.wait_for("the question", |line| field(line, "dst") == "127.0.0.11");
    assert_eq!((field(&line, "proto"), field(&line, "port")), ("udp", "53"));

    // Two sessions: the attempt is told by its socket.
    for (sid, last) in [("s1", 9), ("s2", 10)] {
        shell.session(
            &mark(sid, last),
            &format!("echo up > /jobs/up-{sid}; /bin/busybox nc -w 4 192.0.2.{last} 4444; echo over > /jobs/over-{sid}; while [ ! -e /jobs/end ]; do /bin/busybox sleep 0.05; done"),
        );
        shell.done(&format!("up-{sid}"));
    }
    for (sid, last) in [("s1", 9), ("s2", 10)] {
        let dst = format!("192.0.2.{last}");
        let line = lines.wait_for("the attempt", |line| field(line, "dst") == dst);
        assert_eq!((field(&line, "proto"), field(&line, "port")), ("tcp", "4444"));
        assert_eq!((field(&line, "attribution"), field(&line, "sid")), ("pid-chain", sid), "{line:?}");
        assert_eq!(decnet_logline::attacker_ip(&line).unwrap().to_string(), format!("203.0.113.{last}"));
        assert_eq!(field(&line, "conn_id"), format!("conn-{sid}"));
        shell.done(&format!("over-{sid}"));
    }
    // It answers those who call it.
    let intruder = lan.plug().unwrap();
    let pinged = intruder.run("ping", &["-c", "1", "-W", "3", &ip]).await.unwrap();
    assert!(pinged.stdout.contains("1 received"), "{}", pinged.stdout);
    assert!(guard.blocked().unwrap() >= 3);

    // A restart makes a namespace without rules: the guard knows.
    sh("docker", &["restart", "-t", "0", &shell.name]);
    let pid: u32 = sh("docker", &["inspect", "-f", "{{.State.Pid}}", &shell.name]).parse().unwrap();
    assert!(!guard.covers(pid));
    let again = Guard::install(pid, options(), lines.sink()).await.unwrap();
    assert_eq!((again.covers(pid), again.blocked().unwrap()), (true, 0));
}
