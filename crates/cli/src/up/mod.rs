//! `decnet up`: the whole system in the foreground, for machines without systemd: broker, migrations, every worker,
//! each started again when it dies, and one log of them all.
//!
//! It decides nothing about deckies. Those belong to the agent and go on when this program ends.

mod broker;
mod console;
mod worker;

use std::{
    fs::File,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use decnet_bus::Worker;
use decnet_db::{Db, DbOptions};
use decnet_kit::{
    args::CommonArgs,
    settings::{Layer, Loaded, Settings},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    broker::{Broker, Reach},
    console::Console,
    worker::Program,
};
use crate::{block_on, bus, config, gate, render, run_file::RunFile};

/// Every worker of this version, in the order in which they start. The broker is started apart.
fn workers() -> impl Iterator<Item = Worker> {
    Worker::BUILT_IN_START_ORDER.iter().copied().filter(|worker| *worker != Worker::Bus)
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Port of our broker (0 picks a free one); with a broker of your own, set --nats-url instead
    #[arg(long, default_value_t = 4222)]
    nats_port: u16,
    /// Folder of the workers' binaries (else the folder of this program)
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

pub(crate) fn run(common: &CommonArgs, args: &Args) -> Result<()> {
    // State and database hold captured secrets: what we make is its owner's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let loaded = config::load(common)?;
    gate::master_only(&loaded.settings)?;
    let programs = find_programs(args.bin_dir.as_deref())?;
    make_state_dir(&loaded.settings)?;
    let _lock = lock(&loaded.settings.state_dir)?;
    block_on(supervise(&loaded, args, programs))
}

#[derive(Debug, clap::Args)]
pub(crate) struct MigrateArgs {
    /// Only the broker's streams and consumers, not the database
    #[arg(long)]
    streams: bool,
}

/// `decnet migrate`: schema and streams, for installations where systemd starts the workers.
pub(crate) fn migrate(common: &CommonArgs, args: &MigrateArgs) -> Result<()> {
    let loaded = config::load(common)?;
    gate::master_only(&loaded.settings)?;
    make_state_dir(&loaded.settings)?;
    block_on(async {
        if !args.streams {
            share_sqlite(&loaded.settings)?;
            for step in migrate_database(&loaded.settings).await? {
                render::line(&format!("migrated: {step}"))?;
            }
        }
        let bus = bus::connect_as(&loaded, Worker::Migrate).await?;
        decnet_bus::provision(&bus).await?;
        render::line("streams and consumers are as this version wants them")
    })
}

/// A SQLite file in a folder that belongs to a group is for that group: SQLite gives its companions the file's mode.
fn share_sqlite(settings: &Settings) -> Result<()> {
    let Some(rest) = settings.db_url.expose().strip_prefix("sqlite:") else { return Ok(()) };
    let path = Path::new(rest.trim_start_matches("//").split('?').next().unwrap_or_default());
    let shared = path
        .parent()
        .and_then(|folder| folder.metadata().ok())
        .is_some_and(|data| data.mode() & 0o2020 == 0o2020);
    if !path.is_absolute() || !shared {
        return Ok(());
    }
    let context = || format!("cannot share the database {}", path.display());
    let file = File::options().append(true).create(true).mode(0o660).open(path).with_context(context)?;
    if file.metadata().with_context(context)?.mode() & 0o777 != 0o660 {
        file.set_permissions(std::fs::Permissions::from_mode(0o660)).with_context(context)?;
    }
    Ok(())
}

async fn supervise(loaded: &Loaded, args: &Args, programs: Vec<(Worker, PathBuf)>) -> Result<()> {
    let settings = &loaded.settings;
    let speakers: Vec<_> = ["decnet", "nats"].into_iter().chain(workers().map(Worker::as_str)).collect();
    let console = Console::new(&speakers, settings.log_format);
    let say = |text: &str| console.say("decnet", text);
    let stop = CancellationToken::new();
    spawn_signal_listener(stop.clone())?;

    let own = loaded.effective.iter().any(|e| e.key == "nats_url" && e.layer == Layer::Default);
    let broker = if own { Some(Broker::start(settings, args.nats_port, &console).await?) } else { None };
    let reach =
        broker.as_ref().map_or_else(|| Reach { config: settings.bus_config(), keys: None }, Broker::reach);
    for step in migrate_database(settings).await? {
        say(&format!("database: migrated {step}"));
    }
    broker::provision(&reach, settings).await?;

    let api = format!("http://{}", std::net::SocketAddr::new(settings.api_host, settings.api_port));
    let run = RunFile {
        pid: std::process::id(),
        nats_url: reach.config.url.clone(),
        nats_token: reach.config.token.clone(),
        nats_keys: reach.keys.as_ref().map(|keys| keys.path().to_owned()),
        api: api.clone(),
    };
    run.write(&settings.state_dir)?;
    let tasks = TaskTracker::new();
    let (workers, workers_gone) = (CancellationToken::new(), CancellationToken::new());
    for (worker, path) in programs {
        let env = worker_environment(loaded, &reach, worker);
        let program = Program { name: worker.as_str(), path, env };
        tasks.spawn(program.supervise(console.clone(), workers.clone()));
    }
    let keeper =
        broker.map(|b| tokio::spawn(b.keep(settings.clone(), console.clone(), workers_gone.clone())));
    if keeper.is_none() {
        tasks.spawn(broker::keep_provisioned(reach, settings.clone(), console.clone(), workers.clone()));
    }
    tasks.close();
    say(&format!("up: API {api}, state in {}; Ctrl-C stops", settings.state_dir.display()));

    stop.cancelled().await;
    say("stopping the workers");
    workers.cancel();
    tasks.wait().await;
    workers_gone.cancel();
    if let Some(keeper) = keeper {
        // Its end is the broker's end; there is nothing left to do about a panic in it.
        let _ = keeper.await;
    }
    RunFile::remove(&settings.state_dir);
    let left = decnet_fleet::StateStore::new(&settings.state_file).load();
    if left.is_ok_and(|s| s.is_some()) {
        say(
            "deckies of the process runtime go on and keep what they see; `decnet up` picks it up, `decnet teardown --all` removes them",
        );
    }
    Ok(())
}

/// The binaries of all workers, or one sentence that names the missing ones.
fn find_programs(folder: Option<&Path>) -> Result<Vec<(Worker, PathBuf)>> {
    let own = std::env::current_exe().context("cannot find my own program file")?;
    let folder = folder.or(own.parent()).unwrap_or(Path::new(".")).to_path_buf();
    let programs: Vec<_> = workers().map(|worker| (worker, folder.join(worker.program()))).collect();
    let missing: Vec<_> =
        programs.iter().filter(|(_, path)| !path.is_file()).map(|(_, p)| p.display().to_string()).collect();
    if missing.is_empty() {
        return Ok(programs);
    }
    bail!(
        "missing: {}; build them with `cargo build --workspace --bins` or name their folder with --bin-dir",
        missing.join(", ")
    )
}

fn make_state_dir(settings: &Settings) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o750).create(&settings.state_dir).with_context(|| {
        format!(
            "cannot make the state folder {}; name another one with --state-dir",
            settings.state_dir.display()
        )
    })
}

/// One supervisor a state folder.
fn lock(state_dir: &Path) -> Result<File> {
    let path = state_dir.join("up.lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let pid =
                RunFile::read(state_dir).map_or_else(String::new, |run| format!(" (process {})", run.pid));
            bail!(
                "another `decnet up` runs with this state folder{pid}; stop it or name another one with --state-dir"
            )
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error).context("cannot lock the state folder"),
    }
}

async fn migrate_database(settings: &Settings) -> Result<Vec<String>> {
    let db = Db::connect(settings.db_url.expose(), DbOptions::default())
        .await
        .context("the database does not open")?;
    let steps = db.migrate().await?;
    db.close().await?;
    Ok(steps)
}

/// What every worker gets on top of our environment: the settings as this program sees them.
fn worker_environment(loaded: &Loaded, reach: &Reach, worker: Worker) -> Vec<(String, String)> {
    // Flags of this program are not in the environment, so they are handed on; files and variables the worker reads itself.
    let flags = loaded.effective.iter().filter(|e| e.layer == Layer::Flag);
    let mut env: Vec<_> = flags
        .filter_map(|e| Some((e.env.to_owned(), e.value.clone()?)))
        .filter(|(name, _)| name != "DECNET_DB_URL")
        .collect();
    let reach = reach.of(worker);
    env.push(("DECNET_NATS_URL".to_owned(), reach.url.clone()));
    env.extend(reach.token.map(|token| ("DECNET_NATS_TOKEN".to_owned(), token)));
    let key = reach.nkey_file.map(|path| ("DECNET_NATS_NKEY_FILE".to_owned(), path.display().to_string()));
    env.extend(key);
    env.push(("DECNET_DB_URL".to_owned(), loaded.settings.db_url.expose().to_owned()));
    env
}

/// The first Ctrl-C or SIGTERM stops in order, the second at once.
fn spawn_signal_listener(stop: CancellationToken) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        let mut wait = async || {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        };
        wait().await;
        stop.cancel();
        wait().await;
        // Children are in their own groups; those that are left see their stdin close and end by themselves.
        std::process::exit(1);
    });
    Ok(())
}
