//! What a large fleet costs one orchestrator: the real loop on a real database, an agent that agrees to everything in its place.
//!
//! `orchestrator_load [DECKIES] [SECONDS]` lives that long by the machine's clock and prints one JSON object: the share of a core
//! (the stand-in for the agent included) and the memory. Disks count as laid: the history of a fleet is laid once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use decnet_bus::{
    Bus, BusIdentity, MemoryHub, Request, Topic, TopicFilter, Worker,
    payload::{
        DeckyInspection, InspectReply, ProbeReply, PutFilesReply, PutFilesRequest, ReadFileReply,
        ReadFileRequest, TidyFilesReply, TidyFilesRequest,
    },
};
use decnet_core::{Clock as _, DeckyName, HostId, SystemClock};
use decnet_db::{Db, DbOptions, DeckyState, FleetChange, LifeChange, LifeState, NewFleetDecky};
use decnet_kit::{Parts, WorkerInfo, run_in, settings::Sources};
use decnet_orchestrator::{Options, orchestrate};
use futures_util::{StreamExt as _, stream::SelectAll};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let deckies: u32 = args.next().map_or(Ok(1000), |text| text.parse()).context("DECKIES")?;
    let seconds: u64 = args.next().map_or(Ok(120), |text| text.parse()).context("SECONDS")?;
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("decnet.db").display());
    let names: Vec<String> = (0..deckies).map(|n| format!("srv-{n:04}")).collect();
    fill(&url, &names).await?;

    let hub = MemoryHub::new();
    let agent = Bus::memory(&hub, BusIdentity::local(Worker::Agent));
    tokio::spawn(agree(agent, names.clone()));
    let settings = Sources::variables(
        [
            ("DECNET_STATE_DIR", folder.path().to_string_lossy().into_owned()),
            ("DECNET_DB_URL", url.clone()),
            ("DECNET_CONFIG", "/dev/null".to_owned()),
            ("DECNET_REALISM_PERSONAS", folder.path().join("none.json").to_string_lossy().into_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let stop = CancellationToken::new();
    let info = WorkerInfo::new(Worker::Orchestrator, env!("CARGO_PKG_VERSION"));
    let mut parts = Parts::new(info, settings.load()?.settings);
    parts.bus = Some(Bus::memory(&hub, BusIdentity::local(Worker::Orchestrator)));
    parts.stop = stop.clone();
    let worker = tokio::spawn(run_in(parts, |ctx| orchestrate(ctx, Options::default())));

    // Until everybody is known: the first look reads who has an account where.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (before, cpu) = (SystemClock.now(), cpu_ticks()?);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (spent, took) = (cpu_ticks()? - cpu, SystemClock.now() - before);
    let db = Db::connect(&url, DbOptions::default()).await?;
    let page = decnet_db::OrchestratorQuery { since: Some(before), ..Default::default() };
    let actions = db.orchestrator().page(&page).await?.total;
    stop.cancel();
    worker.await?;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand ticks")]
    let share = spent as f64 * 10.0 / took.num_milliseconds() as f64;
    let (whole, anonymous) = memory_kib()?;
    println!(
        "{}",
        serde_json::json!({
            "deckies": deckies, "seconds": took.num_seconds(), "actions": actions, "core_share": share,
            "pss_kib": whole, "anonymous_kib": anonymous,
        })
    );
    Ok(())
}

/// A fleet that runs, each disk with its history.
async fn fill(url: &str, names: &[String]) -> Result<()> {
    let db = Db::connect(url, DbOptions::default()).await?;
    db.migrate().await?;
    let now = SystemClock.now();
    for (number, name) in names.iter().enumerate() {
        let services: &[&str] = if number % 20 == 0 { &["ssh", "imap"] } else { &["ssh", "http"] };
        let decky = NewFleetDecky {
            host_uuid: None,
            name: name.clone(),
            services: services.iter().map(|slug| (*slug).to_owned()).collect(),
            decky_config: None,
            decky_ip: Some(format!("192.0.2.{}", number % 250)),
            state: DeckyState::Running,
            last_error: None,
            compose_hash: None,
            generation: 1,
        };
        db.fleet().apply(&[FleetChange::Upsert(decky)], &[]).await?;
        let lived = LifeState {
            decky_uuid: format!("local:{name}"),
            incarnation: "one".to_owned(),
            born: now - TimeDelta::weeks(4),
            aged_at: Some(now),
        };
        db.life().apply(&[LifeChange::Lived(lived)], &[]).await?;
    }
    db.close().await?;
    Ok(())
}

/// Disks in memory, for an agent that agrees to everything.
type Disks = Arc<Mutex<HashMap<(DeckyName, String), String>>>;

async fn agree(bus: Bus, names: Vec<String>) {
    let host = HostId::default();
    let mut questions = SelectAll::new();
    for topic in [
        Topic::AskInspect { host: host.clone() },
        Topic::AskPutFiles { host: host.clone() },
        Topic::AskTidyFiles { host: host.clone() },
        Topic::AskReadFile { host: host.clone() },
        Topic::AskProbe { host },
    ] {
        questions.push(bus.serve(&TopicFilter::exact(&topic)).await);
    }
    let disks = Disks::default();
    while let Some(question) = questions.next().await {
        answer(question, &disks, &names).await;
    }
}

async fn answer(question: Request, disks: &Disks, names: &[String]) {
    let disk = || disks.lock().unwrap_or_else(PoisonError::into_inner);
    match question.topic {
        Topic::AskInspect { .. } => {
            let one = |name: &String| {
                Some(DeckyInspection {
                    name: name.parse().ok()?,
                    state: "running".to_owned(),
                    services: BTreeMap::default(),
                    last_error: None,
                    port_base: 0,
                    plan_hash: None,
                    egress_blocked: 0,
                    incarnation: Some("one".to_owned()),
                })
            };
            question.respond(Ok(InspectReply { deckies: names.iter().filter_map(one).collect() })).await;
        }
        Topic::AskPutFiles { .. } => {
            if let Ok(request) = question.read::<PutFilesRequest>() {
                let written = u32::try_from(request.files.len()).unwrap_or(u32::MAX);
                disk().extend(
                    request
                        .files
                        .into_iter()
                        .map(|file| ((request.decky.clone(), file.path), file.content_b64)),
                );
                question.respond(Ok(PutFilesReply { written, diverged: Vec::new() })).await;
            }
        }
        Topic::AskTidyFiles { .. } => {
            if let Ok(request) = question.read::<TidyFilesRequest>() {
                for step in request.steps {
                    let file = disk().remove(&(request.decky.clone(), step.path));
                    if let (Some(file), Some(to)) = (file, step.to) {
                        disk().insert((request.decky.clone(), to), file);
                    }
                }
                question.respond(Ok(TidyFilesReply { done: 1, diverged: None })).await;
            }
        }
        Topic::AskReadFile { .. } => {
            if let Ok(request) = question.read::<ReadFileRequest>() {
                let content_b64 = if request.path == "/etc/passwd" {
                    Some(STANDARD.encode(passwd(request.decky.as_str())))
                } else {
                    disk().get(&(request.decky, request.path)).cloned()
                };
                question.respond(Ok(ReadFileReply { content_b64, stat: None })).await;
            }
        }
        _ => {
            let banner = Some("SSH-2.0-OpenSSH_9.2p1".to_owned());
            question.respond(Ok(ProbeReply { banner, src_port: 40_000 })).await;
        }
    }
}

/// Three people on each machine.
fn passwd(decky: &str) -> String {
    let number = decky.bytes().fold(0usize, |sum, byte| sum * 31 + usize::from(byte));
    let line = |n: usize| {
        let who = (number + n * 7) % 60;
        format!("user{who}:x:{0}:{0}:User {who}:/home/user{who}:/bin/bash", 1000 + n)
    };
    [line(0), line(1), line(2)].join("\n")
}

/// User and system time of this process, in hundredths of a second (proc(5)).
fn cpu_ticks() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit_once(')').context("stat")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).context("stat");
    Ok(number(11)? + number(12)?)
}

/// All memory, and what of it is no file that the kernel could read again.
fn memory_kib() -> Result<(u64, u64)> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let of = |name: &str| {
        let line = rollup.lines().find(|line| line.starts_with(name)).context("smaps_rollup")?;
        line.split_whitespace().nth(1).context("smaps_rollup")?.parse::<u64>().context("smaps_rollup")
    };
    Ok((of("Pss:")?, of("Pss_Anon:")?))
}
