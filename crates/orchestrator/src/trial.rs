//! `--once` and `--dry-run`: the same turns without the clock, for operators who want to see now what would come by itself.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use decnet_db::Db;
use decnet_realism::{
    lab::Line,
    plan::{Arrival, Day, Decision, Fleet, decide},
};

use crate::{
    desk::Desk,
    disk, shelf,
    texts::Texts,
    turn::{self, Turn},
    world::World,
};

/// Turns of one machine that are tried until something is done.
const TRIES: usize = 60;
/// How far a dry run looks ahead.
const AHEAD: TimeDelta = TimeDelta::hours(24);

/// Brings every disk in order and lets every machine do one thing, now.
pub(crate) async fn once(desk: &Desk, db: &Db, world: &World, texts: &Texts) -> Result<()> {
    for (index, place) in world.fleet.places().iter().enumerate() {
        let Some(site) = world.sites.get(&place.machine.id) else { continue };
        let settled = match disk::settle(desk, db, world, site).await {
            Ok(settled) => settled,
            Err(error) => {
                tracing::warn!(decky = %site.id, error = format!("{error:#}"), "its disk is not in order");
                false
            }
        };
        let now = desk.ctx.now();
        let today = Day::of(&desk.node, &world.fleet, now.date_naive()).arrivals(index);
        let from = today.iter().position(|arrival| arrival.at > now).unwrap_or(0);
        let (before, after) = today.split_at(from);
        for arrival in after.iter().chain(before).take(TRIES) {
            let arrival = Arrival { at: desk.ctx.now(), ..arrival.clone() };
            if turn::take(desk, db, world, site, &arrival, texts, settled).await? == Turn::Acted {
                break;
            }
        }
        desk.ctx.progress();
    }
    Ok(())
}

/// Prints what would be done from now on.
pub(crate) async fn dry_run(db: &Db, desk: &Desk, world: &World, now: DateTime<Utc>) -> Result<()> {
    let fleet: &Fleet = &world.fleet;
    let mut shelves = Vec::new();
    for place in fleet.places() {
        let site = world.sites.get(&place.machine.id).context("a machine without a place")?;
        shelves.push(shelf::load(db, site, now).await?);
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for date in [now.date_naive(), (now + AHEAD).date_naive()] {
        for arrival in Day::of(&desk.node, fleet, date).all() {
            if arrival.at <= now || arrival.at > now + AHEAD {
                continue;
            }
            let Some(shelf) = shelves.get_mut(arrival.place) else { continue };
            let Decision::Act(planned) = decide(&arrival, fleet, shelf, 0) else { continue };
            for step in planned {
                serde_json::to_writer(&mut out, &Line::of(&step, fleet))?;
                out.write_all(b"\n")?;
                shelf.apply(&step);
            }
        }
    }
    out.flush()?;
    Ok(())
}
