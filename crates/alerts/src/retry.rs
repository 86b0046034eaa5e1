//! What follows from a receiver's answer: done, again, or never.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Longest pause that a receiver may ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// Tries that belong together: the first, and those after 1, 2 and 4 seconds. A round that fails to its end is a final
/// failure for the breaker, and so is every later try. The event itself is tried on.
pub const TRIES_OF_A_ROUND: u64 = 4;

/// Seconds before the second try, the third, and so on; the last one repeats.
const PAUSES: [u64; 7] = [1, 2, 4, 15, 60, 300, 900];

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// Again later, after this pause where the receiver named one.
    Retry(Option<Duration>),
    /// The receiver will never take this event: a dead letter.
    Refused,
}

impl Outcome {
    /// The meaning of a status, with the header `Retry-After` if there was one.
    ///
    /// Redirects are not followed and mean a wrong address: the event waits until somebody mends it.
    pub fn of_status(status: u16, retry_after: Option<&str>, now: DateTime<Utc>) -> Self {
        match status {
            200..=299 => Self::Delivered,
            408 | 425 | 429 | 500..=599 => Self::Retry(retry_after.and_then(|text| pause(text, now))),
            400..=499 => Self::Refused,
            _ => Self::Retry(None),
        }
    }
}

/// `Retry-After`: seconds, or a date. `None` if it is neither, or past.
fn pause(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    let asked = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a number has are more than an hour.
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        let at = DateTime::parse_from_rfc2822(text).ok()?;
        at.with_timezone(&Utc).signed_duration_since(now).to_std().ok()?
    };
    Some(asked.min(MAX_RETRY_AFTER))
}

/// The pause after the failure of try `attempt` (counted from 1), spread by `random` in 0..1 to 0.8 to 1.2 of itself.
pub fn retry_delay(attempt: u64, random: f64) -> Duration {
    let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    let seconds = PAUSES.get(index).copied().unwrap_or(900);
    let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
    Duration::from_secs(seconds).mul_f64(0.8 + 0.4 * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_as_promised_and_stay_within_their_spread() {
        let middle: Vec<_> = (1..=9).map(|attempt| retry_delay(attempt, 0.5).as_secs_f64().round()).collect();
        assert_eq!(middle, [1.0, 2.0, 4.0, 15.0, 60.0, 300.0, 900.0, 900.0, 900.0]);
        assert_eq!(retry_delay(3, 0.0), Duration::from_millis(3200));
        assert_eq!(retry_delay(3, 1.0), Duration::from_millis(4800));
        assert_eq!(retry_delay(3, f64::NAN), Duration::from_secs(4));
        assert_eq!(retry_delay(0, 0.5), retry_delay(1, 0.5));
        assert!(retry_delay(u64::MAX, 7.0) <= Duration::from_mins(18));
    }

    #[test]
    fn every_status_has_its_meaning() {
        let now = DateTime::from_timestamp(1_445_412_420, 0).unwrap();
        let of = |status, after| Outcome::of_status(status, after, now);
        for status in [200, 201, 204, 299] {
            assert_eq!(of(status, None), Outcome::Delivered);
        }
        for status in [408, 425, 429, 500, 502, 503, 599, 301, 302, 307, 308, 304, 100, 0, 999] {
            assert_eq!(of(status, None), Outcome::Retry(None), "{status}");
        }
        for status in [400, 401, 403, 404, 410, 413, 422, 451] {
            assert_eq!(of(status, Some("5")), Outcome::Refused, "{status}");
        }
        let after = |text| match of(429, Some(text)) {
            Outcome::Retry(after) => after.map(|after| after.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!(after("7"), Some(7));
        assert_eq!(after("0"), Some(0));
        assert_eq!(after("86400"), Some(3600));
        assert_eq!(after("99999999999999999999999"), Some(3600));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(60));
        assert_eq!(after("Wed, 21 Oct 2015 07:20:00 GMT"), None);
        assert_eq!(after("soon"), None);
        assert_eq!(after("-1"), None);
    }
}
