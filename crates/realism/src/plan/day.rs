//! One day of the fleet: how much each machine does of each kind, and when.
//!
//! A pure function of the fleet's seed, the machines and the (UTC) day, so a restarted orchestrator goes on where it was.
//! Every kind is a strand of its own whose amount follows the presence of the machine's people in full, whichever hours they
//! keep: the shares of the kinds therefore hold over a day though people sleep and machines do not. Amounts are expectations
//! rounded by chance rather than drawn freely, and within a strand the dice are spread evenly, so small samples keep the
//! shares as well. Times come in bursts around the same moments of somebody's day for all that he does.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use decnet_core::Seed;
use rand::{Rng, RngExt, seq::SliceRandom};

use super::{
    Arrival, Strand,
    fleet::{Fleet, Place},
    shape::Shape,
};
use crate::Draw;

/// Decisions of a decky on an average day of the week, before its own pace.
const PER_DAY: f64 = 29.0;
/// The most of one kind that a machine does in a day, so that the one mail machine of a large fleet stays believable.
const MOST: f64 = 150.0;
/// How often a thing happens in a burst.
const IN_BURST: f64 = 0.6;
/// Seconds from the middle of a burst, on average.
const BURST: f64 = 280.0;
/// How often the machine's own doing follows what its people do.
const FOLLOWS: f64 = 0.5;
/// Looks at the temporary files in a day.
const SWEEPS: usize = 2;

/// The strands that have a share, and it.
const SHARES: [(Strand, f64); 5] = [
    (Strand::UserFile, 0.45 * 0.7),
    (Strand::SystemFile, 0.45 * 0.3),
    (Strand::PersonTraffic, 0.45 * 0.5),
    (Strand::OwnTraffic, 0.45 * 0.5),
    (Strand::Mail, 0.10),
];

/// The amounts of a day.
#[derive(Debug)]
pub struct Day<'f> {
    fleet: &'f Fleet,
    node: Seed,
    start: DateTime<Utc>,
    shapes: Vec<Shape>,
    /// By place, in the order of [`SHARES`].
    amounts: Vec<[f64; 5]>,
}

impl<'f> Day<'f> {
    /// The day of a fleet. `seed` is the fleet's node for life.
    pub fn of(seed: &Seed, fleet: &'f Fleet, date: NaiveDate) -> Self {
        let start = date.and_time(NaiveTime::MIN).and_utc();
        let shapes: Vec<Shape> =
            fleet.people().iter().map(|person| Shape::of(person.presence, start)).collect();
        let everyone: Vec<usize> = (0..shapes.len()).collect();
        let node = seed.child("day");
        let paces: Vec<f64> = fleet
            .places()
            .iter()
            .map(|place| {
                let pace = seed.child("pace").child(&place.machine.id).rng().random_range(0.8..1.3);
                let mood = Self::generator(&node, place, start, "mood").random_range(0.75..1.25);
                let people = if place.residents.is_empty() { &everyone } else { &place.residents };
                PER_DAY * pace * mood * level(people, &shapes)
            })
            .collect();
        let amounts = amounts(fleet, &paces);
        Self { fleet, node, start, shapes, amounts }
    }

    /// What falls on the machine at `place` (see [`Fleet::place_of`]), in order of time.
    pub fn arrivals(&self, place: usize) -> Vec<Arrival> {
        let Some((here, amounts)) = self.fleet.places().get(place).zip(self.amounts.get(place)) else {
            return Vec::new();
        };
        let mut rng = Self::generator(&self.node, here, self.start, "arrivals");
        let mut moments = Moments { day: self, bursts: Vec::new() };
        let mut all = Vec::new();
        for ((strand, _), amount) in SHARES.iter().zip(amounts) {
            let people = if *strand == Strand::Mail { &here.mailers } else { &here.residents };
            let count = rounded(*amount, &mut rng);
            for roll in rolls(count, &mut rng) {
                let found = moments.find(*strand, people, &mut rng);
                let Some((at, person)) = found else { continue };
                all.push(Arrival { at, place, strand: *strand, person, roll, seed: seed(&mut rng) });
            }
        }
        for roll in rolls(if here.machine.has_files { SWEEPS } else { 0 }, &mut rng) {
            let at = self.any_time(&mut rng);
            let strand = Strand::Sweep;
            all.push(Arrival { at, place, strand, person: None, roll, seed: seed(&mut rng) });
        }
        all.sort_by_key(|arrival| arrival.at);
        all
    }

    /// What falls on the fleet, in order of time.
    pub fn all(&self) -> Vec<Arrival> {
        let mut all: Vec<Arrival> =
            (0..self.fleet.places().len()).flat_map(|place| self.arrivals(place)).collect();
        all.sort_by_key(|arrival| (arrival.at, arrival.place));
        all
    }

    fn generator(node: &Seed, place: &Place, start: DateTime<Utc>, what: &str) -> Draw {
        let label = format!("{what} {} {}", start.date_naive(), place.machine.id);
        node.child(label).rng()
    }

    fn any_time(&self, rng: &mut Draw) -> DateTime<Utc> {
        self.start + TimeDelta::nanoseconds(rng.random_range(0..86_400_000_000_000))
    }
}

/// Times of bursts, the same for everything that somebody does on this machine today.
struct Moments<'d, 'f> {
    day: &'d Day<'f>,
    bursts: Vec<(usize, Vec<DateTime<Utc>>)>,
}

impl Moments<'_, '_> {
    /// When something happens, and who does it where somebody does.
    fn find(
        &mut self,
        strand: Strand,
        people: &[usize],
        rng: &mut Draw,
    ) -> Option<(DateTime<Utc>, Option<usize>)> {
        if strand.is_personal() {
            let person = self.somebody(people, rng)?;
            return Some((self.of_person(person, rng)?, Some(person)));
        }
        let follows = rng.random_bool(FOLLOWS);
        let person = self.somebody(people, rng).filter(|_| follows);
        let at = person.and_then(|person| self.shape(person)?.draw(rng));
        Some((at.unwrap_or_else(|| self.day.any_time(rng)), None))
    }

    fn shape(&self, person: usize) -> Option<&Shape> {
        self.day.shapes.get(person)
    }

    fn somebody(&self, people: &[usize], rng: &mut Draw) -> Option<usize> {
        let units = |person: &usize| self.shape(*person).map_or(0.0, Shape::units);
        let sum: f64 = people.iter().map(units).sum();
        let mut target = rng.random_range(0.0..1.0) * sum;
        people
            .iter()
            .find(|person| {
                target -= units(person);
                target < 0.0
            })
            .or_else(|| people.iter().find(|person| units(person) > 0.0))
            .copied()
    }

    fn of_person(&mut self, person: usize, rng: &mut Draw) -> Option<DateTime<Utc>> {
        let shape = self.day.shapes.get(person)?;
        if !self.bursts.iter().any(|(known, _)| *known == person) {
            let many = 1 + rng.random_range(0..3);
            let middles = (0..many).filter_map(|_| shape.draw(rng)).collect();
            self.bursts.push((person, middles));
        }
        let middles = self.bursts.iter().find(|(known, _)| *known == person).map(|(_, middles)| middles)?;
        if !middles.is_empty() && rng.random_bool(IN_BURST) {
            let middle = middles.get(rng.random_range(0..middles.len()))?;
            let away = -rng.random_range(1e-9_f64..1.0).ln() * BURST * 1e9;
            #[expect(clippy::cast_possible_truncation, reason = "hours at most, in nanoseconds")]
            let away = TimeDelta::nanoseconds(away as i64);
            let at = if rng.random_bool(0.5) { *middle + away } else { *middle - away };
            if shape.holds(at) {
                return Some(at);
            }
        }
        shape.draw(rng)
    }
}

/// How busy people are today, 1 being their average day of the week.
fn level(people: &[usize], shapes: &[Shape]) -> f64 {
    let of = |what: fn(&Shape) -> f64| {
        people.iter().filter_map(|person| shapes.get(*person)).map(what).sum::<f64>()
    };
    let usual = of(Shape::usual);
    if usual > 0.0 { of(Shape::units) / usual } else { 1.0 }
}

/// The fleet's total is split by the shares of the kinds that are possible at all, and each kind over the machines that can
/// do it.
fn amounts(fleet: &Fleet, paces: &[f64]) -> Vec<[f64; 5]> {
    let can = |strand: Strand, place: &Place| match strand {
        Strand::UserFile => place.machine.has_files && !place.residents.is_empty(),
        Strand::SystemFile => place.machine.has_files,
        Strand::PersonTraffic => fleet.has_partner(place) && !place.residents.is_empty(),
        Strand::OwnTraffic => fleet.has_partner(place),
        Strand::Mail => place.mailers.len() > 1,
        Strand::Sweep => false,
    };
    let total: f64 = paces.iter().sum();
    let able = SHARES.map(|(strand, _)| {
        let each = fleet.places().iter().zip(paces);
        each.filter(|(place, _)| can(strand, place)).map(|(_, pace)| pace).sum::<f64>()
    });
    let possible: f64 =
        SHARES.iter().zip(able).filter(|(_, able)| *able > 0.0).map(|((_, share), _)| share).sum();
    fleet
        .places()
        .iter()
        .zip(paces)
        .map(|(place, pace)| {
            let mut of = [0.0; 5];
            for ((of, (strand, share)), able) in of.iter_mut().zip(SHARES).zip(able) {
                if able > 0.0 && can(strand, place) {
                    *of = (total * share / possible * pace / able).min(MOST);
                }
            }
            of
        })
        .collect()
}

fn rounded(amount: f64, rng: &mut Draw) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred at most")]
    let whole = amount.floor() as usize;
    whole + usize::from(rng.random_bool(amount.fract().clamp(0.0, 1.0)))
}

/// Numbers in [0, 1): one in each of `count` equal parts, in random order.
fn rolls(count: usize, rng: &mut Draw) -> Vec<f64> {
    let mut rolls: Vec<f64> =
        (0..count).map(|part| (to_float(part) + rng.random_range(0.0..1.0)) / to_float(count)).collect();
    rolls.shuffle(rng);
    rolls
}

#[expect(clippy::cast_precision_loss, reason = "counts of one day")]
fn to_float(count: usize) -> f64 {
    count as f64
}

fn seed(rng: &mut Draw) -> [u8; 32] {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    seed
}
