//! Process 1 of the shell container: takes calls of the front, has each proven, starts a session's process for it,
//! reaps what nobody waits for, and ends everything on SIGTERM. It never reads what a session carries.

use std::{
    fs, io,
    io::Read,
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::{
            net::{SocketAddr, UnixListener, UnixStream},
            process::CommandExt,
        },
    },
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use decnet_core::{
    Clock, ShellConfig, SystemClock,
    shell::{SESSION_VARIABLE, SHELL_DOCUMENT, SHELL_PROGRAM},
};
use nix::{
    sys::{
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::Pid,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{WaitOptions, wait},
    thread::{CapabilitySet, capabilities},
};
use sha2::{Digest, Sha256};

use super::{
    During, INTRUDERS_RIGHTS, MYSELF, StageError, close_off,
    frame::{self, HEAD, Hello, Tag},
    hand_over, null, records, session_program, take_over,
};

/// What the listener of a Debian server shows.
const TITLE: &str = "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups";
/// What an engine puts into every container's file system, and every intruder looks for.
const ENGINES_MARK: &str = "/.dockerenv";
/// Longest first frame of a call.
const HELLO_MAX: usize = 8 << 10;
/// Calls that have not proven themselves yet.
const PENDING_MAX: usize = 16;
/// How long a call may take for that, in rounds of the loop that ended by time.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long sessions may take to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Takes document and program off the disk and starts again with neither arguments nor environment.
pub(super) fn start() -> Result<ExitCode, StageError> {
    let text = fs::read(SHELL_DOCUMENT).during("cannot read the shell server's document")?;
    let config: ShellConfig = serde_json::from_slice(&text)
        .map_err(|error| StageError::Form("the shell server's document", error))?;
    for file in [SHELL_DOCUMENT, SHELL_PROGRAM] {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StageError::Io("cannot take our files off the disk", error));
            }
            _ => {}
        }
    }
    // Nor the engine's mark.
    let _ = fs::remove_file(ENGINES_MARK);
    // The folder's own time would tell that something was here.
    if let Some(folder) = Path::new(SHELL_PROGRAM).parent()
        && let (Ok(folder), Ok(like)) =
            (fs::File::open(folder), fs::metadata("/usr/bin").and_then(|m| m.modified()))
    {
        let _ = folder.set_modified(like);
    }
    let error = Command::new(MYSELF).arg0(TITLE).env_clear().stdin(hand_over(&config)?).exec();
    Err(StageError::Io("cannot start again", error))
}

/// Serves until SIGTERM.
pub(super) fn run() -> Result<ExitCode, StageError> {
    close_off("sshd")?;
    let config: ShellConfig = take_over(io::stdin())?;
    rustix::stdio::dup2_stdin(null()?).during("cannot close the standard input")?;
    check_rights()?;
    let mut ours = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD] {
        ours.add(signal);
    }
    ours.thread_block().during("cannot block signals")?;
    let signals = SignalFd::with_flags(&ours, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .during("cannot receive signals")?;
    let address = SocketAddr::from_abstract_name(&config.link.socket).during("cannot name the socket")?;
    let listener = UnixListener::bind_addr(&address).during("cannot listen for the front")?;
    listener.set_nonblocking(true).during("cannot listen for the front")?;
    note_boot();
    Server { key: Sha256::digest(&config.link.key).into(), listener, signals, pending: Vec::new() }.serve()
}

fn check_rights() -> Result<(), StageError> {
    let have = capabilities(None).during("cannot read own rights")?.permitted;
    for (name, right) in [
        ("SETPCAP", CapabilitySet::SETPCAP),
        ("SETUID", CapabilitySet::SETUID),
        ("SETGID", CapabilitySet::SETGID),
        ("CHOWN", CapabilitySet::CHOWN),
        ("DAC_OVERRIDE", CapabilitySet::DAC_OVERRIDE),
        ("FOWNER", CapabilitySet::FOWNER),
        ("KILL", CapabilitySet::KILL),
    ] {
        if !have.contains(right) {
            return Err(StageError::Right(name));
        }
    }
    debug_assert!(!INTRUDERS_RIGHTS.contains(CapabilitySet::SETPCAP));
    Ok(())
}

/// Enters the boot into the books, at the time that `uptime` tells.
fn note_boot() {
    let up = super::account::read("/proc/uptime");
    let up = up.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    let booted = SystemClock.now() - chrono::TimeDelta::try_seconds(up).unwrap_or_default();
    let system = rustix::system::uname();
    records::boot(booted, &system.release().to_string_lossy());
    // What a running server of Debian leaves there; without the folder its own program calls the set-up broken.
    if Path::new("/etc/ssh/sshd_config").exists() && fs::create_dir_all("/run/sshd").is_ok() {
        let _ = fs::write("/run/sshd.pid", "1\n");
    }
}

/// A call that has not proven itself.
struct Call {
    stream: UnixStream,
    bytes: Vec<u8>,
    /// Length of the whole first frame, once its head is there.
    whole: Option<usize>,
    rounds: u32,
}

enum Proof {
    Waiting,
    Given(Hello),
    Failed,
}

struct Server {
    key: [u8; 32],
    listener: UnixListener,
    signals: SignalFd,
    pending: Vec<Call>,
}

impl Server {
    fn serve(mut self) -> Result<ExitCode, StageError> {
        loop {
            let mut fds =
                vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
            fds.extend(self.pending.iter().map(|call| PollFd::new(&call.stream, PollFlags::IN)));
            let tick = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
            match poll(&mut fds, (!self.pending.is_empty()).then_some(&tick)) {
                Ok(0) => {
                    self.pending.clear();
                    continue;
                }
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(StageError::Io("cannot wait", error.into())),
            }
            if self.told_to_end()? {
                return Ok(self.end());
            }
            self.hear();
            self.take_calls();
        }
    }

    /// Reaps, and says whether it is time to end.
    fn told_to_end(&mut self) -> Result<bool, StageError> {
        let mut end = false;
        while let Some(info) = self.signals.read_signal().during("cannot receive signals")? {
            end |= info.ssi_signo != Signal::SIGCHLD as u32;
        }
        reap();
        Ok(end)
    }

    fn take_calls(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.pending.len() >= PENDING_MAX {
                // The oldest has had the longest time: an intruder who calls without end finds only himself turned away.
                self.pending.remove(0);
            }
            if stream.set_nonblocking(true).is_ok() {
                self.pending.push(Call { stream, bytes: Vec::new(), whole: None, rounds: 0 });
            }
        }
    }

    fn hear(&mut self) {
        for mut call in std::mem::take(&mut self.pending) {
            match call.prove(&self.key) {
                Proof::Waiting => self.pending.push(call),
                Proof::Failed => {}
                Proof::Given(hello) => {
                    if let Err(error) = begin(call.stream, &hello) {
                        eprintln!("shell: {error}");
                    }
                }
            }
        }
    }

    /// Ends all sessions: as process 1, whatever is left ends with us.
    fn end(self) -> ExitCode {
        drop(self.listener);
        let everyone = Pid::from_raw(-1);
        // Only a process 1 may mean everyone in its own world.
        if std::process::id() == 1 && kill(everyone, Signal::SIGHUP).is_ok() {
            let mut fds = [PollFd::new(&self.signals, PollFlags::IN)];
            let wait = Timespec { tv_sec: FAREWELL.as_secs().cast_signed(), tv_nsec: 0 };
            while reap() && poll(&mut fds, Some(&wait)).is_ok_and(|ready| ready > 0) {
                while matches!(self.signals.read_signal(), Ok(Some(_))) {}
            }
        }
        ExitCode::SUCCESS
    }
}

/// Takes all that have ended; true while there are others.
fn reap() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

impl Call {
    fn prove(&mut self, key: &[u8; 32]) -> Proof {
        loop {
            let wanted = self.whole.unwrap_or(HEAD);
            if self.bytes.len() < wanted {
                // Not one byte more: what follows belongs to the session.
                let mut part = vec![0; wanted - self.bytes.len()];
                match self.stream.read(&mut part) {
                    Ok(0) => return Proof::Failed,
                    Ok(n) => self.bytes.extend_from_slice(part.get(..n).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        // Other calls keep the loop from ever being quiet for long.
                        self.rounds += 1;
                        return if self.rounds > 1000 { Proof::Failed } else { Proof::Waiting };
                    }
                    Err(_) => return Proof::Failed,
                }
                continue;
            }
            if self.whole.is_none() {
                let Some(first) = self.bytes.first_chunk::<HEAD>() else { return Proof::Failed };
                match frame::head(*first, HELLO_MAX) {
                    Ok((Tag::Hello, len)) => self.whole = Some(HEAD + len),
                    _ => return Proof::Failed,
                }
                continue;
            }
            let Ok(hello) = serde_json::from_slice::<Hello>(self.bytes.get(HEAD..).unwrap_or_default())
            else {
                return Proof::Failed;
            };
            return if same(&Sha256::digest(&hello.key).into(), key) {
                Proof::Given(hello)
            } else {
                Proof::Failed
            };
        }
    }
}

/// Compares in a time that does not depend on where they differ.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// Starts the session's process.
fn begin(stream: UnixStream, hello: &Hello) -> Result<(), StageError> {
    stream.set_nonblocking(false).during("cannot use the call")?;
    let mark = serde_json::to_string(&hello.mark).map_err(|error| StageError::Form("the mark", error))?;
    let link = OwnedFd::from(stream);
    // Nobody waits for it in particular: `reap` takes whatever ends.
    Command::new(MYSELF)
        .arg0(format!("{}: {} [priv]", session_program(), hello.mark.user))
        .env_clear()
        .env(SESSION_VARIABLE, mark)
        .stdin(Stdio::from(link))
        .stdout(Stdio::null())
        .spawn()
        .during("cannot start a session")?;
    Ok(())
}
