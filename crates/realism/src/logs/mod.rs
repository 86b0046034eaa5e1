//! What machines write: logs of cron and of daemons, rotated and compressed, and temporary files.
//!
//! Times in a log never go back, the last is at or a little before the file's own time, and names are those of the machine's
//! distribution.

use chrono::{DateTime, Utc};

use crate::{Class, Draw, Machine};

/// The live log files of a class on a machine, such as `/var/log/cron.log`; empty for other classes.
pub fn live_paths(class: Class, machine: &Machine) -> &'static [&'static str] {
    let _ = (class, machine);
    &[]
}

/// Where a log goes when it is rotated: `(from, to)` in the order of doing, oldest generation first, for a log at `path` whose
/// rotated generations at `existing` are there. A `to` that ends in `.gz` is to be compressed. The second value is the
/// generation that is dropped, if any.
pub fn rotation(path: &str, existing: &[&str]) -> (Vec<(String, String)>, Option<String>) {
    let _ = (path, existing);
    (Vec::new(), None)
}

/// A new log at `path`: lines after `since` (the end of the generation before, or the time from which it is to reach) up to `mtime`.
pub fn log(
    path: &str,
    machine: &Machine,
    since: DateTime<Utc>,
    mtime: DateTime<Utc>,
    rng: &mut Draw,
) -> String {
    let _ = (path, machine, since, mtime, rng);
    String::new()
}

/// `previous` and exactly one line more, stamped at or shortly before `mtime`; `None` if the log is full and has to be rotated.
pub fn append(
    path: &str,
    machine: &Machine,
    previous: &str,
    mtime: DateTime<Utc>,
    rng: &mut Draw,
) -> Option<String> {
    let _ = (path, machine, previous, mtime, rng);
    None
}

/// Path and content of a temporary file of a program.
pub fn cache(rng: &mut Draw) -> (String, Vec<u8>) {
    let _ = rng;
    (String::new(), Vec::new())
}

/// `text` as gzip, its header's time being `at`.
pub fn gzip(text: &[u8], at: DateTime<Utc>) -> Vec<u8> {
    let _ = (text, at);
    Vec::new()
}
