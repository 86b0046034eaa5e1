//! Who sent a refused packet: the session that owns its socket, else the only live one.
//!
//! Looking through `/proc` costs milliseconds on a busy host, so only a few packets a second are looked at so closely; a
//! scan from within is one session's in any case.

use std::{
    fs,
    net::IpAddr,
    time::{Duration, Instant},
};

use super::refused::{Attempt, Proto};
use crate::capture::{
    process::{self, FileId},
    session::{Attribution, Culprit, Sessions},
};

/// Close looks in any second.
const LOOKS: u32 = 4;
/// How long the list of processes counts.
const FRESH: Duration = Duration::from_secs(1);
/// Descriptors of one process looked at.
const MAX_DESCRIPTORS: usize = 1024;
/// How much of a list of sockets is read.
const MAX_SOCKETS: u64 = 1 << 20;

/// The processes of one network namespace.
#[derive(Debug)]
pub(super) struct Culprits {
    net: FileId,
    /// Its containers that have sessions.
    shells: Vec<Sessions>,
    pids: Vec<u32>,
    looked: Option<Instant>,
    second: Option<Instant>,
    looks: u32,
}

impl Culprits {
    pub(super) fn of(net: FileId) -> Self {
        Self { net, shells: Vec::new(), pids: Vec::new(), looked: None, second: None, looks: 0 }
    }

    /// Who sent it. Blocks for as long as `/proc` takes.
    pub(super) fn of_attempt(&mut self, attempt: &Attempt) -> Culprit {
        let closely = self.may_look_closely();
        // The sender may have been started a moment ago.
        self.look(closely);
        if closely
            && let Some(inode) = self.pids.first().and_then(|pid| socket_of(*pid, attempt))
            && let Some(owner) = self.pids.iter().copied().find(|pid| holds(*pid, inode))
            && let Some(pids) = process::namespace(owner, "pid")
            && let Some(shell) = self.shells.iter_mut().find(|shell| shell.pids() == pids)
        {
            return shell.culprit(owner);
        }
        self.only()
    }

    /// The only live session of all.
    pub(super) fn only(&mut self) -> Culprit {
        self.look(false);
        let mut found = self.shells.iter_mut().map(Sessions::only);
        match (found.next(), found.next()) {
            (Some(culprit), None) => culprit,
            _ => Culprit { session: None, attribution: Attribution::Unknown },
        }
    }

    fn look(&mut self, anew: bool) {
        let now = Instant::now();
        if !anew && self.looked.is_some_and(|at| now.saturating_duration_since(at) < FRESH) {
            return;
        }
        self.looked = Some(now);
        self.pids = process::all();
        self.pids.retain(|pid| process::namespace(*pid, "net") == Some(self.net));
        // Process 1 of each container, except for those without sessions: their process 1 has no child that shows one.
        let inits: Vec<u32> = (self.pids.iter().copied())
            .filter(|pid| process::numbers(*pid).is_some_and(|numbers| numbers.inner == 1))
            .collect();
        self.shells.retain(|shell| inits.contains(&shell.init()) && shell.is_there());
        for init in inits {
            if self.shells.iter().all(|shell| shell.init() != init)
                && let Some(mut shell) = Sessions::of(init)
                && !shell.live().is_empty()
            {
                self.shells.push(shell);
            }
        }
    }

    fn may_look_closely(&mut self) -> bool {
        let now = Instant::now();
        if self.second.is_none_or(|at| now.saturating_duration_since(at) >= Duration::from_secs(1)) {
            (self.second, self.looks) = (Some(now), 0);
        }
        self.looks += 1;
        self.looks <= LOOKS
    }
}

/// The inode of the socket that sent it, in the lists of the namespace that process `pid` is in.
fn socket_of(pid: u32, attempt: &Attempt) -> Option<u64> {
    let list = match (attempt.target.proto, attempt.src) {
        (Proto::Tcp, IpAddr::V4(_)) => "tcp",
        (Proto::Tcp, IpAddr::V6(_)) => "tcp6",
        (Proto::Udp, IpAddr::V4(_)) => "udp",
        (Proto::Udp, IpAddr::V6(_)) => "udp6",
        _ => return None,
    };
    let list = process::read(&format!("/proc/{pid}/net/{list}"), MAX_SOCKETS)?;
    let list = String::from_utf8_lossy(&list);
    let port = attempt.src_port?;
    list.lines().skip(1).find_map(|line| inode_of(line, port)).filter(|inode| *inode != 0)
}

/// The inode in a line of such a list, if it is about that local port: `0: 0100007F:1F90 00000000:0000 0A ... inode`.
fn inode_of(line: &str, port: u16) -> Option<u64> {
    let mut words = line.split_ascii_whitespace();
    let local = words.nth(1)?.rsplit_once(':')?.1;
    if u16::from_str_radix(local, 16).ok()? != port {
        return None;
    }
    // After the local address: the remote one, state, queues, timer, retransmissions, user, timeout.
    words.nth(7)?.parse().ok()
}

/// Whether `pid` holds the socket.
fn holds(pid: u32, inode: u64) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let wanted = format!("socket:[{inode}]");
    let mut links =
        descriptors.take(MAX_DESCRIPTORS).filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.any(|link| link.as_os_str() == wanted.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_socket_list_names_its_inode() {
        let line = "   1: 026433C6:B86E 017100CB:0050 02 00000001:00000000 01:00000064 00000000  1000        0 48213 2 0000000000000000 100 0 0 10 -1";
        assert_eq!(inode_of(line, 0xb86e), Some(48213));
        assert_eq!(inode_of(line, 80), None);
        assert_eq!(inode_of("garbage", 80), None);
    }

    #[test]
    fn this_process_holds_its_socket() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let own = std::process::id();
        let to = "127.0.0.1".parse().unwrap();
        let target =
            super::super::refused::Target { proto: Proto::Udp, dst: to, port: Some(9), icmp_type: None };
        let attempt = Attempt { target, src: to, src_port: Some(socket.local_addr().unwrap().port()) };
        let inode = socket_of(own, &attempt).unwrap();
        assert!(holds(own, inode));
        assert!(!holds(own, inode ^ 0x4000_0000));
    }
}
