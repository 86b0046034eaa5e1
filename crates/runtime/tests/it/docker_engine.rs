//! An engine that goes away and comes back: a daemon of the test's own, so that nobody else's containers notice.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use decnet_fleet::DeckyState;
use decnet_runtime::{DockerRuntime, HostRuntime, engine_answers};

use crate::{
    bench::eventually,
    docker_bench::{DockerBench, output},
};

/// A daemon with its own folders, without a bridge and without rules of its own.
struct Daemon {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Daemon {
    fn new() -> Option<Self> {
        if !["/usr/sbin/dockerd", "/usr/bin/dockerd"].iter().any(|path| std::path::Path::new(path).exists()) {
            println!("skipped: dockerd is not on this machine");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("daemon-").tempdir().unwrap();
        Some(Self { folder, child: None })
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    async fn start(&mut self) {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let child = Command::new("dockerd")
            .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
            .args(["-H", &format!("unix://{}", at("s")), "--bridge=none", "--iptables=false"])
            .args(["--ip-forward=false", "--ip-masq=false", "--userland-proxy=false"])
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(at("log")).unwrap())
            .stderr(std::fs::File::options().append(true).open(at("log")).unwrap())
            .spawn()
            .unwrap();
        self.child = Some(child);
        eventually("the daemon answers", || engine_answers(Some(self.socket()))).await;
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = rustix::process::Pid::from_child(&child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = child.wait();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.is_some() {
            let socket = format!("unix://{}", self.socket().display());
            let list = Command::new("docker").args(["-H", &socket, "ps", "-aq"]).output();
            let list =
                list.map(|list| String::from_utf8_lossy(&list.stdout).into_owned()).unwrap_or_default();
            for id in list.lines() {
                let _ = Command::new("docker").args(["-H", &socket, "rm", "-f", id]).output();
            }
        }
        self.stop();
        // What it leaves mounted keeps its folder from going.
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let ours = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for path in ours.filter(|path| path.starts_with(&self.folder.path().display().to_string())) {
            let _ = Command::new("umount").args(["-l", path]).output();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_restarts_finds_its_deckies_contained_and_their_shells_back() {
    let Some(bench) = DockerBench::new() else { return };
    let Some(mut daemon) = Daemon::new() else { return };
    let bench = bench.with_shell();
    daemon.start().await;
    let mut options = bench.options();
    options.socket = Some(daemon.socket());
    let runtime = DockerRuntime::open(options).await.unwrap();
    let plan = bench.deploy(&runtime, "[web]\nservices=ssh,http\n").await;
    let sources = |outputs: Vec<decnet_runtime::OutputRef>| {
        let mut sources: Vec<_> = outputs.into_iter().map(|output| output.source).collect();
        sources.sort();
        sources
    };
    let before = sources(runtime.outputs().await.unwrap());
    let socket = format!("unix://{}", daemon.socket().display());
    let pid_of = |container: &str| -> Option<u32> {
        let name = format!("{}{container}", bench.full("web"));
        let args = ["-H", &socket, "inspect", "-f", "{{.State.Pid}}", &name];
        let said = Command::new("docker").args(args).output().unwrap();
        String::from_utf8_lossy(&said.stdout).trim().parse().ok().filter(|pid| *pid > 0)
    };
    let (front, shell) = (pid_of("").unwrap(), pid_of("-ssh").unwrap());

    daemon.stop();
    let away = runtime.inspect().await.unwrap_err().to_string();
    assert!(away.starts_with("the container engine does not answer"), "{away}");
    daemon.start().await;

    let after = eventually("front and shell are back in one contained network", || async {
        let (now, beside) = (pid_of("")?, pid_of("-ssh")?);
        let net = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        (now != front && beside != shell && net(now)? == net(beside)?).then_some(now)
    })
    .await;
    let rules = output("nsenter", &["-t", &after.to_string(), "-n", "nft", "list", "ruleset"]);
    assert!(rules.contains("policy drop"), "{rules}");
    bench.reaches(&runtime, "web", DeckyState::Running).await;
    assert_eq!(sources(runtime.outputs().await.unwrap()), before, "its outputs are the same");
    // The people's files survived, and so did the way in.
    let intruder = bench.lan.plug().unwrap();
    let decky = bench.decky(&plan, "web");
    let person = decky.persona.accounts.iter().find(|person| person.uid >= 1000).unwrap();
    let ip = bench.ip(&plan, "web");
    let said = tokio::time::timeout(
        Duration::from_secs(30),
        intruder.ssh(ip, &person.login, &person.password, "hostname"),
    )
    .await
    .unwrap()
    .unwrap();
    assert_eq!(said.stdout.trim(), decky.persona.hostname, "{said:?}");
    runtime.remove(&bench.name("web")).await.unwrap();
    runtime.settle(None).await.unwrap();
}
