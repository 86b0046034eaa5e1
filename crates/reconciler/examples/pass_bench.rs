//! How long a pass over 250 deckies takes, on a SQLite database in a temporary folder: the first one, which inserts, one that
//! finds nothing to do, one that changes a state in ten, and one that changes all of them. Prints milliseconds.
//!
//! What runs is made up here; the engine call of a real pass is the runtime's bench.

use std::{path::Path, time::Instant};

use anyhow::{Context, Result};
use decnet_bus::{Bus, BusIdentity, MemoryHub, Worker};
use decnet_db::{Db, DbOptions};
use decnet_fleet::{DeckyState, DecnetConfig, Mode, StateFile, reconcile::Observation};
use decnet_kit::{Ctx, Parts, WorkerInfo, run_in, settings::Sources};
use decnet_reconciler::{Reconciler, Report, Sight};

const DECKIES: usize = 250;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(bench(folder.path()))
}

async fn bench(folder: &Path) -> Result<()> {
    let url = format!("sqlite://{}?mode=rwc", folder.join("decnet.db").display());
    let db = Db::connect(&url, DbOptions::default()).await?;
    db.migrate().await?;
    db.close().await?;
    let state_dir = folder.display().to_string();
    let variables =
        [("DECNET_STATE_DIR", state_dir.as_str()), ("DECNET_DB_URL", &url), ("DECNET_CONFIG", "/dev/null")];
    let settings = Sources::variables(variables).load()?.settings;
    let mut parts = Parts::new(WorkerInfo::new(Worker::Reconciler, "0"), settings);
    let hub = MemoryHub::new();
    parts.bus = Some(Bus::memory(&hub, BusIdentity::local(Worker::Reconciler)));
    run_in(parts, passes).await;
    Ok(())
}

async fn passes(ctx: Ctx) -> Result<()> {
    ctx.db_when_open().await.context("database")?;
    let mut reconciler = Reconciler::new(ctx, std::time::Duration::from_secs(30), false)?;
    let mut all = vec![DeckyState::Running; DECKIES];
    measure(&mut reconciler, "first, all inserted", &all).await?;
    for _ in 0..3 {
        measure(&mut reconciler, "nothing to do", &all).await?;
    }
    for state in all.iter_mut().step_by(10) {
        *state = DeckyState::Failed;
    }
    measure(&mut reconciler, "a state in ten changed", &all).await?;
    all.fill(DeckyState::Degraded);
    measure(&mut reconciler, "every state changed", &all).await
}

async fn measure(reconciler: &mut Reconciler, what: &str, states: &[DeckyState]) -> Result<()> {
    let sight = sight(states)?;
    let mut report = Report::default();
    let start = Instant::now();
    reconciler.write(&sight, &mut report).await?;
    println!("{what}: {:.1} ms ({report})", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

fn sight(states: &[DeckyState]) -> Result<Sight> {
    let name = |number: usize| format!("decky-{number:03}");
    let deckies = (0..states.len()).map(|number| {
        serde_json::from_value(serde_json::json!({
            "name": name(number), "ip": format!("127.70.{}.{}", number / 200, number % 200 + 1),
            "services": ["ssh", "http"], "distro": "debian", "base_image": "debian", "hostname": format!("SRV-{number}"),
        }))
    });
    let file = StateFile {
        schema: 1,
        generation: 1,
        written_at: None,
        config: DecnetConfig {
            mode: Mode::Unihost,
            interface: "lo".to_owned(),
            subnet: "127.70.0.0/16".parse()?,
            gateway: None,
            deckies: deckies.collect::<Result<_, _>>()?,
            log_file: None,
            ipvlan: false,
            mutate_interval: None,
        },
        compose_path: "plan".into(),
    };
    let observed = states.iter().enumerate().map(|(number, state)| {
        let (last_error, plan_hash) = (None, Some("0".repeat(64)));
        Ok(Observation { name: name(number).parse()?, state: *state, last_error, plan_hash })
    });
    Ok(Sight { file: Ok(Some(file)), observed: Ok(observed.collect::<Result<_>>()?) })
}
