//! A whole DECNET in a folder of its own: `decnet up` as a child process, everything below one temporary folder.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

use crate::{engine::Engine, eventually, lan::Lan};

/// How long the whole system may take to come up on a loaded machine.
const UP_BOUND: Duration = Duration::from_mins(1);
/// How long the deckies of a deployment may take until they run.
const RUNNING_BOUND: Duration = Duration::from_mins(1);

/// A running system. Dropping it stops the workers; [`Stack::stop`] removes the deckies too and should be preferred.
pub struct Stack {
    folder: TempDir,
    up: Child,
    api: SocketAddr,
    nats_port: u16,
    /// What it was started with: the operator's tool needs the same.
    settings: Vec<(String, String)>,
    /// The engine and the parent link, where its deckies are containers.
    ground: Option<(Engine, String)>,
}

/// A decky as an intruder would see it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Added to each standard port.
    pub port_base: u16,
    /// What it serves.
    pub services: Vec<String>,
    /// Planted accounts: login and password.
    pub accounts: Vec<(String, String)>,
}

impl Target {
    /// Where a standard port of this decky really is.
    pub fn at(&self, standard_port: u16) -> SocketAddr {
        SocketAddr::from((self.ip, self.port_base + standard_port))
    }
}

/// The folder of the finished binaries: two above the test binary's own, or the one of this program.
pub fn bin_dir() -> Result<PathBuf> {
    let own = std::env::current_exe().context("own program file")?;
    let mut folder = own.parent().context("folder of the own program file")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("target folder")?;
    }
    ensure!(
        folder.join("decnet").is_file(),
        "{} has no decnet: run `cargo build --workspace --bins` first (cargo xtask test does)",
        folder.display()
    );
    Ok(folder.to_path_buf())
}

/// The decoy that containers are made of: `DECNET_STATIC_DECOY`, else where `cargo xtask images` puts it.
pub fn static_decoy() -> Result<PathBuf> {
    let named = std::env::var_os("DECNET_STATIC_DECOY").map(PathBuf::from);
    let usual = || Some(bin_dir().ok()?.parent()?.join("decoy-static/decnet-decoy"));
    let path = named.or_else(usual).context("no place for the static decoy")?;
    ensure!(
        path.is_file(),
        "{} is missing: `cargo xtask images` builds it (cargo xtask test does by itself)",
        path.display()
    );
    Ok(path)
}

impl Stack {
    /// Brings everything up and waits until every worker beats.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with more settings in the environment.
    pub async fn start_with(env: &[(&str, &str)]) -> Result<Self> {
        Self::start_in(TempDir::new().context("temporary folder")?, env, None).await
    }

    /// A system whose deckies are containers on this LAN, with shells from the root file systems in `images`. Its broker
    /// and its API stay on loopback.
    pub async fn on_lan(engine: &Engine, lan: &Lan, images: &Path, env: &[(&str, &str)]) -> Result<Self> {
        let decoy = static_decoy()?;
        let (decoy, images) = (decoy.to_string_lossy(), images.to_string_lossy());
        let own =
            [("DECNET_RUNTIME", "docker"), ("DECNET_DECOY_BIN", &*decoy), ("DECNET_IMAGES_DIR", &*images)];
        let env: Vec<_> = own.into_iter().chain(env.iter().copied()).collect();
        let folder = TempDir::new().context("temporary folder")?;
        Self::start_in(folder, &env, Some((engine.clone(), lan.bridge.clone()))).await
    }

    async fn start_in(
        folder: TempDir,
        env: &[(&str, &str)],
        ground: Option<(Engine, String)>,
    ) -> Result<Self> {
        let (api_port, nats_port) = (free_port().await?, free_port().await?);
        let log = std::fs::File::create(folder.path().join("up.log"))?;
        let up = command(folder.path())?
            .args(["up", "--nats-port", &nats_port.to_string(), "--set", &format!("api_port={api_port}")])
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start decnet up")?;
        let api = SocketAddr::from(([127, 0, 0, 1], api_port));
        let settings = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut stack = Self { folder, up, api, nats_port, settings, ground };
        if let Err(error) = stack.ready().await {
            bail!("{error:#}\n--- log of decnet up ---\n{}", stack.log());
        }
        Ok(stack)
    }

    async fn ready(&mut self) -> Result<()> {
        let url = format!("http://{}/readyz", self.api);
        let up = &mut self.up;
        eventually("the API being ready", UP_BOUND, || {
            let ended = up.try_wait();
            let url = url.clone();
            async move {
                if let Some(status) = ended? {
                    bail!("decnet up has ended: {status}");
                }
                Ok(reqwest::get(&url).await?.status().is_success().then_some(()))
            }
        })
        .await
    }

    /// The state folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The API's base address.
    pub fn api(&self) -> String {
        format!("http://{}", self.api)
    }

    /// Everything the supervisor has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("up.log")).unwrap_or_default()
    }

    /// The supervisor's process id.
    pub fn pid(&self) -> Option<u32> {
        self.up.id()
    }

    /// The operator's tool with these arguments, on this system.
    pub fn decnet(&self, args: &[&str]) -> Result<Command> {
        let mut command = command(self.folder.path())?;
        command.args(args).envs(self.settings.iter().cloned()).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs the tool; its output on success, its words on failure.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        let output = self.decnet(args)?.output().await?;
        ensure!(
            output.status.success(),
            "decnet {} ended with {}: {}",
            args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs the tool and reads the JSON that it prints.
    pub async fn json(&self, args: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.run(args).await?)?)
    }

    /// Deploys this INI and returns its deckies once they run.
    pub async fn deploy(&self, ini: &str) -> Result<Vec<Target>> {
        let path = self.folder.path().join("fleet.ini");
        std::fs::write(&path, ini)?;
        let plan = self.json(&["deploy", "--json", "--config", &path.to_string_lossy()]).await?;
        let mut targets = self.targets().await?;
        for target in &mut targets {
            let deckies = plan["plan"]["deckies"].as_array().context("a plan without deckies")?;
            let decky = deckies
                .iter()
                .find(|d| d["config"]["name"] == target.name.as_str())
                .context("not in the plan")?;
            let accounts = decky["persona"]["accounts"].as_array().into_iter().flatten();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            target.accounts = accounts.map(|a| (text(&a["login"]), text(&a["password"]))).collect();
        }
        Ok(targets)
    }

    /// The deckies once all of them run.
    pub async fn targets(&self) -> Result<Vec<Target>> {
        eventually("all deckies running", RUNNING_BOUND, || async {
            let status = self.json(&["status", "--json"]).await?;
            let deckies = status["deckies"].as_array().context("no deckies in the status")?;
            if deckies.is_empty() || deckies.iter().any(|d| d["state"] != "running") {
                bail!("{status}");
            }
            deckies.iter().map(target).collect::<Result<Vec<_>>>().map(Some)
        })
        .await
    }

    /// Attackers by address, as `decnet attackers --json` tells.
    pub async fn attackers(&self) -> Result<Vec<Value>> {
        let value = self.json(&["attackers", "--json", "--limit", "1000"]).await?;
        Ok(value.as_array().cloned().unwrap_or_default())
    }

    /// Process ids of a program of this system, such as `decnet-collector`, `nats-server` or `decnet-decoy`.
    pub fn pids(&self, program: &str) -> Result<Vec<i32>> {
        // Everything of this system is started with its folder, by argument or by environment.
        let mark = self.folder.path().to_string_lossy().into_owned();
        let mut pids = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let entry = entry?;
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
            let cmdline = String::from_utf8_lossy(&read("cmdline")).into_owned();
            let name = cmdline.split('\0').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
            let environ = String::from_utf8_lossy(&read("environ")).into_owned();
            if name == program && (cmdline.contains(&mark) || environ.contains(&mark)) {
                pids.push(pid);
            }
        }
        Ok(pids)
    }

    /// `kill -9`, as an accident would.
    pub fn kill(&self, program: &str) -> Result<usize> {
        let pids = self.pids(program)?;
        for pid in &pids {
            let pid = rustix::process::Pid::from_raw(*pid).context("pid")?;
            // It may have ended in this moment.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        Ok(pids.len())
    }

    /// The port of this system's broker.
    pub fn nats_port(&self) -> u16 {
        self.nats_port
    }

    /// Removes the deckies, stops the workers and waits for them.
    pub async fn stop(mut self) -> Result<()> {
        self.run(&["teardown", "--all"]).await?;
        if let Some(pid) = self.up.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let status = tokio::time::timeout(Duration::from_secs(40), self.up.wait())
            .await
            .with_context(|| format!("decnet up did not stop\n{}", self.log()))??;
        ensure!(status.success(), "decnet up ended with {status}\n{}", self.log());
        Ok(())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // A test that failed half-way must not leave processes behind.
        for program in [
            "decnet",
            "decnet-agent",
            "decnet-decoy",
            "decnet-collector",
            "decnet-api",
            "decnet-orchestrator",
            "decnet-reconciler",
            "decnet-webhook",
            "nats-server",
        ] {
            let _ = self.kill(program);
        }
        if let Some((engine, parent)) = &self.ground
            && let Err(error) = engine.sweep(self.folder.path(), Some(parent))
        {
            eprintln!("containers of {} may be left: {error:#}", self.folder.path().display());
        }
    }
}

fn target(decky: &Value) -> Result<Target> {
    let text = |name: &str| decky[name].as_str().with_context(|| format!("no {name} in {decky}"));
    Ok(Target {
        name: text("name")?.to_owned(),
        ip: text("ip")?.parse()?,
        port_base: u16::try_from(decky["port_base"].as_u64().unwrap_or(0))?,
        services: decky["services"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|s| Some(s.as_str()?.to_owned()))
            .collect(),
        accounts: Vec::new(),
    })
}

/// The tool on a state folder, with nothing of the caller's settings.
fn command(state_dir: &Path) -> Result<Command> {
    let mut command = Command::new(bin_dir()?.join("decnet"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DECNET_") && name != "DECNET_NATS_SERVER" {
            command.env_remove(name);
        }
    }
    command
        .env("DECNET_STATE_DIR", state_dir)
        .env("DECNET_CONFIG", state_dir.join("none.ini"))
        .env("DECNET_RUNTIME", "process");
    Ok(command)
}

async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port())
}
