//! Commands on messages of the selected mailbox: SEARCH, SORT, THREAD, CLOSE; FETCH is in `reading`, what changes messages
//! in `changes`.

use chrono::{DateTime, Utc};
use imap_codec::imap_types::{
    command::CommandBody,
    core::Charset,
    extensions::{sort::SortCriterion, thread::ThreadingAlgorithm},
    search::SearchKey,
    sequence::SequenceSet,
};

use super::{
    boxes::name_of,
    changes::{copy, expunge, store},
    esearch::Wanted,
    persona::TOOK,
    reading::Reading,
    search::{self, Place},
    session::{Selected, Session, Step},
    thread::{self, Algorithm},
};
use crate::mail::{
    mailbox::{Mailbox, Message},
    world::World,
};

/// The selected mailbox while a command runs.
pub(super) struct View<'a> {
    pub(super) selected: &'a mut Selected,
    pub(super) mailbox: &'a mut Mailbox,
    pub(super) now: DateTime<Utc>,
}

impl View<'_> {
    /// `(sequence number, id)` of the messages in a set; `None` if the set names numbers that do not exist.
    pub(super) fn pick(&self, set: &SequenceSet, uid: bool) -> Option<Vec<(u32, u32)>> {
        let last = u32::try_from(self.selected.uids.len()).unwrap_or(u32::MAX);
        let last_uid = self.selected.uids.last().copied().unwrap_or(0);
        if !uid && search::highest(set) > last {
            return None;
        }
        let numbered = (1..).zip(&self.selected.uids);
        Some(
            numbered
                .filter(|(number, id)| {
                    if uid {
                        search::contains(set, **id, last_uid)
                    } else {
                        search::contains(set, *number, last)
                    }
                })
                .map(|(number, id)| (number, *id))
                .collect(),
        )
    }

    pub(super) fn recent(&self, uid: u32) -> bool {
        self.selected.recent.contains(&uid)
    }

    fn hits(&self, keys: &[SearchKey<'_>]) -> Vec<(u32, &Message)> {
        let last = u32::try_from(self.selected.uids.len()).unwrap_or(u32::MAX);
        let last_uid = self.selected.uids.last().copied().unwrap_or(0);
        let numbered =
            (1..).zip(&self.selected.uids).filter_map(|(number, id)| Some((number, self.mailbox.get(*id)?)));
        numbered
            .filter(|(number, message)| {
                let place = Place {
                    number: *number,
                    last,
                    last_uid,
                    recent: self.recent(message.uid),
                    now: self.now,
                };
                search::matches(keys, message, place)
            })
            .collect()
    }
}

/// Runs a command of this family; false if it is none.
pub fn run(
    session: &mut Session,
    world: &mut World,
    tag: &str,
    body: &CommandBody<'_>,
    now: DateTime<Utc>,
    step: &mut Step,
) -> bool {
    let name = body.name().to_uppercase();
    if !matches!(
        body,
        CommandBody::Fetch { .. }
            | CommandBody::Store { .. }
            | CommandBody::Search { .. }
            | CommandBody::Sort { .. }
            | CommandBody::Thread { .. }
            | CommandBody::Copy { .. }
            | CommandBody::Move { .. }
            | CommandBody::Expunge
            | CommandBody::ExpungeUid { .. }
            | CommandBody::Check
            | CommandBody::Close
            | CommandBody::Unselect
    ) {
        return false;
    }
    let login = session.user.clone().unwrap_or_default();
    let Some(mut selected) = session.selected.take() else {
        session.refused(tag, "No mailbox selected", step);
        return true;
    };
    if matches!(body, CommandBody::Close | CommandBody::Unselect) {
        if matches!(body, CommandBody::Close)
            && !selected.read_only
            && let Some(mailbox) =
                world.account(&login, now).and_then(|account| account.get_mut(&selected.name))
        {
            mailbox.messages.retain(|message| !message.has("\\Deleted"));
        }
        step.line(format!(
            "{tag} OK {} completed {TOOK}",
            if matches!(body, CommandBody::Close) { "Close" } else { "Unselect" }
        ));
        return true;
    }
    if let CommandBody::Copy { sequence_set, mailbox, uid }
    | CommandBody::Move { sequence_set, mailbox, uid } = body
    {
        let moving = matches!(body, CommandBody::Move { .. });
        let outcome =
            copy(world, &login, &mut selected, sequence_set, &name_of(mailbox), *uid, moving, now, step);
        session.selected = Some(selected);
        finish(session, world, tag, &name, *uid, outcome, now, step);
        return true;
    }
    let returning = session.returning.take();
    let outcome = match world.account(&login, now).and_then(|account| account.get_mut(&selected.name)) {
        None => Err("Mailbox was deleted under you".to_owned()),
        Some(mailbox) => {
            let mut view = View { selected: &mut selected, mailbox, now };
            match body {
                CommandBody::Fetch { sequence_set, macro_or_item_names, uid } => {
                    match Reading::new(&view, tag, sequence_set, macro_or_item_names, *uid) {
                        Ok(mut reading) => {
                            let Some(outcome) = reading.slice(&mut view, step) else {
                                session.selected = Some(selected);
                                session.reading = Some(reading);
                                return true;
                            };
                            outcome
                        }
                        Err(why) => Err(why),
                    }
                }
                CommandBody::Store { sequence_set, kind, response, flags, uid } => {
                    store(&mut view, sequence_set, *kind, *response, flags, *uid, step)
                }
                CommandBody::Search { charset, criteria, uid } => {
                    let charset = charset.as_ref();
                    search_command(&view, tag, returning, charset, criteria.as_ref(), *uid, step)
                }
                CommandBody::Thread { algorithm, charset, search_criteria, uid } => {
                    thread_command(&view, algorithm, charset, search_criteria.as_ref(), *uid, step)
                }
                CommandBody::Sort { sort_criteria, search_criteria, charset, uid } => {
                    sort(&view, Some(charset), sort_criteria.as_ref(), search_criteria.as_ref(), *uid, step)
                }
                CommandBody::Expunge => Ok(expunge(&mut view, None, step)),
                CommandBody::ExpungeUid { sequence_set } => Ok(expunge(&mut view, Some(sequence_set), step)),
                _ => Ok("Check completed".to_owned()),
            }
        }
    };
    session.selected = Some(selected);
    let uid = matches!(
        body,
        CommandBody::Fetch { uid: true, .. }
            | CommandBody::Store { uid: true, .. }
            | CommandBody::Search { uid: true, .. }
            | CommandBody::Sort { uid: true, .. }
            | CommandBody::Thread { uid: true, .. }
    );
    finish(session, world, tag, &name, uid, outcome, now, step);
    true
}

/// Goes on with a FETCH that was too much for one answer.
pub fn go_on(session: &mut Session, world: &mut World, now: DateTime<Utc>) -> Step {
    let mut step = Step::default();
    let (Some(mut reading), Some(mut selected)) = (session.reading.take(), session.selected.take()) else {
        return step;
    };
    let login = session.user.clone().unwrap_or_default();
    let outcome = match world.account(&login, now).and_then(|account| account.get_mut(&selected.name)) {
        None => Some(Err("Mailbox was deleted under you".to_owned())),
        Some(mailbox) => reading.slice(&mut View { selected: &mut selected, mailbox, now }, &mut step),
    };
    session.selected = Some(selected);
    match outcome {
        None => session.reading = Some(reading),
        Some(outcome) => {
            finish(session, world, &reading.tag, "FETCH", reading.uid, outcome, now, &mut step);
        }
    }
    step
}

/// Ends a command: news that may be told now, and its result.
#[expect(clippy::too_many_arguments, reason = "the parts of the answer")]
fn finish(
    session: &mut Session,
    world: &mut World,
    tag: &str,
    name: &str,
    uid: bool,
    outcome: Result<String, String>,
    now: DateTime<Utc>,
    step: &mut Step,
) {
    // Sequence numbers must not shift under commands that use them (RFC 3501, 7.4.1).
    let may_expunge = uid || !matches!(name, "FETCH" | "STORE" | "SEARCH");
    sync(session, world, now, may_expunge, step);
    match outcome {
        Ok(text) => step.line(format!("{tag} OK {text} {TOOK}")),
        Err(text) if text.starts_with("NO ") => step.line(format!("{tag} {text} {TOOK}")),
        Err(text) => {
            let name = if uid { format!("UID {name}") } else { name.to_owned() };
            session.refused(tag, &format!("Error in IMAP command {name}: {text}"), step);
        }
    }
}

/// Tells the client what has changed in the selected mailbox.
pub fn sync(
    session: &mut Session,
    world: &mut World,
    now: DateTime<Utc>,
    may_expunge: bool,
    step: &mut Step,
) {
    let login = session.user.clone().unwrap_or_default();
    let Some(selected) = session.selected.as_mut() else { return };
    let Some(mailbox) = world.account(&login, now).and_then(|account| account.get_mut(&selected.name)) else {
        return;
    };
    if mailbox.validity != selected.validity {
        // Dovecot's words when a mailbox turns out to be another one.
        step.line("* BYE IMAP session state is inconsistent, please relogin.");
        step.close = true;
        return;
    }
    if may_expunge {
        let mut number = 1;
        let (mailbox, recent, out) = (&*mailbox, &mut selected.recent, &mut *step);
        selected.uids.retain(|uid| {
            let there = mailbox.get(*uid).is_some();
            if there {
                number += 1;
            } else {
                recent.remove(uid);
                out.line(format!("* {number} EXPUNGE"));
            }
            there
        });
    }
    let last = selected.uids.last().copied().unwrap_or(0);
    let mut grew = false;
    for message in mailbox.messages.iter_mut().filter(|message| message.uid > last) {
        selected.uids.push(message.uid);
        if message.recent {
            selected.recent.insert(message.uid);
            message.recent &= selected.read_only;
        }
        grew = true;
    }
    if grew {
        step.line(format!("* {} EXISTS", selected.uids.len()));
        step.line(format!("* {} RECENT", selected.recent.len()));
    }
}

/// Charsets that are searched in.
fn check_charset(charset: Option<&Charset<'_>>) -> Result<(), String> {
    match charset {
        Some(name) if !["utf-8", "us-ascii"].contains(&name.as_ref().to_lowercase().as_str()) => {
            Err("NO [BADCHARSET] Unknown charset".to_owned())
        }
        _ => Ok(()),
    }
}

fn numbers<'m>(hits: impl Iterator<Item = (u32, &'m Message)>, uid: bool) -> String {
    hits.map(|(number, message)| format!(" {}", if uid { message.uid } else { number }))
        .collect::<Vec<_>>()
        .concat()
}

fn search_command(
    view: &View<'_>,
    tag: &str,
    returning: Option<Wanted>,
    charset: Option<&Charset<'_>>,
    keys: &[SearchKey<'_>],
    uid: bool,
    step: &mut Step,
) -> Result<String, String> {
    check_charset(charset)?;
    let hits = view.hits(keys);
    if let Some(wanted) = returning {
        let found: Vec<u32> =
            hits.iter().map(|(number, message)| if uid { message.uid } else { *number }).collect();
        step.line(wanted.answer(tag, uid, &found));
    } else {
        step.line(format!("* SEARCH{}", numbers(hits.into_iter(), uid)));
    }
    Ok("Search completed".to_owned())
}

fn thread_command(
    view: &View<'_>,
    algorithm: &ThreadingAlgorithm<'_>,
    charset: &Charset<'_>,
    keys: &[SearchKey<'_>],
    uid: bool,
    step: &mut Step,
) -> Result<String, String> {
    let algorithm = match algorithm {
        ThreadingAlgorithm::References => Algorithm::References,
        ThreadingAlgorithm::OrderedSubject => Algorithm::OrderedSubject,
        other if other.to_string().eq_ignore_ascii_case("REFS") => Algorithm::Refs,
        ThreadingAlgorithm::Other(_) => return Err("Unknown thread algorithm".to_owned()),
    };
    check_charset(Some(charset))?;
    let mut hits = view.hits(keys);
    if uid {
        for (number, message) in &mut hits {
            *number = message.uid;
        }
    }
    step.line(format!("* THREAD {}", thread::threads(&hits, algorithm)));
    Ok("Thread completed".to_owned())
}

fn sort(
    view: &View<'_>,
    charset: Option<&Charset<'_>>,
    criteria: &[SortCriterion],
    keys: &[SearchKey<'_>],
    uid: bool,
    step: &mut Step,
) -> Result<String, String> {
    check_charset(charset)?;
    let mut hits = view.hits(keys);
    search::sort(&mut hits, criteria);
    step.line(format!("* SORT{}", numbers(hits.into_iter(), uid)));
    Ok("Sort completed".to_owned())
}
