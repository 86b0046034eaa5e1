//! How many connections a decky holds: at most 512, and at most 32 from one source.
//!
//! A refused connection costs one map look-up. Refusals are summed per source, so that a flood makes one line a
//! minute and not one line a packet. Knows addresses and numbers only.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Connections of the whole decky.
pub const PER_DECKY: usize = 512;
/// Connections of one source address (one /64 for IPv6: a host may use all of it).
pub const PER_SOURCE: usize = 32;
/// How often one source's refusals are reported.
const REPORT_EVERY: Duration = Duration::from_mins(1);
/// Sources whose refusals are remembered at once.
const REMEMBERED: usize = 1024;

/// Who is connected.
#[derive(Default)]
pub struct Admission(Mutex<State>);

#[derive(Default)]
struct State {
    total: usize,
    sources: HashMap<IpAddr, usize>,
    refusals: HashMap<IpAddr, Refusals>,
}

struct Refusals {
    since_report: u64,
    reported: Instant,
}

/// The answer to a new connection.
pub enum Verdict {
    /// It may stay while the pass is held.
    Admitted(Pass),
    /// It is closed; a number says how many refusals of its source to report now.
    Refused {
        /// Refusals since the last report, if it is time for one.
        report: Option<u64>,
    },
}

/// A place among the connections; given back when dropped.
pub struct Pass {
    admission: Arc<Admission>,
    source: IpAddr,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.admission.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.total = state.total.saturating_sub(1);
        if let Some(count) = state.sources.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.sources.remove(&self.source);
                // A flood of sources must not leave a table of its size behind.
                if state.sources.len() * 4 < state.sources.capacity() {
                    state.sources.shrink_to(64);
                }
            }
        }
    }
}

impl Admission {
    /// Decides on a connection from `peer`.
    pub fn ask(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Verdict {
        let source = source_of(peer);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_source = state.sources.get(&source).copied().unwrap_or(0);
        if state.total < PER_DECKY && of_source < PER_SOURCE {
            state.total += 1;
            state.sources.insert(source, of_source + 1);
            drop(state);
            return Verdict::Admitted(Pass { admission: self.clone(), source });
        }
        Verdict::Refused { report: state.refuse(source, now) }
    }

    /// Connections now.
    pub fn open(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl State {
    fn refuse(&mut self, source: IpAddr, now: Instant) -> Option<u64> {
        if self.refusals.len() >= REMEMBERED && !self.refusals.contains_key(&source) {
            self.refusals.retain(|_, refusals| now.duration_since(refusals.reported) < REPORT_EVERY);
            if self.refusals.len() >= REMEMBERED {
                // Refused from more sources than we remember: the remembered ones tell the story.
                return None;
            }
        }
        match self.refusals.get_mut(&source) {
            None => {
                self.refusals.insert(source, Refusals { since_report: 0, reported: now });
                Some(1)
            }
            Some(refusals) => {
                refusals.since_report += 1;
                if now.duration_since(refusals.reported) < REPORT_EVERY {
                    return None;
                }
                refusals.reported = now;
                Some(std::mem::take(&mut refusals.since_report))
            }
        }
    }
}

fn source_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn admitted(verdict: Verdict) -> Option<Pass> {
        match verdict {
            Verdict::Admitted(pass) => Some(pass),
            Verdict::Refused { .. } => None,
        }
    }

    #[test]
    fn one_source_cannot_take_more_than_its_share() {
        let admission = Arc::new(Admission::default());
        let now = Instant::now();
        let peer = IpAddr::V4(Ipv4Addr::new(127, 1, 2, 3));
        let passes: Vec<_> = (0..PER_SOURCE).map(|_| admitted(admission.ask(peer, now)).unwrap()).collect();
        assert!(matches!(admission.ask(peer, now), Verdict::Refused { report: Some(1) }));
        for _ in 0..99 {
            assert!(matches!(admission.ask(peer, now), Verdict::Refused { report: None }));
        }
        let later = now + REPORT_EVERY;
        assert!(matches!(admission.ask(peer, later), Verdict::Refused { report: Some(100) }));
        assert!(
            admitted(admission.ask(Ipv4Addr::LOCALHOST.into(), now)).is_some(),
            "another source is shut out"
        );
        drop(passes);
        assert_eq!(admission.open(), 0);
        assert!(admitted(admission.ask(peer, now)).is_some());
    }

    #[test]
    fn the_decky_is_full_at_its_limit_and_forgets_who_left() {
        let admission = Arc::new(Admission::default());
        let now = Instant::now();
        let mut passes = Vec::new();
        for n in 0..20_000u32 {
            let peer = IpAddr::V4(Ipv4Addr::from_bits(0x7f00_0000 + n));
            if let Some(pass) = admitted(admission.ask(peer, now)) {
                passes.push(pass);
            }
        }
        assert_eq!(passes.len(), PER_DECKY);
        assert!(admission.0.lock().unwrap().refusals.len() <= REMEMBERED);
        drop(passes);
        let state = admission.0.lock().unwrap();
        assert!(state.sources.is_empty());
        assert!(state.sources.capacity() < 512, "{}", state.sources.capacity());
    }

    #[test]
    fn a_whole_ipv6_network_is_one_source() {
        let (a, b): (IpAddr, IpAddr) = ("fd00::1".parse().unwrap(), "fd00::ffff:1".parse().unwrap());
        assert_eq!(source_of(a), source_of(b));
        assert_eq!(source_of("::ffff:127.0.0.1".parse().unwrap()), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
}
