//! What the tests stand on: a broker, a database, the agent as a process with deckies as processes, and an orchestrator in this
//! process whose clock moves only when it is told to.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use decnet_bus::{
    Bus, BusIdentity, Token, Topic, TopicFilter, Worker,
    payload::{
        DeployCommand, InspectReply, InspectRequest, OperationKind, OperationNotice, ReadFileReply,
        ReadFileRequest,
    },
    server::{Server, ServerConfig},
};
use decnet_core::{DeckyName, FleetSecret, HostId, IdSource, ManualClock, SystemIds};
use decnet_db::{Db, DbOptions, SyntheticFileBody};
use decnet_fleet::{PlanRequest, RuntimeKind, StateStore, ini, plan};
use decnet_kit::{Exit, Parts, WorkerInfo, run_in, settings::Sources};
use decnet_orchestrator::{Options, orchestrate};
use futures_util::StreamExt as _;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test calls it a failure.
const PATIENCE: Duration = Duration::from_mins(2);

/// Polls until `check` finds what it wants; the reason is what the failure says.
pub(crate) async fn until<T>(reason: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain: {reason}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The program of this name beside the orchestrator, built if it is missing.
fn beside(program: &str) -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_decnet-orchestrator")).with_file_name(program);
    if !beside.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "-p", program]).status().unwrap();
        assert!(built.success(), "{program} does not build");
    }
    beside
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A host with an agent. Its processes end with it, also when the test fails.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    nats: Server,
    pub(crate) db: Db,
    pub(crate) bus: Bus,
    pub(crate) secret: FleetSecret,
    pub(crate) clock: ManualClock,
    agent: Option<Child>,
}

impl Home {
    /// On a Monday morning. Another number draws other people, machines and addresses, so that tests can run side by side.
    pub(crate) async fn new(number: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let nats = Server::start(ServerConfig::new(dir.path().join("nats"))).await.unwrap();
        let bus = Bus::nats(&nats.bus_config(), BusIdentity::local(Worker::Cli)).await.unwrap();
        assert!(bus.connected_within(Duration::from_secs(20)).await);
        decnet_bus::provision(&bus).await.unwrap();
        let url = format!("sqlite://{}?mode=rwc", dir.path().join("decnet.db").display());
        let db = Db::connect(&url, DbOptions::default()).await.unwrap();
        db.migrate().await.unwrap();
        let clock = ManualClock::at("2026-03-23T15:00:00.123456789Z".parse().unwrap());
        // The same people and machines in each run.
        let path = dir.path().join("fleet.secret");
        std::fs::write(&path, hex::encode([number; 32])).unwrap();
        let secret = FleetSecret::load_or_create(&path).unwrap();
        let mut home = Self { dir, nats, db, bus, secret, clock, agent: None };
        home.start_agent();
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn variables(&self) -> BTreeMap<String, String> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let db = format!("sqlite://{}?mode=rw", self.path("decnet.db").display());
        [
            ("DECNET_STATE_DIR", text(self.path(""))),
            ("DECNET_DB_URL", db),
            ("DECNET_NATS_URL", self.nats.url()),
            ("DECNET_NATS_TOKEN", self.nats.token().to_owned()),
            ("DECNET_CONFIG", "/dev/null".to_owned()),
            ("DECNET_RUNTIME", "process".to_owned()),
            ("DECNET_DECOY_BIN", text(beside("decnet-decoy"))),
            ("DECNET_REALISM_PERSONAS", text(self.path("pool.json"))),
            ("DECNET_ORCHESTRATE_INTERVAL", "1".to_owned()),
            ("DECNET_LOG", "info,decnet_orchestrator=debug".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    pub(crate) fn start_agent(&mut self) {
        self.agent = Some(self.program(&beside("decnet-agent"), "agent.log", &[]));
    }

    pub(crate) fn kill_agent(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
    }

    /// The orchestrator as a process of its own, with the machine's clock.
    pub(crate) fn orchestrator(&self, args: &[&str]) -> Child {
        self.program(Path::new(env!("CARGO_BIN_EXE_decnet-orchestrator")), "orchestrator.log", args)
    }

    fn program(&self, program: &Path, log: &str, args: &[&str]) -> Child {
        let log = File::options().create(true).append(true).open(self.path(log)).unwrap();
        Command::new(program)
            .args(args)
            .env_remove("NOTIFY_SOCKET")
            .env_remove("DECNET_SUPERVISED")
            .envs(self.variables())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Deploys and waits until all of it runs.
    pub(crate) async fn deploy(&self, text: &str) {
        let state = StateStore::new(self.path("decnet-state.json")).load().ok().flatten();
        let plan = plan(&PlanRequest {
            spec: &ini::parse(text.as_bytes()).unwrap(),
            secret: &self.secret,
            runtime: RuntimeKind::Process,
            generation: state.as_ref().map_or(0, |state| state.generation) + 1,
            host: &HostId::default(),
            detected: None,
            used: &HashSet::new(),
            previous: state.as_ref().map(|state| &state.config),
            shells: None,
        })
        .unwrap();
        let operation = SystemIds.next_id().to_string();
        let notices = Topic::NoticeOperation { operation: Token::parse(&operation).unwrap() };
        let mut notices = self.bus.subscribe(&TopicFilter::exact(&notices)).await;
        let topic = Topic::CmdDeploy { host: HostId::default() };
        let command = DeployCommand {
            operation: operation.clone(),
            requested_by: "alice".to_owned(),
            plan: serde_json::to_value(&plan).unwrap(),
        };
        let envelope = self.bus.envelope(&topic, &command).unwrap();
        self.bus.publish_acked(&topic, &operation, &envelope).await.unwrap();
        loop {
            let notice = tokio::time::timeout(PATIENCE, notices.next()).await.unwrap().unwrap();
            match notice.envelope.decode::<OperationNotice>().unwrap().kind {
                OperationKind::Progress { .. } => {}
                OperationKind::Done { .. } => break,
                OperationKind::Failed { reason } => panic!("{reason}"),
            }
        }
        until("all deckies run", async || {
            let topic = Topic::AskInspect { host: HostId::default() };
            let asked = self.bus.request(&topic, &InspectRequest {}, Duration::from_secs(9));
            let reply: InspectReply = asked.await.ok()?;
            (!reply.deckies.is_empty() && reply.deckies.iter().all(|decky| decky.state == "running"))
                .then_some(())
        })
        .await;
    }

    /// Somebody who listens.
    pub(crate) async fn listener(&self, worker: Worker) -> Bus {
        let bus = Bus::nats(&self.nats.bus_config(), BusIdentity::local(worker)).await.unwrap();
        assert!(bus.connected_within(Duration::from_secs(20)).await);
        bus
    }

    /// What the agent says is at a path.
    pub(crate) async fn read(&self, decky: &str, path: &str) -> Option<(Vec<u8>, ReadFileReply)> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let request =
            ReadFileRequest { decky: DeckyName::parse(decky).unwrap(), path: path.to_owned(), max: 1 << 19 };
        let topic = Topic::AskReadFile { host: HostId::default() };
        let reply: ReadFileReply = until("the agent reads", async || {
            self.bus.request(&topic, &request, Duration::from_secs(9)).await.ok()
        })
        .await;
        let text = reply.content_b64.clone()?;
        Some((STANDARD.decode(text).unwrap(), reply))
    }

    /// The file of a decky as its disk has it.
    pub(crate) fn on_disk(&self, decky: &str, path: &str) -> PathBuf {
        self.path("deckies").join(decky).join("root").join(path.trim_start_matches('/'))
    }

    pub(crate) async fn shelf(&self, decky: &str) -> Vec<SyntheticFileBody> {
        self.db.synthetic_files().shelf(&format!("local:{decky}")).await.unwrap()
    }

    /// Waits until a decky has its history.
    pub(crate) async fn aged(&self, decky: &str) -> decnet_db::LifeState {
        until(&format!("{decky} has its history"), async || {
            let state = self.db.life().state(&format!("local:{decky}")).await.unwrap();
            state.filter(|state| state.aged_at.is_some())
        })
        .await
    }

    /// An orchestrator in this process.
    pub(crate) fn life(&self) -> Life {
        self.life_with(&[])
    }

    /// The same with more settings.
    pub(crate) fn life_with(&self, more: &[(&str, &str)]) -> Life {
        let stop = CancellationToken::new();
        let info = WorkerInfo::new(Worker::Orchestrator, "1");
        let mut variables = self.variables();
        variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let settings = Sources::variables(variables).load().unwrap().settings;
        let mut parts = Parts::new(info, settings);
        parts.clock = std::sync::Arc::new(self.clock.clone());
        parts.stop = stop.clone();
        let options = Options { nap: Some(Duration::from_millis(5)), ..Options::default() };
        let task = tokio::spawn(run_in(parts, move |ctx| orchestrate(ctx, options)));
        Life { stop, task }
    }

    /// Lets time pass in steps, until `check` finds what it wants.
    pub(crate) async fn live_until<T>(
        &self,
        reason: &str,
        most: TimeDelta,
        mut check: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        use decnet_core::Clock as _;
        let end = self.clock.now() + most;
        loop {
            if let Some(found) = check().await {
                return found;
            }
            assert!(self.clock.now() < end, "lived until {end} in vain: {reason}");
            self.clock.advance(TimeDelta::seconds(45));
            // What falls due gets the time to begin; that it is done is for `check` to find.
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            agent.kill().ok();
            agent.wait().ok();
        }
        let needle = self.dir.path().canonicalize().unwrap();
        let needle = needle.to_str().unwrap();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(needle)
                && let Some(pid) = entry.file_name().to_str().and_then(|pid| pid.parse().ok())
                && let Some(pid) = Pid::from_raw(pid)
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if std::thread::panicking() {
            for log in ["agent.log", "orchestrator.log"] {
                let text = std::fs::read_to_string(self.dir.path().join(log)).unwrap_or_default();
                eprintln!("--- {log} ---\n{text}");
            }
        }
    }
}

/// A running orchestrator.
pub(crate) struct Life {
    stop: CancellationToken,
    task: JoinHandle<Exit>,
}

impl Life {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let exit = tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
        assert!(matches!(exit, Exit::Done), "{exit:?}");
    }

    /// As kill -9 would: whatever it was at is left as it is.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}
