//! The shell container's side: process 1 and the processes of its sessions, all of them this program, none of them with
//! a trace of it on the container's disk.
//!
//! | stage | shows as | does |
//! |---|---|---|
//! | [`server`] | `sshd: /usr/sbin/sshd -D [listener] ..` | process 1: takes calls of the front, starts sessions, reaps |
//! | [`session`] | `sshd: <user> [priv]` | looks the account up, opens the terminal, keeps the books |
//! | [`pump`] | `sshd: <user>@pts/0` | carries bytes between the front and the intruder's shell |
//! | [`login`] | the same, then the shell | gives up rights for good and becomes the intruder's shell |
//!
//! Every stage is a fresh start of `/proc/self/exe`, so nothing here needs a fork of a running program. What a stage
//! must know is handed over in an anonymous file or a pipe. There is no async runtime: a stage waits in `poll`.
//!
//! Root in the intruder's shell may not look into these processes: they are not dumpable, and they hold rights that
//! it has lost for good (`ptrace(2)`, access check).

mod account;
pub mod frame;
mod login;
mod modes;
mod own_files;
mod pump;
mod records;
mod server;
mod session;
mod welcome;

use std::{
    ffi::CString,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::ffi::OsStrExt,
    process::ExitCode,
};

use decnet_core::shell::SESSION_VARIABLE;
use nix::sys::signal::SigSet;
use rustix::{
    fs::{MemfdFlags, memfd_create},
    process::{DumpableBehavior, set_dumpable_behavior},
    thread::CapabilitySet,
};
use serde::{Serialize, de::DeserializeOwned};

/// This program, whatever has become of its file.
const MYSELF: &str = "/proc/self/exe";
/// The variable that makes a start a [`login`] stage. It is gone when the intruder's shell runs.
const LOGIN_VARIABLE: &str = "LOGIN";
/// Largest document that is handed from stage to stage.
const HANDED_MAX: u64 = 4 << 20;
/// The rights that root in the intruder's shell keeps: those over the container's own files and processes, and the right to
/// send messages to the kernel's audit, without which `sudo` complains. With it he can write lines into the audit log of the
/// host, if that keeps one: they name their sender, and engines give this right to every container.
const INTRUDERS_RIGHTS: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::AUDIT_WRITE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::KILL);

/// What ends a stage.
#[derive(Debug, thiserror::Error)]
enum StageError {
    #[error("{0}: {1}")]
    Io(&'static str, io::Error),
    #[error("{0} is not as expected: {1}")]
    Form(&'static str, serde_json::Error),
    #[error(
        "the container lacks the right {0}; give it CHOWN, DAC_OVERRIDE, FOWNER, SETGID, SETUID, KILL and SETPCAP"
    )]
    Right(&'static str),
    #[error("{0}")]
    Other(String),
}

/// Names what failed.
trait During<T> {
    fn during(self, what: &'static str) -> Result<T, StageError>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, what: &'static str) -> Result<T, StageError> {
        self.map_err(|error| StageError::Io(what, error.into()))
    }
}

/// `shell-server`: hides and starts again as process 1's second self. Returns only when that failed.
pub fn start() -> ExitCode {
    ended(server::start())
}

/// Runs a stage if this process was started as one; `None` if it is an ordinary call.
pub fn stage() -> Option<ExitCode> {
    let own = std::env::args_os().next()?;
    let own = own.as_bytes();
    if !own.starts_with(b"sshd") || !own.windows(2).any(|two| two == b": ") {
        return None;
    }
    let is_session = std::env::var_os(SESSION_VARIABLE).is_some();
    Some(ended(if std::env::var_os(LOGIN_VARIABLE).is_some() {
        login::run()
    } else if is_session && own.ends_with(b"[priv]") {
        session::run()
    } else if is_session {
        pump::run()
    } else {
        server::run()
    }))
}

fn ended(outcome: Result<ExitCode, StageError>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        // Only the engine's log of the container can see it: the intruder has other files there.
        eprintln!("shell: {error}");
        ExitCode::FAILURE
    })
}

/// `sshd`, or what releases from 9.8 on call the processes of sessions.
fn session_program() -> &'static str {
    let files =
        ["/usr/lib/openssh", "/usr/libexec/openssh", "/usr/lib/ssh", "/usr/libexec", "/usr/lib64/misc"];
    let split = files.iter().any(|folder| std::path::Path::new(folder).join("sshd-session").exists());
    if split { "sshd-session" } else { "sshd" }
}

/// First thing in every stage: closes it to others and takes its name.
fn close_off(name: &str) -> Result<(), StageError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).during("cannot close the process to others")?;
    let name = CString::new(name).map_err(|_| StageError::Other("a name with NUL".to_owned()))?;
    rustix::thread::set_name(&name).during("cannot take a name")?;
    // What the parent blocked for its own purposes.
    SigSet::all().thread_unblock().during("cannot unblock signals")
}

/// A document for the next stage.
fn hand_over(document: &impl Serialize) -> Result<File, StageError> {
    let bytes = serde_json::to_vec(document).map_err(|error| StageError::Form("a document", error))?;
    let mut file = File::from(memfd_create("", MemfdFlags::CLOEXEC).during("cannot make an anonymous file")?);
    file.write_all(&bytes).during("cannot hand over")?;
    file.seek(SeekFrom::Start(0)).during("cannot hand over")?;
    Ok(file)
}

/// The document of the stage before.
fn take_over<T: DeserializeOwned>(file: impl Read) -> Result<T, StageError> {
    let mut bytes = Vec::new();
    file.take(HANDED_MAX).read_to_end(&mut bytes).during("cannot read what was handed over")?;
    serde_json::from_slice(&bytes).map_err(|error| StageError::Form("what was handed over", error))
}

fn null() -> Result<File, StageError> {
    File::options().read(true).write(true).open("/dev/null").during("cannot open /dev/null")
}
