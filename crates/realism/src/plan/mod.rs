//! The planner: when each decky acts and what it does, from a seed, a time and what is there.
//!
//! [`Day`] gives the arrivals of a day, [`decide`] makes one of them into what is to be done. Both are pure: whoever acts
//! keeps the [`Shelf`] of each machine. Bait is not planned here, and nothing is ever planned into the past.

pub mod day;
pub mod fleet;
pub mod shelf;

mod files;
mod letters;
mod machine;
mod shape;
mod traffic;

use chrono::{DateTime, TimeDelta, Utc};
use rand::SeedableRng;

pub use self::{day::Day, fleet::Fleet, shelf::Shelf};
use self::{fleet::Person, fleet::Place};
use crate::{Action, Class, Draw, Planned};

/// Files that nobody has touched for longer are left in peace.
pub const STALE: TimeDelta = TimeDelta::days(30);

/// A kind of doing that has a clock of its own on each machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strand {
    /// Somebody's files.
    UserFile,
    /// The machine's files.
    SystemFile,
    /// Somebody's connections.
    PersonTraffic,
    /// The machine's connections.
    OwnTraffic,
    /// Letters; on machines with mailboxes.
    Mail,
    /// Temporary files that are old enough to go.
    Sweep,
}

impl Strand {
    /// Whether somebody does it, inside his hours.
    pub const fn is_personal(self) -> bool {
        matches!(self, Self::UserFile | Self::PersonTraffic | Self::Mail)
    }
}

/// A moment at which a machine does something.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// When.
    pub at: DateTime<Utc>,
    /// Where: index into [`Fleet::places`].
    pub place: usize,
    /// Of what kind.
    pub strand: Strand,
    /// Who: index into [`Fleet::people`].
    pub person: Option<usize>,
    /// The die that chooses what it is, in [0, 1): spread evenly over the strand's day.
    pub roll: f64,
    /// For every other draw.
    pub seed: [u8; 32],
}

/// Why nothing can be done; something else may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The arrival is of another fleet, or its person has left.
    #[error("the machine or the person is not there any more")]
    Gone,
    /// Outside the hours of whoever would do it.
    #[error("nobody is at work")]
    NobodyIn,
    /// No other machine serves anything.
    #[error("there is no machine to connect to")]
    NoPartner,
    /// Files would not be seen, or there is nobody to own them.
    #[error("no files are kept here")]
    NoFiles,
    /// Fewer than two people have a mailbox.
    #[error("there is nobody to write to")]
    NoMail,
    /// No free name, no fresh text or no time that fits was found within bounded tries.
    #[error("nothing new was found to do")]
    NothingNew,
}

/// What comes of an arrival.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Left alone on purpose: nothing else is to be done instead.
    Quiet,
    /// Cannot be done.
    Unavailable(Unavailable),
    /// To be done, in this order.
    Act(Vec<Planned>),
}

/// Decides. `attempt` counts up where what was decided is not new to the fleet (no two files are alike): the same arrival is
/// then decided with other dice.
pub fn decide(arrival: &Arrival, fleet: &Fleet, shelf: &Shelf, attempt: u32) -> Decision {
    let Some(place) = fleet.places().get(arrival.place) else {
        return Decision::Unavailable(Unavailable::Gone);
    };
    let person = arrival.person.and_then(|person| fleet.people().get(person));
    if arrival.strand.is_personal() {
        match person {
            None => return Decision::Unavailable(Unavailable::Gone),
            Some(person) if !person.presence.is_in(arrival.at) => {
                return Decision::Unavailable(Unavailable::NobodyIn);
            }
            Some(_) => {}
        }
    }
    let mut rng = Draw::from_seed(arrival.seed);
    rng.set_stream(u64::from(attempt));
    let mut scene = Scene { arrival, fleet, place, person, shelf, rng };
    let found = match arrival.strand {
        Strand::UserFile => files::decide(&mut scene),
        Strand::SystemFile => machine::decide(&mut scene),
        Strand::PersonTraffic | Strand::OwnTraffic => traffic::decide(&mut scene),
        Strand::Mail => letters::decide(&mut scene),
        Strand::Sweep => Ok(machine::sweep(&scene)),
    };
    match found {
        Err(why) => Decision::Unavailable(why),
        Ok(actions) if actions.is_empty() => Decision::Quiet,
        Ok(actions) => Decision::Act(actions),
    }
}

/// Everything that a decision looks at.
struct Scene<'a> {
    arrival: &'a Arrival,
    fleet: &'a Fleet,
    place: &'a Place,
    person: Option<&'a Person>,
    shelf: &'a Shelf,
    rng: Draw,
}

/// What is done; nothing = left alone.
type Found = Result<Vec<Planned>, Unavailable>;

impl Scene<'_> {
    fn planned(&self, person: Option<&Person>, class: Option<Class>, action: Action) -> Planned {
        Planned {
            at: self.arrival.at,
            machine: self.place.machine.id.clone(),
            persona: person.map(|person| std::sync::Arc::clone(&person.persona)),
            class,
            action,
        }
    }
}

/// What a decision about a file is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Turn {
    /// A new one, with the die that chooses its class.
    Create(f64),
    /// A change.
    Edit,
    /// Neither.
    LeaveAlone,
}

impl Turn {
    const LEAVE_ALONE: f64 = 0.10;
    const EDIT: f64 = 0.30;

    /// 60 create, 30 edit, 10 leave alone. What the machine did so far pulls it back to that: at first there is nothing to
    /// edit, and what was created instead is made up for.
    fn of(roll: f64, tally: shelf::Tally) -> Self {
        let edges = (Self::LEAVE_ALONE, Self::LEAVE_ALONE + Self::EDIT);
        if roll < edges.0 {
            return Self::LeaveAlone;
        }
        let owed = f64::from(tally.creates) * (Self::EDIT / (1.0 - edges.1)) - f64::from(tally.edits);
        let die = |from: f64, to: f64| ((roll - from) / (to - from)).clamp(0.0, 0.999_999_999);
        if roll < edges.1 {
            return if owed < -1.0 { Self::Create(die(edges.0, edges.1)) } else { Self::Edit };
        }
        if owed > 1.5 { Self::Edit } else { Self::Create(die(edges.1, 1.0)) }
    }
}

/// The class that a die in [0, 1) falls on.
fn weighted(classes: &[(Class, u32)], die: f64) -> Class {
    let sum: u32 = classes.iter().map(|(_, weight)| weight).sum();
    let mut target = die * f64::from(sum);
    for (class, weight) in classes {
        target -= f64::from(*weight);
        if target < 0.0 {
            return *class;
        }
    }
    classes.last().map_or(Class::Note, |(class, _)| *class)
}
