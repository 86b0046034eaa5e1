//! The container engine as a test sees it: whether one answers, what runs on it, and accidents that happen to it.
//!
//! It speaks HTTP on the engine's own socket, one request a connection, blocking and small, so that it also works in
//! `Drop`. Everything DECNET does with the engine goes through DECNET; this only looks and breaks things.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// How long one answer may take.
const BOUND: Duration = Duration::from_mins(1);

/// An engine that answers.
#[derive(Debug, Clone)]
pub struct Engine {
    socket: PathBuf,
}

/// A container.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `running`, `exited` and so on.
    pub state: String,
    /// The engine's words on it.
    pub document: Value,
}

impl Container {
    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.document["Labels"][name].as_str()
    }

    /// Whether it has a folder of the host from below `folder`.
    fn mounts_from(&self, folder: &Path) -> bool {
        let mounts = self.document["Mounts"].as_array().into_iter().flatten();
        mounts
            .filter_map(|mount| mount["Source"].as_str())
            .any(|source| Path::new(source).starts_with(folder))
    }
}

/// An engine and the right to make networks, or the reason why the test is skipped, printed. With
/// `DECNET_REQUIRE_DOCKER=1` there is no skipping.
pub fn docker_or_skip() -> Result<Option<Engine>> {
    let reason = match Engine::find() {
        _ if !rustix::process::geteuid().is_root() => "networks of its own need root".to_owned(),
        Ok(engine) => return Ok(Some(engine)),
        Err(error) => {
            format!("no container engine answers: {error:#} (cargo xtask setup --docker starts one)")
        }
    };
    if std::env::var_os("DECNET_REQUIRE_DOCKER").is_some_and(|value| value == "1") {
        bail!("DECNET_REQUIRE_DOCKER=1, but {reason}");
    }
    println!("skipped: {reason}");
    Ok(None)
}

impl Engine {
    /// The engine of `DOCKER_HOST`, else the one at the usual place.
    pub fn find() -> Result<Self> {
        let named = std::env::var("DOCKER_HOST").ok();
        let socket = named.as_deref().and_then(|host| host.strip_prefix("unix://"));
        let engine = Self { socket: socket.unwrap_or("/var/run/docker.sock").into() };
        let (status, _) = engine.ask("GET", "/_ping").context("ping")?;
        ensure!(status == 200, "its ping says {status}");
        Ok(engine)
    }

    fn ask(&self, method: &str, path: &str) -> Result<(u16, String)> {
        let mut stream =
            UnixStream::connect(&self.socket).with_context(|| self.socket.display().to_string())?;
        stream.set_read_timeout(Some(BOUND))?;
        // HTTP/1.0, so that the answer ends with the connection and comes in one piece.
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status =
            head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP status")?;
        Ok((status, body.to_owned()))
    }

    fn command(&self, method: &str, path: &str) -> Result<()> {
        let (status, body) = self.ask(method, path)?;
        // 304: it is so already. 404 and 409: it is gone, or going.
        ensure!(matches!(status, 200..=204 | 304 | 404 | 409), "{method} {path}: {status} {body}");
        Ok(())
    }

    fn list(&self, path: &str) -> Result<Value> {
        let (status, body) = self.ask("GET", path)?;
        ensure!(status == 200, "GET {path}: {status} {body}");
        Ok(serde_json::from_str(&body)?)
    }

    /// Every container with a label of DECNET's.
    pub fn containers(&self) -> Result<Vec<Container>> {
        let list =
            self.list("/containers/json?all=1&filters=%7B%22label%22%3A%5B%22decnet.fleet%22%5D%7D")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let containers = list.as_array().into_iter().flatten().map(|document| Container {
            id: text(&document["Id"]),
            name: text(&document["Names"][0]).trim_start_matches('/').to_owned(),
            state: text(&document["State"]),
            document: document.clone(),
        });
        Ok(containers.collect())
    }

    /// The containers of the system whose state is in this folder: those that mount something of it, and those that share
    /// their label.
    pub fn containers_of(&self, folder: &Path) -> Result<Vec<Container>> {
        let mut all = self.containers()?;
        let tag = |c: &Container| c.label("decnet.fleet").map(str::to_owned);
        let tags: Vec<_> = all.iter().filter(|c| c.mounts_from(folder)).filter_map(tag).collect();
        all.retain(|c| tag(c).is_some_and(|tag| tags.contains(&tag)));
        Ok(all)
    }

    /// Networks on this parent link, as the engine tells of them.
    pub fn networks_on(&self, parent: &str) -> Result<Vec<Value>> {
        let list = self.list("/networks")?;
        let mut networks = list.as_array().cloned().unwrap_or_default();
        networks.retain(|network| network["Options"]["parent"].as_str() == Some(parent));
        Ok(networks)
    }

    /// What the engine knows of a container.
    pub fn inspect(&self, id: &str) -> Result<Value> {
        self.list(&format!("/containers/{id}/json"))
    }

    /// The host's process id of a container's process 1.
    pub fn pid(&self, id: &str) -> Result<u32> {
        let pid = self.inspect(id)?["State"]["Pid"].as_u64().unwrap_or(0);
        ensure!(pid > 0, "{id} does not run");
        Ok(u32::try_from(pid)?)
    }

    /// `docker stop`
    pub fn stop(&self, id: &str) -> Result<()> {
        self.command("POST", &format!("/containers/{id}/stop?t=1"))
    }

    /// `docker start`
    pub fn start(&self, id: &str) -> Result<()> {
        self.command("POST", &format!("/containers/{id}/start"))
    }

    /// `docker rm -f`
    pub fn remove(&self, id: &str) -> Result<()> {
        self.command("DELETE", &format!("/containers/{id}?force=1&v=1"))
    }

    /// `docker network rm`
    pub fn remove_network(&self, id: &str) -> Result<()> {
        self.command("DELETE", &format!("/networks/{id}"))
    }

    /// Removes what a test that failed half-way has left: the containers of a folder and the networks on a link.
    pub fn sweep(&self, folder: &Path, parent: Option<&str>) -> Result<()> {
        for container in self.containers_of(folder)? {
            self.remove(&container.id)?;
        }
        for network in parent.map_or(Ok(Vec::new()), |parent| self.networks_on(parent))? {
            // A container that was made while we looked.
            for id in network["Containers"].as_object().into_iter().flat_map(|map| map.keys()) {
                self.remove(id)?;
            }
            self.remove_network(network["Id"].as_str().unwrap_or_default())?;
        }
        Ok(())
    }
}
