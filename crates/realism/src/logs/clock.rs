//! Times of log lines, which have no year, and process ids, which grow with time.

use std::convert::Infallible;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};
use rand::{RngExt, TryRng};

use crate::{
    Machine,
    words::{hash, mix},
};

/// How far a line may lie before the time of its file.
pub(super) const NEAR: TimeDelta = TimeDelta::minutes(115);
/// Bytes of `Mon DD HH:MM:SS`.
const STAMP: usize = 15;

/// A machine's own lasting choices. Splitmix64, because a log asks for some of them in each line.
pub(super) struct Habits(u64);

/// A machine's own lasting choices about `what`.
pub(super) fn habits(machine: &Machine, what: &str) -> Habits {
    Habits(hash(what.as_bytes(), hash(machine.id.as_bytes(), machine.salt)))
}

impl TryRng for Habits {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.try_next_u64()?.to_le_bytes();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        Ok(mix(self.0))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for part in bytes.chunks_mut(8) {
            let next = self.try_next_u64()?.to_le_bytes();
            part.iter_mut().zip(next).for_each(|(byte, next)| *byte = next);
        }
        Ok(())
    }
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
    // By hand: chrono's format strings are read anew for each line.
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.get(usize::try_from(at.month0()).unwrap_or_default()).unwrap_or(&"Jan");
    let (day, hour, minute, second) = (at.day(), at.hour(), at.minute(), at.second());
    format!("{month} {day:>2} {hour:02}:{minute:02}:{second:02} {} ", machine.host)
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
