//! Who writes to whom, and when somebody answers.
//!
//! A letter that wants an answer is due once its recipient has had the time that he takes and is in again; it is answered at
//! most once. Whether it wants one, and when, depends on nothing but the letter, so it needs no memory of its own.

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;

use super::{Found, Scene, Unavailable, fleet::Person, shelf::WAITS};
use crate::{
    Action, Class,
    hours::Attendance,
    mail::{KnownMail, compose},
    mtime,
    persona::Latency,
};

/// How often somebody who has a letter to answer does so rather than write another.
const ANSWERS: f64 = 0.68;
/// How likely a letter wants an answer, by how many went before it in its thread.
const WANTS: [f64; 5] = [0.85, 0.62, 0.5, 0.35, 0.2];
/// Letters that are thought of at a time.
const CHOICE: usize = 12;
/// Seconds from sending to delivery, at most.
const DELIVERY: i64 = 18;

pub(super) fn decide(scene: &mut Scene<'_>) -> Found {
    let drawn = scene.person.ok_or(Unavailable::Gone)?;
    let due = due(scene, drawn);
    let own = |(_, person): &&(&KnownMail, &Person)| person.persona.email == drawn.persona.email;
    // His own letters first; else whoever is in and has one waits no longer.
    let which = scene.rng.random_range(0..due.len().max(1));
    let chosen = due.iter().find(own).or_else(|| due.get(which));
    let chosen = chosen.copied().filter(|_| scene.rng.random_bool(ANSWERS));
    let (from, to, parent) = match chosen {
        Some((parent, from)) => (from, mailer(scene, &parent.from).ok_or(Unavailable::NoMail)?, Some(parent)),
        None => (drawn, recipient(scene, drawn).ok_or(Unavailable::NoMail)?, None),
    };
    let after = parent.map(|parent| parent.at).max(scene.shelf.since);
    let at = scene.arrival.at;
    let time = mtime::just_before(Some(from.presence), at, after, DELIVERY, &mut scene.rng)
        .filter(|time| from.presence.is_in(*time))
        .ok_or(Unavailable::NobodyIn)?;
    let letter = compose::Letter {
        from: &from.persona,
        to: &to.persona,
        machine: &scene.place.machine,
        parent,
        at: time,
        text: None,
    };
    let message = compose::compose(&letter, &mut scene.rng);
    Ok(vec![scene.planned(Some(from), Some(Class::Email), Action::Email(Box::new(message)))])
}

/// The letters that somebody who is in should answer now, newest first. On a day of work nobody answers who is off: a day off
/// would be as busy as others.
fn due<'a>(scene: &Scene<'a>, drawn: &Person) -> Vec<(&'a KnownMail, &'a Person)> {
    let at = scene.arrival.at;
    let turn = drawn.presence.at(at);
    let salt = scene.place.machine.salt;
    let waiting = scene.shelf.mails.iter().rev().filter(|mail| !mail.answered && at - mail.at < WAITS);
    waiting
        .filter_map(|mail| {
            let person = mailer(scene, &mail.to)?;
            let ready = mail.due(person.persona.reply_latency, salt)?;
            let fits = mail.from != mail.to && ready <= at;
            let now = || person.presence.at(at);
            (fits && (now() == Attendance::Work || now() == turn)).then_some((mail, person))
        })
        .take(CHOICE)
        .collect()
}

/// Somebody with a mailbox here.
fn mailer<'a>(scene: &Scene<'a>, address: &str) -> Option<&'a Person> {
    scene.fleet.people().get(*scene.place.by_address.get(address)?)
}

/// Somebody else with a mailbox here: those that he works with more often than others.
fn recipient<'a>(scene: &mut Scene<'a>, from: &Person) -> Option<&'a Person> {
    let people = scene.fleet.people();
    let others: Vec<&Person> = scene
        .place
        .mailers
        .iter()
        .filter_map(|index| people.get(*index))
        .filter(|other| !other.persona.email.eq_ignore_ascii_case(&from.persona.email))
        .collect();
    let salt = scene.place.machine.salt;
    let weight = |other: &Person| {
        let mut pair = [from.persona.email.as_str(), other.persona.email.as_str()];
        pair.sort_unstable();
        0.15 + scattered(pair.concat().bytes(), salt).0 * 2.0
    };
    let sum: f64 = others.iter().map(|other| weight(other)).sum();
    let mut target = scene.rng.random_range(0.0..1.0) * sum;
    let found = others.iter().find(|other| {
        target -= weight(other);
        target < 0.0
    });
    found.or(others.last()).copied()
}

/// Two numbers in [0, 1) that depend on nothing else but the fleet. FNV-1a: only to scatter; nothing depends on its strength.
fn scattered(bytes: impl Iterator<Item = u8>, salt: u64) -> (f64, f64) {
    let hash = bytes.chain(salt.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ hash >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let part = |shift: u32| {
        f64::from(u32::try_from(hash >> shift & 0xff_ffff).unwrap_or_default()) / f64::from(1 << 24)
    };
    (part(40), part(8))
}

impl KnownMail {
    /// When it should be answered at the earliest, by somebody who answers like that; `None` if it wants no answer. `salt` is the
    /// fleet's.
    pub fn due(&self, latency: Latency, salt: u64) -> Option<DateTime<Utc>> {
        let (wants, wait) = scattered(self.message_id.bytes(), salt);
        let likely = WANTS.get(self.references.len()).copied().unwrap_or(0.1);
        if wants >= likely {
            return None;
        }
        let (from, to) = match latency {
            Latency::Fast => (4.0, 55.0),
            Latency::Normal => (15.0, 260.0),
            Latency::Slow => (420.0, 1900.0),
        };
        #[expect(clippy::cast_possible_truncation, reason = "a day or two in seconds")]
        let seconds = ((from + (to - from) * wait * wait) * 60.0) as i64;
        Some(self.at + TimeDelta::seconds(seconds))
    }
}
