//! What machines write: logs of cron and of daemons, rotated and compressed, and temporary files.
//!
//! Times in a log never go back, the last is at or a little before the file's own time, and names are those of the machine's
//! distribution. No lines of the kernel: what it says depends on the hardware that the host shows to whoever looks.

mod clock;
mod cron;
mod daemon;
mod lines;
mod people;
mod post;
#[cfg(test)]
mod tests;

use std::io::Write;

use chrono::{DateTime, Utc};
use flate2::{Compression, GzBuilder};
use rand::RngExt;

use crate::{Class, Draw, Machine, scene::Family};

pub use self::clock::{last_stamp, pid};
pub(crate) use self::lines::neighbour;

const CRON: &str = "/var/log/cron.log";
/// Lines in a log before it is rotated.
const LINES: usize = 400;
/// Bytes in a log before it is rotated.
const BYTES: usize = 60_000;
/// Rotated generations of a daemon's log; cron's has two.
const GENERATIONS: u32 = 4;
/// The operating system of a gzip header: Unix.
const UNIX: u8 = 3;

/// The live log files of a class on a machine, such as `/var/log/cron.log`; empty for other classes.
pub fn live_paths(class: Class, machine: &Machine) -> &'static [&'static str] {
    let mail = machine.has_mail || daemon::serves(machine, &["smtp", "imap", "pop3"]);
    match (class, machine.family) {
        (Class::LogCron, _) => &[CRON],
        (Class::LogDaemon, Family::Debian) if mail => {
            &["/var/log/syslog", "/var/log/daemon.log", "/var/log/auth.log", "/var/log/mail.log"]
        }
        (Class::LogDaemon, Family::Debian) => {
            &["/var/log/syslog", "/var/log/daemon.log", "/var/log/auth.log"]
        }
        (Class::LogDaemon, Family::Rhel) if mail => {
            &["/var/log/messages", "/var/log/secure", "/var/log/maillog"]
        }
        (Class::LogDaemon, Family::Rhel) => &["/var/log/messages", "/var/log/secure"],
        (Class::LogDaemon, Family::Other) => &["/var/log/messages"],
        _ => &[],
    }
}

/// Where a log goes when it is rotated: `(from, to)` in the order of doing, oldest generation first, for a log at `path` whose
/// rotated generations at `existing` are there. A `to` that ends in `.gz` is to be compressed. The second value is the
/// generation that is dropped, if any.
pub fn rotation(path: &str, existing: &[&str]) -> (Vec<(String, String)>, Option<String>) {
    let kept = if path == CRON { 2 } else { GENERATIONS };
    let name = |generation: u32| match generation {
        0 => path.to_owned(),
        1 => format!("{path}.1"),
        older => format!("{path}.{older}.gz"),
    };
    let there = |generation: u32| generation == 0 || existing.contains(&name(generation).as_str());
    // A gap in the generations takes the younger ones up: nothing older has to move.
    let full = (1..=kept).find(|generation| !there(*generation));
    let dropped = full.is_none().then(|| name(kept));
    let oldest = full.unwrap_or(kept);
    let moves = (0..oldest).rev().map(|generation| (name(generation), name(generation + 1))).collect();
    (moves, dropped)
}

/// A new log at `path`: lines after `since` (the end of the generation before, or the time from which it is to reach) up to `mtime`.
pub fn log(
    path: &str,
    machine: &Machine,
    since: DateTime<Utc>,
    mtime: DateTime<Utc>,
    rng: &mut Draw,
) -> String {
    let since = since.min(mtime);
    if path == CRON {
        cron::log(machine, since, mtime, rng)
    } else {
        daemon::log(path, machine, since, mtime, rng)
    }
}

/// `previous` and exactly one line more, stamped at or shortly before `mtime`; `None` if the log is full and has to be rotated.
pub fn append(
    path: &str,
    machine: &Machine,
    previous: &str,
    mtime: DateTime<Utc>,
    rng: &mut Draw,
) -> Option<String> {
    if previous.len() >= BYTES || previous.lines().count() >= LINES {
        return None;
    }
    let last = last_stamp(previous, mtime).filter(|last| *last <= mtime);
    if last.is_none() && !previous.trim().is_empty() {
        // What cannot be read back is not ours to go on with.
        return None;
    }
    let line = if path == CRON {
        cron::next(machine, last, mtime, rng)
    } else {
        daemon::next(path, machine, previous, last, mtime, rng)
    };
    let old = previous.trim_end();
    Some(if old.is_empty() { format!("{line}\n") } else { format!("{old}\n{line}\n") })
}

/// Path and content of a temporary file of a program.
pub fn cache(rng: &mut Draw) -> (String, Vec<u8>) {
    let length = rng.random_range(64..=256);
    (
        format!("/tmp/.cache-{}", alphanumerics(6, rng)),
        format!("session={}\n", alphanumerics(length, rng)).into_bytes(),
    )
}

fn alphanumerics(length: usize, rng: &mut Draw) -> String {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..length).map(|_| char::from(LETTERS[rng.random_range(0..36)])).collect()
}

/// `text` as gzip, its header's time being `at`.
pub fn gzip(text: &[u8], at: DateTime<Utc>) -> Vec<u8> {
    let time = u32::try_from(at.timestamp()).unwrap_or_default();
    let mut encoder =
        GzBuilder::new().mtime(time).operating_system(UNIX).write(Vec::new(), Compression::default());
    // Writing into memory cannot fail.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}
