//! Starts a decoy process, takes over one that an earlier agent started, and ends either.
//!
//! A decoy gets a process group of its own and nothing of our environment: it outlives the agent, and an intruder who
//! takes it over finds no setting of ours in it. Its stdout is the output file itself, so no line waits in a pipe.

use std::{
    fs::File,
    io,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use tokio::process::{Child, Command};

use super::{
    folder::Folder,
    mark::{Hold, Mark},
    read_record, write_record,
};
use crate::{RuntimeError, error::io_error, output::Output};

/// How long a decoy may take to say farewell: its own bound is four seconds.
const FAREWELL: Duration = Duration::from_secs(8);
/// How long the kernel may take to end a killed process.
const KILL: Duration = Duration::from_secs(5);
/// Most bytes of complaints that are kept.
const MAX_STDERR: u64 = 256 * 1024;

/// A running decoy.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) mark: Mark,
    hold: Hold,
    /// Present if this agent started it: then it must be waited for, and its status is known.
    child: Option<Child>,
}

impl Run {
    /// Takes over the decoy of `folder` that lives, if one does.
    pub(super) fn adopt(folder: &Folder) -> Result<Option<Self>, RuntimeError> {
        let config = folder.config();
        let known = read_record::<Mark>(&folder.process())?;
        // An agent killed between starting a decoy and recording it leaves one that only its command line tells.
        let marks = known.into_iter().chain(std::iter::once_with(|| Mark::find(&config)).flatten());
        for mark in marks {
            let hold = mark.hold(&config).map_err(io_error("take hold of the process of", folder.path()))?;
            if let Some(hold) = hold {
                write_record(&folder.process(), &mark)?;
                return Ok(Some(Self { mark, hold, child: None }));
            }
        }
        Ok(None)
    }

    /// Starts the decoy of `folder`.
    pub(super) fn start(binary: &Path, folder: &Folder, output: &Output) -> Result<Self, RuntimeError> {
        let no_decoy =
            |error: io::Error| RuntimeError::NoDecoy { path: binary.to_owned(), reason: error.to_string() };
        let stdout = output.writer().map_err(io_error("open the output of", folder.path()))?;
        let stderr = stderr(&folder.stderr()).map_err(io_error("open", folder.stderr()))?;
        let mut command = std::process::Command::new(binary);
        command
            .arg("run")
            .arg("--config")
            .arg(folder.config())
            .arg("--health-file")
            .arg(folder.health())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0);
        let child = Command::from(command).spawn().map_err(no_decoy)?;
        let hold = child.id().and_then(|pid| Some((Mark::of(pid), Hold::open(pid).ok()??)));
        let Some((mark, hold)) = hold else {
            return Err(no_decoy(io::Error::other("it ended at once")));
        };
        let Some(mark) = mark else {
            // It ended before it could be looked at; its complaint tells why.
            return Err(RuntimeError::NoDecoy {
                path: binary.to_owned(),
                reason: complaint(folder).unwrap_or_default(),
            });
        };
        no_core_dump(mark.pid);
        write_record(&folder.process(), &mark)?;
        Ok(Self { mark, hold, child: Some(child) })
    }

    /// Waits for its end; the status if this agent started it.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        self.hold.ended().await;
        match &mut self.child {
            Some(child) => child.wait().await.ok(),
            None => None,
        }
    }

    /// Ends it: SIGTERM, a bounded wait, SIGKILL. False if it does not end even then.
    pub(super) async fn terminate(&mut self) -> io::Result<bool> {
        self.hold.signal(Signal::TERM)?;
        // A stopped process would not hear it.
        self.hold.signal(Signal::CONT)?;
        if tokio::time::timeout(FAREWELL, self.ended()).await.is_ok() {
            return Ok(true);
        }
        self.hold.signal(Signal::KILL)?;
        Ok(tokio::time::timeout(KILL, self.ended()).await.is_ok())
    }
}

fn stderr(path: &Path) -> io::Result<File> {
    bound_stderr(path)?;
    File::options().append(true).create(true).mode(0o600).open(path)
}

/// Forgets complaints once they are too many; whoever writes appends, so it may be done at any time.
pub(super) fn bound_stderr(path: &Path) -> io::Result<()> {
    match File::options().write(true).open(path) {
        Ok(file) if file.metadata()?.len() > MAX_STDERR => file.set_len(0),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The last complaint of a decoy, fit to be shown.
pub(super) fn complaint(folder: &Folder) -> Option<String> {
    let text = std::fs::read(folder.stderr()).ok()?;
    let last = text.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty())?;
    let clean = decnet_logline::clean_bytes(last);
    Some(clean.chars().take(400).collect())
}

/// A crash must not leave the decoy's memory, with its seed, on the disk. Best effort.
fn no_core_dump(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = prlimit(pid, Resource::Core, none) {
        tracing::debug!(%error, "core dumps of a decoy stay on");
    }
}
