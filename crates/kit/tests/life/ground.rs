//! What the tests stand on: a broker, a database, a child process, a service manager's socket, polling with a reason.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use decnet_bus::{
    Bus, BusConfig, BusIdentity, Worker,
    server::{Server, ServerConfig},
};
use decnet_db::{Db, DbOptions};
use decnet_kit::{Settings, settings::Sources};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Polls until `check` holds; the reason is what the failure says.
pub(crate) async fn until(reason: &str, patience: Duration, mut check: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !check().await {
        assert!(start.elapsed() < patience, "waited {patience:?} in vain: {reason}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A nats-server on a port of its own that can be killed and started again over the same store.
pub(crate) struct Broker {
    port: u16,
    store: TempDir,
    server: Option<Server>,
}

/// Clients show it; it reaches the workers through `DECNET_NATS_TOKEN`.
const TOKEN: &str = "sesame";

impl Broker {
    /// A port with nobody on it yet.
    pub(crate) fn absent() -> Self {
        Self { port: free_port(), store: tempfile::tempdir().unwrap(), server: None }
    }

    pub(crate) async fn running() -> Self {
        let mut broker = Self::absent();
        broker.start().await;
        broker
    }

    pub(crate) async fn start(&mut self) {
        let config = ServerConfig {
            port: self.port,
            token: Some(TOKEN.to_owned()),
            ..ServerConfig::new(self.store.path())
        };
        self.server = Some(Server::start(config).await.unwrap());
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().await;
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Another program's place on the bus.
    pub(crate) async fn bus(&self, worker: Worker) -> Bus {
        let config = BusConfig::nats(self.url()).with_token(TOKEN);
        let bus = Bus::nats(&config, BusIdentity::local(worker)).await.unwrap();
        assert!(bus.connected_within(Duration::from_secs(20)).await, "the bus connects");
        bus
    }

    /// A client that knows nothing of our bus.
    pub(crate) async fn client(&self) -> async_nats::Client {
        async_nats::ConnectOptions::with_token(TOKEN.to_owned()).connect(self.url()).await.unwrap()
    }

    /// A broker with its streams and consumers.
    pub(crate) async fn provisioned() -> Self {
        let broker = Self::running().await;
        decnet_bus::provision(&broker.bus(Worker::Cli).await).await.unwrap();
        broker
    }
}

/// A state folder with a migrated database.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
}

impl Home {
    pub(crate) async fn migrated() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        let db = home.db().await;
        db.migrate().await.unwrap();
        db.close().await.unwrap();
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn db_url(&self) -> String {
        format!("sqlite://{}?mode=rwc", self.path("decnet.db").display())
    }

    pub(crate) async fn db(&self) -> Db {
        Db::connect(&self.db_url(), DbOptions::default()).await.unwrap()
    }

    pub(crate) fn variables(&self, broker: &Broker) -> BTreeMap<String, String> {
        let pairs = [
            ("DECNET_STATE_DIR", self.dir.path().display().to_string()),
            ("DECNET_NATS_URL", broker.url()),
            ("DECNET_NATS_TOKEN", TOKEN.to_owned()),
            ("DECNET_CONFIG", "/dev/null".to_owned()),
            ("DECNET_LOG", "info,decnet_kit=debug".to_owned()),
        ];
        pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
    }

    pub(crate) fn settings(&self, broker: &Broker) -> Settings {
        Sources::variables(self.variables(broker)).load().unwrap().settings
    }
}

/// A worker as a process.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    pub(crate) fn start(variables: BTreeMap<String, String>, args: &[&str]) -> Self {
        let mut child = Command::new(worker_binary())
            .args(args)
            .stdin(Stdio::piped())
            .env_remove("DECNET_SUPERVISED")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .envs(variables)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, sink) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = sink.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, log }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Closes the pipe that a supervisor holds.
    pub(crate) fn hang_up(&mut self) {
        drop(self.child.stdin.take());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; the exit code.
    pub(crate) async fn end(&mut self, patience: Duration) -> Option<i32> {
        let start = Instant::now();
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                start.elapsed() < patience,
                "the worker did not end within {patience:?}:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        status.code()
    }

    pub(crate) async fn says(&self, words: &str) {
        until(&format!("the log says {words:?}"), Duration::from_secs(20), async || {
            self.log().contains(words)
        })
        .await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// `cargo test` builds the examples beside the test programs; `cargo test --test life` alone does not, and yesterday's worker
/// must not pass today's tests.
fn worker_binary() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let worker = own.parent().unwrap().parent().unwrap().join("examples/small_worker");
    let changed = |path: &Path| path.metadata().and_then(|m| m.modified()).unwrap();
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let newest = ["src", "src/settings", "examples"]
        .iter()
        .flat_map(|dir| crate_root.join(dir).read_dir().unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| changed(&path))
        .max();
    assert!(
        worker.exists() && Some(changed(&worker)) > newest,
        "the example worker is missing or older than its sources: run `cargo test -p decnet-kit`, which builds it too"
    );
    worker
}

/// The service manager's end of the notification socket.
pub(crate) struct Manager {
    pub(crate) path: PathBuf,
    heard: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Manager {
    pub(crate) fn listening(home: &Home) -> Self {
        let path = home.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                let now = Instant::now();
                sink.lock().unwrap().extend(text.lines().map(|line| (now, line.to_owned())));
            }
        });
        Self { path, heard }
    }

    pub(crate) fn heard(&self, word: &str) -> Vec<Instant> {
        self.heard.lock().unwrap().iter().filter(|(_, line)| line.contains(word)).map(|(at, _)| *at).collect()
    }

    pub(crate) async fn hears(&self, word: &str) {
        until(&format!("the manager hears {word}"), Duration::from_secs(20), async || {
            !self.heard(word).is_empty()
        })
        .await;
    }
}
