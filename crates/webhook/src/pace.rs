//! How long this worker waits for things. Tests make all of it shorter by one factor.

use std::time::Duration;

use chrono::TimeDelta;
use decnet_alerts::{PROBE_AFTER, retry_delay};

/// The factor on every pause.
#[derive(Debug, Clone, Copy)]
pub struct Pace(f64);

impl Default for Pace {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Pace {
    /// A factor between a millionth and one; anything else is one.
    pub fn new(factor: f64) -> Self {
        if (1e-6..=1.0).contains(&factor) { Self(factor) } else { Self::default() }
    }

    /// This pause at this pace.
    pub(crate) fn of(self, pause: Duration) -> Duration {
        pause.mul_f64(self.0)
    }

    /// Before the next try after try `attempt` failed.
    pub(crate) fn retry(self, attempt: u64) -> Duration {
        let random = u32::from_be_bytes(decnet_core::secret::entropy());
        self.of(retry_delay(attempt, f64::from(random) / f64::from(u32::MAX)))
    }

    /// From the opening of a breaker to its probe.
    pub(crate) fn probe_after(self) -> Duration {
        self.of(PROBE_AFTER.to_std().unwrap_or_default())
    }
}

/// A span for arithmetic with instants.
pub(crate) fn delta(span: Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_shortens_and_never_lengthens() {
        assert_eq!(Pace::default().probe_after(), Duration::from_mins(5));
        assert_eq!(Pace::new(0.01).probe_after(), Duration::from_secs(3));
        for odd in [0.0, -1.0, 2.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Pace::new(odd).of(Duration::from_secs(7)), Duration::from_secs(7), "{odd}");
        }
        let retry = Pace::default().retry(4);
        assert!((Duration::from_secs(12)..=Duration::from_secs(18)).contains(&retry), "{retry:?}");
    }
}
