//! A fleet that is invented from a number, and its life on virtual time: what `decnet lab life` prints. The same planner as the
//! orchestrator's; only whoever acts is missing, so everything is done at once and as planned.

mod company;
mod line;

use std::collections::{HashSet, VecDeque};

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use decnet_core::{FleetSecret, Seed};
use sha2::{Digest, Sha256};

pub use self::line::Line;
use crate::{
    Action, Planned, Pool,
    plan::{Arrival, Day, Decision, Fleet, STALE, Shelf, decide},
};

/// Times that an arrival is decided again because a text was not new to the fleet.
const ATTEMPTS: u32 = 24;
/// How far the history of an invented machine reaches back before the plan begins.
const BORN_BEFORE: TimeDelta = TimeDelta::days(21);

/// The life of an invented fleet, in order of time. Its memory is the fleet's state, not what it has told.
#[derive(Debug)]
pub struct Life {
    seed: Seed,
    fleet: Fleet,
    shelves: Vec<Shelf>,
    bodies: HashSet<u64>,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    next_day: NaiveDate,
    arrivals: VecDeque<Arrival>,
    ready: VecDeque<Planned>,
    passed_over: u64,
}

impl Life {
    /// The life of `deckies` machines, on which the people of `pool` work, over `days` times 24 hours from `start`.
    pub fn new(pool: &Pool, deckies: u32, days: u32, seed: u64, start: DateTime<Utc>) -> Self {
        let seed = FleetSecret::from_number(seed).seed().child("life");
        let fleet = Fleet::new(company::machines(pool, deckies, &seed.child("fleet")));
        let shelf = Shelf { since: Some(start - BORN_BEFORE), ..Shelf::default() };
        Self {
            shelves: vec![shelf; fleet.places().len()],
            fleet,
            seed,
            bodies: HashSet::new(),
            start,
            end: start + TimeDelta::days(i64::from(days)),
            next_day: start.date_naive(),
            arrivals: VecDeque::new(),
            ready: VecDeque::new(),
            passed_over: 0,
        }
    }

    /// The invented machines.
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Arrivals so far for which nothing could be done.
    pub const fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// The next arrival within the plan's time.
    fn arrival(&mut self) -> Option<Arrival> {
        loop {
            if let Some(arrival) = self.arrivals.pop_front() {
                if arrival.at >= self.start && arrival.at < self.end {
                    return Some(arrival);
                }
                continue;
            }
            if self.next_day > self.end.date_naive() {
                return None;
            }
            self.forget();
            self.arrivals = Day::of(&self.seed, &self.fleet, self.next_day).all().into();
            self.next_day = self.next_day.checked_add_days(Days::new(1))?;
        }
    }

    /// Once a week the texts of people's files that are too old to be edited again are let go of, or a year of a large fleet
    /// would fill the memory.
    fn forget(&mut self) {
        if self.next_day.weekday() != Weekday::Mon {
            return;
        }
        let now = self.next_day.and_time(NaiveTime::MIN).and_utc();
        for file in self.shelves.iter_mut().flat_map(|shelf| shelf.files.values_mut()) {
            if file.class.is_user() && now - file.mtime > STALE {
                file.body = Vec::new();
            }
        }
    }

    fn act(&mut self, arrival: &Arrival) {
        for attempt in 0..ATTEMPTS {
            let Some(shelf) = self.shelves.get_mut(arrival.place) else { return };
            match decide(arrival, &self.fleet, shelf, attempt) {
                Decision::Quiet => return,
                Decision::Unavailable(_) => break,
                Decision::Act(planned) => {
                    let hashes: Vec<u64> = planned.iter().filter_map(content).map(hash).collect();
                    if hashes.iter().any(|hash| self.bodies.contains(hash)) {
                        continue;
                    }
                    self.bodies.extend(hashes);
                    for done in planned {
                        shelf.apply(&done);
                        self.ready.push_back(done);
                    }
                    return;
                }
            }
        }
        self.passed_over += 1;
    }
}

impl Iterator for Life {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        loop {
            if let Some(planned) = self.ready.pop_front() {
                return Some(planned);
            }
            let arrival = self.arrival()?;
            self.act(&arrival);
        }
    }
}

/// What must be unlike everything else in the fleet; a log that only moves is what it was.
fn content(planned: &Planned) -> Option<&[u8]> {
    match &planned.action {
        Action::Create(write) | Action::Edit { write, .. } => Some(&write.body),
        Action::Email(message) => Some(&message.raw),
        Action::Traffic { .. } | Action::Rotate { .. } | Action::Delete { .. } => None,
    }
}

/// A part of the SHA-256 is enough: where two texts have it in common by chance, another one is drawn.
fn hash(content: &[u8]) -> u64 {
    let mut part = [0; 8];
    part.copy_from_slice(Sha256::digest(content).get(..8).unwrap_or(&[0; 8]));
    u64::from_le_bytes(part)
}
