//! A Docker runtime with the real engine on a LAN of the test's own, and what tests look at.
//!
//! Skipped, with the reason, where no engine answers or no static decoy is there; `DECNET_REQUIRE_DOCKER=1` makes that a failure.

use std::{
    collections::{BTreeSet, HashSet},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use decnet_core::{DeckyName, FleetSecret, HostId, SystemClock, SystemIds};
use decnet_fleet::{DeckyPlan, DeckyState, Plan, PlanRequest, RuntimeKind, fleet_tag, ini, plan};
use decnet_runtime::{DeckyStatus, DockerOptions, DockerRuntime, HostRuntime, RuntimeError};
use decnet_tests::{
    engine::{Engine, docker_or_skip},
    lan::Lan,
    root_tree,
};
use tokio::time::Instant;

/// The static decoy, if there is one.
fn decoy() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/decoy-static/decnet-decoy");
    let named = std::env::var_os("DECNET_STATIC_DECOY").map(PathBuf::from);
    let path = named.unwrap_or(built);
    if path.is_file() {
        return Some(path.canonicalize().unwrap());
    }
    let reason = format!("no static decoy at {}: `cargo xtask images` builds it", path.display());
    assert!(
        std::env::var_os("DECNET_REQUIRE_DOCKER").is_none_or(|value| value != "1"),
        "DECNET_REQUIRE_DOCKER=1, but {reason}"
    );
    println!("skipped: {reason}");
    None
}

/// A fleet on a LAN. Its containers, network and host link go with it, also when the test fails.
pub(crate) struct DockerBench {
    pub(crate) lan: Arc<Lan>,
    pub(crate) engine: Engine,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) secret: FleetSecret,
    pub(crate) decoy: PathBuf,
    /// What makes the names of this test's deckies its own: the engine has one container of each name.
    pub(crate) suffix: String,
    /// Distribution of shells.
    distro: String,
}

impl DockerBench {
    /// `None` if the test is to be skipped, which was said.
    pub(crate) fn new() -> Option<Self> {
        let engine = docker_or_skip().unwrap()?;
        let decoy = decoy()?;
        Some(Self::on(Arc::new(Lan::new().unwrap()), engine, decoy))
    }

    /// Another fleet's.
    pub(crate) fn on(lan: Arc<Lan>, engine: Engine, decoy: PathBuf) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = u64::from(std::process::id()) * 1000 + NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::Builder::new().prefix("docker-runtime-").tempdir().unwrap();
        std::fs::create_dir(folder.path().join("images")).unwrap();
        let secret = FleetSecret::from_number(number);
        let suffix = fleet_tag(&secret.seed()).chars().take(6).collect();
        Self { lan, engine, folder, secret, decoy, suffix, distro: "alpine".to_owned() }
    }

    /// Makes an image for shells: a busybox tree, or the distribution of `DECNET_TEST_ROOT`, such as
    /// `/somewhere/debian.tar`.
    pub(crate) fn with_shell(mut self) -> Self {
        let images = self.folder.path().join("images");
        if let Some(root) = std::env::var_os("DECNET_TEST_ROOT").map(PathBuf::from) {
            std::os::unix::fs::symlink(&root, images.join(root.file_name().unwrap())).unwrap();
            root.file_stem().unwrap().to_str().unwrap().clone_into(&mut self.distro);
        } else {
            root_tree::write_alpine(&images).unwrap();
        }
        self
    }

    pub(crate) fn tag(&self) -> String {
        fleet_tag(&self.secret.seed())
    }

    /// The whole name of a decky.
    pub(crate) fn full(&self, decky: &str) -> String {
        format!("{decky}-{}", self.suffix)
    }

    pub(crate) fn name(&self, decky: &str) -> DeckyName {
        DeckyName::parse(&self.full(decky)).unwrap()
    }

    pub(crate) fn of(&self, decky: &str) -> PathBuf {
        self.base().join(self.full(decky))
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.folder.path().join("docker")
    }

    pub(crate) fn decky<'a>(&self, plan: &'a Plan, decky: &str) -> &'a DeckyPlan {
        plan.decky(&self.full(decky)).unwrap()
    }

    pub(crate) fn ip(&self, plan: &Plan, decky: &str) -> Ipv4Addr {
        self.decky(plan, decky).ip().to_string().parse().unwrap()
    }

    /// The process 1 of a decky's front.
    pub(crate) fn front(&self, decky: &str) -> Option<u32> {
        self.engine.pid(&self.full(decky)).ok()
    }

    /// The process 1 of a decky's shell.
    pub(crate) fn shell(&self, decky: &str) -> Option<u32> {
        self.engine.pid(&format!("{}-ssh", self.full(decky))).ok()
    }

    pub(crate) async fn status(&self, runtime: &DockerRuntime, decky: &str) -> Option<DeckyStatus> {
        let name = self.name(decky);
        runtime.inspect().await.unwrap().into_iter().find(|status| status.name == name)
    }

    /// Waits until the decky is in this state.
    pub(crate) async fn reaches(
        &self,
        runtime: &DockerRuntime,
        decky: &str,
        state: DeckyState,
    ) -> DeckyStatus {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let last = self.status(runtime, decky).await;
            if let Some(found) = last.clone().filter(|status| status.state == state) {
                return found;
            }
            assert!(Instant::now() < deadline, "{decky} is not {state} within a minute: {last:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn options(&self) -> DockerOptions {
        DockerOptions {
            folder: self.folder.path().join("docker"),
            artifacts: self.folder.path().join("artifacts"),
            images: self.folder.path().join("images"),
            pull: false,
            decoy: self.decoy.clone(),
            host: HostId::default(),
            fleet: self.tag(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            socket: None,
        }
    }

    pub(crate) async fn open(&self) -> DockerRuntime {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match DockerRuntime::open(self.options()).await {
                // A program that another test starts right now holds the last one's lock until it has been executed.
                Err(RuntimeError::Locked(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                opened => return opened.unwrap(),
            }
        }
    }

    /// The plan of the sections of a deployment INI.
    pub(crate) fn plan(&self, sections: &str) -> Plan {
        let sections = sections.replace("]\n", &format!("-{}]\n", self.suffix));
        let text = format!("{}{sections}", self.lan.general());
        plan(&PlanRequest {
            spec: &ini::parse(text.as_bytes()).unwrap(),
            secret: &self.secret,
            runtime: RuntimeKind::Docker,
            generation: 1,
            host: &HostId::default(),
            detected: None,
            used: &HashSet::new(),
            previous: None,
            shells: Some(&BTreeSet::from([self.distro.clone()])),
        })
        .unwrap()
    }

    /// Deploys sections and waits until all of it runs.
    pub(crate) async fn deploy(&self, runtime: &DockerRuntime, sections: &str) -> Plan {
        let plan = self.plan(sections);
        runtime.prepare(&plan).await.unwrap();
        for decky in &plan.deckies {
            runtime.deploy(decky).await.unwrap();
        }
        for decky in &plan.deckies {
            let short = decky.name().as_str().trim_end_matches(&format!("-{}", self.suffix));
            self.reaches(runtime, short, DeckyState::Running).await;
        }
        plan
    }

    /// The containers of this fleet, by name, with their states.
    pub(crate) fn containers(&self) -> Vec<(String, String)> {
        let mut found: Vec<_> = self
            .engine
            .containers()
            .unwrap()
            .into_iter()
            .filter(|container| container.label("decnet.fleet") == Some(&self.tag()))
            .map(|container| (container.name.replace(&format!("-{}", self.suffix), ""), container.state))
            .collect();
        found.sort();
        found
    }

    /// What of this fleet is on the host: containers, networks, links.
    pub(crate) fn traces(&self) -> Vec<String> {
        let mut traces: Vec<String> = self.containers().into_iter().map(|(name, _)| name).collect();
        let networks = self.engine.networks_on(&self.lan.bridge).unwrap();
        traces.extend(networks.iter().map(|network| network["Name"].to_string()));
        let links = output("ip", &["-brief", "link"]);
        let ours = |line: &&str| line.contains(&self.tag());
        traces.extend(links.lines().filter(ours).map(str::to_owned));
        traces
    }
}

impl Drop for DockerBench {
    fn drop(&mut self) {
        for container in self.engine.containers().unwrap_or_default() {
            if container.label("decnet.fleet") == Some(&self.tag()) {
                let _ = self.engine.remove(&container.id);
            }
        }
        for network in self.engine.networks_on(&self.lan.bridge).unwrap_or_default() {
            if network["Labels"]["decnet.fleet"].as_str() == Some(&self.tag()) {
                let _ = self.engine.remove_network(network["Id"].as_str().unwrap_or_default());
            }
        }
        let _ = Command::new("ip").args(["link", "delete", &format!("decnet-{}", self.tag())]).output();
    }
}

/// What a program says.
pub(crate) fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
