//! Commands on mailboxes: SELECT, STATUS, CREATE and their relatives, APPEND; LIST is in `listing`.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use imap_codec::imap_types::{
    command::CommandBody,
    extensions::binary::LiteralOrLiteral8,
    flag::Flag,
    mailbox::{ListMailbox, Mailbox as Name},
    status::StatusDataItemName,
};

use super::{
    describe::string,
    listing::{Request, list},
    messages,
    persona::TOOK,
    session::{Fact, Selected, Session, Step},
};
use crate::mail::{
    mailbox::{Mailbox, Message, Refused, canonical},
    world::World,
};

/// Name of a mailbox as text.
pub fn name_of(name: &Name<'_>) -> String {
    match name {
        Name::Inbox => "INBOX".to_owned(),
        Name::Other(other) => String::from_utf8_lossy(other.as_ref()).into_owned(),
    }
}

/// A name as LIST prints it.
pub fn shown(name: &str) -> String {
    let plain =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/&+,=".contains(&b));
    if plain { name.to_owned() } else { string(name.as_bytes()) }
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
    match body {
        CommandBody::Select { mailbox } => select(session, world, tag, &name_of(mailbox), false, now, step),
        CommandBody::Examine { mailbox } => select(session, world, tag, &name_of(mailbox), true, now, step),
        CommandBody::List { reference, mailbox_wildcard } => {
            let request = Request::plain(false, name_of(reference), pattern(mailbox_wildcard));
            list(session, world, tag, &request, now, step);
        }
        CommandBody::Lsub { reference, mailbox_wildcard } => {
            let request = Request::plain(true, name_of(reference), pattern(mailbox_wildcard));
            list(session, world, tag, &request, now, step);
        }
        CommandBody::Status { mailbox, item_names } => {
            status(session, world, tag, &name_of(mailbox), item_names, now, step);
        }
        CommandBody::Append { mailbox, flags, date, message } => {
            let raw = match message {
                LiteralOrLiteral8::Literal(literal) => literal.as_ref().to_vec(),
                LiteralOrLiteral8::Literal8(literal) => literal.data.to_vec(),
            };
            let at = date.as_ref().map_or(now, |date| date.as_ref().to_utc());
            append(session, world, tag, &name_of(mailbox), flags, &raw, at, now, step);
        }
        CommandBody::Create { mailbox } => {
            let name = name_of(mailbox);
            let result =
                account(session, world, now, |account| account.create(name.trim_end_matches('.'), now));
            finish(tag, "Create", &name, result, step);
        }
        CommandBody::Delete { mailbox } => {
            let name = name_of(mailbox);
            if session.selected.as_ref().is_some_and(|selected| selected.name == name) {
                session.selected = None;
                step.line("* OK [CLOSED] Mailbox closed.");
            }
            let result = account(session, world, now, |account| account.delete(&name));
            finish(tag, "Delete", &name, result, step);
        }
        CommandBody::Rename { from, to } => {
            let (from, to) = (name_of(from), name_of(to));
            let result = account(session, world, now, |account| account.rename(&from, &to));
            finish(tag, "Rename", &from, result, step);
        }
        CommandBody::Subscribe { mailbox } => {
            subscribe(session, world, tag, &name_of(mailbox), true, now, step);
        }
        CommandBody::Unsubscribe { mailbox } => {
            subscribe(session, world, tag, &name_of(mailbox), false, now, step);
        }
        _ => return false,
    }
    true
}

fn account<R>(
    session: &Session,
    world: &mut World,
    now: DateTime<Utc>,
    act: impl FnOnce(&mut crate::mail::mailbox::Account) -> Result<R, Refused>,
) -> Result<R, Refused> {
    let login = session.user.as_deref().unwrap_or_default();
    world.account(login, now).map_or(Err(Refused::Missing), act)
}

/// A refusal in Dovecot's words.
pub fn refusal(refused: Refused, name: &str) -> String {
    match refused {
        Refused::Missing => format!("Mailbox doesn't exist: {name}"),
        Refused::Exists => "[ALREADYEXISTS] Mailbox already exists".to_owned(),
        Refused::Inbox => "INBOX can't be deleted".to_owned(),
        Refused::Quota => "[OVERQUOTA] Quota exceeded (mailbox for user is full)".to_owned(),
    }
}

fn finish(tag: &str, what: &str, name: &str, result: Result<(), Refused>, step: &mut Step) {
    match result {
        Ok(()) => step.line(format!("{tag} OK {what} completed {TOOK}")),
        Err(Refused::Missing) => {
            step.line(format!("{tag} NO [NONEXISTENT] Mailbox doesn't exist: {name} {TOOK}"));
        }
        Err(refused) => step.line(format!("{tag} NO {} {TOOK}", refusal(refused, name))),
    }
}

fn select(
    session: &mut Session,
    world: &mut World,
    tag: &str,
    name: &str,
    read_only: bool,
    now: DateTime<Utc>,
    step: &mut Step,
) {
    if session.selected.take().is_some() {
        step.line("* OK [CLOSED] Previous mailbox closed.");
    }
    let login = session.user.clone().unwrap_or_default();
    let Some(mailbox) = world.account(&login, now).and_then(|account| account.get_mut(name)) else {
        step.line(format!("{tag} NO Mailbox doesn't exist: {name} {TOOK}"));
        return;
    };
    let validity = mailbox.validity;
    let uids: Vec<u32> = mailbox.messages.iter().map(|message| message.uid).collect();
    let recent: BTreeSet<u32> =
        mailbox.messages.iter().filter(|message| message.recent).map(|message| message.uid).collect();
    step.line(format!("* FLAGS ({})", mailbox.flag_names()));
    if read_only {
        step.line("* OK [PERMANENTFLAGS ()] Read-only mailbox.");
    } else {
        step.line(format!("* OK [PERMANENTFLAGS ({} \\*)] Flags permitted.", mailbox.flag_names()));
        // Only a session that may change the mailbox takes the newness away.
        mailbox.messages.iter_mut().for_each(|message| message.recent = false);
    }
    step.line(format!("* {} EXISTS", uids.len()));
    step.line(format!("* {} RECENT", recent.len()));
    if let Some(at) = mailbox.messages.iter().position(|message| !message.has("\\Seen")) {
        step.line(format!("* OK [UNSEEN {}] First unseen.", at + 1));
    }
    step.line(format!("* OK [UIDVALIDITY {}] UIDs valid", mailbox.validity));
    step.line(format!("* OK [UIDNEXT {}] Predicted next UID", mailbox.next));
    let (access, word) = if read_only { ("READ-ONLY", "Examine") } else { ("READ-WRITE", "Select") };
    step.line(format!("{tag} OK [{access}] {word} completed {TOOK}"));
    session.selected = Some(Selected { name: canonical(name).to_owned(), validity, read_only, uids, recent });
}

fn pattern(wildcard: &ListMailbox<'_>) -> String {
    match wildcard {
        ListMailbox::Token(token) => String::from_utf8_lossy(token.as_ref()).into_owned(),
        ListMailbox::String(text) => String::from_utf8_lossy(text.as_ref()).into_owned(),
    }
}

/// Items of STATUS in Dovecot's order.
pub fn status_items(mailbox: &Mailbox, items: &[StatusDataItemName]) -> String {
    let mut out = Vec::new();
    // Dovecot answers in its own order.
    let has = |item: &StatusDataItemName| items.contains(item);
    if has(&StatusDataItemName::Messages) {
        out.push(format!("MESSAGES {}", mailbox.messages.len()));
    }
    if has(&StatusDataItemName::Recent) {
        out.push(format!("RECENT {}", mailbox.messages.iter().filter(|message| message.recent).count()));
    }
    if has(&StatusDataItemName::UidNext) {
        out.push(format!("UIDNEXT {}", mailbox.next));
    }
    if has(&StatusDataItemName::UidValidity) {
        out.push(format!("UIDVALIDITY {}", mailbox.validity));
    }
    if has(&StatusDataItemName::Unseen) {
        out.push(format!("UNSEEN {}", mailbox.unseen()));
    }
    if has(&StatusDataItemName::Size) {
        out.push(format!("SIZE {}", mailbox.messages.iter().map(|message| message.size).sum::<usize>()));
    }
    out.join(" ")
}

fn status(
    session: &Session,
    world: &mut World,
    tag: &str,
    name: &str,
    items: &[StatusDataItemName],
    now: DateTime<Utc>,
    step: &mut Step,
) {
    let login = session.user.as_deref().unwrap_or_default();
    let Some(mailbox) = world.account(login, now).and_then(|account| account.get(name)) else {
        step.line(format!("{tag} NO Mailbox doesn't exist: {name} {TOOK}"));
        return;
    };
    step.line(format!("* STATUS {} ({})", shown(canonical(name)), status_items(mailbox, items)));
    let selected = session.selected.as_ref().is_some_and(|selected| selected.name == canonical(name));
    let note = if selected { "[CLIENTBUG] Status on selected mailbox completed" } else { "Status completed" };
    step.line(format!("{tag} OK {note} {TOOK}"));
}

fn subscribe(
    session: &Session,
    world: &mut World,
    tag: &str,
    name: &str,
    on: bool,
    now: DateTime<Utc>,
    step: &mut Step,
) {
    let word = if on { "Subscribe" } else { "Unsubscribe" };
    let login = session.user.as_deref().unwrap_or_default();
    match world.account(login, now).and_then(|account| account.get_mut(name)) {
        Some(mailbox) => {
            mailbox.subscribed = on;
            step.line(format!("{tag} OK {word} completed {TOOK}"));
        }
        None => step.line(format!("{tag} NO Mailbox doesn't exist: {name} {TOOK}")),
    }
}

/// Flags as they are kept.
pub fn flag_set(flags: &[Flag<'_>]) -> BTreeSet<String> {
    flags.iter().map(ToString::to_string).filter(|flag| flag.len() <= 100).collect()
}

#[expect(clippy::too_many_arguments, reason = "the parts of the command")]
fn append(
    session: &mut Session,
    world: &mut World,
    tag: &str,
    name: &str,
    flags: &[Flag<'_>],
    raw: &[u8],
    at: DateTime<Utc>,
    now: DateTime<Utc>,
    step: &mut Step,
) {
    step.facts.push(Fact::Appended { mailbox: name.to_owned(), raw: raw.to_vec() });
    match account(session, world, now, |account| {
        account.append(name, Message::of(raw.into(), at, flag_set(flags)), now)
    }) {
        Ok((validity, uid)) => {
            messages::sync(session, world, now, false, step);
            step.line(format!("{tag} OK [APPENDUID {validity} {uid}] Append completed {TOOK}"));
        }
        Err(Refused::Missing) => {
            step.line(format!("{tag} NO [TRYCREATE] Mailbox doesn't exist: {name} {TOOK}"));
        }
        Err(refused) => step.line(format!("{tag} NO {} {TOOK}", refusal(refused, name))),
    }
}
