//! What comes next: the arrivals of the fleet in the order of their times. Each day is a pure function of the fleet's node, so a
//! restart goes on where it was; what lies before the present is never made up for.

use std::{collections::VecDeque, sync::Arc};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use decnet_core::Seed;
use decnet_realism::plan::{Arrival, Day, Fleet};

/// An arrival that waited for longer has passed: the machine stood still meanwhile.
const LATE: TimeDelta = TimeDelta::minutes(5);
/// Days ahead that are looked through for the next arrival.
const AHEAD: u32 = 3;

/// The arrivals ahead.
#[derive(Debug)]
pub(crate) struct Calendar {
    node: Seed,
    fleet: Arc<Fleet>,
    /// When this began. A faster life counts from here.
    origin: DateTime<Utc>,
    /// How many times faster than the clock.
    pace: i32,
    /// Of the days before this one all arrivals are known.
    next_day: NaiveDate,
    /// Everything up to here was handed out.
    until: DateTime<Utc>,
    ahead: VecDeque<Arrival>,
}

impl Calendar {
    /// Nothing before `now` will be handed out.
    pub(crate) fn new(node: Seed, now: DateTime<Utc>, pace: i32) -> Self {
        Self {
            node,
            fleet: Arc::default(),
            origin: now,
            pace,
            next_day: now.date_naive(),
            until: now,
            ahead: VecDeque::new(),
        }
    }

    /// The fleet that arrivals are of.
    pub(crate) const fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    /// Another fleet: its day from where the other one's was left.
    pub(crate) fn change(&mut self, fleet: Arc<Fleet>) {
        self.fleet = fleet;
        self.ahead.clear();
        self.next_day = self.until.date_naive();
    }

    /// When the next arrival is, if there is one within days.
    pub(crate) fn next(&mut self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.fill(self.lived(now));
        let at = self.ahead.front()?.at;
        Some(self.origin + (at - self.origin) / self.pace)
    }

    /// The next arrival that is due.
    pub(crate) fn due(&mut self, now: DateTime<Utc>) -> Option<Arrival> {
        let lived = self.lived(now);
        loop {
            self.fill(lived);
            let mut arrival = self.ahead.pop_front_if(|arrival| arrival.at <= lived)?;
            self.until = self.until.max(arrival.at);
            if lived - arrival.at <= LATE * self.pace {
                if self.pace != 1 {
                    // Files are as old as the real day says.
                    arrival.at = now;
                }
                return Some(arrival);
            }
        }
    }

    /// How far life has got by the clock.
    fn lived(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.pace == 1 { now } else { self.origin + (now - self.origin) * self.pace }
    }

    fn fill(&mut self, now: DateTime<Utc>) {
        // A long standstill: the days of it are not even planned.
        let late = LATE * self.pace;
        self.next_day = self.next_day.max((now - late).date_naive());
        let last = now.date_naive() + Days::new(u64::from(AHEAD));
        while self.ahead.is_empty() && self.next_day <= last && !self.fleet.places().is_empty() {
            let day = Day::of(&self.node, &self.fleet, self.next_day).all();
            let (until, late) = (self.until, now - late);
            self.ahead = day.into_iter().filter(|arrival| arrival.at > until && arrival.at >= late).collect();
            self.next_day = self.next_day + Days::new(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;
    use decnet_realism::{Machine, scene::Family};

    use super::*;

    fn fleet(machines: usize) -> Arc<Fleet> {
        let machine = |n: usize| Machine {
            id: format!("local:web-{n}"),
            host: format!("web-{n}"),
            domain: "corp.example".to_owned(),
            ip: None,
            services: vec![("ssh".to_owned(), 22)],
            family: Family::Debian,
            residents: Vec::new(),
            has_files: true,
            has_mail: false,
            salt: 0,
            mail_users: Vec::new(),
        };
        Arc::new(Fleet::new((0..machines).map(machine)))
    }

    fn run(calendar: &mut Calendar, from: DateTime<Utc>, hours: i64) -> Vec<Arrival> {
        let mut all = Vec::new();
        for minute in 0..hours * 60 {
            let now = from + TimeDelta::minutes(minute);
            all.extend(std::iter::from_fn(|| calendar.due(now)));
        }
        all
    }

    #[test]
    fn a_restart_goes_on_where_it_was_and_a_standstill_is_not_made_up_for() {
        let node = FleetSecret::from_number(1).seed();
        let start: DateTime<Utc> = "2026-03-23T20:00:30Z".parse().unwrap();
        let mut whole = Calendar::new(node.clone(), start, 1);
        whole.change(fleet(4));
        let all = run(&mut whole, start, 30);
        assert!(all.len() > 60, "{}", all.len());
        assert!(all.is_sorted_by_key(|arrival| arrival.at));

        let half = start + TimeDelta::hours(15);
        let mut first = Calendar::new(node.clone(), start, 1);
        first.change(fleet(4));
        let mut parts = run(&mut first, start, 15);
        let mut second = Calendar::new(node.clone(), half - TimeDelta::minutes(1), 1);
        second.change(fleet(4));
        parts.extend(run(&mut second, half, 15));
        assert_eq!(parts, all);

        let mut still = Calendar::new(node, start, 1);
        still.change(fleet(4));
        let late = start + TimeDelta::hours(40);
        let due: Vec<Arrival> = std::iter::from_fn(|| still.due(late)).collect();
        assert!(due.iter().all(|arrival| late - arrival.at <= LATE), "{due:?}");
    }

    #[test]
    fn another_fleet_repeats_nothing_and_no_fleet_is_quiet() {
        let node = FleetSecret::from_number(2).seed();
        let start: DateTime<Utc> = "2026-03-23T08:00:00Z".parse().unwrap();
        let mut calendar = Calendar::new(node, start, 1);
        assert_eq!(calendar.next(start), None);
        calendar.change(fleet(3));
        let before = run(&mut calendar, start, 5);
        calendar.change(fleet(3));
        let after = run(&mut calendar, start + TimeDelta::hours(5), 5);
        assert!(!before.is_empty() && !after.is_empty());
        assert!(before.iter().all(|arrival| !after.contains(arrival)));
    }

    #[test]
    fn at_a_faster_pace_a_day_takes_minutes() {
        let node = FleetSecret::from_number(3).seed();
        let start: DateTime<Utc> = "2026-03-23T08:00:00Z".parse().unwrap();
        let mut calendar = Calendar::new(node, start, 720);
        calendar.change(fleet(3));
        assert!(calendar.next(start).unwrap() - start < TimeDelta::seconds(20));
        let mut all = Vec::new();
        for second in 0..120 {
            let now = start + TimeDelta::seconds(second);
            all.extend(
                std::iter::from_fn(|| calendar.due(now)).inspect(|arrival| assert_eq!(arrival.at, now)),
            );
        }
        assert!((40..160).contains(&all.len()), "{}", all.len());
    }
}
