//! What happens next in the life of the fleet. Pure: the same deckies, node and time give the same action.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::{DeckyId, Seed};
use rand::{Rng, RngExt};

use crate::content::{self, Class};

/// A decky that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its id.
    pub id: DeckyId,
    /// Its address.
    pub ip: IpAddr,
    /// What it serves, with the standard port that a neighbour would connect to.
    pub services: Vec<(String, u16)>,
    /// Who has an account on it.
    pub people: Vec<Person>,
    /// True if it shows itself as Windows: what we write is for one tree of folders, and would look odd there.
    pub is_windows: bool,
}

/// Somebody with a home folder, as `/etc/passwd` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Login name.
    pub login: String,
    /// Full name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Home folder.
    pub home: String,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// One decky connects to another.
    Traffic {
        /// Where the connection comes from.
        from: DeckyId,
        /// Where it goes to.
        to: DeckyId,
        /// Address of the destination.
        to_ip: IpAddr,
        /// Service on it.
        service: String,
        /// Its standard port.
        port: u16,
    },
    /// A file appears.
    File {
        /// Where.
        decky: DeckyId,
        /// Its author; `None` for the machine's own files.
        author: Option<Person>,
        /// What kind of file.
        class: Class,
        /// Absolute path on the decky.
        path: String,
        /// Permission bits.
        mode: u32,
        /// When it seems to have been written: never in the future.
        mtime: DateTime<Utc>,
        /// Its content.
        body: Vec<u8>,
    },
}

/// Share of traffic among all actions; the rest are files. (Mail joins them with the mail service.)
const TRAFFIC_SHARE: f64 = 0.5;
/// A file was written at most this long before it is put there.
const OLDEST: TimeDelta = TimeDelta::hours(6);

/// One action for this moment, or `None` if the fleet offers none.
pub fn decide(machines: &[Machine], node: &Seed, now: DateTime<Utc>) -> Option<Action> {
    let node = node.child(now.timestamp_micros().to_be_bytes());
    let mut rng = node.rng();
    let traffic = rng.random_bool(TRAFFIC_SHARE);
    if traffic {
        traffic_between(machines, &mut rng).or_else(|| file_on(machines, &mut rng, now))
    } else {
        file_on(machines, &mut rng, now).or_else(|| traffic_between(machines, &mut rng))
    }
}

fn pick<'a, T>(items: &'a [T], rng: &mut impl Rng) -> Option<&'a T> {
    if items.is_empty() { None } else { items.get(rng.random_range(0..items.len())) }
}

fn traffic_between(machines: &[Machine], rng: &mut impl Rng) -> Option<Action> {
    let from = pick(machines, rng)?;
    let others: Vec<_> = machines.iter().filter(|m| m.id != from.id && !m.services.is_empty()).collect();
    let to = pick(&others, rng)?;
    let (service, port) = pick(&to.services, rng)?;
    Some(Action::Traffic {
        from: from.id.clone(),
        to: to.id.clone(),
        to_ip: to.ip,
        service: service.clone(),
        port: *port,
    })
}

fn file_on(machines: &[Machine], rng: &mut impl Rng, now: DateTime<Utc>) -> Option<Action> {
    let suitable: Vec<_> = machines.iter().filter(|m| !m.is_windows).collect();
    let machine = pick(&suitable, rng)?;
    // Nanoseconds too: a file system of today has them, and a row of zeros gives a planter away.
    let age = rng.random_range(1_000_000_000..OLDEST.num_nanoseconds()?);
    let mtime = now - TimeDelta::nanoseconds(age);
    let class = content::class(rng);
    let author = if class.is_personal() { Some(pick(&machine.people, rng)?.clone()) } else { None };
    let others: Vec<&str> = machine
        .people
        .iter()
        .filter(|p| author.as_ref().is_none_or(|a| a.login != p.login))
        .map(|p| p.name.as_str())
        .collect();
    let file = content::write(class, author.as_ref().map(|a| a.home.as_str()), &others, mtime, rng);
    Some(Action::File {
        decky: machine.id.clone(),
        author,
        class,
        path: file.path,
        mode: file.mode,
        mtime,
        body: file.body,
    })
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;

    fn fleet() -> Vec<Machine> {
        let person = |login: &str, uid| Person {
            login: login.to_owned(),
            name: format!("{login} Park"),
            uid,
            gid: uid,
            home: format!("/home/{login}"),
        };
        ["web-01", "db-01", "files-01"]
            .into_iter()
            .enumerate()
            .map(|(i, name)| Machine {
                id: format!("local:{name}").parse().unwrap(),
                ip: format!("127.77.0.{}", i + 1).parse().unwrap(),
                services: vec![("ssh".to_owned(), 22), ("http".to_owned(), 80)],
                people: vec![person("ada", 1000), person("tom", 1001)],
                is_windows: false,
            })
            .collect()
    }

    fn actions(seed: u64, fleet: &[Machine]) -> Vec<Action> {
        let node = FleetSecret::from_number(seed).seed().child("orchestrator");
        let start = DateTime::from_timestamp(1_774_258_447, 482_913_377).unwrap();
        (0..400).filter_map(|i| decide(fleet, &node, start + TimeDelta::seconds(i * 60))).collect()
    }

    #[test]
    fn one_secret_one_life() {
        assert_eq!(actions(1, &fleet()), actions(1, &fleet()));
        assert_ne!(actions(1, &fleet()), actions(2, &fleet()));
    }

    #[test]
    fn both_kinds_happen_and_hold_their_promises() {
        let all = actions(3, &fleet());
        let traffic = all.iter().filter(|a| matches!(a, Action::Traffic { .. })).count();
        assert!((120..280).contains(&traffic), "{traffic} of 400");
        let start = DateTime::from_timestamp(1_774_258_447, 0).unwrap();
        let mut bodies = std::collections::BTreeSet::new();
        for action in &all {
            match action {
                Action::Traffic { from, to, .. } => assert_ne!(from, to),
                Action::File { author, class, path, mtime, body, .. } => {
                    assert_eq!(author.is_some(), class.is_personal());
                    if let Some(author) = author {
                        assert!(path.starts_with(&format!("{}/", author.home)), "{path}");
                        assert!(body.ends_with(b"\n"));
                    }
                    assert!(*mtime < start + TimeDelta::minutes(400));
                    assert!(
                        mtime.timestamp_subsec_nanos() % 1000 != 0 || mtime.timestamp_subsec_nanos() != 0
                    );
                    assert!(!path.contains("decky") && !path.contains(".."));
                    bodies.insert(body.clone());
                }
            }
        }
        let files = all.len() - traffic;
        assert!(bodies.len() * 100 >= files * 98, "{} different of {files}", bodies.len());
    }

    #[test]
    fn no_file_of_a_linux_user_appears_on_a_windows_machine() {
        let mut fleet = fleet();
        fleet[0].is_windows = true;
        let windows = fleet[0].id.clone();
        let all = actions(5, &fleet);
        assert!(all.iter().all(|a| !matches!(a, Action::File { decky, .. } if *decky == windows)));
        assert!(all.iter().any(|a| matches!(a, Action::Traffic { to, .. } if *to == windows)));
        assert!(actions(5, &fleet[..1]).is_empty(), "alone, it is left alone");
    }

    #[test]
    fn a_lone_machine_still_lives_and_an_empty_fleet_is_quiet() {
        let lone = &fleet()[..1];
        assert!(actions(4, lone).iter().all(|a| matches!(a, Action::File { .. })));
        assert!(actions(4, &[]).is_empty());
        let mut unmanned = fleet();
        for machine in &mut unmanned {
            machine.people.clear();
        }
        assert!(actions(4, &unmanned).iter().any(|a| matches!(a, Action::Traffic { .. })));
    }
}
