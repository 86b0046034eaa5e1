//! The machine's own files: logs that are begun, rotated and written on, temporary files that come and go.

use std::ops::Bound;

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;

use super::{Found, Scene, Turn, Unavailable, shelf::KnownFile, weighted};
use crate::{
    Action, Class, FileWrite, Planned, logs,
    mtime::{self},
    scene::Family,
};

/// Seconds between the last write to a log and its planting, at most.
const LATE: i64 = 90;
/// Hours that the first generation of a log reaches back, at most.
const REACH: i64 = 14;
/// A log that was begun less than this ago is rotated only if there is no other.
const FRESH: TimeDelta = TimeDelta::minutes(20);
/// Tries for a free name.
const TRIES: u32 = 8;

pub(super) fn decide(scene: &mut Scene<'_>) -> Found {
    if !scene.place.machine.has_files {
        return Err(Unavailable::NoFiles);
    }
    let die = match Turn::of(scene.arrival.roll, scene.shelf.by_machine) {
        Turn::LeaveAlone => return Ok(Vec::new()),
        Turn::Edit => match edit(scene) {
            Some(planned) => return Ok(vec![planned]),
            None => scene.rng.random_range(0.0..1.0),
        },
        Turn::Create(die) => die,
    };
    let class = weighted(&Class::SYSTEM, die);
    let found = if class == Class::CacheTmp { cache(scene) } else { begin(scene, class) };
    found.or_else(|| cache(scene)).ok_or(Unavailable::NothingNew)
}

fn live(scene: &Scene<'_>) -> Vec<(Class, &'static str)> {
    [Class::LogCron, Class::LogDaemon]
        .into_iter()
        .flat_map(|class| {
            logs::live_paths(class, &scene.place.machine).iter().map(move |path| (class, *path))
        })
        .collect()
}

/// One line more in a log that has room.
fn edit(scene: &mut Scene<'_>) -> Option<Planned> {
    let shelf = scene.shelf;
    let mut candidates = live(scene);
    while !candidates.is_empty() {
        let (class, path) = candidates.swap_remove(scene.rng.random_range(0..candidates.len()));
        let Some(file) = shelf.files.get(path).filter(|file| !file.diverged && file.class == class) else {
            continue;
        };
        let Ok(previous) = std::str::from_utf8(&file.body) else { continue };
        let Some(time) = moment(scene, Some(file.mtime)) else { continue };
        let machine = &scene.place.machine;
        let Some(body) = logs::append(path, machine, previous, time, &mut scene.rng) else { continue };
        if body == previous {
            continue;
        }
        let write = FileWrite {
            path: path.to_owned(),
            class,
            mode: file.mode,
            uid: file.uid,
            gid: file.gid,
            mtime: time,
            body: body.into_bytes(),
        };
        let action = Action::Edit { write, previous: file.sha256.clone() };
        return Some(scene.planned(None, Some(class), action));
    }
    None
}

/// A new log; the one at its path makes room for it.
fn begin(scene: &mut Scene<'_>, class: Class) -> Option<Vec<Planned>> {
    let at = scene.arrival.at;
    let shelf = scene.shelf;
    let paths = logs::live_paths(class, &scene.place.machine);
    let usable = |path: &&&str| shelf.files.get(**path).is_none_or(|file| !file.diverged && file.mtime < at);
    let free = |path: &&&str| !shelf.files.contains_key(**path);
    let ripe = |path: &&&str| {
        shelf.files.get(**path).is_none_or(|file| {
            let begun = file.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() > 8;
            begun && at - file.mtime > FRESH
        })
    };
    let mut candidates: Vec<&&str> = paths.iter().filter(free).collect();
    // A machine has had most of its logs for as long as it runs: half of the time an old one is rotated first.
    if candidates.is_empty() || scene.rng.random_bool(0.5) {
        let ripe: Vec<&&str> = paths.iter().filter(usable).filter(ripe).collect();
        candidates = if ripe.is_empty() { candidates } else { ripe };
    }
    if candidates.is_empty() {
        candidates = paths.iter().filter(usable).collect();
    }
    let path = **candidates.get(scene.rng.random_range(0..candidates.len().max(1)))?;
    let before = shelf.files.get(path);
    let mut planned = rotate(scene, path)?;
    let time = moment(scene, before.map(|file| file.mtime))?;
    let reach = TimeDelta::seconds(scene.rng.random_range(2 * 3600..REACH * 3600));
    let since = before.map_or(time - reach, |file| file.mtime);
    let since = shelf.since.map_or(since, |birth| since.max(birth.min(time - TimeDelta::minutes(1))));
    let machine = &scene.place.machine;
    let body = logs::log(path, machine, since, time, &mut scene.rng);
    if body.is_empty() {
        return None;
    }
    let (mode, gid) = match machine.family {
        // root:adm, as syslog makes them there.
        Family::Debian => (0o640, 4),
        Family::Rhel => (0o600, 0),
        Family::Other => (0o640, 0),
    };
    let write =
        FileWrite { path: path.to_owned(), class, mode, uid: 0, gid, mtime: time, body: body.into_bytes() };
    planned.push(scene.planned(None, Some(class), Action::Create(write)));
    Some(planned)
}

/// What frees the path of a log: its generations move on, oldest first.
fn rotate(scene: &Scene<'_>, path: &str) -> Option<Vec<Planned>> {
    if !scene.shelf.files.contains_key(path) {
        return Some(Vec::new());
    }
    let (first, end) = (format!("{path}."), format!("{path}/"));
    let generations: Vec<(&String, &KnownFile)> = scene
        .shelf
        .files
        .range::<str, _>((Bound::Included(first.as_str()), Bound::Excluded(end.as_str())))
        .collect();
    if generations.iter().any(|(_, file)| file.diverged) {
        return None;
    }
    let existing: Vec<&str> = generations.iter().map(|(path, _)| path.as_str()).collect();
    let (moves, dropped) = logs::rotation(path, &existing);
    let mut planned = Vec::new();
    if let Some(dropped) = dropped
        && let Some(file) = scene.shelf.files.get(&dropped)
    {
        let action = Action::Delete { path: dropped, previous: file.sha256.clone() };
        planned.push(scene.planned(None, Some(file.class), action));
    }
    for (from, to) in moves {
        let file = scene.shelf.files.get(&from)?;
        let compressed = |path: &str| path.rsplit_once('.').is_some_and(|(_, end)| end == "gz");
        let body = match (compressed(&to), compressed(&from)) {
            (true, false) => Some(logs::gzip(&file.body, file.mtime)),
            (true, true) => Some(file.body.clone()),
            _ => None,
        };
        let action = Action::Rotate { path: from, to, body, previous: file.sha256.clone() };
        planned.push(scene.planned(None, Some(file.class), action));
    }
    Some(planned)
}

/// A temporary file of a program.
fn cache(scene: &mut Scene<'_>) -> Option<Vec<Planned>> {
    for _ in 0..TRIES {
        let (path, body) = logs::cache(&mut scene.rng);
        if path.is_empty() || scene.shelf.files.contains_key(&path) {
            continue;
        }
        let time = moment(scene, None)?;
        let class = Class::CacheTmp;
        let write = FileWrite { path, class, mode: 0o600, uid: 0, gid: 0, mtime: time, body };
        return Some(vec![scene.planned(None, Some(class), Action::Create(write))]);
    }
    None
}

/// A moment ago, but after `after` and the machine's birth.
fn moment(scene: &mut Scene<'_>, after: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    let after = after.max(scene.shelf.since);
    mtime::just_before(None, scene.arrival.at, after, LATE, &mut scene.rng)
}

/// Temporary files whose time has come, one to nine days after theirs.
pub(super) fn sweep(scene: &Scene<'_>) -> Vec<Planned> {
    let old = |file: &KnownFile| {
        let bytes = file.sha256.bytes().take(8).chain(scene.place.machine.salt.to_le_bytes());
        let spread = bytes.fold(0i64, |sum, byte| (sum * 31 + i64::from(byte)) % 1000);
        let life = TimeDelta::days(1) + TimeDelta::minutes(spread * 10);
        scene.arrival.at - file.mtime > life
    };
    scene
        .shelf
        .files
        .range::<str, _>((Bound::Included("/tmp/"), Bound::Excluded("/tmp0")))
        .filter(|(_, file)| file.class == Class::CacheTmp && !file.diverged && old(file))
        .map(|(path, file)| {
            let action = Action::Delete { path: path.clone(), previous: file.sha256.clone() };
            scene.planned(None, Some(file.class), action)
        })
        .collect()
}
