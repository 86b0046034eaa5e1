//! The planner by itself: what it depends on, what it leaves alone, what it says when nothing can be done.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use decnet_core::{FleetSecret, Seed};
use decnet_realism::{
    Action, Machine, Persona, Planned, Resident,
    plan::{Arrival, Day, Decision, Fleet, Shelf, Strand, Unavailable, decide},
    scene::Family,
};
use serde_json::json;

fn node() -> Seed {
    FleetSecret::from_number(4).seed().child("life")
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn persona(name: &str, hours: &str) -> Arc<Persona> {
    let login = name.to_lowercase();
    Arc::new(
        serde_json::from_value(json!({
            "name": name, "email": format!("{login}@nova.example"), "role": "engineer", "language": "en", "login": login,
            "active_hours": hours, "timezone": "Europe/Berlin",
        }))
        .unwrap(),
    )
}

fn machine(id: &str, people: &[Arc<Persona>]) -> Machine {
    let resident = |(uid, persona): (u32, &Arc<Persona>)| {
        let login = persona.login.clone().unwrap();
        Resident { persona: Arc::clone(persona), home: format!("/home/{login}"), login, uid, gid: uid }
    };
    Machine {
        id: id.to_owned(),
        host: id.to_owned(),
        domain: "nova.example".to_owned(),
        ip: None,
        services: vec![("ssh".to_owned(), 22)],
        family: Family::Debian,
        residents: (1000..).zip(people).map(resident).collect(),
        has_files: true,
        has_mail: true,
        salt: 0,
        mail_users: people.to_vec(),
    }
}

fn people() -> Vec<Arc<Persona>> {
    vec![persona("Ada", "09:00-17:00"), persona("Bo", "08:00-16:00"), persona("Cy", "22:00-06:00")]
}

fn fleet() -> Fleet {
    Fleet::new([machine("web-1", &people()), machine("db-2", &people()), machine("fs-3", &people()[..1])])
}

/// Lives through some days; what was done on `place`, and what is there then.
fn live(fleet: &Fleet, place: usize, days: i64, since: DateTime<Utc>) -> (Vec<Planned>, Shelf) {
    let mut shelf = Shelf { since: Some(since), ..Shelf::default() };
    let mut all = Vec::new();
    for day in date("2026-03-02").iter_days().take(usize::try_from(days).unwrap()) {
        for arrival in Day::of(&node(), fleet, day).arrivals(place) {
            if let Decision::Act(planned) = decide(&arrival, fleet, &shelf, 0) {
                for done in &planned {
                    shelf.apply(done);
                }
                all.extend(planned);
            }
        }
    }
    (all, shelf)
}

#[test]
fn a_machines_day_is_its_own() {
    let (one, day) = (fleet(), date("2026-03-24"));
    let place = one.place_of("db-2").unwrap();
    let usual = Day::of(&node(), &one, day).arrivals(place);
    assert!(!usual.is_empty());
    assert!(usual.iter().all(|arrival| arrival.at.date_naive() == day));
    assert!(usual.windows(2).all(|pair| pair[0].at <= pair[1].at));
    // In whatever order the machines are listed, and asked for twice.
    let other = Fleet::new([
        machine("fs-3", &people()[..1]),
        machine("db-2", &people()),
        machine("web-1", &people()),
    ]);
    assert_eq!(Day::of(&node(), &other, day).arrivals(other.place_of("db-2").unwrap()), usual);
    assert_ne!(Day::of(&node(), &one, date("2026-03-25")).arrivals(place), usual);
    assert_ne!(Day::of(&node().child("x"), &one, day).arrivals(place), usual);
    assert_ne!(Day::of(&node(), &one, day).arrivals(one.place_of("web-1").unwrap()), usual);
}

#[test]
fn deciding_is_pure_and_another_attempt_is_another_throw() {
    let fleet = fleet();
    let shelf = Shelf::default();
    let arrivals = Day::of(&node(), &fleet, date("2026-03-24")).all();
    let mut differ = 0;
    for arrival in &arrivals {
        let first = decide(arrival, &fleet, &shelf, 0);
        assert_eq!(first, decide(arrival, &fleet, &shelf, 0));
        differ += usize::from(first != decide(arrival, &fleet, &shelf, 1));
    }
    assert!(differ * 2 > arrivals.len(), "{differ} of {} differ", arrivals.len());
}

#[test]
fn nobody_and_nothing_are_no_faults() {
    let day = date("2026-03-24");
    let none = Fleet::new([]);
    assert!(Day::of(&node(), &none, day).all().is_empty());
    let mut bare = machine("web-1", &[]);
    bare.has_mail = false;
    let alone = Fleet::new([bare.clone()]);
    let strands: BTreeSet<String> =
        Day::of(&node(), &alone, day).all().iter().map(|arrival| format!("{:?}", arrival.strand)).collect();
    assert_eq!(strands.into_iter().collect::<Vec<_>>(), ["Sweep", "SystemFile"]);
    bare.has_files = false;
    assert!(Day::of(&node(), &Fleet::new([bare]), day).all().is_empty());
}

#[test]
fn what_cannot_be_done_is_said() {
    let fleet = fleet();
    let shelf = Shelf::default();
    let all = Day::of(&node(), &fleet, date("2026-03-24")).all();
    let of = |strand: Strand| all.iter().find(|arrival| arrival.strand == strand).unwrap().clone();
    let nowhere = Arrival { place: 99, ..of(Strand::OwnTraffic) };
    assert_eq!(decide(&nowhere, &fleet, &shelf, 0), Decision::Unavailable(Unavailable::Gone));
    for strand in [Strand::UserFile, Strand::PersonTraffic, Strand::Mail] {
        let nobody = Arrival { person: None, ..of(strand) };
        assert_eq!(decide(&nobody, &fleet, &shelf, 0), Decision::Unavailable(Unavailable::Gone));
        let early = of(strand);
        let late = Arrival { at: early.at + TimeDelta::hours(10), ..early };
        assert_eq!(
            decide(&late, &fleet, &shelf, 0),
            Decision::Unavailable(Unavailable::NobodyIn),
            "{strand:?}"
        );
    }
    let alone = Fleet::new([machine("web-1", &people())]);
    let connect = Arrival { place: 0, ..of(Strand::OwnTraffic) };
    assert_eq!(decide(&connect, &alone, &shelf, 0), Decision::Unavailable(Unavailable::NoPartner));
}

#[test]
fn what_somebody_else_changed_is_never_touched() {
    let fleet = fleet();
    let place = fleet.place_of("web-1").unwrap();
    let (_, mut shelf) = live(&fleet, place, 5, "2026-02-20T00:00:00Z".parse().unwrap());
    assert!(shelf.files.len() > 10);
    for file in shelf.files.values_mut() {
        file.diverged = true;
    }
    let ours = shelf.files.clone();
    for day in date("2026-03-09").iter_days().take(12) {
        for arrival in Day::of(&node(), &fleet, day).arrivals(place) {
            let Decision::Act(planned) = decide(&arrival, &fleet, &shelf, 0) else { continue };
            for step in planned {
                let (path, to) = match &step.action {
                    Action::Create(write) | Action::Edit { write, .. } => (write.path.clone(), None),
                    Action::Rotate { path, to, .. } => (path.clone(), Some(to.clone())),
                    Action::Delete { path, .. } => (path.clone(), None),
                    Action::Traffic { .. } | Action::Email(_) => continue,
                };
                assert!(!ours.contains_key(&path), "{} of {path}", step.action.kind());
                assert!(to.is_none_or(|to| !ours.contains_key(&to)), "a rotation over {path}");
                shelf.apply(&step);
            }
        }
    }
    assert!(shelf.files.len() > ours.len(), "life went on");
}

#[test]
fn nothing_is_older_than_the_machine() {
    let fleet = fleet();
    let since = "2026-03-01T20:00:00Z".parse().unwrap();
    let (done, _) = live(&fleet, fleet.place_of("db-2").unwrap(), 6, since);
    assert!(done.len() > 50);
    for step in done {
        let mtime = match &step.action {
            Action::Create(write) | Action::Edit { write, .. } => write.mtime,
            Action::Email(message) => message.mtime,
            _ => continue,
        };
        assert!(mtime > since && mtime <= step.at, "{step:?}");
    }
}

#[test]
fn temporary_files_go_within_ten_days() {
    let fleet = fleet();
    let place = fleet.place_of("web-1").unwrap();
    let (done, shelf) = live(&fleet, place, 40, "2026-02-20T00:00:00Z".parse().unwrap());
    let mut gone = 0;
    for step in &done {
        let Action::Delete { path, .. } = &step.action else { continue };
        let Some(born) = done.iter().find_map(|made| match &made.action {
            Action::Create(write) if write.path == *path && path.starts_with("/tmp/") => Some(write.mtime),
            _ => None,
        }) else {
            continue;
        };
        let age = step.at - born;
        assert!(age > TimeDelta::days(1) && age < TimeDelta::days(10), "{path} after {age}");
        gone += 1;
    }
    assert!(gone > 3, "{gone} temporary files went");
    let end: DateTime<Utc> = "2026-04-11T00:00:00Z".parse().unwrap();
    let old = shelf
        .files
        .iter()
        .filter(|(path, file)| path.starts_with("/tmp/") && end - file.mtime > TimeDelta::days(10));
    assert_eq!(old.count(), 0);
}
