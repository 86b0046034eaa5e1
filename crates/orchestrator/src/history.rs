//! The weeks before a decky was first seen: lived through by the same planner on virtual time, of which only what is left at the
//! end counts. Pure, and no connection is planned: nobody could have seen one.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Days, TimeDelta, Utc};
use decnet_core::Seed;
use decnet_realism::{
    Action, Planned, Resident,
    content::{Pen, shell_history},
    hours::Presence,
    mail::Message,
    mtime,
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
    /// What people typed.
    pub(crate) typed: Vec<Typed>,
}

/// Somebody's shell history.
#[derive(Debug)]
pub(crate) struct Typed {
    pub(crate) resident: Resident,
    pub(crate) path: String,
    pub(crate) mtime: DateTime<Utc>,
    pub(crate) body: String,
}

/// When the history of a decky begins, seen from the time at which it was first seen.
pub(crate) fn birth(node: &Seed, decky: &str, seen: DateTime<Utc>) -> DateTime<Utc> {
    let node = node.child("birth").child(decky);
    let weeks = node.child("weeks").range(WEEKS);
    let extra = node.child("seconds").range(0..=7 * 86_400);
    seen - TimeDelta::weeks(weeks.cast_signed()) - TimeDelta::seconds(extra.cast_signed())
}

/// Lives through it.
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
                    if let Action::Email(message) = done.action
                        && !message.path.is_empty()
                    {
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
    history.typed = typed(node, fleet, decky, &history, until);
    history
}

/// What the people of a decky typed there, each about his own files.
fn typed(node: &Seed, fleet: &Fleet, decky: &str, history: &History, until: DateTime<Utc>) -> Vec<Typed> {
    let Some(machine) = fleet.machine(decky) else { return Vec::new() };
    let node = node.child("typed").child(decky);
    let one = |resident: &Resident| {
        let mut rng = node.child(&resident.login).rng();
        let presence = Presence::of(&resident.persona);
        let window = presence.windows(until - TimeDelta::days(9), until).last()?;
        let mtime = mtime::between(window.start.max(history.born), window.end.min(until), &mut rng)?;
        let own = format!("{}/", resident.home);
        let files: Vec<String> =
            history.files.keys().filter(|path| path.starts_with(&own)).cloned().collect();
        let person = fleet.people().iter().find(|person| person.persona == resident.persona)?;
        let pen = Pen {
            resident,
            colleagues: &person.colleagues,
            hosts: fleet.hosts(),
            when: mtime.with_timezone(&presence.zone()),
        };
        let body = shell_history(&pen, &files, &mut rng);
        Some(Typed { resident: resident.clone(), path: format!("{own}.bash_history"), mtime, body })
    };
    machine.residents.iter().filter_map(one).collect()
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
