//! The breaker of one subscription: after five final failures in a row its events wait in the stream, and every five
//! minutes one of them is tried. It opens no dead letters and loses nothing.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Final failures in a row that open it.
pub const THRESHOLD: u32 = 5;
/// From opening to the probe.
pub const PROBE_AFTER: TimeDelta = TimeDelta::minutes(5);

/// Where it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Events are sent.
    #[default]
    Closed,
    /// Events wait.
    Open,
    /// One event is being tried.
    HalfOpen,
}

impl BreakerState {
    /// As a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }

    /// The state of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Closed, Self::Open, Self::HalfOpen].into_iter().find(|state| state.as_str() == text)
    }
}

/// What may be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Send.
    Send,
    /// Try one event.
    Probe,
    /// Wait until then.
    Wait(DateTime<Utc>),
}

/// The breaker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Where it stands.
    pub state: BreakerState,
    /// Final failures in a row.
    pub failures: u32,
    /// When it opened last, while it is not closed.
    pub opened_at: Option<DateTime<Utc>>,
}

impl Breaker {
    /// What may be done at `now`; a breaker whose time has come is half-open afterwards.
    pub fn permit(&mut self, now: DateTime<Utc>, probe_after: TimeDelta) -> Permit {
        match (self.state, self.opened_at) {
            (BreakerState::Closed, _) => Permit::Send,
            (BreakerState::HalfOpen, _) | (BreakerState::Open, None) => self.probe(),
            (BreakerState::Open, Some(opened)) => {
                let due = opened + probe_after;
                // A clock that was set back must not keep it open for longer than it would be anyway.
                if now >= due || opened > now { self.probe() } else { Permit::Wait(due) }
            }
        }
    }

    const fn probe(&mut self) -> Permit {
        self.state = BreakerState::HalfOpen;
        Permit::Probe
    }

    /// An event was delivered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A final failure.
    pub fn failed(&mut self, now: DateTime<Utc>) {
        self.failures = self.failures.saturating_add(1);
        if self.state != BreakerState::Closed || self.failures >= THRESHOLD {
            self.state = BreakerState::Open;
            self.opened_at = Some(now);
        }
    }

    /// Whether events wait, so that an operator should look.
    pub fn is_tripped(&self) -> bool {
        self.state != BreakerState::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_open_it_and_a_probe_decides() {
        let start = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        let after = |seconds| start + TimeDelta::seconds(seconds);
        let mut breaker = Breaker::default();
        for failure in 0..4 {
            breaker.failed(after(failure));
            assert_eq!(breaker.permit(after(failure), PROBE_AFTER), Permit::Send);
        }
        breaker.failed(after(10));
        assert!(breaker.is_tripped());
        assert_eq!(breaker.permit(after(11), PROBE_AFTER), Permit::Wait(after(310)));
        assert_eq!(breaker.permit(after(309), PROBE_AFTER), Permit::Wait(after(310)));
        assert_eq!(breaker.permit(after(310), PROBE_AFTER), Permit::Probe);
        assert_eq!(breaker.state, BreakerState::HalfOpen);
        // One failure of the probe is enough.
        breaker.failed(after(311));
        assert_eq!(breaker.permit(after(312), PROBE_AFTER), Permit::Wait(after(611)));
        assert_eq!(breaker.permit(after(611), PROBE_AFTER), Permit::Probe);
        breaker.succeeded();
        assert_eq!((breaker, breaker.permit(after(612), PROBE_AFTER)), (Breaker::default(), Permit::Send));
    }

    #[test]
    fn a_success_in_between_starts_the_count_anew() {
        let now = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            for _ in 0..4 {
                breaker.failed(now);
            }
            breaker.succeeded();
        }
        assert!(!breaker.is_tripped());
    }

    #[test]
    fn a_clock_set_back_does_not_lock_it() {
        let now = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        let mut breaker =
            Breaker { state: BreakerState::Open, failures: 5, opened_at: Some(now + TimeDelta::days(300)) };
        assert_eq!(breaker.permit(now, PROBE_AFTER), Permit::Probe);
        assert_eq!(BreakerState::parse("half_open"), Some(BreakerState::HalfOpen));
    }
}
