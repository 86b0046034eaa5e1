//! A nats-server of our own: found, checked, configured, started, stopped. For `decnet up` and the test kit; in
//! production systemd runs the broker.

mod config;
mod error;
mod find;

use std::{
    fs::{self, OpenOptions},
    io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use decnet_core::{FleetSecret, HostId};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::Instant,
};
use tracing::{info, warn};

use self::config::Access;
pub use self::{
    config::ServiceConfig,
    error::ServerError,
    find::{MIN_VERSION, Version, check, find},
};
use crate::{BusConfig, KeyFolder, Worker, permissions::render_accounts};

/// How long a server may take to recover its streams and listen.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How long a server may take to leave by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How to start a server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The binary; `None` searches for one.
    pub binary: Option<PathBuf>,
    /// Folder for configuration, log, token and streams.
    pub dir: PathBuf,
    /// Port on 127.0.0.1; 0 lets the server pick a free one.
    pub port: u16,
    /// A key for each worker, with the rights of the subject table, kept in `dir`/keys. Without, one token opens everything.
    pub keys_for: Option<HostId>,
    /// The token that clients show where there are no keys; `None` keeps a random one in `dir`.
    pub token: Option<String>,
    /// Write through at every message: nothing is lost by a power cut, and it is slower.
    pub sync_always: bool,
    /// Most bytes for streams; `None` adapts to the disk.
    pub max_storage: Option<u64>,
}

impl ServerConfig {
    /// A server on a free port that keeps everything in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            binary: None,
            dir: dir.into(),
            port: 0,
            keys_for: None,
            token: None,
            sync_always: false,
            max_storage: None,
        }
    }

    /// The same with a key for each worker of `host`.
    #[must_use]
    pub fn with_keys(self, host: HostId) -> Self {
        Self { keys_for: Some(host), ..self }
    }

    /// Where the keys are.
    pub fn keys(&self) -> KeyFolder {
        KeyFolder::new(self.dir.join("keys"))
    }
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    binary: PathBuf,
    config: ServerConfig,
    access: Access,
    port: u16,
    child: Child,
}

impl Server {
    /// Starts a server and returns once it listens.
    pub async fn start(config: ServerConfig) -> Result<Self, ServerError> {
        let binary = match &config.binary {
            Some(path) => {
                check(path).await?;
                path.clone()
            }
            None => find().await?,
        };
        let folder = |source| ServerError::Folder { path: config.dir.clone(), source };
        config::make_dir(&config.dir).map_err(folder)?;
        let access = match (&config.keys_for, &config.token) {
            (Some(host), _) => {
                let users = config.keys().load_or_create()?;
                config::adopt_store(&config.dir).map_err(folder)?;
                Access::Accounts(render_accounts(&users, host))
            }
            (None, Some(token)) => Access::Token(token.clone()),
            (None, None) => Access::Token(own_token(&config.dir).map_err(folder)?),
        };
        let (child, port) = launch(&binary, &config, &access, config.port).await?;
        info!(port, dir = %config.dir.display(), "the broker runs");
        Ok(Self { binary, config, access, port, child })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The token that clients show; empty where each has a key.
    pub fn token(&self) -> &str {
        match &self.access {
            Access::Token(token) => token,
            Access::Accounts(_) => "",
        }
    }

    /// Settings of a client of this server that may do everything: only with a token.
    pub fn bus_config(&self) -> BusConfig {
        BusConfig::nats(self.url()).with_token(self.token())
    }

    /// Settings of `holder`, whose rights are those of its key where the server has keys.
    pub fn bus_config_of(&self, holder: Worker) -> BusConfig {
        match &self.access {
            Access::Token(_) => self.bus_config(),
            Access::Accounts(_) => {
                BusConfig { nkey_file: Some(self.config.keys().file(holder)), ..BusConfig::nats(self.url()) }
            }
        }
    }

    /// Where its keys are.
    pub fn keys(&self) -> KeyFolder {
        self.config.keys()
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        log_path(&self.config.dir)
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) {
        if let Err(error) = self.child.wait().await {
            warn!(%error, "the broker's end was missed");
        }
    }

    /// `kill -9`, as the machine's memory killer does.
    pub async fn kill(&mut self) {
        if let Err(error) = self.child.kill().await {
            warn!(%error, "the broker could not be killed");
        }
    }

    /// Stops it: asks first, and kills it after five seconds.
    pub async fn stop(&mut self) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid
            && kill_process(pid, Signal::TERM).is_ok()
            && tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await.is_ok()
        {
            return;
        }
        self.kill().await;
    }

    /// Starts it again after its end, on the same port and with the same streams.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.stop().await;
        (self.child, _) = launch(&self.binary, &self.config, &self.access, self.port).await?;
        info!(port = self.port, "the broker runs again");
        Ok(())
    }
}

/// A random token that stays the same in this folder.
fn own_token(dir: &Path) -> io::Result<String> {
    let secret = FleetSecret::load_or_create(&dir.join("token.secret"))
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(secret.seed().child("nats-token").to_hex())
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("nats-server.log")
}

async fn launch(
    binary: &Path,
    config: &ServerConfig,
    access: &Access,
    port: u16,
) -> Result<(Child, u16), ServerError> {
    let dir = &config.dir;
    let folder = |source| ServerError::Folder { path: dir.clone(), source };
    let given = (port != 0).then_some(port);
    if given.is_some_and(is_taken) {
        return Err(ServerError::PortTaken { port, by: describe_holder(dir) });
    }
    let conf = dir.join("nats.conf");
    let settings = config::Settings {
        dir,
        port: given,
        access,
        sync_always: config.sync_always,
        max_storage: config.max_storage,
    };
    config::write(&conf, &settings).map_err(folder)?;
    let log = log_path(dir);
    let out = OpenOptions::new().create(true).append(true).open(&log).map_err(folder)?;
    let already_said = out.metadata().map_or(0, |data| data.len());
    let mut child = Command::new(binary)
        .arg("-c")
        .arg(&conf)
        .stdin(Stdio::null())
        .stdout(out.try_clone().map_err(folder)?)
        .stderr(out)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| ServerError::NotRunnable { path: binary.to_owned(), reason: error.to_string() })?;

    let deadline = Instant::now() + START_PATIENCE;
    loop {
        if let Ok(Some(_)) = child.try_wait() {
            let reason = last_words(&log, already_said);
            return Err(match given {
                // Somebody was quicker between our look and its bind.
                Some(port) if reason.contains("address already in use") => {
                    ServerError::PortTaken { port, by: describe_holder(dir) }
                }
                _ => ServerError::Died { reason, log },
            });
        }
        let port = given.or_else(|| child.id().and_then(|pid| picked_port(dir, pid)));
        if let Some(port) = port
            && greets(port).await
        {
            return Ok((child, port));
        }
        if Instant::now() >= deadline {
            return Err(ServerError::Silent { log });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// A broker of ours that outlived its supervisor is worth naming.
fn describe_holder(dir: &Path) -> String {
    let pid = fs::read_to_string(dir.join("nats-server.pid")).unwrap_or_default();
    let pid = pid.trim();
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let ours = dir.as_os_str().as_encoded_bytes();
    if !pid.is_empty() && command.windows(ours.len()).any(|part| part == ours) {
        format!(" by an earlier broker of this folder (process {pid})")
    } else {
        String::new()
    }
}

/// The server writes `<program>_<pid>.ports` once it listens.
fn picked_port(dir: &Path, pid: u32) -> Option<u16> {
    let ending = format!("_{pid}.ports");
    let entry = fs::read_dir(dir)
        .ok()?
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_str().is_some_and(|name| name.ends_with(&ending)))?;
    let ports: serde_json::Value = serde_json::from_slice(&fs::read(entry.path()).ok()?).ok()?;
    ports["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
}

/// A server that is ready greets with its INFO line.
async fn greets(port: u16) -> bool {
    let greeting = async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.ok()?;
        line.starts_with("INFO ").then_some(())
    };
    tokio::time::timeout(Duration::from_secs(1), greeting).await.is_ok_and(|greeted| greeted.is_some())
}

fn last_words(log: &Path, from: u64) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let fresh = usize::try_from(from).ok().and_then(|from| bytes.get(from..)).unwrap_or_default();
    let text = String::from_utf8_lossy(fresh);
    let line = text
        .lines()
        .rev()
        .find(|line| line.contains("[FTL]"))
        .or_else(|| text.lines().rev().find(|line| !line.trim().is_empty()))
        .unwrap_or("it said nothing");
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}
