//! A FETCH under way: what is asked for is read and sent in slices, so that a client that wants a whole mailbox at once
//! does not make the server hold it.

use std::{collections::VecDeque, sync::Arc};

use imap_codec::imap_types::{
    IntoStatic,
    fetch::{MacroOrMessageDataItemNames, MessageDataItemName},
    sequence::SequenceSet,
};
use mail_parser::MessageParser;

use super::{
    fetch,
    messages::View,
    session::{Fact, Step},
};

/// Bytes of an answer after which it is sent before more is read.
const SLICE: usize = 256 * 1024;
/// Reads of one slice that are reported one by one.
const READS_MAX: usize = 50;

/// What is left of a FETCH.
#[derive(Debug)]
pub struct Reading {
    /// The command's tag.
    pub(super) tag: String,
    /// UID FETCH.
    pub(super) uid: bool,
    left: VecDeque<(u32, u32)>,
    names: Vec<MessageDataItemName<'static>>,
    lost: bool,
}

impl Reading {
    pub(super) fn new(
        view: &View<'_>,
        tag: &str,
        set: &SequenceSet,
        names: &MacroOrMessageDataItemNames<'_>,
        uid: bool,
    ) -> Result<Self, String> {
        let left = view.pick(set, uid).ok_or("Invalid messageset")?.into();
        let names = fetch::items(names, uid).into_iter().map(IntoStatic::into_static).collect();
        Ok(Self { tag: tag.to_owned(), uid, left, names, lost: false })
    }

    /// Reads on; the outcome when nothing is left.
    pub(super) fn slice(&mut self, view: &mut View<'_>, step: &mut Step) -> Option<Result<String, String>> {
        while step.out.len() < SLICE {
            let Some((number, id)) = self.left.pop_front() else {
                return Some(if self.lost {
                    Err("NO [EXPUNGEISSUED] Some of the requested messages no longer exist".to_owned())
                } else {
                    Ok("Fetch completed".to_owned())
                });
            };
            if let Err(why) = self.one(view, number, id, step) {
                return Some(Err(why));
            }
        }
        None
    }

    fn one(&mut self, view: &mut View<'_>, number: u32, id: u32, step: &mut Step) -> Result<(), String> {
        let recent = view.recent(id);
        let Some(message) = view.mailbox.get(id) else { return Ok(()) };
        let raw = if fetch::needs_bytes(&self.names) {
            let Some(raw) = message.body.bytes() else {
                self.lost = true;
                return Ok(());
            };
            raw
        } else {
            Arc::default()
        };
        let mut fetched = fetch::fetch(message, &raw, &self.names, recent).ok_or("Unknown parameter")?;
        if fetched.read && step.facts.len() <= READS_MAX {
            let subject = MessageParser::default()
                .parse_headers(&raw)
                .and_then(|parsed| parsed.subject().map(str::to_owned))
                .unwrap_or_default();
            step.facts.push(Fact::Read { mailbox: view.selected.name.clone(), uid: id, subject });
        }
        if fetched.seen
            && !view.selected.read_only
            && !message.has("\\Seen")
            && let Some(message) = view.mailbox.get_mut(id)
        {
            message.flags.insert("\\Seen".to_owned());
            let flags = format!("FLAGS ({})", message.flag_list(recent)).into_bytes();
            // FETCH FLAGS asked for in the same command already shows the new state.
            fetched.items.retain(|item| !item.starts_with(b"FLAGS ("));
            let at = usize::from(self.uid).min(fetched.items.len());
            fetched.items.insert(at, flags);
        }
        let mut line = format!("* {number} FETCH (").into_bytes();
        line.extend_from_slice(&fetched.items.join(&b' '));
        line.push(b')');
        step.line(line);
        Ok(())
    }
}
