//! Connections between machines: to familiar neighbours more often than to others, by what the other one serves.

use rand::RngExt;

use super::{Found, Scene, Strand, Unavailable};
use crate::{Action, Machine};

/// Neighbours that a machine prefers.
const FAMILIAR: usize = 5;
/// How often it goes there.
const PREFERS: f64 = 0.7;
/// Draws of another machine.
const TRIES: usize = 12;

/// Protocols that a client exists for, with their weight when somebody connects and when a machine does.
const PROTOCOLS: [(&str, f64, f64); 20] = [
    ("ssh", 40.0, 24.0),
    ("http", 22.0, 16.0),
    ("https", 22.0, 16.0),
    ("smtp", 4.0, 10.0),
    ("imap", 9.0, 4.0),
    ("pop3", 4.0, 3.0),
    ("redis", 3.0, 10.0),
    ("smb", 9.0, 5.0),
    ("dns", 1.0, 9.0),
    ("ntp", 0.5, 7.0),
    ("ftp", 4.0, 4.0),
    ("mysql", 4.0, 8.0),
    ("postgres", 4.0, 8.0),
    ("mssql", 3.0, 6.0),
    ("ldap", 1.0, 8.0),
    ("ldaps", 1.0, 5.0),
    ("rdp", 6.0, 0.5),
    ("mqtt", 0.5, 6.0),
    ("telnet", 2.0, 0.5),
    ("elasticsearch", 1.0, 6.0),
];

fn weight(slug: &str, personal: bool) -> f64 {
    let known = PROTOCOLS.iter().find(|(known, ..)| *known == slug);
    known.map_or(0.0, |(_, person, machine)| if personal { *person } else { *machine })
}

/// Whether a neighbour would find something to connect to.
pub(super) fn serves(machine: &Machine) -> bool {
    machine.services.iter().any(|(slug, _)| weight(slug, true) > 0.0)
}

pub(super) fn decide(scene: &mut Scene<'_>) -> Found {
    let personal = scene.arrival.strand == Strand::PersonTraffic;
    let places = scene.fleet.places();
    let others = places.len().checked_sub(1).filter(|others| *others > 0).ok_or(Unavailable::NoPartner)?;
    // The nth of the others: all of them are reached, the machine itself never is.
    let other = |n: usize| places.get((scene.arrival.place + 1 + n % others) % places.len());
    let mut found = None;
    for _ in 0..TRIES {
        let near = others > FAMILIAR && scene.rng.random_bool(PREFERS);
        let n = if near { familiar(scene, others) } else { scene.rng.random_range(0..others) };
        found = other(n).map(|place| &place.machine).filter(|machine| serves(machine));
        if found.is_some() {
            break;
        }
    }
    let machine = found
        .or_else(|| (0..others).filter_map(other).map(|place| &place.machine).find(|machine| serves(machine)))
        .ok_or(Unavailable::NoPartner)?;
    let own = &scene.place.machine.services;
    // What both of them speak is what their makers put there for each other.
    let weigh = |slug: &str| {
        let both = if own.iter().any(|(known, _)| known == slug) { 1.5 } else { 1.0 };
        weight(slug, personal) * both
    };
    let sum: f64 = machine.services.iter().map(|(slug, _)| weigh(slug)).sum();
    let mut target = scene.rng.random_range(0.0..1.0) * sum;
    let service = machine
        .services
        .iter()
        .find(|(slug, _)| {
            target -= weigh(slug);
            target < 0.0
        })
        .ok_or(Unavailable::NoPartner)?;
    let action = Action::Traffic { dst: machine.id.clone(), protocol: service.0.clone(), port: service.1 };
    Ok(vec![scene.planned(scene.person, None, action)])
}

/// One of the machine's own neighbours: which they are depends on its name and the fleet, so they stay the same.
fn familiar(scene: &mut Scene<'_>, others: usize) -> usize {
    let which = scene.rng.random_range(0..FAMILIAR);
    let machine = &scene.place.machine;
    let id = machine.id.bytes().chain(which.to_le_bytes()).chain(machine.salt.to_le_bytes());
    // FNV-1a: only to scatter; nothing depends on its strength.
    let hash = id.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    usize::try_from((hash >> 20) % u64::try_from(others).unwrap_or(1).max(1)).unwrap_or_default()
}
