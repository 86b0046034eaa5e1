//! One arrival: decide by what is there, and do it.

use anyhow::Result;
use chrono::TimeDelta;
use decnet_db::Db;
use decnet_realism::{
    Action, Class, Planned,
    plan::{Arrival, Decision, Shelf, Strand, Unavailable, decide, shelf::KnownFile, shelf::sha256},
};

use crate::{
    connect::connect,
    deed::Deed,
    desk::Desk,
    disk, shelf,
    texts::Texts,
    world::{Site, World},
};

/// Times that an arrival is decided again because a text was not new to the fleet.
const ATTEMPTS: u32 = 24;
/// Services with which somebody is inside of the machine and sees its files.
const SHELLS: [&str; 2] = ["ssh", "telnet"];
/// How long after a login nobody writes.
const QUIET: TimeDelta = TimeDelta::minutes(12);

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something was done, or tried.
    Acted,
    /// Left alone on purpose.
    Quiet,
    /// Somebody may be watching: later.
    Postponed,
    /// It is not known whether what was begun is done: the disk has to be looked at.
    Unsettled,
    /// Nothing could be done.
    Passed(Option<Unavailable>),
}

/// Takes one turn.
pub(crate) async fn take(
    desk: &Desk,
    db: &Db,
    world: &World,
    site: &Site,
    arrival: &Arrival,
    texts: &Texts,
    settled: bool,
) -> Result<Turn> {
    let connects = matches!(arrival.strand, Strand::PersonTraffic | Strand::OwnTraffic);
    if site.is_silent {
        // It would fail, and fill the tables with that.
        return Ok(if connects { Turn::Passed(None) } else { Turn::Postponed });
    }
    if connects {
        return traffic(desk, db, world, site, arrival).await;
    }
    // Nothing is written to a disk before it is in order.
    if !settled || is_watched(desk, db, site).await? {
        return Ok(Turn::Postponed);
    }
    let mut shelf = shelf::load(db, site, desk.ctx.now()).await?;
    let memory = desk.memory(&site.id);
    (shelf.by_people, shelf.by_machine) = (memory.by_people, memory.by_machine);
    for path in memory.occupied {
        shelf.files.entry(path).or_insert_with(foreign);
    }
    for attempt in 0..ATTEMPTS {
        let planned = match decide(arrival, &world.fleet, &shelf, attempt) {
            Decision::Quiet => return Ok(Turn::Quiet),
            Decision::Unavailable(why) => return Ok(Turn::Passed(Some(why))),
            Decision::Act(planned) => planned,
        };
        let mut planned = planned;
        let model = texts.dress(db, &world.fleet, site, arrival, &mut planned).await?;
        let fresh: Vec<String> = planned.iter().filter_map(body).map(sha256).collect();
        if !db.synthetic_files().known_hashes(&fresh).await?.is_empty() {
            continue;
        }
        return act(desk, db, world, site, &mut shelf, planned, model).await;
    }
    Ok(Turn::Passed(Some(Unavailable::NothingNew)))
}

/// Whether somebody who is inside, or was a moment ago, could see files change.
pub(crate) async fn is_watched(desk: &Desk, db: &Db, site: &Site) -> Result<bool> {
    let since = desk.ctx.now() - QUIET;
    Ok(db.sessions().inhabited(site.host.as_str(), site.name.as_str(), &SHELLS, since).await?)
}

async fn act(
    desk: &Desk,
    db: &Db,
    world: &World,
    site: &Site,
    shelf: &mut Shelf,
    planned: Vec<Planned>,
    model: Option<String>,
) -> Result<Turn> {
    for step in planned {
        let Some(mut deed) = Deed::of(&step, shelf, |address| disk::owner(world, site, address)) else {
            continue;
        };
        deed.wrote(model.as_deref());
        if !desk.act(db, site, &deed).await? {
            return Ok(Turn::Unsettled);
        }
        shelf.apply(&step);
        let (people, machine) = (shelf.by_people, shelf.by_machine);
        desk.remember(&site.id, |memory| (memory.by_people, memory.by_machine) = (people, machine));
    }
    Ok(Turn::Acted)
}

async fn traffic(desk: &Desk, db: &Db, world: &World, site: &Site, arrival: &Arrival) -> Result<Turn> {
    for attempt in 0..ATTEMPTS {
        let planned = match decide(arrival, &world.fleet, &Shelf::default(), attempt) {
            Decision::Quiet => return Ok(Turn::Quiet),
            Decision::Unavailable(why) => return Ok(Turn::Passed(Some(why))),
            Decision::Act(planned) => planned,
        };
        let Some(Action::Traffic { dst, protocol, port }) = planned.into_iter().next().map(|p| p.action)
        else {
            return Ok(Turn::Passed(None));
        };
        let Some(to) = world.sites.get(&dst) else { continue };
        if connect(desk, db, (site, to), &protocol, port).await? {
            return Ok(Turn::Acted);
        }
    }
    Ok(Turn::Passed(Some(Unavailable::NoPartner)))
}

fn body(planned: &Planned) -> Option<&[u8]> {
    match &planned.action {
        Action::Create(write) | Action::Edit { write, .. } => Some(&write.body),
        _ => None,
    }
}

/// What stands on the shelf for a file that is not ours: its path is taken, and it is never touched.
fn foreign() -> KnownFile {
    KnownFile {
        class: Class::CacheTmp,
        login: String::new(),
        mtime: chrono::DateTime::UNIX_EPOCH,
        mode: 0,
        uid: 0,
        gid: 0,
        body: Vec::new(),
        sha256: String::new(),
        diverged: true,
    }
}
