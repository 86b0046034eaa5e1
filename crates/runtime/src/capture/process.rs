//! What `/proc` tells of one process, bounded: everything in there but the numbers is the process's own choice.
//!
//! A process may be gone at any moment, and its number may be another's later: every answer is an `Option`, and whoever
//! decides something by it asks for what cannot be forged (namespaces, the file that is run).

use std::{
    fs::{self, File},
    io::Read,
    os::{
        fd::{AsRawFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How much of a small file of `/proc` is read.
const MAX_SMALL: u64 = 16 * 1024;
/// How much of an environment is read.
const MAX_ENVIRON: u64 = 256 * 1024;
/// Of a second in `/proc/<pid>/stat`.
const TICKS: u64 = 100;
/// Processes looked at in one look at all.
const MAX_PROCESSES: usize = 32_768;

/// A file or a namespace, apart from every other that is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    dev: u64,
    ino: u64,
}

impl FileId {
    pub(crate) fn of(meta: &fs::Metadata) -> Self {
        Self { dev: meta.dev(), ino: meta.ino() }
    }

    fn at(path: String) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::of)
    }
}

/// Its namespace of a kind (`pid`, `net`).
pub(crate) fn namespace(pid: u32, kind: &str) -> Option<FileId> {
    FileId::at(format!("/proc/{pid}/ns/{kind}"))
}

/// The file that it runs, also a deleted one.
pub(crate) fn program(pid: u32) -> Option<FileId> {
    FileId::at(format!("/proc/{pid}/exe"))
}

/// The file that is open.
pub(crate) fn file(fd: BorrowedFd<'_>) -> Option<FileId> {
    FileId::at(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// A process, apart from every other of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pid: u32,
    /// Ticks from the boot to its start.
    started: u64,
}

impl Identity {
    /// When it started.
    pub(crate) fn started_at(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let uptime = String::from_utf8(read("/proc/uptime", MAX_SMALL)?).ok()?;
        let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
        let started = Duration::from_millis(self.started.saturating_mul(1000 / TICKS));
        let ago = Duration::try_from_secs_f64(uptime).ok()?.saturating_sub(started);
        now.checked_sub_signed(TimeDelta::from_std(ago).ok()?)
    }
}

/// Which process has this number now.
pub(crate) fn identity(pid: u32) -> Option<Identity> {
    let stat = read(&format!("/proc/{pid}/stat"), MAX_SMALL)?;
    // Behind the name, which may contain anything, the start is the 20th field.
    let stat = String::from_utf8_lossy(&stat);
    let started = stat.rsplit(')').next()?.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some(Identity { pid, started })
}

/// Its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Its parent as seen from here; 0 if the parent is outside of what is seen.
    pub(crate) parent: u32,
    /// Its effective user.
    pub(crate) uid: u32,
    /// Its number within its own namespace.
    pub(crate) inner: u32,
}

/// Its numbers.
pub(crate) fn numbers(pid: u32) -> Option<Numbers> {
    parse_numbers(&String::from_utf8_lossy(&read(&format!("/proc/{pid}/status"), MAX_SMALL)?))
}

fn parse_numbers(status: &str) -> Option<Numbers> {
    // `Name:` comes first and is the process's own choice, but holds no newline: it is escaped.
    let words = |name: &str| {
        let line = status.lines().find(|line| line.strip_prefix(name).is_some_and(|l| l.starts_with(':')))?;
        Some(line.split_ascii_whitespace().skip(1))
    };
    Some(Numbers {
        parent: words("PPid")?.next()?.parse().ok()?,
        uid: words("Uid")?.nth(1)?.parse().ok()?,
        inner: words("NSpid").and_then(Iterator::last).or_else(|| words("Pid")?.next())?.parse().ok()?,
    })
}

/// What it calls itself.
pub(crate) fn name(pid: u32) -> Option<Vec<u8>> {
    let mut name = read(&format!("/proc/{pid}/comm"), MAX_SMALL)?;
    name.pop_if(|last| *last == b'\n');
    Some(name)
}

/// A variable of the environment that it was started with.
pub(crate) fn variable(pid: u32, name: &str) -> Option<Vec<u8>> {
    let environ = read(&format!("/proc/{pid}/environ"), MAX_ENVIRON)?;
    let entries = environ.split(|byte| *byte == 0);
    let mut values = entries.filter_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    values.next().map(<[u8]>::to_vec)
}

/// Its children.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Some(list) = read(&format!("/proc/{pid}/task/{pid}/children"), MAX_ENVIRON) else {
        return Vec::new();
    };
    String::from_utf8_lossy(&list).split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Every process.
pub(crate) fn all() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    names.take(MAX_PROCESSES).collect()
}

pub(crate) fn read(path: &str, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_as_the_system_says() {
        let own = std::process::id();
        let numbers = numbers(own).unwrap();
        assert_eq!(numbers.parent, std::os::unix::process::parent_id());
        assert_eq!(numbers.uid, rustix::process::geteuid().as_raw());
        assert_eq!(program(own), FileId::at(std::env::current_exe().unwrap().display().to_string()));
        assert!(all().contains(&own));
        assert_eq!(namespace(own, "pid"), namespace(own, "pid_for_children"));
        assert_eq!(
            variable(own, "PATH").as_deref(),
            std::env::var("PATH").ok().map(String::into_bytes).as_deref()
        );
    }

    #[test]
    fn a_hostile_name_moves_no_line() {
        let status =
            "Name:\tx\\nPPid:\t1\nUmask:\t0022\nPid:\t70\nPPid:\t61\nUid:\t0\t7\t0\t0\nNSpid:\t70\t9\n";
        assert_eq!(parse_numbers(status), Some(Numbers { parent: 61, uid: 7, inner: 9 }));
        assert_eq!(parse_numbers("Name:\tx\n"), None);
    }
}
