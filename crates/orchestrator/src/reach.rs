//! Pairs of deckies that could not talk to each other are left alone for a while: longer each time, and forgotten on success.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};

/// The first pause; it doubles with each failure.
const FIRST: TimeDelta = TimeDelta::minutes(10);
const LONGEST: TimeDelta = TimeDelta::hours(6);
/// Pairs that are remembered.
const MOST: usize = 4096;

/// From, to, port.
type Pair = (String, String, u16);

/// What is known of pairs: failures in a row, and until when they are left alone.
#[derive(Debug, Default)]
pub(crate) struct Reach(Mutex<HashMap<Pair, (u32, DateTime<Utc>)>>);

impl Reach {
    /// Whether a connection may be tried now.
    pub(crate) fn may(&self, from: &str, to: &str, port: u16, now: DateTime<Utc>) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(from.to_owned(), to.to_owned(), port)).is_none_or(|(_, until)| *until <= now)
    }

    /// Notes how it went.
    pub(crate) fn note(&self, from: &str, to: &str, port: u16, reached: bool, now: DateTime<Utc>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (from.to_owned(), to.to_owned(), port);
        if reached {
            known.remove(&key);
            return;
        }
        if known.len() >= MOST {
            known.retain(|_, (_, until)| *until > now);
        }
        if known.len() < MOST || known.contains_key(&key) {
            let (failures, until) = known.entry(key).or_insert((0, now));
            *until = now + (FIRST * 2i32.pow((*failures).min(8))).min(LONGEST);
            *failures += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_pair_waits_longer_each_time_and_is_forgiven_at_once() {
        let reach = Reach::default();
        let mut now = DateTime::UNIX_EPOCH;
        for minutes in [10, 20, 40, 80, 160, 320, 360, 360] {
            assert!(reach.may("a", "b", 22, now));
            reach.note("a", "b", 22, false, now);
            assert!(!reach.may("a", "b", 22, now + TimeDelta::minutes(minutes) - TimeDelta::seconds(1)));
            assert!(reach.may("b", "a", 22, now) && reach.may("a", "b", 80, now));
            now += TimeDelta::minutes(minutes);
        }
        reach.note("a", "b", 22, true, now);
        reach.note("a", "b", 22, false, now);
        assert!(reach.may("a", "b", 22, now + FIRST));
    }
}
