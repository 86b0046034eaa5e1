//! What the tests stand on: a broker, a state folder, the agent as a process, the operator's side of an operation.

use std::{
    collections::HashSet,
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use decnet_bus::{
    Bus, BusConfig, BusIdentity, Token, Topic, TopicFilter, Worker,
    payload::{
        DeckyInspection, DeployCommand, InspectReply, InspectRequest, OperationKind, OperationNotice,
        Payload, TeardownCommand, TeardownScope,
    },
    server::{Server, ServerConfig},
};
use decnet_core::{DeckyName, FleetSecret, HostId, IdSource, SystemIds};
use decnet_db::{Db, DbOptions};
use decnet_fleet::{Plan, PlanRequest, RuntimeKind, StateStore, ini, plan};
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};

const TOKEN: &str = "sesame";

/// Polls until `check` finds what it wants; the reason is what the failure says.
pub(crate) async fn until<T>(reason: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(start.elapsed() < Duration::from_mins(1), "waited a minute in vain: {reason}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn name(text: &str) -> DeckyName {
    DeckyName::parse(text).unwrap()
}

/// The decoy: `DECNET_DECOY_BIN`, else the one beside the agent, built if it is missing.
fn decoy() -> &'static Path {
    static DECOY: OnceLock<PathBuf> = OnceLock::new();
    DECOY.get_or_init(|| {
        std::env::var_os("DECNET_DECOY_BIN").map_or_else(|| beside("decnet-decoy"), Into::into)
    })
}

/// The program of this name beside the agent, built if it is missing.
fn beside(program: &str) -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_decnet-agent")).with_file_name(program);
    if !beside.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "-p", program]).status().unwrap();
        assert!(built.success(), "{program} does not build");
    }
    beside
}

/// A nats-server that can be killed and started again over the same store.
pub(crate) struct Broker {
    port: u16,
    store: tempfile::TempDir,
    server: Option<Server>,
}

impl Broker {
    pub(crate) async fn provisioned() -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut broker = Self { port, store: tempfile::tempdir().unwrap(), server: None };
        broker.start().await;
        decnet_bus::provision(&broker.bus(Worker::Cli).await).await.unwrap();
        broker
    }

    pub(crate) async fn start(&mut self) {
        let base = ServerConfig::new(self.store.path());
        let config = ServerConfig { port: self.port, token: Some(TOKEN.to_owned()), ..base };
        self.server = Some(Server::start(config).await.unwrap());
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().await;
        }
    }

    pub(crate) async fn bus(&self, worker: Worker) -> Bus {
        let config = BusConfig::nats(self.url()).with_token(TOKEN);
        let bus = Bus::nats(&config, BusIdentity::local(worker)).await.unwrap();
        assert!(bus.connected_within(Duration::from_secs(20)).await, "the bus connects");
        bus
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

/// A host with its state folder. Its decoys end with it, also when the test fails.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    pub(crate) broker: Broker,
    secret: FleetSecret,
}

impl Home {
    pub(crate) async fn new() -> Self {
        let home = Self::without_database().await;
        home.migrate().await;
        home
    }

    /// A host whose database is not there yet.
    pub(crate) async fn without_database() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, broker: Broker::provisioned().await, secret: FleetSecret::generate() }
    }

    /// Makes the database. It appears whole: an agent that looks meanwhile must not find half of its schema.
    pub(crate) async fn migrate(&self) {
        let making = self.path("database-in-the-making");
        std::fs::create_dir(&making).unwrap();
        let url = format!("sqlite://{}?mode=rwc", making.join("decnet.db").display());
        let db = Db::connect(&url, DbOptions::default()).await.unwrap();
        db.migrate().await.unwrap();
        db.close().await.unwrap();
        std::fs::rename(making, self.path("database")).unwrap();
    }

    pub(crate) async fn db(&self) -> Db {
        let url = format!("{}?mode=rwc", self.db_url());
        Db::connect(&url, DbOptions::default()).await.unwrap()
    }

    fn db_url(&self) -> String {
        format!("sqlite://{}", self.path("database/decnet.db").display())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn store(&self) -> StateStore {
        StateStore::new(self.path("decnet-state.json"))
    }

    pub(crate) fn pid(&self, decky: &str) -> Option<u32> {
        let text = std::fs::read(self.path("deckies").join(decky).join("process.json")).ok()?;
        let mark: serde_json::Value = serde_json::from_slice(&text).ok()?;
        u32::try_from(mark["pid"].as_u64()?).ok()
    }

    /// The plan of a deployment INI, as the operator's tool makes it.
    pub(crate) fn plan(&self, text: &str) -> Plan {
        let state = self.store().load().ok().flatten();
        plan(&PlanRequest {
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
        .unwrap()
    }

    /// A program of this host.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_remove("NOTIFY_SOCKET")
            .env("DECNET_STATE_DIR", self.path(""))
            .env("DECNET_DB_URL", format!("{}?mode=rw", self.db_url()))
            .env("DECNET_NATS_URL", self.broker.url())
            .env("DECNET_NATS_TOKEN", TOKEN)
            .env("DECNET_CONFIG", "/dev/null")
            .env("DECNET_RUNTIME", "process")
            .env("DECNET_DECOY_BIN", decoy())
            .env("DECNET_LOG", "info")
            .stdin(Stdio::null());
        command
    }

    /// Starts the agent.
    pub(crate) fn agent(&self) -> Agent {
        self.start(Path::new(env!("CARGO_BIN_EXE_decnet-agent")), "agent.log", &[])
    }

    /// Starts a reconciler.
    pub(crate) fn reconciler(&self, args: &[&str]) -> Agent {
        self.start(&beside("decnet-reconciler"), "reconciler.log", args)
    }

    fn start(&self, program: &Path, log: &str, args: &[&str]) -> Agent {
        let path = self.path(log);
        let log = File::options().create(true).append(true).open(&path).unwrap();
        let child = self.command(program).args(args).stderr(log).spawn().unwrap();
        Agent { child, log: path }
    }

    /// One pass of the reconciler: what it prints, and its log.
    pub(crate) fn reconcile_once(&self, args: &[&str]) -> (String, String) {
        let output = self.command(&beside("decnet-reconciler")).arg("--once").args(args).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{log}");
        (String::from_utf8(output.stdout).unwrap(), log)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let needle = self.dir.path().canonicalize().unwrap();
        let needle = needle.to_str().unwrap();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(needle)
                && let Some(pid) = entry.file_name().to_str().and_then(|pid| pid.parse().ok())
            {
                kill(pid);
            }
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("agent.log")).unwrap_or_default();
            eprintln!("--- log of the agent ---\n{log}");
            let log = std::fs::read_to_string(self.dir.path().join("reconciler.log")).unwrap_or_default();
            eprintln!("--- log of the reconciler ---\n{log}");
        }
    }
}

/// kill -9; it may have ended meanwhile.
pub(crate) fn kill(pid: u32) {
    let _ = kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL);
}

pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// A worker as a process: the agent, or a reconciler.
pub(crate) struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; its exit code.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        until("the agent ends", async || self.child.try_wait().unwrap()).await.code()
    }

    pub(crate) async fn says(&self, words: &str) {
        until(&format!("the log says {words:?}"), async || {
            std::fs::read_to_string(&self.log).unwrap().contains(words).then_some(())
        })
        .await;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// How an operation went: its progress and its result.
pub(crate) struct Outcome {
    pub(crate) progress: Vec<(u32, u32, String)>,
    pub(crate) result: Result<String, String>,
}

/// The operator's place on the bus.
pub(crate) struct Operator(pub(crate) Bus);

impl Operator {
    pub(crate) async fn new(home: &Home) -> Self {
        Self(home.broker.bus(Worker::Cli).await)
    }

    pub(crate) async fn deploy(&self, plan: &Plan) -> Outcome {
        let operation = SystemIds.next_id().to_string();
        let plan = serde_json::to_value(plan).unwrap();
        let command = DeployCommand { operation: operation.clone(), requested_by: "alice".to_owned(), plan };
        self.order(&Topic::CmdDeploy { host: HostId::default() }, &operation, &command).await
    }

    pub(crate) async fn teardown(&self, scope: TeardownScope) -> Outcome {
        let operation = SystemIds.next_id().to_string();
        let command =
            TeardownCommand { operation: operation.clone(), requested_by: "alice".to_owned(), scope };
        self.order(&Topic::CmdTeardown { host: HostId::default() }, &operation, &command).await
    }

    pub(crate) async fn order<P: Payload>(&self, topic: &Topic, operation: &str, command: &P) -> Outcome {
        let notices =
            TopicFilter::exact(&Topic::NoticeOperation { operation: Token::parse(operation).unwrap() });
        let mut notices = self.0.subscribe(&notices).await;
        let envelope = self.0.envelope(topic, command).unwrap();
        self.0.publish_acked(topic, operation, &envelope).await.unwrap();
        let mut progress = Vec::new();
        loop {
            let notice = tokio::time::timeout(Duration::from_mins(1), notices.next());
            let notice = notice.await.unwrap().unwrap();
            match notice.envelope.decode::<OperationNotice>().unwrap().kind {
                OperationKind::Progress { done, total, text, .. } => progress.push((done, total, text)),
                OperationKind::Done { summary } => return Outcome { progress, result: Ok(summary) },
                OperationKind::Failed { reason } => return Outcome { progress, result: Err(reason) },
            }
        }
    }

    pub(crate) async fn inspect(&self) -> Vec<DeckyInspection> {
        let topic = Topic::AskInspect { host: HostId::default() };
        until("the agent answers", async || {
            let reply = self.0.request(&topic, &InspectRequest {}, Duration::from_secs(9)).await;
            reply.ok().map(|reply: InspectReply| reply.deckies)
        })
        .await
    }

    /// Waits until the agent says that the decky runs; where its standard port is.
    pub(crate) async fn running(&self, plan: &Plan, decky: &str, port: u16) -> SocketAddr {
        let base = until(&format!("{decky} runs"), async || {
            let found = self.inspect().await.into_iter().find(|d| d.name.as_str() == decky);
            found.filter(|d| d.state == "running").map(|d| d.port_base)
        })
        .await;
        (plan.decky(decky).unwrap().ip(), base + port).into()
    }
}
