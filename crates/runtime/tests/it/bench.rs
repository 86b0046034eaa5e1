//! A process runtime in a temporary folder with the real decoy, and what tests look at.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use decnet_core::{DeckyName, FleetSecret, HostId, SystemClock, SystemIds};
use decnet_fleet::{DeckyState, Plan, PlanRequest, RuntimeKind, ini, plan};
use decnet_runtime::{DeckyStatus, HostRuntime, ProcessOptions, ProcessRuntime};
use tokio::time::Instant;

/// The decoy binary: `DECNET_DECOY_BIN`, else the one beside this test, built if it is missing.
pub(crate) fn decoy() -> PathBuf {
    static DECOY: OnceLock<PathBuf> = OnceLock::new();
    let find = || {
        if let Some(path) = std::env::var_os("DECNET_DECOY_BIN") {
            return PathBuf::from(path);
        }
        let beside =
            std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("decnet-decoy");
        if !beside.exists() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let built =
                std::process::Command::new(cargo).args(["build", "-p", "decnet-decoy"]).status().unwrap();
            assert!(built.success(), "the decoy does not build");
        }
        beside
    };
    DECOY.get_or_init(find).clone()
}

pub(crate) fn name(text: &str) -> DeckyName {
    DeckyName::parse(text).unwrap()
}

/// One runtime's folder. Its decoys end with it, also when the test fails.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    secret: FleetSecret,
    pub(crate) decoy: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Self {
        // Each fleet draws its own addresses from its secret, so tests that run beside each other do not meet.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = u64::from(std::process::id()) * 1000 + NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            folder: tempfile::tempdir().unwrap(),
            secret: FleetSecret::from_number(number),
            decoy: decoy(),
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.folder().join("deckies")
    }

    pub(crate) fn of(&self, decky: &str, file: &str) -> PathBuf {
        self.base().join(decky).join(file)
    }

    pub(crate) async fn open(&self) -> ProcessRuntime {
        ProcessRuntime::open(ProcessOptions {
            folder: self.folder.path().join("deckies"),
            artifacts: self.folder.path().join("artifacts"),
            decoy: self.decoy.clone(),
            port_offset: 20_000,
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
        })
        .await
        .unwrap()
    }

    /// The plan of a deployment INI.
    pub(crate) fn plan(&self, text: &str) -> Plan {
        plan(&PlanRequest {
            spec: &ini::parse(text.as_bytes()).unwrap(),
            secret: &self.secret,
            runtime: RuntimeKind::Process,
            generation: 1,
            host: &HostId::default(),
            detected: None,
            used: &std::collections::HashSet::new(),
            previous: None,
            shells: None,
        })
        .unwrap()
    }

    /// Deploys an INI and waits until all of it runs.
    pub(crate) async fn deploy(&self, runtime: &ProcessRuntime, text: &str) -> Plan {
        let plan = self.plan(text);
        for decky in &plan.deckies {
            runtime.deploy(decky).await.unwrap();
        }
        for decky in &plan.deckies {
            running(runtime, decky.name().as_str()).await;
        }
        plan
    }

    pub(crate) fn pid(&self, decky: &str) -> u32 {
        let text = std::fs::read(self.of(decky, "process.json")).unwrap();
        let mark: serde_json::Value = serde_json::from_slice(&text).unwrap();
        u32::try_from(mark["pid"].as_u64().unwrap()).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for pid in processes_of(self.folder.path()) {
            kill(pid);
        }
    }
}

/// Processes whose command line names something in `folder`.
pub(crate) fn processes_of(folder: &Path) -> Vec<u32> {
    let folder = folder.canonicalize().unwrap();
    let needle = folder.to_str().unwrap();
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(needle))
    })
    .collect()
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended meanwhile.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Looks until `look` finds what it wants.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn status(runtime: &ProcessRuntime, decky: &str) -> Option<DeckyStatus> {
    runtime.inspect().await.unwrap().into_iter().find(|status| status.name.as_str() == decky)
}

/// Waits until the decky runs.
pub(crate) async fn running(runtime: &ProcessRuntime, decky: &str) -> DeckyStatus {
    let last = std::sync::Mutex::new(None);
    let what = format!("{decky} runs");
    let running = eventually(&what, || async {
        let status = status(runtime, decky).await?;
        *last.lock().unwrap() = Some(status.clone());
        (status.state == DeckyState::Running).then_some(status)
    });
    tokio::select! {
        status = running => status,
        () = tokio::time::sleep(Duration::from_secs(50)) => panic!("{decky} does not run: {last:?}"),
    }
}

/// The decoys' pids by decky.
pub(crate) fn pids(bench: &Bench, deckies: &[&str]) -> BTreeMap<String, u32> {
    deckies.iter().map(|decky| ((*decky).to_owned(), bench.pid(decky))).collect()
}
