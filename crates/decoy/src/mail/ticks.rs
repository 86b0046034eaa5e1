//! How long a login that failed waits for its answer, as Dovecot's authentication process makes it wait.

use std::time::Duration;

/// Longest wait before a try is looked at.
const PENALTY_MAX_MS: u64 = 15_000;

/// The wait before a try is looked at, after this many failures: each makes the next slower.
pub fn penalty(failures: u32) -> Duration {
    let wait = match failures {
        0 => 0,
        count => 2000u64 << (count - 1).min(3),
    };
    Duration::from_millis(wait.min(PENALTY_MAX_MS))
}

/// When failures are answered, in Dovecot's way: the server looks every half second which of them are two seconds old,
/// by the clock's whole seconds. So an answer takes 1.5 or 2.0 s, and what lies between only while the half seconds of
/// an earlier failure still run.
#[derive(Debug, Default)]
pub struct Ticks {
    /// A time at which the server looked, and the one at which it stops looking, Unix milliseconds.
    running: Option<(i64, i64)>,
}

impl Ticks {
    /// How long the answer to a failure at `now` (Unix milliseconds) waits.
    pub fn wait(&mut self, now: i64) -> Duration {
        const TICK: i64 = 500;
        let (grid, until) = self.running.filter(|(_, until)| now <= *until).unwrap_or((now, now));
        let due = (now.div_euclid(1000) + 2) * 1000;
        let at = grid + (due - grid + TICK - 1).div_euclid(TICK) * TICK;
        self.running = Some((grid, until.max(at + TICK)));
        Duration::from_millis(u64::try_from(at - now).unwrap_or(2000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As measured on Dovecot 2.3.19.1.
    #[test]
    fn failures_are_answered_on_half_seconds() {
        let wait = |ticks: &mut Ticks, now| u64::try_from(ticks.wait(now).as_millis()).unwrap();
        assert_eq!(wait(&mut Ticks::default(), 10_000), 2000);
        assert_eq!(wait(&mut Ticks::default(), 10_400), 2000);
        assert_eq!(wait(&mut Ticks::default(), 10_600), 1500);
        let mut ticks = Ticks::default();
        assert_eq!(wait(&mut ticks, 10_100), 2000);
        // 370 ms after that answer, 610 ms after the next.
        assert_eq!(wait(&mut ticks, 12_470), 1630);
        assert_eq!(wait(&mut ticks, 14_710), 1500);
    }
}
