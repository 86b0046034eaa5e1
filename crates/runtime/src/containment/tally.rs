//! Folds repeats: the first attempt at a target is told at once, those of the next minute with one count. Pure and bounded;
//! time is the caller's.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::refused::Target;

/// How long repeats are gathered.
pub(super) const WINDOW: Duration = Duration::from_mins(1);
/// Targets remembered. Those beyond are counted as one.
const MOST_TARGETS: usize = 512;

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// `None`: many, more than are remembered.
    pub(super) target: Option<Target>,
    pub(super) count: u64,
}

#[derive(Debug)]
struct Entry {
    since: Instant,
    repeats: u64,
}

/// Attempts of the last minute.
#[derive(Debug, Default)]
pub(super) struct Tally {
    targets: BTreeMap<Target, Entry>,
    others: Option<Entry>,
}

impl Tally {
    /// Counts one attempt. True if it is to be told now.
    pub(super) fn count(&mut self, target: &Target, now: Instant) -> bool {
        if let Some(entry) = self.targets.get_mut(target) {
            entry.repeats += 1;
            return false;
        }
        if self.targets.len() >= MOST_TARGETS {
            self.others.get_or_insert(Entry { since: now, repeats: 0 }).repeats += 1;
            return false;
        }
        self.targets.insert(target.clone(), Entry { since: now, repeats: 0 });
        true
    }

    /// When [`Self::due`] has something to do next.
    pub(super) fn next(&self) -> Option<Instant> {
        let all = self.targets.values().chain(&self.others);
        all.map(|entry| entry.since + WINDOW).min()
    }

    /// The repeats of windows that ended. What was tried again in its window is remembered for one more.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Told> {
        let ended = |entry: &Entry| now.saturating_duration_since(entry.since) >= WINDOW;
        let mut told = Vec::new();
        self.targets.retain(|target, entry| {
            if !ended(entry) {
                return true;
            }
            let repeats = std::mem::take(&mut entry.repeats);
            entry.since = now;
            if repeats > 0 {
                told.push(Told { target: Some(target.clone()), count: repeats });
            }
            repeats > 0
        });
        if let Some(entry) = self.others.take_if(|entry| ended(entry)) {
            told.push(Told { target: None, count: entry.repeats });
        }
        told
    }

    /// What is left to tell at the end.
    pub(super) fn finish(&mut self) -> Vec<Told> {
        let targets = std::mem::take(&mut self.targets).into_iter().map(|(target, e)| (Some(target), e));
        let others = self.others.take().map(|entry| (None, entry));
        let all = targets.chain(others).filter(|(_, entry)| entry.repeats > 0);
        all.map(|(target, entry)| Told { target, count: entry.repeats }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{super::refused::Proto, *};

    fn target(n: u32, port: u16) -> Target {
        let dst = Ipv4Addr::from(0xcb00_7100 + n).into();
        Target { proto: Proto::Tcp, dst, port: Some(port), icmp_type: None }
    }

    #[test]
    fn repeats_are_told_once_with_their_number() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        assert!(tally.count(&target(1, 80), start));
        assert!(!tally.count(&target(1, 80), start + Duration::from_secs(1)));
        assert!(!tally.count(&target(1, 80), start + Duration::from_secs(3)));
        assert!(tally.count(&target(1, 443), start + Duration::from_secs(3)));
        assert_eq!(tally.due(start + Duration::from_secs(59)), []);
        assert_eq!(tally.next(), Some(start + WINDOW));
        let told = tally.due(start + WINDOW);
        assert_eq!(told, [Told { target: Some(target(1, 80)), count: 2 }]);
        // Port 443 was tried once and is forgotten; 80 is remembered for one more window.
        let later = start + WINDOW + Duration::from_secs(10);
        tally.due(later);
        assert!(!tally.count(&target(1, 80), later));
        assert!(tally.count(&target(1, 443), later));
        assert_eq!(tally.finish(), [Told { target: Some(target(1, 80)), count: 1 }]);
        assert_eq!(tally.next(), None);
    }

    #[test]
    fn a_scan_from_within_stays_bounded() {
        let (mut tally, now) = (Tally::default(), Instant::now());
        let told = (0..100_000).filter(|n| tally.count(&target(*n, 22), now)).count();
        assert_eq!(told, MOST_TARGETS);
        let due = tally.due(now + WINDOW);
        assert_eq!(due, [Told { target: None, count: 100_000 - MOST_TARGETS as u64 }]);
    }
}
