//! One action from beginning to end: the intent is written, the agent acts, and state, row and event are one transaction.
//!
//! What was begun and not settled is found out from the decky itself, here and at the next start alike.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use chrono::{DateTime, SubsecRound as _, Utc};
use decnet_bus::{
    Topic,
    payload::{FileTampered, OrchestratorAction, OrchestratorEmail},
};
use decnet_core::Seed;
use decnet_db::{Db, FileState, Intent, LifeChange, NewOrchestratorEvent, NewOutbox};
use decnet_kit::Ctx;
use decnet_realism::plan::shelf::Tally;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{
    agent::Agent,
    deed::{Deed, Step},
    hands::{self, Outcome},
    reach::Reach,
    shelf,
    world::Site,
};

/// Longest reason of a failure in a row.
const REASON: usize = 300;
/// Paths of one decky that are remembered as not ours.
const MOST_OCCUPIED: usize = 500;

/// What all actions share.
pub(crate) struct Desk {
    pub(crate) ctx: Ctx,
    pub(crate) agent: Agent,
    /// The fleet's node for life.
    pub(crate) node: Seed,
    /// Histories are planned one after the other: each is work for a whole core, and takes memory.
    pub(crate) planning: Semaphore,
    /// Pairs that cannot talk to each other.
    pub(crate) reach: Reach,
    memory: Mutex<HashMap<String, Memory>>,
}

/// What is remembered of a decky while this process runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    /// People's files made and changed.
    pub(crate) by_people: Tally,
    /// The machine's.
    pub(crate) by_machine: Tally,
    /// Paths at which something is that we did not put there.
    pub(crate) occupied: BTreeSet<String>,
}

impl Desk {
    pub(crate) fn new(ctx: Ctx, node: Seed) -> Arc<Self> {
        let agent = Agent::new(ctx.bus());
        Arc::new(Self {
            ctx,
            agent,
            node,
            planning: Semaphore::new(1),
            reach: Reach::default(),
            memory: Mutex::default(),
        })
    }

    /// The present as rows keep it, so that a row and its event say the same.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.ctx.now().trunc_subsecs(6)
    }

    /// What is remembered of a decky.
    pub(crate) fn memory(&self, decky: &str) -> Memory {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).get(decky).cloned().unwrap_or_default()
    }

    /// Changes it.
    pub(crate) fn remember(&self, decky: &str, change: impl FnOnce(&mut Memory)) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        change(memory.entry(decky.to_owned()).or_default());
    }

    /// Forgets deckies that are not there any more.
    pub(crate) fn keep_only(&self, known: impl Fn(&str) -> bool) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).retain(|decky, _| known(decky));
    }

    /// Does a deed. True if it is done; then the caller may go on with what was planned behind it.
    pub(crate) async fn act(&self, db: &Db, site: &Site, deed: &Deed) -> Result<bool> {
        let intent = Intent {
            uuid: self.ctx.next_id(),
            decky_uuid: site.id.clone(),
            kind: deed.kind().to_owned(),
            path: deed.path().to_owned(),
            created_at: self.ctx.now(),
            document: serde_json::to_value(deed).context("a deed as JSON")?,
        };
        db.life().apply(&[LifeChange::Intend(intent.clone())], &[]).await.context("writing the intent")?;
        let outcome = hands::perform(&self.agent, site, deed).await;
        self.settle(db, site, &intent, deed, outcome).await
    }

    /// Finds out what became of everything that was begun on a decky, and settles it. True if nothing is open any more.
    pub(crate) async fn sweep(&self, db: &Db, site: &Site, open: &[Intent]) -> Result<bool> {
        let mut clear = true;
        for intent in open.iter().filter(|intent| intent.decky_uuid == site.id) {
            let deed: Deed = match serde_json::from_value(intent.document.clone()) {
                Ok(deed) => deed,
                Err(error) => {
                    tracing::warn!(decky = %site.id, %error, "an intent of another version is dropped");
                    db.life().apply(&[LifeChange::Settle(intent.uuid)], &[]).await?;
                    continue;
                }
            };
            match hands::find_out(&self.agent, site, &deed).await {
                // As if it had never been planned.
                Outcome::NotDone(_) => db.life().apply(&[LifeChange::Settle(intent.uuid)], &[]).await?,
                Outcome::Unknown(error) => {
                    tracing::debug!(decky = %site.id, %error, "what was begun is not known yet");
                    clear = false;
                }
                outcome => {
                    self.settle(db, site, intent, &deed, outcome).await?;
                }
            }
        }
        Ok(clear)
    }

    async fn settle(
        &self,
        db: &Db,
        site: &Site,
        intent: &Intent,
        deed: &Deed,
        outcome: Outcome,
    ) -> Result<bool> {
        let now = self.now();
        let settled = LifeChange::Settle(intent.uuid);
        let (success, reason, mut changes) = match &outcome {
            Outcome::Done => (true, None, vec![settled]),
            Outcome::NotDone(why) => (false, Some(why.clone()), vec![settled]),
            Outcome::Tampered { .. } => {
                (false, Some("somebody else changed the file".to_owned()), vec![settled])
            }
            Outcome::Occupied(path) => {
                self.remember(&site.id, |memory| {
                    if memory.occupied.len() < MOST_OCCUPIED {
                        memory.occupied.insert(path.clone());
                    }
                });
                (false, Some("something that is not ours is at the path".to_owned()), vec![settled])
            }
            // The intent stays open: whether it was done is found out later.
            Outcome::Unknown(error) => (false, Some(error.to_string()), Vec::new()),
        };
        let (uuid, mut events, row) = self.told(site, deed, success, reason.as_deref(), now)?;
        changes.extend(row);
        match &outcome {
            Outcome::Done => changes.extend(shelf::done(site, deed, uuid, now)),
            Outcome::Tampered { path, found } => {
                let (change, event) =
                    self.tampered(db, site, deed, path, found.as_deref(), uuid, now).await?;
                changes.push(change);
                events.push(event);
            }
            _ => {}
        }
        db.life().apply(&changes, &events).await.context("writing down what was done")?;
        self.ctx.outbox().nudge();
        Ok(success)
    }

    /// Row and event of a deed; they share their id. A delivered letter's row is its mail.
    fn told(
        &self,
        site: &Site,
        deed: &Deed,
        success: bool,
        reason: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(Uuid, Vec<NewOutbox>, Option<LifeChange>)> {
        let reason = reason.map(|reason| reason.chars().take(REASON).collect::<String>());
        let Step::Deliver { file, letter } = &deed.step else {
            let details = details(deed, reason.as_deref());
            let action = format!("file:{}", deed.kind());
            let (uuid, event, row) = self.row(site, "file", "fs", &action, None, success, details, now)?;
            return Ok((uuid, vec![event], Some(row)));
        };
        let topic = Topic::OrchestratorEmail { host: site.host.clone(), decky: site.token.clone() };
        let payload = OrchestratorEmail {
            kind: "email".to_owned(),
            mail_decky_uuid: site.id.clone(),
            thread_id: letter.thread.clone(),
            message_id: letter.message_id.clone(),
            in_reply_to: letter.in_reply_to.clone(),
            sender_email: letter.from.clone(),
            recipient_email: letter.to.clone(),
            subject: letter.subject.clone(),
            language: letter.language.clone(),
            success,
            ts: now,
        };
        let event = self.ctx.event(&topic, &payload)?;
        let uuid = event.id;
        let failed = (!success).then(|| {
            let mut row = shelf::email(site, file, letter, uuid, now, false);
            row.raw.clear();
            row.payload = json!({ "is_reply": letter.in_reply_to.is_some(), "error": reason });
            LifeChange::Mail(Box::new(row))
        });
        Ok((uuid, vec![event], failed))
    }

    /// Row and event of something that is no mail.
    #[expect(clippy::too_many_arguments, reason = "the columns of one row")]
    pub(crate) fn row(
        &self,
        site: &Site,
        kind: &str,
        protocol: &str,
        action: &str,
        src: Option<&str>,
        success: bool,
        details: Value,
        now: DateTime<Utc>,
    ) -> Result<(Uuid, NewOutbox, LifeChange)> {
        let (host, decky) = (site.host.clone(), site.token.clone());
        let topic = match kind {
            "traffic" => Topic::OrchestratorTraffic { host, decky },
            _ => Topic::OrchestratorFile { host, decky },
        };
        let payload = OrchestratorAction {
            kind: kind.to_owned(),
            protocol: protocol.to_owned(),
            action: action.to_owned(),
            src_decky_uuid: src.map(str::to_owned),
            dst_decky_uuid: site.id.clone(),
            success,
            payload: details.as_object().cloned().unwrap_or_default(),
            ts: now,
        };
        let event = self.ctx.event(&topic, &payload)?;
        let row = NewOrchestratorEvent {
            uuid: event.id,
            ts: now,
            kind: payload.kind,
            protocol: payload.protocol,
            action: payload.action,
            src_decky_uuid: payload.src_decky_uuid,
            dst_decky_uuid: payload.dst_decky_uuid,
            success,
            payload: details,
        };
        Ok((event.id, event, LifeChange::Event(Box::new(row))))
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    async fn tampered(
        &self,
        db: &Db,
        site: &Site,
        deed: &Deed,
        path: &str,
        found: Option<&str>,
        uuid: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(LifeChange, NewOutbox)> {
        // What a rotation would replace is another file than the one that moves.
        let row = db.synthetic_files().at(&site.id, path).await?;
        let expected = row.as_ref().map(|row| row.file.content_hash.clone()).unwrap_or_default();
        let class =
            row.as_ref().map_or(deed.class.as_str(), |row| row.file.content_class.as_str()).to_owned();
        tracing::warn!(decky = %site.id, path, "somebody changed or removed a planted file");
        let payload = FileTampered {
            decky_uuid: site.id.clone(),
            path: path.to_owned(),
            content_class: class,
            persona: row.map(|row| row.file.persona).filter(|persona| !persona.is_empty()),
            expected_sha256: expected,
            found_sha256: found.map(str::to_owned),
            ts: now,
        };
        let topic = Topic::DeckyFileTampered { host: site.host.clone(), decky: site.token.clone() };
        let event = self.ctx.event(&topic, &payload)?;
        let change = LifeChange::FileState {
            decky_uuid: site.id.clone(),
            path: path.to_owned(),
            state: if found.is_some() { FileState::Diverged } else { FileState::Lost },
            found: found.map(str::to_owned),
            event: Some(uuid),
        };
        Ok((change, event))
    }
}

/// What a row and its event say of a deed: never its bytes.
fn details(deed: &Deed, error: Option<&str>) -> Value {
    let mut details = json!({
        "path": deed.path(),
        "content_class": deed.class,
        "persona": deed.persona,
    });
    let Some(fields) = details.as_object_mut() else { return details };
    if let Some(file) = deed.file() {
        fields.insert("mtime".to_owned(), json!(file.mtime));
        fields.insert("sha256".to_owned(), json!(file.sha256));
        fields.insert("bytes".to_owned(), json!(file.body.len()));
        fields.insert("mode".to_owned(), json!(format!("{:04o}", file.mode)));
    }
    if let Step::Rotate { file, .. } = &deed.step {
        fields.insert("to".to_owned(), json!(file.path));
    }
    if let Some(model) = &deed.model {
        fields.insert("model".to_owned(), json!(model));
    }
    if let Some(error) = error {
        fields.insert("error".to_owned(), json!(error));
    }
    details
}
