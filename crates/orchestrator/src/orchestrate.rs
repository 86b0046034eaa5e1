//! The loop: look at what runs, decide, let the agent act, record it with its event in one transaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use decnet_bus::{
    Token, Topic,
    payload::{
        FileToPut, OrchestratorAction, ProbeReply, ProbeRequest, PutFilesReply, PutFilesRequest,
        ReadFileReply, ReadFileRequest,
    },
};
use decnet_core::{DeckyId, FleetSecret, Seed};
use decnet_db::{Db, FleetDecky, NewOrchestratorEvent, NewSyntheticFile};
use decnet_fleet::{DeckyConfig, catalogue::Proto};
use decnet_kit::Ctx;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::decide::{Action, Machine, Person, decide};

/// How long the agent may take for one verb (it bounds itself to 8 s).
const VERB_BOUND: Duration = Duration::from_secs(10);
/// Passes between two prunings, and rows kept for each destination.
const PRUNE_EVERY: u32 = 100;
const KEPT: u64 = 10_000;

/// The orchestrator's life.
pub async fn orchestrate(ctx: Ctx) -> Result<()> {
    let settings = ctx.settings();
    let secret = FleetSecret::load_or_create(&settings.secret_file)?;
    let mut life =
        Life { ctx: ctx.clone(), node: secret.seed().child("orchestrator"), people: BTreeMap::new() };
    let mut wakeups = ctx.wakeups(settings.orchestrate_interval.duration());
    let mut passes = 0u32;
    while wakeups.next().await.is_some() {
        if let Err(error) = life.pass().await {
            tracing::warn!(error = format!("{error:#}"), "this pass did nothing; the next one tries again");
        }
        passes += 1;
        if passes.is_multiple_of(PRUNE_EVERY)
            && let Ok(db) = ctx.db().await
            && let Err(error) = db.orchestrator().prune(KEPT).await
        {
            tracing::warn!(%error, "old actions were not pruned");
        }
        ctx.progress();
    }
    Ok(())
}

struct Life {
    ctx: Ctx,
    node: Seed,
    /// Who has an account where, by the plan that the decky runs: another plan, other accounts.
    people: BTreeMap<DeckyId, (Option<String>, Vec<Person>)>,
}

impl Life {
    async fn pass(&mut self) -> Result<()> {
        let db = self.ctx.db().await.context("database")?;
        let machines = self.machines(&db).await?;
        let Some(action) = decide(&machines, &self.node, self.ctx.now()) else {
            tracing::debug!("no decky runs");
            return Ok(());
        };
        match action {
            Action::Traffic { from, to, to_ip, service, port } => {
                let request = ProbeRequest { from: from.name.clone(), to_ip, to_port: port, protocol: None };
                let reply: Result<ProbeReply, _> = self
                    .ctx
                    .bus()
                    .request(&Topic::AskProbe { host: from.host.clone() }, &request, VERB_BOUND)
                    .await;
                let details = match &reply {
                    Ok(reply) => json!({ "port": port, "banner": reply.banner, "src_port": reply.src_port }),
                    Err(error) => json!({ "port": port, "error": error.to_string() }),
                };
                let action = format!("connect:{port}");
                self.record(&db, "traffic", &service, action, Some(&from), &to, reply.is_ok(), details).await
            }
            Action::File { decky, author, class, path, mode, mtime, body } => {
                if self.exists(&decky, &path).await? {
                    tracing::debug!(path, "there is such a file already");
                    return Ok(());
                }
                let (uid, gid) = author.as_ref().map_or((0, 0), |a| (a.uid, a.gid));
                let file = FileToPut {
                    path: path.clone(),
                    mode,
                    uid,
                    gid,
                    mtime,
                    content_b64: STANDARD.encode(&body),
                    expect: None,
                };
                let request = PutFilesRequest { decky: decky.name.clone(), files: vec![file] };
                let reply: Result<PutFilesReply, _> = self
                    .ctx
                    .bus()
                    .request(&Topic::AskPutFiles { host: decky.host.clone() }, &request, VERB_BOUND)
                    .await;
                let hash = hex::encode(Sha256::digest(&body));
                if reply.is_ok() {
                    let file = NewSyntheticFile {
                        decky_uuid: decky.to_string(),
                        path: path.clone(),
                        persona: author.map_or_else(String::new, |a| a.name),
                        content_class: class.as_str().to_owned(),
                        content_hash: hash.clone(),
                        last_body: String::from_utf8(body).unwrap_or_default(),
                    };
                    db.synthetic_files().upsert(&file).await?;
                }
                let details = json!({
                    "path": path, "content_class": class, "mtime": mtime, "sha256": hash,
                    "error": reply.as_ref().err().map(ToString::to_string),
                });
                let action = "file:create".to_owned();
                self.record(&db, "file", "fs", action, None, &decky, reply.is_ok(), details).await
            }
        }
    }

    /// What runs, with who has an account on it.
    async fn machines(&mut self, db: &Db) -> Result<Vec<Machine>> {
        let mut machines = Vec::new();
        let windows: BTreeSet<String> = db
            .fleet()
            .list_running()
            .await?
            .iter()
            .filter(|row| is_windows(row))
            .map(FleetDecky::id)
            .collect();
        for decky in db.fleet().list_running_deckies().await? {
            let is_windows = windows.contains(&decky.uuid);
            let (Ok(id), Some(Ok(ip))) = (decky.uuid.parse::<DeckyId>(), decky.ip.map(|ip| ip.parse()))
            else {
                continue;
            };
            let services = decky
                .services
                .iter()
                .filter_map(|slug| {
                    let ports = decnet_fleet::catalogue::service(slug)?.ports;
                    let port = ports.iter().map(|info| info.port).find(|port| port.proto == Proto::Tcp)?;
                    Some((slug.clone(), port.number))
                })
                .collect();
            let people = if is_windows { Vec::new() } else { self.people_on(&id, decky.compose_hash).await };
            machines.push(Machine { id, ip, services, people, is_windows });
        }
        Ok(machines)
    }

    async fn people_on(&mut self, id: &DeckyId, plan: Option<String>) -> Vec<Person> {
        if let Some((_, people)) = self.people.get(id).filter(|(known, _)| *known == plan) {
            return people.clone();
        }
        match self.read(id, "/etc/passwd").await {
            Ok(Some(passwd)) => {
                let people = people(&String::from_utf8_lossy(&passwd));
                self.people.insert(id.clone(), (plan, people.clone()));
                people
            }
            Ok(None) => Vec::new(),
            Err(error) => {
                tracing::debug!(decky = %id, error = format!("{error:#}"), "accounts unknown for now");
                Vec::new()
            }
        }
    }

    async fn exists(&self, id: &DeckyId, path: &str) -> Result<bool> {
        Ok(self.read(id, path).await?.is_some())
    }

    async fn read(&self, id: &DeckyId, path: &str) -> Result<Option<Vec<u8>>> {
        let request = ReadFileRequest { decky: id.name.clone(), path: path.to_owned(), max: 64 * 1024 };
        let reply: ReadFileReply = self
            .ctx
            .bus()
            .request(&Topic::AskReadFile { host: id.host.clone() }, &request, VERB_BOUND)
            .await?;
        reply.content_b64.map(|text| STANDARD.decode(text).context("the agent's answer")).transpose()
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of one row")]
    async fn record(
        &self,
        db: &Db,
        kind: &str,
        protocol: &str,
        action: String,
        src: Option<&DeckyId>,
        dst: &DeckyId,
        success: bool,
        details: Value,
    ) -> Result<()> {
        let now = self.ctx.now();
        let decky = Token::parse(&dst.to_string())?;
        let topic = match kind {
            "traffic" => Topic::OrchestratorTraffic { host: dst.host.clone(), decky },
            _ => Topic::OrchestratorFile { host: dst.host.clone(), decky },
        };
        let payload = OrchestratorAction {
            kind: kind.to_owned(),
            protocol: protocol.to_owned(),
            action: action.clone(),
            src_decky_uuid: src.map(ToString::to_string),
            dst_decky_uuid: dst.to_string(),
            success,
            payload: details.as_object().cloned().unwrap_or_else(Map::new),
            ts: now,
        };
        // Row and event share their id.
        let event = self.ctx.event(&topic, &payload)?;
        let row = NewOrchestratorEvent {
            uuid: event.id,
            ts: now,
            kind: kind.to_owned(),
            protocol: protocol.to_owned(),
            action,
            src_decky_uuid: payload.src_decky_uuid,
            dst_decky_uuid: payload.dst_decky_uuid,
            success,
            payload: details,
        };
        db.orchestrator().record(&row, &[event]).await?;
        self.ctx.outbox().nudge();
        Ok(())
    }
}

/// Whether a decky shows itself as Windows, by its record.
fn is_windows(row: &FleetDecky) -> bool {
    let config = row.decky_config.clone().and_then(|json| serde_json::from_value::<DeckyConfig>(json).ok());
    config.is_some_and(|config| config.is_windows())
}

/// People of an `/etc/passwd` (passwd(5)): ordinary accounts with a home below `/home`.
fn people(passwd: &str) -> Vec<Person> {
    let person = |line: &str| {
        let mut parts = line.split(':');
        let login = parts.next()?.to_owned();
        let mut parts = parts.skip(1);
        let (uid, gid) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let name = parts.next()?.split(',').next()?.to_owned();
        let home = parts.next()?.to_owned();
        ((1000..65_534).contains(&uid) && home.starts_with("/home/")).then_some(Person {
            login,
            name,
            uid,
            gid,
            home,
        })
    };
    passwd.lines().filter_map(person).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_people_with_a_home_are_people() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000:Ada Park,,,:/home/ada:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\nbroken\n";
        let people = people(passwd);
        assert_eq!(people.len(), 1);
        assert_eq!((people[0].name.as_str(), people[0].uid), ("Ada Park", 1000));
    }
}
