//! Logs of daemons: what happens on a machine in the course of days, in the file that its distribution writes it to.
//!
//! Nobody here fails to log in: whoever attacks the machine writes those lines himself.

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;

use super::{
    clock::{habits, seconds, stamp, time},
    lines::{self, Said},
};
use crate::{Draw, Machine, Resident, hours::Presence};

/// What a file takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Facility {
    /// Everything but mail and log-ins.
    General,
    /// Daemons only.
    Daemon,
    /// Log-ins.
    Auth,
    /// Mail.
    Mail,
    /// All of it.
    All,
}

impl Facility {
    fn of(path: &str, machine: &Machine) -> Self {
        let mail = machine.has_mail || serves(machine, &["smtp", "imap", "pop3"]);
        match path.rsplit('/').next().unwrap_or_default() {
            "auth.log" | "secure" => Self::Auth,
            "mail.log" | "maillog" if mail => Self::Mail,
            "daemon.log" => Self::Daemon,
            "messages" if machine.family == crate::scene::Family::Other => Self::All,
            _ => Self::General,
        }
    }
}

/// Whether one of these services is offered.
pub(super) fn serves(machine: &Machine, slugs: &[&str]) -> bool {
    machine.services.iter().any(|(slug, _)| slugs.contains(&slug.as_str()))
}

/// A new log; see the module above.
pub(super) fn log(
    path: &str,
    machine: &Machine,
    since: DateTime<Utc>,
    mtime: DateTime<Utc>,
    rng: &mut Draw,
) -> String {
    let facility = Facility::of(path, machine);
    let most = rng.random_range(24..110_i64);
    // Seconds between two events, different on each machine and for each file.
    let gap = habits(machine, path).random_range(240..1500_i64);
    let (first, last) = (since.timestamp(), mtime.timestamp());
    let first = first.max(last - most * gap);
    let events = ((last - first) / gap).clamp(if last - first > 120 { 6 } else { 1 }, most);
    let mut moments: Vec<i64> = (0..events).map(|_| rng.random_range(first..=last)).collect();
    let (near, _) = seconds(Some(since), mtime);
    moments.push(rng.random_range(near..=last));
    moments.sort_unstable();
    let mut said: Vec<Said> = Vec::new();
    for moment in moments {
        lines::event(machine, facility, time(moment), &mut said, rng);
    }
    // What belongs to an event comes up to hours after it, maybe after the end of this log.
    said.retain(|line| (first..=last).contains(&line.at.timestamp()));
    said.sort_by_key(|line| line.at);
    if said.last().is_none_or(|line| line.at.timestamp() < near) {
        let at = time(rng.random_range(near..=last));
        said.push(lines::single(machine, facility, "", at, rng));
    }
    let mut text = String::new();
    for line in said {
        text.push_str(&written(machine, &line));
        text.push('\n');
    }
    text
}

/// A line that can stand alone, shortly before `mtime`.
pub(super) fn next(
    path: &str,
    machine: &Machine,
    previous: &str,
    last: Option<DateTime<Utc>>,
    mtime: DateTime<Utc>,
    rng: &mut Draw,
) -> String {
    let (oldest, newest) = seconds(last, mtime);
    // Daemons write when something happens: mostly in the last minutes.
    let oldest = oldest.max(newest - rng.random_range(1..1200));
    let at = time(rng.random_range(oldest..=newest));
    written(machine, &lines::single(machine, Facility::of(path, machine), previous, at, rng))
}

fn written(machine: &Machine, line: &Said) -> String {
    format!("{}{}: {}", stamp(line.at, machine), line.tag, line.text)
}

/// Somebody with an account who is at work then, if there is anybody.
pub(super) fn present<'m>(machine: &'m Machine, at: DateTime<Utc>, rng: &mut Draw) -> Option<&'m Resident> {
    let there: Vec<&Resident> = machine
        .residents
        .iter()
        .filter(|resident| {
            let presence = Presence::of(&resident.persona);
            presence.is_in(at) && presence.is_in(at - TimeDelta::minutes(1))
        })
        .collect();
    (!there.is_empty()).then(|| there[rng.random_range(0..there.len())])
}
