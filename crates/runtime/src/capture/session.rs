//! Whose session a process belongs to.
//!
//! A session's own process is a child of the container's process 1, runs the very file that this one runs, and carries a
//! [`SessionMark`] in its environment; nobody in the container can start that file again, as it is deleted from its disk
//! and out of reach in `/proc`. Everything else that a process says of itself counts only if it names a session that
//! such a process has shown.

use std::{
    collections::VecDeque,
    net::IpAddr,
    time::{Duration, Instant},
};

use decnet_core::shell::{SESSION_VARIABLE, SessionMark};
use decnet_logline::{Event, clean_bytes};
use serde::{Deserialize, Serialize};

use super::process::{self, FileId};

/// Generations walked up.
const MAX_DEPTH: usize = 64;
/// Sessions remembered, so that what runs on after them can still be told apart.
const MOST_SESSIONS: usize = 256;
/// How long a look at the live sessions counts.
const FRESH: Duration = Duration::from_millis(50);
/// A session that was seen so long ago may be the one that did what is looked at now: one command over SSH leaves as it ends.
const RECENT: Duration = Duration::from_secs(5);
/// Longest account name that is told.
const MAX_USER: usize = 256;

/// How a session was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Attribution {
    /// The process descends from it.
    PidChain,
    /// The process's environment names it.
    Environment,
    /// There is no other.
    SoleSession,
    /// It was not found.
    Unknown,
}

impl Attribution {
    /// The word in the field `attribution`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::PidChain => "pid-chain",
            Self::Environment => "environment",
            Self::SoleSession => "sole-session",
            Self::Unknown => "unknown",
        }
    }
}

/// A session and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Culprit {
    pub(crate) session: Option<Session>,
    pub(crate) attribution: Attribution,
}

/// A session and its process's number within the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) mark: SessionMark,
    pub(crate) inner_pid: u32,
}

impl Session {
    /// The service that it came through: APP-NAME of its lines.
    pub(crate) fn service(&self) -> &'static str {
        if self.mark.dst_port == 23 { "telnet" } else { "ssh" }
    }

    /// Adds whose session it is, under the names of the front's own lines.
    pub(crate) fn describe(&self, event: Event) -> Event {
        let user: String = clean_bytes(self.mark.user.as_bytes()).chars().take(MAX_USER).collect();
        event
            .field("src_ip", self.mark.src_ip)
            .field("src_port", self.mark.src_port)
            .field("conn_id", &self.mark.conn_id)
            .field("sid", &self.mark.sid)
            .field("user", &user)
            .field("ssh_user", user)
    }
}

/// The sessions of one container.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// Process 1 of the container. What it runs is asked each time: just after its start it is the engine's helper still.
    init: u32,
    /// Its namespace.
    pids: FileId,
    /// Every session that was shown, with the time when it last was.
    known: VecDeque<(Session, Instant)>,
    live: Vec<Session>,
    looked: Option<Instant>,
}

impl Sessions {
    /// Those of the container whose process 1 is `init`; `None` if there is no such process.
    pub(crate) fn of(init: u32) -> Option<Self> {
        Some(Self {
            init,
            pids: process::namespace(init, "pid")?,
            known: VecDeque::new(),
            live: Vec::new(),
            looked: None,
        })
    }

    /// Process 1 of the container.
    pub(crate) fn init(&self) -> u32 {
        self.init
    }

    /// Whether it still runs.
    pub(crate) fn is_there(&self) -> bool {
        process::namespace(self.init, "pid") == Some(self.pids)
    }

    /// The container's namespace of processes.
    pub(crate) fn pids(&self) -> FileId {
        self.pids
    }

    /// Whether `pid` runs our own program.
    pub(crate) fn is_ours(&self, pid: u32) -> bool {
        process::program(self.init).is_some_and(|ours| process::program(pid) == Some(ours))
    }

    /// The session whose own process `pid` is.
    fn shown_by(&mut self, pid: u32) -> Option<Session> {
        if !self.is_ours(pid) {
            return None;
        }
        // A child of process 1. A child of such a one is the same program with the same environment, too, until it has
        // started its own.
        let numbers = process::numbers(pid)?;
        if numbers.parent != self.init {
            return None;
        }
        let mark = serde_json::from_slice(&process::variable(pid, SESSION_VARIABLE)?).ok()?;
        // Asked again, as the number may have become another's between the questions.
        if !self.is_ours(pid) {
            return None;
        }
        let session = Session { mark, inner_pid: numbers.inner };
        self.remember(&session);
        Some(session)
    }

    fn remember(&mut self, session: &Session) {
        let now = Instant::now();
        if let Some((_, seen)) = self.known.iter_mut().find(|(known, _)| known == session) {
            *seen = now;
            return;
        }
        // The list of the live ones is older than this one.
        self.looked = None;
        if self.known.len() >= MOST_SESSIONS {
            self.known.pop_front();
        }
        self.known.push_back((session.clone(), now));
    }

    /// The session that a living process descends from, itself included.
    pub(crate) fn above(&mut self, pid: u32) -> Option<Session> {
        let mut at = pid;
        for _ in 0..MAX_DEPTH {
            if at <= 1 || at == self.init || process::namespace(at, "pid") != Some(self.pids) {
                return None;
            }
            if let Some(session) = self.shown_by(at) {
                return Some(session);
            }
            at = process::numbers(at)?.parent;
        }
        None
    }

    /// The sessions that are live now.
    pub(crate) fn live(&mut self) -> &[Session] {
        let now = Instant::now();
        if self.looked.is_none_or(|at| now.saturating_duration_since(at) >= FRESH) {
            let children = process::children(self.init);
            self.live = children.into_iter().filter_map(|pid| self.shown_by(pid)).collect();
            self.looked = Some(now);
        }
        &self.live
    }

    /// Whose a living process is, by all means.
    pub(crate) fn culprit(&mut self, pid: u32) -> Culprit {
        if let Some(session) = self.above(pid) {
            return Culprit { session: Some(session), attribution: Attribution::PidChain };
        }
        self.live();
        let told = process::variable(pid, "SSH_CONNECTION").and_then(|told| peer(&told));
        let named = told.and_then(|(ip, port)| {
            let mut known = self.known.iter().rev().map(|(session, _)| session);
            known.find(|session| session.mark.src_ip == ip && session.mark.src_port == port)
        });
        if let Some(session) = named {
            return Culprit { session: Some(session.clone()), attribution: Attribution::Environment };
        }
        // What lives and descends from no session was left by one; if not all of them are still there, by one of many.
        if self.known.iter().any(|(session, _)| !self.live.contains(session)) {
            return Culprit { session: None, attribution: Attribution::Unknown };
        }
        self.only()
    }

    /// Whose something must be that was done while nobody looked: the only session of `before` and now.
    pub(crate) fn only_with(&mut self, before: &[Session]) -> Culprit {
        let live = self.live();
        let earlier = before.iter().filter(|session| !live.contains(session));
        let mut candidates = live.iter().chain(earlier);
        match (candidates.next(), candidates.next()) {
            (Some(session), None) => {
                Culprit { session: Some(session.clone()), attribution: Attribution::SoleSession }
            }
            _ => Culprit { session: None, attribution: Attribution::Unknown },
        }
    }

    /// Whose something must be if nothing is known of who did it: the only session of the last seconds.
    pub(crate) fn only(&mut self) -> Culprit {
        self.live();
        let ended = self
            .known
            .iter()
            .filter(|(session, seen)| seen.elapsed() < RECENT && !self.live.contains(session));
        let mut candidates = self.live.iter().chain(ended.map(|(session, _)| session));
        match (candidates.next(), candidates.next()) {
            (Some(session), None) => {
                Culprit { session: Some(session.clone()), attribution: Attribution::SoleSession }
            }
            _ => Culprit { session: None, attribution: Attribution::Unknown },
        }
    }
}

/// The caller in `SSH_CONNECTION`: address and port come first.
fn peer(told: &[u8]) -> Option<(IpAddr, u16)> {
    let mut words = std::str::from_utf8(told).ok()?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_names_a_peer_or_nothing() {
        assert_eq!(peer(b"198.51.100.7 40022 192.0.2.5 22"), Some(("198.51.100.7".parse().unwrap(), 40022)));
        assert_eq!(peer(b"fe80::1 22 x"), Some(("fe80::1".parse().unwrap(), 22)));
        for wrong in [&b""[..], b"root 22", b"198.51.100.7", b"198.51.100.7 99999", b"\xff 1"] {
            assert_eq!(peer(wrong), None);
        }
    }
}
