//! The container engine of this machine: whether one answers, and starting Debian's `dockerd` where none does.
//!
//! It asks by the engine's own socket, because Debian packages the `docker` command apart from the engine. It never
//! ends an engine, and takes away only the pid files of engines that are gone.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::shell::{program, root};

/// How long an engine may take to come up on a loaded machine.
const START_BOUND: Duration = Duration::from_mins(1);
/// How long a ping may take.
const PING_BOUND: Duration = Duration::from_secs(5);
/// Pid files that an engine which was killed leaves behind, and whose they are. When another process has got that
/// number since, the engine takes it for its living twin and refuses to start, or waits for it for ever.
const PID_FILES: [(&str, &str); 2] =
    [("/var/run/docker.pid", "dockerd"), ("/var/run/docker/containerd/containerd.pid", "containerd")];

/// The engine's socket: that of `DOCKER_HOST`, else the usual one.
fn socket() -> PathBuf {
    let named = std::env::var("DOCKER_HOST").ok();
    named.as_deref().and_then(|host| host.strip_prefix("unix://")).unwrap_or("/var/run/docker.sock").into()
}

/// Whether an engine answers a ping.
pub(crate) fn answers() -> bool {
    ping(&socket())
        .is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200"))
}

fn ping(socket: &Path) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PING_BOUND))?;
    stream.set_write_timeout(Some(PING_BOUND))?;
    stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Starts `dockerd` where no engine answers; it stays up after this program.
pub(crate) fn start() -> Result<()> {
    if answers() {
        return Ok(());
    }
    let mut running = false;
    for (file, name) in PID_FILES {
        let alive = clear_if_stale(Path::new(file), name)?;
        running |= alive && name == "dockerd";
    }
    let mut engine = None;
    if running {
        println!("setup: a dockerd runs and does not answer yet; waiting for it");
    } else {
        println!("setup: starting dockerd (log: .tools/dockerd.log)");
        std::fs::create_dir_all(root().join(".tools"))?;
        let log = std::fs::File::create(root().join(".tools/dockerd.log"))?;
        let command = &mut program("setsid", ["dockerd"]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        engine = Some(command.spawn().context("cannot start dockerd")?);
    }
    let started = Instant::now();
    while started.elapsed() < START_BOUND {
        if answers() {
            return Ok(());
        }
        if let Some(engine) = &mut engine
            && let Some(status) = engine.try_wait()?
        {
            bail!("dockerd ended with {status}; see .tools/dockerd.log");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    bail!("dockerd gives no answer after {} s; see .tools/dockerd.log", START_BOUND.as_secs())
}

/// Removes a pid file whose process is gone or has become somebody else; true if its process is really there.
fn clear_if_stale(file: &Path, name: &str) -> Result<bool> {
    let Ok(text) = std::fs::read_to_string(file) else { return Ok(false) };
    let stat = text.trim().parse::<u32>().ok().and_then(|pid| {
        // `5140 (dockerd) S 1 ...`
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.split_once('(')?;
        let (comm, rest) = rest.rsplit_once(')')?;
        Some((comm.to_owned(), rest.trim_start().chars().next()?))
    });
    // One that nobody has buried is dead, though the engine takes it for alive.
    if stat.is_some_and(|(comm, state)| comm == name && !matches!(state, 'Z' | 'X')) {
        return Ok(true);
    }
    println!("setup: {} is left from an engine that was killed; removing it", file.display());
    std::fs::remove_file(file).with_context(|| file.display().to_string())?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pid_file_of_a_dead_engine_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("docker.pid");
        assert!(!clear_if_stale(&file, "dockerd").unwrap(), "no file at all");
        let own = std::fs::read_to_string("/proc/self/comm").unwrap().trim().to_owned();
        std::fs::write(&file, std::process::id().to_string()).unwrap();
        assert!(clear_if_stale(&file, &own).unwrap() && file.exists(), "its process is there");
        assert!(
            !clear_if_stale(&file, "dockerd").unwrap() && !file.exists(),
            "the number is somebody else's"
        );
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        while !std::fs::read_to_string(format!("/proc/{}/stat", dead.id())).unwrap().contains(") Z ") {
            std::thread::yield_now();
        }
        std::fs::write(&file, dead.id().to_string()).unwrap();
        assert!(!clear_if_stale(&file, "true").unwrap() && !file.exists(), "it is dead and not buried");
        dead.wait().unwrap();
        std::fs::write(&file, "not a number").unwrap();
        assert!(!clear_if_stale(&file, "dockerd").unwrap() && !file.exists());
    }

    #[test]
    fn a_socket_nobody_listens_on_is_no_engine() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists() && ping(&path).is_err());
    }
}
