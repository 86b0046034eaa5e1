//! Login tries: 10 in 5 minutes per peer and per submitted name, in memory, whichever trips first.
//!
//! The peer is the address of the connection; `X-Forwarded-For` is not believed. Success does not reset anything.
//! Memory is bounded: when the table is full, the entry that was quiet the longest goes.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::Clock;

/// Tries in one window.
const TRIES: usize = 10;
/// The window.
const WINDOW: TimeDelta = TimeDelta::minutes(5);
/// Peers and names remembered at most.
const MAX_ENTRIES: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Peer(IpAddr),
    Name(String),
    /// Bodies without a readable name share one bucket.
    Unreadable,
}

/// Counts tries.
pub struct LoginLimiter {
    clock: Arc<dyn Clock>,
    enabled: bool,
    tries: Mutex<HashMap<Key, VecDeque<DateTime<Utc>>>>,
}

impl LoginLimiter {
    /// A limiter; a disabled one lets everything pass.
    pub fn new(enabled: bool, clock: Arc<dyn Clock>) -> Self {
        Self { clock, enabled, tries: Mutex::new(HashMap::new()) }
    }

    /// Counts a try. `Err` holds the seconds until the next one is allowed.
    pub fn try_login(&self, peer: IpAddr, name: Option<&str>) -> Result<(), u64> {
        if !self.enabled {
            return Ok(());
        }
        let now = self.clock.now();
        let name = name.map_or(Key::Unreadable, |name| Key::Name(name.chars().take(64).collect()));
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = [Key::Peer(network_of(peer)), name].map(|key| count(&mut tries, key, now));
        if tries.len() > MAX_ENTRIES {
            forget(&mut tries, now);
        }
        match waits.into_iter().flatten().max() {
            Some(wait) => Err(wait),
            None => Ok(()),
        }
    }
}

/// One IPv6 customer has a whole /64.
fn network_of(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        },
    }
}

/// Counts one try under `key`; the seconds to wait if it is one too many.
fn count(tries: &mut HashMap<Key, VecDeque<DateTime<Utc>>>, key: Key, now: DateTime<Utc>) -> Option<u64> {
    let times = tries.entry(key).or_default();
    while times.front().is_some_and(|first| now - *first >= WINDOW) {
        times.pop_front();
    }
    match times.front() {
        Some(first) if times.len() >= TRIES => {
            let wait = (*first + WINDOW - now).num_seconds() + 1;
            Some(u64::try_from(wait).unwrap_or(1))
        }
        _ => {
            times.push_back(now);
            None
        }
    }
}

fn forget(tries: &mut HashMap<Key, VecDeque<DateTime<Utc>>>, now: DateTime<Utc>) {
    tries.retain(|_, times| times.back().is_some_and(|last| now - *last < WINDOW));
    while tries.len() > MAX_ENTRIES {
        let quiet = tries.iter().min_by_key(|(_, times)| times.back().copied()).map(|(key, _)| key.clone());
        match quiet {
            Some(key) => tries.remove(&key),
            None => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::ManualClock;

    use super::*;

    fn peer(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn the_eleventh_try_trips_per_peer_and_per_name_separately() {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH);
        let limiter = LoginLimiter::new(true, Arc::new(clock.clone()));
        for n in 0..10 {
            assert_eq!(limiter.try_login(peer(1), Some(&format!("user{n}"))), Ok(()));
        }
        assert_eq!(limiter.try_login(peer(1), Some("fresh")), Err(301));
        for n in 0..10 {
            assert_eq!(limiter.try_login(peer(10 + n), Some("admin")), Ok(()));
        }
        assert!(limiter.try_login(peer(99), Some("admin")).is_err());
        assert_eq!(limiter.try_login(peer(99), Some("other")), Ok(()));
        clock.advance(WINDOW);
        assert_eq!(limiter.try_login(peer(1), Some("admin")), Ok(()));
    }

    #[test]
    fn unreadable_bodies_share_a_bucket_and_one_ipv6_network_is_one_peer() {
        let limiter = LoginLimiter::new(true, Arc::new(ManualClock::at(DateTime::UNIX_EPOCH)));
        for n in 0..10 {
            assert!(limiter.try_login(peer(n), None).is_ok());
        }
        assert!(limiter.try_login(peer(11), None).is_err());
        for n in 0..10_u8 {
            let address: IpAddr = format!("2001:db8::{n}").parse().unwrap();
            assert!(limiter.try_login(address, Some(&format!("n{n}"))).is_ok());
        }
        assert!(limiter.try_login("2001:db8::ffff".parse().unwrap(), Some("x")).is_err());
        assert!(limiter.try_login("2001:db8:0:1::1".parse().unwrap(), Some("x")).is_ok());
    }

    #[test]
    fn memory_stays_bounded_and_the_switch_works() {
        let limiter = LoginLimiter::new(true, Arc::new(ManualClock::at(DateTime::UNIX_EPOCH)));
        for n in 0..u32::try_from(MAX_ENTRIES).unwrap() + 50 {
            let _ = limiter.try_login(IpAddr::from(n.to_be_bytes()), Some("same"));
        }
        assert!(limiter.tries.lock().unwrap().len() <= MAX_ENTRIES);
        let off = LoginLimiter::new(false, Arc::new(ManualClock::at(DateTime::UNIX_EPOCH)));
        assert!((0..100).all(|_| off.try_login(peer(1), None).is_ok()));
    }
}
