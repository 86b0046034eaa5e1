//! Times of log lines, which have no year, and process ids, which grow with time.

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng};

use crate::{Draw, Machine, words::hash};

/// How far a line may lie before the time of its file.
pub(super) const NEAR: TimeDelta = TimeDelta::minutes(115);
/// Bytes of `Mon DD HH:MM:SS`.
const STAMP: usize = 15;

/// A generator of a machine's own lasting choices about `what`.
pub(super) fn habits(machine: &Machine, what: &str) -> Draw {
    let mut seed = [0; 32];
    for (index, part) in seed.chunks_exact_mut(8).enumerate() {
        let salt = u64::try_from(index).unwrap_or_default() ^ machine.salt;
        part.copy_from_slice(&hash(format!("{}\n{what}", machine.id).as_bytes(), salt).to_le_bytes());
    }
    Draw::from_seed(seed)
}

/// When the machine was last started, as its process ids tell it.
pub(super) fn boot(machine: &Machine, at: DateTime<Utc>) -> i64 {
    let mut habits = habits(machine, "boot");
    let period = habits.random_range(25..80_i64) * 86_400 + habits.random_range(0..86_400);
    let phase = habits.random_range(0..period);
    at.timestamp() - (at.timestamp() + phase).rem_euclid(period)
}

/// The id that a process gets which starts on `machine` at `at`: it grows from one start of the machine to the next.
pub fn pid(machine: &Machine, at: DateTime<Utc>) -> u32 {
    let up = u64::try_from(at.timestamp() - boot(machine, at)).unwrap_or_default();
    let rate = habits(machine, "pids").random_range(40..400_u64);
    let (minute, second) = (up / 60, up % 60);
    // Some minutes are busier than others; in a minute ids grow, and the next one begins above.
    let jitter = hash(&minute.to_le_bytes(), rate) % 500;
    let steps = minute * 1000 + jitter + second * 8;
    u32::try_from(1100 + steps * rate / 20_000 % 4_000_000).unwrap_or(1100)
}

/// `Mon DD HH:MM:SS host `, as syslog writes it.
pub(super) fn stamp(at: DateTime<Utc>, machine: &Machine) -> String {
    format!("{} {} ", at.format("%b %e %H:%M:%S"), machine.host)
}

/// The time of the last line of a log that was written at `mtime`: of all years, the latest that is not after `mtime`.
pub fn last_stamp(log: &str, mtime: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = log.trim_end().lines().next_back()?.get(..STAMP)?;
    // Eight years back there has been a 29th of February.
    (0..=8).map(|back| mtime.year() - back).find_map(|year| {
        let found = NaiveDateTime::parse_from_str(&format!("{year} {text}"), "%Y %b %e %H:%M:%S").ok()?;
        Some(found.and_utc()).filter(|found| *found <= mtime)
    })
}

/// Seconds from `from` to `to` that a line may bear, both inclusive; at least one, the second of `to`.
pub(super) fn seconds(from: Option<DateTime<Utc>>, to: DateTime<Utc>) -> (i64, i64) {
    let newest = to.timestamp();
    let oldest = (to - NEAR).timestamp();
    (from.map_or(oldest, |from| from.timestamp().max(oldest)).min(newest), newest)
}

/// A second of the Unix clock as a time.
pub(super) fn time(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap_or(DateTime::UNIX_EPOCH)
}
