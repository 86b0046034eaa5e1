//! When a file was last written, as seen from the moment at which it is put there: some hours ago, inside its author's hours.
//!
//! Spans are exponential with jitter above their floor, so no age stands out; what would exceed the cap is drawn again. The
//! result has true nanoseconds: a zero or a whole microsecond would say that a program set it.

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;

use crate::{
    Draw,
    hours::{Attendance, Presence, Window},
};

/// How long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// At least, in seconds.
    pub floor: i64,
    /// On average above the floor, in seconds.
    pub mean: i64,
    /// At most, in seconds.
    pub cap: i64,
}

impl Span {
    /// A file that is new to us: half an hour to fourteen days.
    pub const CREATE: Self = Self { floor: 1800, mean: 12 * 3600, cap: 14 * 86_400 };
    /// A file that somebody has just changed, or changed a while ago.
    pub const EDIT: Self = Self { floor: 40, mean: 2 * 3600, cap: 2 * 86_400 };
}

/// Draws before the sampler looks for any time that fits.
const TRIES: u32 = 24;
/// How often a time on a day off is kept.
const KEEP_OFF: f64 = 0.2;

/// A time before `at` and after `after`, inside the hours of `presence`. At `at` its owner must be in: then there always is
/// one, unless `after` is `at` or later (`None`). The floor gives way before the hours do, and the cap never gives way.
pub fn sample(
    presence: Presence,
    at: DateTime<Utc>,
    after: Option<DateTime<Utc>>,
    span: Span,
    rng: &mut Draw,
) -> Option<DateTime<Utc>> {
    // One second of room, so that the nanoseconds can be anything.
    let oldest = at - TimeDelta::seconds(span.cap - 1);
    let after = after.map_or(oldest, |after| after.max(oldest));
    let newest = at - TimeDelta::seconds(span.floor);
    for _ in 0..TRIES {
        let u: f64 = rng.random_range(1e-9..1.0);
        let back = to_float(span.floor) * rng.random_range(1.0..1.6) - u.ln() * to_float(span.mean);
        if back >= to_float(span.cap - 1) {
            continue;
        }
        let candidate = at - nanos(back);
        let kept = match presence.at(candidate) {
            Attendance::Work => Some(candidate),
            Attendance::Off if rng.random_bool(KEEP_OFF) => Some(candidate),
            _ => snap(presence, candidate, rng),
        };
        let Some(kept) = kept.and_then(|kept| natural(kept, after, newest, rng)) else { continue };
        if presence.is_in(kept) {
            return Some(kept);
        }
    }
    anywhere(presence, after, newest, rng).or_else(|| anywhere(presence, after, at, rng))
}

/// A time within seconds before `at`, in the same window and after `after`.
pub fn just_before(
    presence: Option<Presence>,
    at: DateTime<Utc>,
    after: Option<DateTime<Utc>>,
    seconds: i64,
    rng: &mut Draw,
) -> Option<DateTime<Utc>> {
    let mut from = at - TimeDelta::seconds(seconds);
    if let Some(window) = presence.and_then(|presence| presence.window_at(at)) {
        from = from.max(window.start);
    }
    if let Some(after) = after {
        from = from.max(after);
    }
    between(from, at, rng)
}

/// A time in a window on the candidate's day or the day before, days of work first.
fn snap(presence: Presence, candidate: DateTime<Utc>, rng: &mut Draw) -> Option<DateTime<Utc>> {
    let windows: Vec<Window> = presence
        .windows(candidate - TimeDelta::hours(80), candidate)
        .filter(|window| window.work || rng.random_bool(KEEP_OFF / 4.0))
        .collect();
    let window = windows.last()?;
    between(window.start, window.end.min(candidate), rng)
}

fn anywhere(
    presence: Presence,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
    rng: &mut Draw,
) -> Option<DateTime<Utc>> {
    if until <= after {
        return None;
    }
    let windows: Vec<Window> = presence.windows(after, until).collect();
    // The newest three: whatever brought us here, a recent time is the plainest.
    for window in windows.iter().rev().take(3) {
        let found = between(window.start.max(after), window.end.min(until), rng);
        if let Some(found) = found.filter(|found| presence.is_in(*found)) {
            return Some(found);
        }
    }
    None
}

/// A time strictly inside, with the nanoseconds of a real clock.
pub fn between(from: DateTime<Utc>, to: DateTime<Utc>, rng: &mut Draw) -> Option<DateTime<Utc>> {
    let room = (to - from).num_nanoseconds()?;
    (room > 2)
        .then(|| from + TimeDelta::nanoseconds(rng.random_range(1..room)))
        .and_then(|found| natural(found, from, to, rng))
}

/// The same within a microsecond, if that lies between: neither a whole second nor a whole microsecond.
fn natural(
    time: DateTime<Utc>,
    after: DateTime<Utc>,
    before: DateTime<Utc>,
    rng: &mut Draw,
) -> Option<DateTime<Utc>> {
    let mut time = time;
    if time.timestamp_subsec_nanos().is_multiple_of(1000) {
        let push = TimeDelta::nanoseconds(rng.random_range(1..1000));
        time = if time + push < before { time + push } else { time - push };
    }
    (time > after && time < before).then_some(time)
}

fn nanos(seconds: f64) -> TimeDelta {
    #[expect(clippy::cast_possible_truncation, reason = "spans are days at most: far below 2^63 nanoseconds")]
    TimeDelta::nanoseconds((seconds * 1e9) as i64)
}

fn to_float(seconds: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "days in seconds")]
    {
        seconds as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use decnet_core::Seed;
    use proptest::prelude::*;

    use super::*;
    use crate::Persona;

    fn persona(hours: &str, zone: &str) -> Persona {
        serde_json::from_value(serde_json::json!({
            "name": "Ada Park", "email": "ada@nova.example", "role": "engineer", "active_hours": hours, "timezone": zone,
        }))
        .unwrap()
    }

    fn rng(number: u64) -> Draw {
        Seed::from_hex(&"7a".repeat(32)).unwrap().child(number.to_be_bytes()).rng()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn no_age_stands_out() {
        let presence = Presence::of(&persona("09:00-18:00", "Europe/Berlin"));
        let now = at("2026-03-24T13:00:00.123456789Z");
        let mut seconds: HashMap<i64, u32> = HashMap::new();
        let mut ages: Vec<i64> = (0..20_000)
            .map(|number| {
                let found = sample(presence, now, None, Span::CREATE, &mut rng(number)).unwrap();
                *seconds.entry(found.timestamp()).or_default() += 1;
                (now - found).num_seconds()
            })
            .collect();
        ages.sort_unstable();
        assert!(*seconds.values().max().unwrap() < 100, "a second with more than 0.5 % of all");
        assert!(ages[0] >= 1800 && ages[0] < 2400, "{}", ages[0]);
        let median = ages[10_000] / 3600;
        assert!((2..24).contains(&median), "median age of {median} hours");
        assert!(ages.last().unwrap() / 86_400 >= 3);
    }

    #[test]
    fn an_edit_fits_between_its_predecessor_and_now() {
        let presence = Presence::of(&persona("22:00-06:00", "Europe/Berlin"));
        let now = at("2026-03-24T21:00:05Z");
        for number in 0..500 {
            let previous = now - TimeDelta::nanoseconds(10 + 5_000_000 * i64::try_from(number).unwrap());
            let found = sample(presence, now, Some(previous), Span::EDIT, &mut rng(number)).unwrap();
            assert!(previous < found && found < now && presence.is_in(found), "{previous} {found}");
        }
        assert_eq!(sample(presence, now, Some(now), Span::EDIT, &mut rng(0)), None);
    }

    proptest! {
        #[test]
        fn times_are_inside_and_the_same_again(
            seed in any::<u64>(), when in 0u32..40_000_000, start in 0u16..1440, length in 1u16..1440, zone in 0usize..5,
            work in 0u8..128,
        ) {
            let zone = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Europe/Berlin"][zone];
            let end = (start + length) % 1440;
            let hours = format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60);
            let mut persona = persona(&hours, zone);
            persona.work_days = (0..7u8).filter(|day| work >> day & 1 == 1).map(|day| day.try_into().unwrap()).collect();
            let presence = Presence::of(&persona);
            let now = at("2026-01-10T00:00:00.5Z") + TimeDelta::seconds(i64::from(when));
            prop_assume!(presence.window_at(now).is_some());
            for span in [Span::CREATE, Span::EDIT] {
                let found = sample(presence, now, None, span, &mut rng(seed));
                prop_assert_eq!(found, sample(presence, now, None, span, &mut rng(seed)));
                let found = found.unwrap();
                prop_assert!(presence.is_in(found));
                prop_assert!(found < now && (now - found).num_seconds() < span.cap);
                prop_assert!(!found.timestamp_subsec_nanos().is_multiple_of(1000));
            }
            let found = just_before(Some(presence), now, None, 20, &mut rng(seed)).unwrap();
            prop_assert!(presence.is_in(found) && found < now && (now - found).num_seconds() < 20);
        }
    }
}
