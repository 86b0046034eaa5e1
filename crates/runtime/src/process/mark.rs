//! Which process a decoy is, so that it is found again by another agent and never mistaken for a stranger with a
//! reused number: pid, time of its start, and the boot in which that counts.

use std::{fs, io, os::unix::ffi::OsStrExt, path::Path, sync::Arc};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::readable::{Readable, readable};

/// A process that was seen alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) pid: u32,
    /// Clock ticks from boot to its start: field 22 of `/proc/<pid>/stat`.
    started: u64,
    boot: String,
}

impl Mark {
    /// The process that has this number now; `None` if there is none or it has ended.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may hold any of them, so count from the last one.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        // A process that has ended waits as Z for its parent.
        (!matches!(state, "Z" | "X" | "x")).then(|| Self { pid, started, boot: boot() })
    }

    /// The decoy that runs with this document; `None` if none does.
    pub(crate) fn find(config: &Path) -> Option<Self> {
        let processes = fs::read_dir("/proc").ok()?;
        let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::of).find(|mark| mark.runs(config))
    }

    /// Whether its command line is the one that we start decoys with. An editor that has the document open is none.
    fn runs(&self, config: &Path) -> bool {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let parts: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let ours: [&[u8]; 3] = [b"run", b"--config", config.as_os_str().as_bytes()];
        parts.windows(3).any(|three| three == ours)
    }

    /// A hold on this very process, if it lives and is the decoy of this document.
    pub(crate) fn hold(&self, config: &Path) -> io::Result<Option<Hold>> {
        let hold = Hold::open(self.pid)?;
        // Checked after the hold is there: from now on the number cannot pass to another process unnoticed.
        let same = Self::of(self.pid).as_ref() == Some(self) && self.runs(config);
        Ok(hold.filter(|_| same))
    }
}

fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// A hold on one process: signals reach it or nobody.
#[derive(Debug)]
pub(crate) struct Hold(Readable);

impl Hold {
    /// Takes hold of the process with this number; `None` if there is none.
    pub(crate) fn open(pid: u32) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(fd) => Ok(Some(Self(readable(Arc::new(fd))?))),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for its end, whoever its parent is.
    pub(crate) async fn ended(&self) {
        // A failure means that the runtime itself is going down.
        let _ = self.0.readable().await;
    }

    /// Sends a signal. It is no mistake if the process has ended.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&**self.0.get_ref(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        process::{Command, Stdio},
    };

    use super::*;

    #[tokio::test]
    async fn a_process_is_known_by_more_than_its_number() {
        let config = Path::new("/nowhere/mark-test/config.json");
        let mut child = Command::new("sh")
            .args(["-c", "echo; read line", "run", "--config", "/nowhere/mark-test/config.json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // `spawn` may return before the kernel shows the new command line; once it speaks, it is there.
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let mark = Mark::of(child.id()).unwrap();
        assert_eq!(Mark::find(config), Some(mark.clone()));
        let hold = mark.hold(config).unwrap().unwrap();
        assert!(mark.hold(Path::new("/nowhere/mark-test")).unwrap().is_none(), "another command line");
        let earlier = Mark { started: mark.started - 1, ..mark.clone() };
        assert!(earlier.hold(config).unwrap().is_none(), "another process of that number");
        let other_boot = Mark { boot: "yesterday".to_owned(), ..mark.clone() };
        assert!(other_boot.hold(config).unwrap().is_none(), "another boot");
        hold.signal(Signal::KILL).unwrap();
        hold.ended().await;
        assert_eq!(Mark::of(mark.pid), None, "a process that waits for its parent has ended");
        child.wait().unwrap();
        assert!(mark.hold(config).unwrap().is_none());
        hold.signal(Signal::KILL).unwrap();
    }
}
