//! A LAN of the test's own: a bridge that deckies are put on, and intruders in network namespaces that are plugged into it,
//! each with an address and a MAC of his own. Nothing of it touches a link of this machine; all of it goes on drop.
//!
//! Addresses are from 198.51.100.0/24 and 203.0.113.0/24 (RFC 5737), in quarters, so that suites can run side by side.

use std::{
    fs::File,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use tokio::process::Command as Async;

use crate::intruder::{Intruder, Outcome, run_within};

/// The quarters that a LAN may be.
const NETWORKS: [[u8; 4]; 8] = [
    [198, 51, 100, 0],
    [198, 51, 100, 64],
    [198, 51, 100, 128],
    [198, 51, 100, 192],
    [203, 0, 113, 0],
    [203, 0, 113, 64],
    [203, 0, 113, 128],
    [203, 0, 113, 192],
];
/// Host numbers within the quarter: the router's, and where intruders begin (counting down, away from deckies).
const ROUTER: u8 = 1;
const INTRUDERS: u8 = 62;
/// Intruders come from machines of these makers.
const MAKERS: [&str; 3] = ["3c:52:82", "a4:bb:6d", "f4:39:09"];
/// Where suites that run at the same time tell each other which quarter is theirs.
const LOCKS: &str = "/run/decnet-tests";
/// How long one client may take.
pub const CLIENT_BOUND: Duration = Duration::from_mins(1);

/// A network. Dropping it removes it.
#[derive(Debug)]
pub struct Lan {
    /// The bridge: what deckies take for their parent link.
    pub bridge: String,
    /// Address of the network; its prefix is 26.
    network: Ipv4Addr,
    next: AtomicU8,
    /// Held for as long as the quarter is ours.
    _lock: File,
}

/// A network namespace on a [`Lan`]. Dropping it removes it.
#[derive(Debug)]
pub struct Neighbour {
    /// Its name for `ip netns`.
    pub namespace: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its hardware address.
    pub mac: String,
    /// The bridge's end of its cable.
    cable: String,
}

impl Lan {
    /// Makes one where nobody else has one.
    pub fn new() -> Result<Self> {
        let (network, lock) = free_network()?;
        let bridge = format!("lt{}", random_name()?);
        let lan = Self { bridge, network, next: AtomicU8::new(INTRUDERS), _lock: lock };
        ip(&["link", "add", &lan.bridge, "type", "bridge", "forward_delay", "0"])?;
        ip(&["address", "add", &format!("{}/26", lan.router()), "dev", &lan.bridge])?;
        ip(&["link", "set", &lan.bridge, "up"])?;
        Ok(lan)
    }

    /// The host with this number in the network (1 to 62).
    pub fn host(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() + u32::from(number))
    }

    /// The bridge's own address, which deckies take for their router.
    pub fn router(&self) -> Ipv4Addr {
        self.host(ROUTER)
    }

    /// The network in prefix form.
    pub fn subnet(&self) -> String {
        format!("{}/26", self.network)
    }

    /// The section of a deployment INI that puts deckies here.
    pub fn general(&self) -> String {
        format!("[general]\nnet = {}\ngw = {}\ninterface = {}\n", self.subnet(), self.router(), self.bridge)
    }

    /// Plugs a namespace in.
    pub fn plug(&self) -> Result<Neighbour> {
        let number = self.next.fetch_sub(1, Ordering::Relaxed);
        ensure!(number > INTRUDERS - 20, "twenty intruders are enough for one network");
        let name = random_name()?;
        let maker = MAKERS[usize::from(number) % MAKERS.len()];
        let mac = format!("{maker}:{}:{}:{}", &name[0..2], &name[2..4], &name[4..6]);
        let (namespace, cable) = (format!("lt{name}"), format!("lv{name}"));
        ip(&["netns", "add", &namespace])?;
        let neighbour = Neighbour { namespace, ip: self.host(number), mac, cable };
        let (space, cable) = (neighbour.namespace.as_str(), neighbour.cable.as_str());
        ip(&[
            "link",
            "add",
            cable,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "address",
            &neighbour.mac,
            "netns",
            space,
        ])?;
        ip(&["link", "set", cable, "master", &self.bridge, "up"])?;
        ip(&["-n", space, "link", "set", "lo", "up"])?;
        ip(&["-n", space, "address", "add", &format!("{}/26", neighbour.ip), "dev", "eth0"])?;
        ip(&["-n", space, "link", "set", "eth0", "up"])?;
        ip(&["-n", space, "route", "add", "default", "via", &self.router().to_string()])?;
        Ok(neighbour)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let _ = ip(&["link", "delete", &self.bridge]);
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // A namespace lives as long as a process in it; its cable need not.
        let _ = ip(&["link", "delete", &self.cable]);
        let _ = ip(&["netns", "delete", &self.namespace]);
    }
}

impl Neighbour {
    /// The same as one of those who break in on loopback.
    pub fn intruder(&self) -> Intruder {
        Intruder::within(&self.namespace, self.ip)
    }

    /// A program in this namespace, not started yet.
    pub fn command(&self, program: &str) -> Async {
        let mut command = Async::new("ip");
        command.args(["netns", "exec", &self.namespace, program]).kill_on_drop(true);
        command
    }

    /// Runs a program here to its end.
    pub async fn run(&self, program: &str, args: &[&str]) -> Result<Outcome> {
        let mut command = self.command(program);
        command.args(args);
        run_within(command, CLIENT_BOUND).await
    }

    /// OpenSSH's client with a password; `options` stand before the host, `command` behind it.
    pub fn ssh_command(&self, at: Ipv4Addr, user: &str, password: &str, options: &[&str]) -> Async {
        let mut command = self.command("sshpass");
        command.env("SSHPASS", password).args(["-e", "ssh"]).args(SSH_OPTIONS).args(options);
        command.arg(format!("{user}@{at}"));
        command
    }

    /// The same, run to its end with a command.
    pub async fn ssh(&self, at: Ipv4Addr, user: &str, password: &str, command: &str) -> Result<Outcome> {
        let mut client = self.ssh_command(at, user, password, &[]);
        client.arg(command);
        run_within(client, CLIENT_BOUND).await
    }

    /// A terminal session: `typed` is written line by line, each after something has come back, and then the session is
    /// left by `exit`. Returns everything that the terminal showed.
    pub async fn terminal(
        &self,
        at: Ipv4Addr,
        user: &str,
        password: &str,
        typed: &[&str],
    ) -> Result<Outcome> {
        let mut session = Terminal::open(self.ssh_command(at, user, password, &["-tt"]))?;
        for line in typed {
            session.type_line(line).await?;
        }
        session.leave().await
    }

    /// `scp` of a file to a place on the decky; with `old`, by the protocol of before 2022.
    pub async fn scp(
        &self,
        at: Ipv4Addr,
        account: (&str, &str),
        file: &str,
        to: &str,
        old: bool,
    ) -> Result<Outcome> {
        let mut command = self.command("sshpass");
        command.env("SSHPASS", account.1).args(["-e", "scp"]).args(SSH_OPTIONS).args(old.then_some("-O"));
        command.arg(file).arg(format!("{}@{at}:{to}", account.0));
        run_within(command, CLIENT_BOUND).await
    }

    /// `sftp` with a batch of commands.
    pub async fn sftp(&self, at: Ipv4Addr, account: (&str, &str), batch: &str) -> Result<Outcome> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("batch");
        std::fs::write(&path, batch)?;
        let mut command = self.command("sshpass");
        // A batch forbids asking for a password, unless that is allowed again.
        command.env("SSHPASS", account.1).args(["-e", "sftp"]).args(SSH_OPTIONS).args([
            "-o",
            "BatchMode=no",
            "-b",
        ]);
        command.arg(&path).arg(format!("{}@{at}", account.0));
        run_within(command, CLIENT_BOUND).await
    }

    /// curl.
    pub async fn curl(&self, args: &[&str]) -> Result<Outcome> {
        let mut command = self.command("curl");
        command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"]).args(args);
        run_within(command, CLIENT_BOUND).await
    }
}

/// What every client of OpenSSH is told: nothing of this machine's, one try, nobody to ask.
pub const SSH_OPTIONS: [&str; 16] = [
    "-F",
    "none",
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "PubkeyAuthentication=no",
    "-o",
    "NumberOfPasswordPrompts=1",
    "-o",
    "LogLevel=ERROR",
    "-o",
    "ConnectTimeout=20",
    "-o",
    "GSSAPIAuthentication=no",
];

/// An interactive session that a test types into.
pub struct Terminal {
    child: tokio::process::Child,
    keys: tokio::process::ChildStdin,
    screen: tokio::process::ChildStdout,
    shown: String,
}

impl Terminal {
    /// Starts a client whose standard input is the keyboard.
    pub fn open(mut client: Async) -> Result<Self> {
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = client.spawn().context("cannot start the client; `cargo xtask setup` installs it")?;
        let keys = child.stdin.take().context("keyboard")?;
        let screen = child.stdout.take().context("screen")?;
        Ok(Self { child, keys, screen, shown: String::new() })
    }

    /// What the terminal has shown so far.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Waits until the terminal shows `text` after what it had shown before, at position `from`.
    pub async fn wait_for(&mut self, text: &str, from: usize) -> Result<()> {
        use tokio::io::AsyncReadExt;
        let deadline = tokio::time::Instant::now() + CLIENT_BOUND;
        while !self.shown.get(from..).unwrap_or_default().contains(text) {
            let mut buffer = vec![0; 4096];
            match tokio::time::timeout_at(deadline, self.screen.read(&mut buffer)).await {
                Ok(Ok(read)) if read > 0 => {
                    self.shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
                }
                Ok(_) => bail!("the session ended before it showed {text:?}; shown: {:?}", self.shown),
                Err(_) => bail!("the session does not show {text:?}; shown: {:?}", self.shown),
            }
        }
        Ok(())
    }

    /// Waits for a prompt.
    pub async fn prompt(&mut self, from: usize) -> Result<()> {
        use tokio::io::AsyncReadExt;
        let deadline = tokio::time::Instant::now() + CLIENT_BOUND;
        let at_prompt = |shown: &str| {
            let tail = shown.get(from..).unwrap_or_default();
            ["$ ", "# ", "$ \u{1b}[6n", "# \u{1b}[6n"].iter().any(|prompt| tail.ends_with(prompt))
        };
        while !at_prompt(&self.shown) {
            let mut buffer = vec![0; 4096];
            match tokio::time::timeout_at(deadline, self.screen.read(&mut buffer)).await {
                Ok(Ok(read)) if read > 0 => {
                    self.shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
                }
                Ok(_) => bail!("the session ended without a prompt; shown: {:?}", self.shown),
                Err(_) => bail!("the session shows no prompt; shown: {:?}", self.shown),
            }
        }
        Ok(())
    }

    /// Waits for a prompt, types a line and waits for the next; returns what was shown between them.
    pub async fn type_line(&mut self, line: &str) -> Result<String> {
        use tokio::io::AsyncWriteExt;
        self.prompt(0).await?;
        let from = self.shown.len();
        self.keys.write_all(format!("{line}\r").as_bytes()).await?;
        // The echo of the line first; its end may be a prompt's.
        self.prompt(from + 1).await?;
        Ok(self.shown.get(from..).unwrap_or_default().to_owned())
    }

    /// Leaves by `exit`.
    pub async fn leave(mut self) -> Result<Outcome> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        self.prompt(0).await?;
        self.keys.write_all(b"exit\r").await?;
        let mut rest = Vec::new();
        let ended = async {
            self.screen.read_to_end(&mut rest).await?;
            self.child.wait().await
        };
        let status =
            tokio::time::timeout(CLIENT_BOUND, ended).await.context("the session does not end")??;
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        Ok(Outcome { code: status.code(), stdout: self.shown, stderr: String::new() })
    }
}

/// A quarter that no route of this machine and no other suite uses.
fn free_network() -> Result<(Ipv4Addr, File)> {
    let routes = output("ip", &["-4", "route", "show", "table", "all"])?;
    std::fs::create_dir_all(LOCKS)?;
    for network in NETWORKS {
        let address = Ipv4Addr::from(network);
        if routes.split_whitespace().any(|word| overlaps(word, address)) {
            continue;
        }
        let lock = File::create(Path::new(LOCKS).join(address.to_string()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok((address, lock));
        }
    }
    bail!("every documentation network is in use on this machine (ip -4 route)")
}

/// Whether a word of a routing table is an address or a network within this /26, or one that contains it.
fn overlaps(word: &str, network: Ipv4Addr) -> bool {
    let (address, length) = word.split_once('/').unwrap_or((word, "32"));
    let (Ok(address), Ok(length)) = (address.parse::<Ipv4Addr>(), length.parse::<u32>()) else {
        return false;
    };
    let differing = 32 - length.min(26);
    // Everything is within 0.0.0.0/0, which nobody writes like this.
    length > 0 && (address.to_bits() ^ network.to_bits()) >> differing == 0
}

/// Six hexadecimal digits that no earlier run had.
fn random_name() -> Result<String> {
    let mut bytes = [0; 3];
    std::io::Read::read_exact(&mut File::open("/dev/urandom")?, &mut bytes)?;
    Ok(hex::encode(bytes))
}

fn ip(args: &[&str]) -> Result<()> {
    output("ip", args).map(drop)
}

fn output(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {program}; `cargo xtask setup` installs it"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", args.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_is_routed_already_is_left_alone() {
        let quarter = Ipv4Addr::new(198, 51, 100, 64);
        for word in
            ["198.51.100.0/24", "198.51.100.64/26", "198.51.100.77", "198.51.100.96/27", "198.0.0.0/8"]
        {
            assert!(overlaps(word, quarter), "{word}");
        }
        for word in
            ["198.51.100.0/26", "198.51.100.63", "203.0.113.0/24", "default", "0.0.0.0/0", "eth0", "64"]
        {
            assert!(!overlaps(word, quarter), "{word}");
        }
    }
}
