//! The weeks before a decky was first seen: lived through by the same planner on virtual time, of which only what is left at the
//! end counts. Pure, and no connection is planned: nobody could have seen one.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Days, TimeDelta, Utc};
use decnet_core::Seed;
use decnet_realism::{
    Action, Planned,
    mail::Message,
    plan::{Day, Decision, Fleet, Shelf, Strand, decide, shelf::KnownFile, shelf::sha256},
};

/// Weeks that a decky's history reaches back.
const WEEKS: std::ops::RangeInclusive<u64> = 3..=8;
/// Times that an arrival is decided again because a text was not new.
const ATTEMPTS: u32 = 24;
/// Messages that are still in mailboxes, the newest.
const MESSAGES: usize = 1500;
/// Messages younger than this may not have been read.
const UNREAD: TimeDelta = TimeDelta::hours(20);
/// Nothing of the past is younger than this: the present begins here.
const GAP: TimeDelta = TimeDelta::seconds(90);

/// What is left of it.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// When it begins.
    pub(crate) born: DateTime<Utc>,
    /// Files with their author's name and how often they were changed.
    pub(crate) files: BTreeMap<String, (KnownFile, Option<String>, u64)>,
    /// Messages, oldest first, with whether they were answered.
    pub(crate) mails: Vec<(Message, bool)>,
}

/// When the history of a decky begins, seen from the time at which it was first seen.
pub(crate) fn birth(node: &Seed, decky: &str, seen: DateTime<Utc>) -> DateTime<Utc> {
    let node = node.child("birth").child(decky);
    let weeks = node.child("weeks").range(WEEKS);
    let extra = node.child("seconds").range(0..=7 * 86_400);
    seen - TimeDelta::weeks(weeks.cast_signed()) - TimeDelta::seconds(extra.cast_signed())
}

/// Lives through it. `alike` tells texts that the fleet has already.
pub(crate) fn live(
    node: &Seed,
    fleet: &Fleet,
    decky: &str,
    born: DateTime<Utc>,
    now: DateTime<Utc>,
) -> History {
    let mut history = History { born, ..History::default() };
    let Some(place) = fleet.place_of(decky) else { return history };
    let mut shelf = Shelf { since: Some(born), ..Shelf::default() };
    let mut bodies: HashSet<String> = HashSet::new();
    let mut traces: BTreeMap<String, (Option<String>, u64)> = BTreeMap::new();
    let mut answered: HashSet<String> = HashSet::new();
    let until = now - GAP;
    let mut date = born.date_naive();
    while date <= until.date_naive() {
        for arrival in Day::of(node, fleet, date).arrivals(place) {
            let quiet = matches!(arrival.strand, Strand::PersonTraffic | Strand::OwnTraffic);
            if quiet || arrival.at < born || arrival.at >= until {
                continue;
            }
            for attempt in 0..ATTEMPTS {
                let Decision::Act(planned) = decide(&arrival, fleet, &shelf, attempt) else { break };
                let fresh: Vec<String> = planned.iter().filter_map(body).map(sha256).collect();
                if fresh.iter().any(|hash| bodies.contains(hash)) {
                    continue;
                }
                bodies.extend(fresh);
                for done in planned {
                    trace(&done, &mut traces);
                    shelf.apply(&done);
                    if let Action::Email(message) = done.action {
                        answered.extend(message.in_reply_to.clone());
                        history.mails.push((*message, false));
                    }
                }
                break;
            }
        }
        let Some(next) = date.checked_add_days(Days::new(1)) else { break };
        date = next;
    }
    let surplus = history.mails.len().saturating_sub(MESSAGES);
    history.mails.drain(..surplus);
    for (message, is_answered) in &mut history.mails {
        *is_answered = answered.contains(&message.message_id);
        if now - message.mtime > UNREAD || *is_answered {
            read(message);
        }
    }
    history.files = shelf
        .files
        .into_iter()
        .map(|(path, file)| {
            let (author, edits) = traces.remove(&path).unwrap_or_default();
            (path, (file, author, edits))
        })
        .collect();
    history
}

/// Who wrote what, and how often.
fn trace(done: &Planned, traces: &mut BTreeMap<String, (Option<String>, u64)>) {
    let author = || done.persona.as_ref().map(|persona| persona.name.clone());
    match &done.action {
        Action::Create(write) => {
            traces.insert(write.path.clone(), (author(), 0));
        }
        Action::Edit { write, .. } => {
            traces.entry(write.path.clone()).or_insert_with(|| (author(), 0)).1 += 1;
        }
        Action::Rotate { path, to, .. } => {
            let moved = traces.remove(path).unwrap_or_default();
            traces.insert(to.clone(), moved);
        }
        Action::Delete { path, .. } => {
            traces.remove(path);
        }
        Action::Traffic { .. } | Action::Email(_) => {}
    }
}

fn body(planned: &Planned) -> Option<&[u8]> {
    match &planned.action {
        Action::Create(write) | Action::Edit { write, .. } => Some(&write.body),
        _ => None,
    }
}

/// Moves a message to where read ones are (maildir(5)).
fn read(message: &mut Message) {
    if let Some((folder, name)) = message.path.rsplit_once("/new/") {
        message.path = format!("{folder}/cur/{name}:2,S");
    }
}
