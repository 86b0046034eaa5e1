//! What the tests stand on: a broker, a database, a child process, a service manager's socket, polling with a reason.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use decnet_bus::{Bus, BusConfig, BusIdentity, Worker};
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
    pub(crate) port: u16,
    store: TempDir,
    process: Option<Child>,
}

impl Broker {
    /// A port with nobody on it yet.
    pub(crate) fn absent() -> Self {
        Self { port: free_port(), store: tempfile::tempdir().unwrap(), process: None }
    }

    pub(crate) async fn running() -> Self {
        let mut broker = Self::absent();
        broker.start().await;
        broker
    }

    pub(crate) async fn start(&mut self) {
        let child = Command::new(binary())
            .args(["-a", "127.0.0.1", "-js", "-p", &self.port.to_string(), "-sd"])
            .arg(self.store.path())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server starts (run `cargo xtask setup`)");
        self.process = Some(child);
        let port = self.port;
        until("nats-server listens", Duration::from_secs(20), async || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })
        .await;
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Another program's place on the bus.
    pub(crate) async fn bus(&self, worker: Worker) -> Bus {
        let bus = Bus::nats(&BusConfig::nats(self.url()), BusIdentity::local(worker)).await.unwrap();
        assert!(bus.connected_within(Duration::from_secs(20)).await, "the bus connects");
        bus
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn binary() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin/nats-server");
    if own.exists() { own } else { PathBuf::from("nats-server") }
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
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .envs(variables)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example worker is built: `cargo build -p decnet-kit --examples`");
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

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
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

/// `cargo test` builds the examples beside the test programs.
fn worker_binary() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join("examples/small_worker")
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
