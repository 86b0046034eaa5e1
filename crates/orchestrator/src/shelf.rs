//! A decky's shelf out of its rows, and rows out of deeds: the one place where the planner's words and the database's meet.

use chrono::{DateTime, TimeDelta, Utc};
use decnet_db::{
    Db, DbError, FileState, LifeChange, NewOrchestratorEmail, NewSyntheticFile, OrchestratorEmail,
    SyntheticFileBody,
};
use decnet_realism::{
    Class,
    mail::KnownMail,
    plan::shelf::{KnownFile, Shelf},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    deed::{Content, Deed, Letter, Step},
    world::Site,
};

/// Messages that may still be answered: a little more than the planner waits for.
const ANSWERABLE: TimeDelta = TimeDelta::days(9);
const MESSAGES: u64 = 600;

/// What we believe to be on a decky.
pub(crate) async fn load(db: &Db, site: &Site, now: DateTime<Utc>) -> Result<Shelf, DbError> {
    let mut shelf = Shelf::default();
    if site.has_files {
        for row in db.synthetic_files().shelf(&site.id).await? {
            if let Some((path, file)) = known_file(row) {
                shelf.files.insert(path, file);
            }
        }
    }
    if site.has_mail {
        let mails = db.emails().recent(&site.id, now - ANSWERABLE, MESSAGES).await?;
        shelf.mails = mails.into_iter().map(known_mail).collect();
        // What the planner remembers is in the order of delivery.
        shelf.mails.sort_by_key(|mail| mail.at);
    }
    shelf.since = db.life().state(&site.id).await?.map(|state| state.born);
    Ok(shelf)
}

/// `None` for what the planner has no class for: it is put back when its disk is gone, and otherwise left alone.
fn known_file(row: SyntheticFileBody) -> Option<(String, KnownFile)> {
    let file = row.file;
    let class: Class = file.content_class.parse().ok()?;
    // A file that we do not know all of must not be changed either.
    let diverged = file.state != FileState::Planted || row.body.is_none();
    let known = KnownFile {
        class,
        login: file.login,
        mtime: file.planted_mtime,
        mode: file.mode,
        uid: file.uid,
        gid: file.gid,
        body: row.body.unwrap_or_default(),
        sha256: file.content_hash,
        diverged,
    };
    Some((file.path, known))
}

fn known_mail(row: OrchestratorEmail) -> KnownMail {
    KnownMail {
        message_id: row.message_id,
        references: row.references,
        subject: row.subject,
        from: row.sender_email,
        to: row.recipient_email,
        at: row.mtime,
        thread: row.thread_id,
        excerpt: row.excerpt,
        answered: row.answered,
    }
}

/// The changes of the tables once a deed was done.
pub(crate) fn done(site: &Site, deed: &Deed, event: Uuid, at: DateTime<Utc>) -> Vec<LifeChange> {
    let gone = |path: &str| LifeChange::FileState {
        decky_uuid: site.id.clone(),
        path: path.to_owned(),
        state: FileState::Gone,
        found: None,
        event: Some(event),
    };
    let file = |content: &Content, edits| {
        LifeChange::File(Box::new(new_file(site, deed, content, edits, Some(event))))
    };
    match &deed.step {
        Step::Create { file: content } => vec![file(content, Some(0))],
        Step::Edit { file: content, .. } => vec![file(content, None)],
        Step::Rotate { from, file: content, .. } => vec![gone(from), file(content, Some(0))],
        Step::Delete { path, .. } => vec![gone(path)],
        Step::Deliver { file, letter } => {
            let mut changes = vec![LifeChange::Mail(Box::new(email(site, file, letter, event, at, true)))];
            if let Some(parent) = &letter.in_reply_to {
                changes
                    .push(LifeChange::Answered { decky_uuid: site.id.clone(), message_id: parent.clone() });
            }
            changes
        }
    }
}

pub(crate) fn new_file(
    site: &Site,
    deed: &Deed,
    content: &Content,
    edit_count: Option<u64>,
    event: Option<Uuid>,
) -> NewSyntheticFile {
    NewSyntheticFile {
        decky_uuid: site.id.clone(),
        path: content.path.clone(),
        persona: deed.persona.clone().unwrap_or_default(),
        login: deed.login.clone(),
        content_class: deed.class.as_str().to_owned(),
        mtime: content.mtime,
        mode: content.mode,
        uid: content.uid,
        gid: content.gid,
        content_hash: content.sha256.clone(),
        body: content.body.clone(),
        edit_count,
        last_event_uuid: event,
    }
}

/// The row of a message.
pub(crate) fn email(
    site: &Site,
    file: &Content,
    letter: &Letter,
    uuid: Uuid,
    ts: DateTime<Utc>,
    success: bool,
) -> NewOrchestratorEmail {
    NewOrchestratorEmail {
        uuid,
        ts,
        mail_decky_uuid: site.id.clone(),
        thread_id: letter.thread.clone(),
        message_id: letter.message_id.clone(),
        in_reply_to: letter.in_reply_to.clone(),
        sender_email: letter.from.clone(),
        recipient_email: letter.to.clone(),
        subject: letter.subject.clone(),
        language: letter.language.clone(),
        eml_path: file.path.clone(),
        success,
        payload: mail_details(file, letter),
        references: letter.references.clone(),
        excerpt: letter.excerpt.clone(),
        answered: false,
        mtime: file.mtime,
        mode: file.mode,
        uid: file.uid,
        gid: file.gid,
        content_hash: file.sha256.clone(),
        raw: String::from_utf8_lossy(&file.body).into_owned(),
    }
}

fn mail_details(file: &Content, letter: &Letter) -> Value {
    json!({
        "bytes": file.body.len(),
        "sha256": file.sha256,
        "is_reply": letter.in_reply_to.is_some(),
        "model": letter.model,
    })
}
