//! Commands that change messages of the selected mailbox: STORE, COPY, MOVE, EXPUNGE.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use imap_codec::imap_types::{
    flag::{Flag, StoreResponse, StoreType},
    sequence::SequenceSet,
};

use super::{
    boxes::{flag_set, refusal},
    messages::View,
    session::{Selected, Step},
};
use crate::mail::{
    mailbox::{Message, Refused},
    world::World,
};

pub(super) fn store(
    view: &mut View<'_>,
    set: &SequenceSet,
    kind: StoreType,
    response: StoreResponse,
    flags: &[Flag<'_>],
    uid: bool,
    step: &mut Step,
) -> Result<String, String> {
    let picked = view.pick(set, uid).ok_or("Invalid messageset")?;
    if let Some(odd) = flags.iter().find(|flag| matches!(flag, Flag::Extension(_))) {
        return Err(format!("Invalid system flag {}", odd.to_string().to_uppercase()));
    }
    if view.selected.read_only {
        return Ok("Store ignored with read-only mailbox".to_owned());
    }
    let wanted = flag_set(flags);
    if kind != StoreType::Remove && view.mailbox.learn(&wanted) {
        step.line(format!("* FLAGS ({})", view.mailbox.flag_names()));
        step.line(format!("* OK [PERMANENTFLAGS ({} \\*)] Flags permitted.", view.mailbox.flag_names()));
    }
    let known: BTreeSet<String> = wanted
        .into_iter()
        .filter(|flag| flag.starts_with('\\') || view.mailbox.keywords.contains(flag))
        .collect();
    for (number, id) in picked {
        let recent = view.recent(id);
        let Some(message) = view.mailbox.get_mut(id) else { continue };
        match kind {
            StoreType::Replace => message.flags.clone_from(&known),
            StoreType::Add => message.flags.extend(known.iter().cloned()),
            StoreType::Remove => message.flags.retain(|flag| !known.contains(flag)),
        }
        if response == StoreResponse::Answer {
            let prefix = if uid { format!("UID {id} ") } else { String::new() };
            step.line(format!("* {number} FETCH ({prefix}FLAGS ({}))", message.flag_list(recent)));
        }
    }
    Ok("Store completed".to_owned())
}

pub(super) fn expunge(view: &mut View<'_>, set: Option<&SequenceSet>, step: &mut Step) -> String {
    if view.selected.read_only {
        return "Expunge completed".to_owned();
    }
    let chosen: Option<BTreeSet<u32>> =
        set.and_then(|set| view.pick(set, true)).map(|picked| picked.into_iter().map(|(_, id)| id).collect());
    view.mailbox.messages.retain(|message| {
        !message.has("\\Deleted") || chosen.as_ref().is_some_and(|chosen| !chosen.contains(&message.uid))
    });
    let recent_before = view.selected.recent.len();
    let mut number = 1;
    let mailbox = &*view.mailbox;
    let recent = &mut view.selected.recent;
    view.selected.uids.retain(|uid| {
        let there = mailbox.get(*uid).is_some();
        if there {
            number += 1;
        } else {
            recent.remove(uid);
            step.line(format!("* {number} EXPUNGE"));
        }
        there
    });
    if view.selected.recent.len() != recent_before {
        step.line(format!("* {} RECENT", view.selected.recent.len()));
    }
    "Expunge completed".to_owned()
}

/// Ids with runs written as ranges.
pub(super) fn id_set(ids: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for id in ids {
        match runs.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(*id) => *end = *id,
            _ => runs.push((*id, *id)),
        }
    }
    let shown: Vec<String> = runs
        .iter()
        .map(|(from, to)| if from == to { from.to_string() } else { format!("{from}:{to}") })
        .collect();
    shown.join(",")
}

#[expect(clippy::too_many_arguments, reason = "the parts of the command")]
pub(super) fn copy(
    world: &mut World,
    login: &str,
    selected: &mut Selected,
    set: &SequenceSet,
    target: &str,
    uid: bool,
    moving: bool,
    now: DateTime<Utc>,
    step: &mut Step,
) -> Result<String, String> {
    let account = world.account(login, now).ok_or("Internal error occurred")?;
    if account.get(target).is_none() {
        return Err(format!("NO [TRYCREATE] {}", refusal(Refused::Missing, target)));
    }
    let source: Vec<Message> = {
        let mailbox = account.get_mut(&selected.name).ok_or("Mailbox was deleted under you")?;
        let view = View { selected, mailbox, now };
        let picked = view.pick(set, uid).ok_or("Invalid messageset")?;
        picked.iter().filter_map(|(_, id)| view.mailbox.get(*id).cloned()).collect()
    };
    if source.is_empty() {
        return Ok("No messages found".to_owned());
    }
    let (mut from, mut to, mut validity) = (Vec::new(), Vec::new(), 0);
    for message in &source {
        match account.append(target, message.clone(), now) {
            Ok((of_target, id)) => {
                from.push(message.uid);
                to.push(id);
                validity = of_target;
            }
            Err(refused) => return Err(format!("NO {}", refusal(refused, target))),
        }
    }
    let pair = format!("[COPYUID {validity} {} {}]", id_set(&from), id_set(&to));
    if !moving {
        return Ok(format!("{pair} Copy completed"));
    }
    step.line(format!("* OK {pair} Moved UIDs."));
    if let Some(mailbox) = account.get_mut(&selected.name).filter(|_| !selected.read_only) {
        mailbox.messages.retain(|message| !from.contains(&message.uid));
    }
    Ok("Move completed".to_owned())
}
