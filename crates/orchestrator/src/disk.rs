//! A decky's disk: the first time it is seen it gets weeks of history, a new disk of a known decky gets back what was on the old
//! one, and what a crash left half done there is settled. Before that nothing else is written to it.
//!
//! Rows come first and files after them, each only where nothing is: whatever interrupts this, the next start goes on.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use decnet_bus::payload::Expect;
use decnet_db::{Db, FileState, Intent, LifeChange, LifeState, NewSyntheticFile};
use decnet_realism::plan::shelf::sha256;
use serde_json::json;
use uuid::Uuid;

use crate::{
    agent::{BATCH_BYTES, BATCH_FILES, Put},
    deed,
    desk::Desk,
    history, shelf,
    world::{Site, World},
};

/// Changes in one transaction.
const CHANGES: usize = 200;
/// What the rows of shell histories say instead of a content class: the planner knows nothing of them.
const TYPED: &str = "shell_history";
/// Messages that are read from the table at once.
const PAGE: u64 = 100;

/// Brings the rows and the disk of a decky together. True if it may be lived on now.
pub(crate) async fn settle(desk: &Desk, db: &Db, world: &World, site: &Site) -> Result<bool> {
    let Some(incarnation) = &site.incarnation else { return Ok(false) };
    if !site.has_files && !site.has_mail {
        return Ok(true);
    }
    let open: Vec<Intent> =
        db.life().intents().await?.into_iter().filter(|intent| intent.decky_uuid == site.id).collect();
    let state = db.life().state(&site.id).await?;
    match state {
        Some(state) if state.incarnation == *incarnation => {
            if !desk.sweep(db, site, &open).await? {
                return Ok(false);
            }
            if state.aged_at.is_none() {
                lay(desk, db, world, site, state, "file:age").await?;
            }
        }
        Some(state) => {
            // What was begun was begun on a disk that is gone.
            let mut changes: Vec<LifeChange> =
                open.iter().map(|intent| LifeChange::Settle(intent.uuid)).collect();
            let (reclaimed, is_stranger) = reclaim(db, world, site).await?;
            changes.extend(reclaimed);
            if is_stranger {
                db.life().apply(&changes, &[]).await?;
                let state = age(desk, db, world, site, incarnation).await?;
                lay(desk, db, world, site, state, "file:age").await?;
                return Ok(true);
            }
            let state = LifeState { incarnation: incarnation.clone(), aged_at: None, ..state };
            changes.push(LifeChange::Lived(state.clone()));
            db.life().apply(&changes, &[]).await?;
            lay(desk, db, world, site, state, "file:restore").await?;
        }
        None => {
            // Somebody who is in already would see weeks of files appear at once.
            if crate::turn::is_watched(desk, db, site).await? {
                return Ok(false);
            }
            let state = age(desk, db, world, site, incarnation).await?;
            lay(desk, db, world, site, state, "file:age").await?;
        }
    }
    Ok(true)
}

/// Plans the history of a decky and writes its rows.
async fn age(desk: &Desk, db: &Db, world: &World, site: &Site, incarnation: &str) -> Result<LifeState> {
    let turn = desk.planning.acquire().await.context("waiting for a turn to plan a history")?;
    let now = desk.ctx.now();
    let born = history::birth(&desk.node, &site.id, now);
    let (node, fleet, id) = (desk.node.clone(), std::sync::Arc::clone(&world.fleet), site.id.clone());
    let past = tokio::task::spawn_blocking(move || history::live(&node, &fleet, &id, born, now))
        .await
        .context("planning a history")?;
    let alike = known(db, &past).await?;
    let mut changes = Vec::new();
    for (path, (file, author, edits)) in past.files {
        // Another decky has the same text: this one does without.
        if alike.contains(&file.sha256) {
            continue;
        }
        changes.push(LifeChange::File(Box::new(NewSyntheticFile {
            decky_uuid: site.id.clone(),
            path,
            persona: author.unwrap_or_default(),
            login: file.login,
            content_class: file.class.as_str().to_owned(),
            mtime: file.mtime,
            mode: file.mode,
            uid: file.uid,
            gid: file.gid,
            content_hash: file.sha256,
            body: file.body,
            edit_count: Some(edits),
            last_event_uuid: None,
        })));
    }
    for typed in past.typed {
        let resident = typed.resident;
        changes.push(LifeChange::File(Box::new(NewSyntheticFile {
            decky_uuid: site.id.clone(),
            path: typed.path,
            persona: resident.persona.name.clone(),
            login: resident.login,
            content_class: TYPED.to_owned(),
            mtime: typed.mtime,
            mode: 0o600,
            uid: resident.uid,
            gid: resident.gid,
            content_hash: sha256(typed.body.as_bytes()),
            body: typed.body.into_bytes(),
            edit_count: Some(0),
            last_event_uuid: None,
        })));
    }
    // The mail of a machine outlives its name's other owners.
    let has_mail = {
        let users = mail_users(world, site);
        let known = db.emails().recent(&site.id, past.born, 1000).await?;
        known.iter().any(|mail| users.contains(&mail.recipient_email.to_lowercase()))
    };
    for (message, answered) in past.mails.into_iter().filter(|_| !has_mail) {
        let (uid, gid) = owner(world, site, &message.to).unwrap_or((deed::VMAIL, deed::VMAIL));
        let (file, letter) = (deed::mail_file(&message, uid, gid), deed::letter(&message));
        let mut row = shelf::email(site, &file, &letter, desk.ctx.next_id(), message.mtime, true);
        row.answered = answered;
        changes.push(LifeChange::Mail(Box::new(row)));
    }
    let state = LifeState {
        decky_uuid: site.id.clone(),
        incarnation: incarnation.to_owned(),
        born: past.born,
        aged_at: None,
    };
    changes.push(LifeChange::Lived(state.clone()));
    // One transaction: half a history would be taken for a whole one.
    db.life().apply(&changes, &[]).await.context("writing the rows of a history")?;
    // Not before: the next history must know of these texts.
    drop(turn);
    Ok(state)
}

async fn known(db: &Db, past: &history::History) -> Result<Vec<String>> {
    let hashes: Vec<String> = past.files.values().map(|(file, _, _)| file.sha256.clone()).collect();
    Ok(db.synthetic_files().known_hashes(&hashes).await?)
}

/// What the rows of a decky have to become on a new disk: files belong to whoever has the login there now, those of people who
/// are gone are gone, and what somebody had changed is as it was. True if nobody of old is there any more.
async fn reclaim(db: &Db, world: &World, site: &Site) -> Result<(Vec<LifeChange>, bool)> {
    let machine = world.fleet.machine(&site.id);
    let mut changes = Vec::new();
    let (mut orphans, mut owned) = (0usize, 0usize);
    for row in db.synthetic_files().shelf(&site.id).await? {
        let file = row.file;
        let account = machine.and_then(|machine| machine.residents.iter().find(|r| r.login == file.login));
        let state = |state| LifeChange::FileState {
            decky_uuid: site.id.clone(),
            path: file.path.clone(),
            state,
            found: None,
            event: None,
        };
        let orphan = !file.login.is_empty() && account.is_none();
        orphans += usize::from(orphan);
        owned += usize::from(account.is_some());
        let Some(body) = row.body.filter(|_| !orphan) else {
            changes.push(state(FileState::Gone));
            continue;
        };
        match account {
            Some(account) if (account.uid, account.gid) != (file.uid, file.gid) => {
                changes.push(LifeChange::File(Box::new(NewSyntheticFile {
                    decky_uuid: site.id.clone(),
                    path: file.path.clone(),
                    persona: account.persona.name.clone(),
                    login: file.login.clone(),
                    content_class: file.content_class.clone(),
                    mtime: file.planted_mtime,
                    mode: file.mode,
                    uid: account.uid,
                    gid: account.gid,
                    content_hash: file.content_hash.clone(),
                    body,
                    edit_count: Some(file.edit_count),
                    last_event_uuid: None,
                })));
            }
            _ if file.state != FileState::Planted => changes.push(state(FileState::Planted)),
            _ => {}
        }
    }
    // Everybody else has an account there now: another machine under the old name, with a past of its own.
    let inhabited = machine.is_some_and(|machine| !machine.residents.is_empty());
    Ok((changes, inhabited && orphans > 0 && owned == 0))
}

/// Puts everything that the rows tell of where nothing is, oldest first, and notes that it is there.
async fn lay(desk: &Desk, db: &Db, world: &World, site: &Site, state: LifeState, action: &str) -> Result<()> {
    let mut laid = Laid::default();
    let mut files: Vec<Put> = db
        .synthetic_files()
        .shelf(&site.id)
        .await?
        .into_iter()
        .filter(|row| row.file.state == FileState::Planted)
        .filter_map(|row| {
            Some(Put {
                path: row.file.path,
                mode: row.file.mode,
                uid: row.file.uid,
                gid: row.file.gid,
                mtime: row.file.planted_mtime,
                body: row.body?,
                expect: Expect::Absent,
            })
        })
        .collect();
    files.sort_by_key(|file| file.mtime);
    laid.put(desk, site, &files).await?;
    // A path at which something else is: not ours, and never to be.
    let occupied: Vec<LifeChange> = laid
        .occupied
        .iter()
        .map(|path| LifeChange::FileState {
            decky_uuid: site.id.clone(),
            path: path.clone(),
            state: FileState::Gone,
            found: None,
            event: None,
        })
        .collect();
    for changes in occupied.chunks(CHANGES) {
        db.life().apply(changes, &[]).await?;
    }
    let kept = std::mem::take(&mut laid.occupied);
    desk.remember(&site.id, |memory| memory.occupied.extend(kept));

    let users: HashSet<String> = mail_users(world, site);
    let mut after: Option<(DateTime<Utc>, Uuid)> = None;
    let (files, mut mails) = (laid.count, 0usize);
    loop {
        let page = db.emails().whole(&site.id, after.as_ref(), PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some((last.ts, last.uuid));
        let page: Vec<Put> = page
            .into_iter()
            // Nobody has a mailbox that is not his.
            .filter(|(mail, _)| users.contains(&mail.recipient_email.to_lowercase()))
            .map(|(mail, raw)| Put {
                path: mail.eml_path,
                mode: mail.mode,
                uid: mail.uid,
                gid: mail.gid,
                mtime: mail.mtime,
                body: raw.into_bytes(),
                expect: Expect::Absent,
            })
            .collect();
        mails += page.len();
        laid.put(desk, site, &page).await?;
    }

    let now = desk.now();
    let details =
        json!({ "files": files, "mails": mails, "born": state.born, "incarnation": state.incarnation });
    let (_, event, row) = desk.row(site, "file", "fs", action, None, true, details, now)?;
    let lived = LifeChange::Lived(LifeState { aged_at: Some(now), ..state });
    db.life().apply(&[row, lived], &[event]).await?;
    desk.ctx.outbox().nudge();
    tracing::info!(decky = %site.id, files, mails, action, "a disk has its history");
    Ok(())
}

#[derive(Default)]
struct Laid {
    count: usize,
    occupied: Vec<String>,
}

impl Laid {
    /// In requests that the broker can carry.
    async fn put(&mut self, desk: &Desk, site: &Site, files: &[Put]) -> Result<()> {
        let mut rest = files;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |file: &&Put| {
                bytes += file.body.len();
                bytes <= BATCH_BYTES
            };
            let count = rest.iter().take(BATCH_FILES).take_while(fits).count().max(1);
            let (batch, after) = rest.split_at(count.min(rest.len()));
            rest = after;
            let diverged = desk.agent.put(site, batch).await?;
            self.count += batch.len() - diverged.len().min(batch.len());
            for found in diverged {
                let own = batch.iter().find(|file| file.path == found.path);
                let ours = own.map(|file| sha256(&file.body));
                if ours.is_some() && ours == found.found {
                    self.count += 1;
                } else {
                    self.occupied.push(found.path);
                }
            }
        }
        Ok(())
    }
}

fn mail_users(world: &World, site: &Site) -> HashSet<String> {
    let machine = world.fleet.machine(&site.id);
    machine.into_iter().flat_map(|machine| &machine.mail_users).map(|who| who.email.to_lowercase()).collect()
}

/// Whose account on this machine gets mail at an address.
pub(crate) fn owner(world: &World, site: &Site, address: &str) -> Option<(u32, u32)> {
    let machine = world.fleet.machine(&site.id)?;
    let resident = machine.residents.iter().find(|r| r.persona.email.eq_ignore_ascii_case(address))?;
    Some((resident.uid, resident.gid))
}
