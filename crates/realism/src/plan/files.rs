//! Somebody's files: a new one, a change to one of his, or neither.

use std::ops::Bound;

use chrono::{DateTime, Utc};
use rand::RngExt;

use super::{Found, STALE, Scene, Turn, Unavailable, fleet::Person, shelf::KnownFile, weighted};
use crate::{
    Action, Class, FileWrite, Planned, Resident,
    content::{self, Pen},
    hours::Attendance,
    mtime::{self, Span},
};

/// Classes that are tried before nothing is created.
const TRIES: u32 = 4;
/// Files of one person that are tried before another's.
const CANDIDATES: usize = 16;

pub(super) fn decide(scene: &mut Scene<'_>) -> Found {
    let person = scene.person.ok_or(Unavailable::Gone)?;
    if !scene.place.machine.has_files {
        return Err(Unavailable::NoFiles);
    }
    let resident = resident(scene, person).ok_or(Unavailable::Gone)?;
    let die = match Turn::of(scene.arrival.roll, scene.shelf.by_people) {
        Turn::LeaveAlone => return Ok(Vec::new()),
        Turn::Edit => match edit(scene, person, resident) {
            Some(planned) => return Ok(vec![planned]),
            None => scene.rng.random_range(0.0..1.0),
        },
        Turn::Create(die) => die,
    };
    let mut class = weighted(&Class::USER, die);
    for _ in 0..TRIES {
        if let Some(planned) = create(scene, class, person, resident) {
            return Ok(vec![planned]);
        }
        class = weighted(&Class::USER, scene.rng.random_range(0.0..1.0));
    }
    Err(Unavailable::NothingNew)
}

/// The account of somebody on the machine.
fn resident<'a>(scene: &Scene<'a>, person: &Person) -> Option<&'a Resident> {
    scene.place.machine.residents.iter().find(|resident| {
        resident.persona.email == person.persona.email && resident.persona.name == person.persona.name
    })
}

fn create(scene: &mut Scene<'_>, class: Class, person: &Person, resident: &Resident) -> Option<Planned> {
    let shelf = scene.shelf;
    let at = scene.arrival.at;
    let time = mtime::sample(person.presence, at, shelf.since, Span::CREATE, &mut scene.rng)?;
    let pen = pen(scene, person, resident, time);
    let path =
        content::path(class, &pen, &|path| shelf.files.contains_key(path), &mut scene.rng).ok().flatten()?;
    let body = content::body(class, &path, &pen, &mut scene.rng).ok()?;
    let write = FileWrite {
        path,
        class,
        mode: content::mode(class),
        uid: resident.uid,
        gid: resident.gid,
        mtime: time,
        body: body.into_bytes(),
    };
    Some(scene.planned(Some(person), Some(class), Action::Create(write)))
}

/// A change to one of the person's files, else to one of a neighbour's who is at work.
fn edit(scene: &mut Scene<'_>, person: &Person, own: &Resident) -> Option<Planned> {
    if let Some(planned) = edit_of(scene, person, own) {
        return Some(planned);
    }
    let place = scene.place;
    let fleet = scene.fleet;
    let others = place.machine.residents.len();
    let first = scene.rng.random_range(0..others.max(1));
    for turn in 0..others {
        let index = (first + turn) % others;
        let Some(resident) = place.machine.residents.get(index) else { continue };
        let Some(other) = place.residents.get(index).and_then(|other| fleet.people().get(*other)) else {
            continue;
        };
        if resident.home == own.home || other.presence.at(scene.arrival.at) != Attendance::Work {
            continue;
        }
        if let Some(planned) = edit_of(scene, other, resident) {
            return Some(planned);
        }
    }
    None
}

fn edit_of(scene: &mut Scene<'_>, person: &Person, resident: &Resident) -> Option<Planned> {
    let at = scene.arrival.at;
    let shelf = scene.shelf;
    let (first, end) = (format!("{}/", resident.home), format!("{}0", resident.home));
    let mut candidates: Vec<(&String, &KnownFile)> = shelf
        .files
        .range::<str, _>((Bound::Included(first.as_str()), Bound::Excluded(end.as_str())))
        .filter(|(_, file)| {
            file.class.is_user() && !file.diverged && file.mtime < at && at - file.mtime < STALE
        })
        .collect();
    for _ in 0..CANDIDATES.min(candidates.len()) {
        let (path, file) = candidates.swap_remove(scene.rng.random_range(0..candidates.len()));
        let Ok(previous) = std::str::from_utf8(&file.body) else { continue };
        let after = Some(file.mtime);
        let Some(time) = mtime::sample(person.presence, at, after, Span::EDIT, &mut scene.rng) else {
            continue;
        };
        let pen = pen(scene, person, resident, time);
        let Ok(Some(body)) = content::edit(file.class, path, previous, &pen, &mut scene.rng) else {
            continue;
        };
        if body == previous {
            continue;
        }
        let write = FileWrite {
            path: path.clone(),
            class: file.class,
            mode: file.mode,
            uid: file.uid,
            gid: file.gid,
            mtime: time,
            body: body.into_bytes(),
        };
        let action = Action::Edit { write, previous: file.sha256.clone() };
        return Some(scene.planned(Some(person), Some(file.class), action));
    }
    None
}

fn pen<'p>(scene: &Scene<'p>, person: &'p Person, resident: &'p Resident, time: DateTime<Utc>) -> Pen<'p> {
    Pen {
        resident,
        colleagues: &person.colleagues,
        hosts: scene.fleet.hosts(),
        when: time.with_timezone(&person.presence.zone()),
    }
}
