//! A fuse: three failures in a row and a model is left in peace for a minute, then one call may try.
//!
//! One for files and mail together. Time is the caller's. A permit that is dropped without a word (a stop, a cancelled call)
//! says nothing about the model: it neither closes nor opens anything, and gives its turn back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// Failures in a row that open it.
const FAILURES: u32 = 3;
/// How long it stays open.
const REST: TimeDelta = TimeDelta::seconds(60);

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Calls go through.
    Closed,
    /// None does.
    Open,
    /// One is on trial.
    HalfOpen,
}

impl Status {
    /// For reports: `closed`, `open`, `half_open`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

#[derive(Debug)]
struct State {
    status: Status,
    failures: u32,
    /// Since when it is open.
    since: DateTime<Utc>,
}

/// The fuse; share it.
#[derive(Debug)]
pub struct Breaker(Mutex<State>);

impl Default for Breaker {
    fn default() -> Self {
        Self(Mutex::new(State { status: Status::Closed, failures: 0, since: DateTime::UNIX_EPOCH }))
    }
}

/// Leave to make one call. Say how it ended.
#[derive(Debug)]
#[must_use = "say how the call ended"]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Breaker {
    /// Closed.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave for one call, if there is any now.
    pub fn permit(&self, now: DateTime<Utc>) -> Option<Permit<'_>> {
        let mut state = self.state();
        let is_probe = match state.status {
            Status::Closed => false,
            Status::HalfOpen => return None,
            Status::Open => {
                // A clock that was put back must not keep it open for longer than a minute.
                state.since = state.since.min(now);
                if now - state.since < REST {
                    return None;
                }
                state.status = Status::HalfOpen;
                true
            }
        };
        Some(Permit { breaker: self, is_probe })
    }

    /// Where it stands; an open one becomes half open only when somebody asks for leave.
    pub fn status(&self) -> Status {
        self.state().status
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.state().failures
    }
}

impl Permit<'_> {
    /// The call brought something that can be used.
    pub fn success(mut self) {
        let mut state = self.breaker.state();
        state.status = Status::Closed;
        state.failures = 0;
        drop(state);
        self.is_probe = false;
    }

    /// It timed out, failed, or brought nothing that can be used. Count it once.
    pub fn failure(mut self, now: DateTime<Utc>) {
        let mut state = self.breaker.state();
        state.failures = state.failures.saturating_add(1);
        // While another call is on trial, a late result does not end that trial.
        let on_trial = state.status == Status::HalfOpen && !self.is_probe;
        if !on_trial && (state.status != Status::Closed || state.failures >= FAILURES) {
            state.status = Status::Open;
            state.since = now;
        }
        drop(state);
        self.is_probe = false;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            let mut state = self.breaker.state();
            if state.status == Status::HalfOpen {
                state.status = Status::Open;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds)
    }

    fn fail(breaker: &Breaker, seconds: i64) {
        breaker.permit(at(seconds)).unwrap().failure(at(seconds));
    }

    #[test]
    fn three_in_a_row_open_it_and_a_success_between_starts_again() {
        let breaker = Breaker::new();
        fail(&breaker, 0);
        fail(&breaker, 1);
        breaker.permit(at(2)).unwrap().success();
        assert_eq!(breaker.failures(), 0);
        fail(&breaker, 3);
        fail(&breaker, 4);
        assert_eq!(breaker.status(), Status::Closed);
        fail(&breaker, 5);
        assert_eq!(breaker.status(), Status::Open);
        assert!(breaker.permit(at(64)).is_none());
    }

    fn opened() -> Breaker {
        let breaker = Breaker::new();
        (0..3).for_each(|second| fail(&breaker, second));
        breaker
    }

    #[test]
    fn one_probe_after_a_minute_decides() {
        let breaker = opened();
        let probe = breaker.permit(at(62)).unwrap();
        assert_eq!(breaker.status(), Status::HalfOpen);
        assert!(breaker.permit(at(62)).is_none() && breaker.permit(at(9999)).is_none(), "one at a time");
        probe.failure(at(70));
        assert_eq!(breaker.status(), Status::Open);
        assert!(breaker.permit(at(129)).is_none(), "stamped anew");
        breaker.permit(at(130)).unwrap().success();
        assert_eq!((breaker.status(), breaker.failures()), (Status::Closed, 0));
        assert!(breaker.permit(at(130)).is_some());
    }

    #[test]
    fn exactly_one_of_many_threads_gets_the_probe() {
        let breaker = opened();
        let barrier = std::sync::Barrier::new(8);
        let granted = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        breaker.permit(at(100))
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(granted.len(), 1);
    }

    #[test]
    fn a_cancelled_probe_gives_its_turn_back_and_late_results_are_late() {
        let breaker = opened();
        drop(breaker.permit(at(62)).unwrap());
        assert_eq!(breaker.status(), Status::Open);
        assert!(breaker.permit(at(62)).is_some(), "the next may try at once");

        let breaker = Breaker::new();
        let (slow, late) = (breaker.permit(at(0)).unwrap(), breaker.permit(at(0)).unwrap());
        (0..3).for_each(|second| fail(&breaker, second));
        slow.failure(at(50));
        assert!(breaker.permit(at(109)).is_none(), "a late failure stamps it anew");
        let probe = breaker.permit(at(110)).unwrap();
        late.failure(at(111));
        assert_eq!(breaker.status(), Status::HalfOpen, "the trial goes on");
        probe.success();
        assert_eq!(breaker.status(), Status::Closed);
    }

    #[test]
    fn a_clock_put_back_does_not_keep_it_open() {
        let breaker = opened();
        assert!(breaker.permit(at(-5000)).is_none());
        assert!(breaker.permit(at(-5000 + 60)).is_some());
    }
}
