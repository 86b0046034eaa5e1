//! How many lines a second the collector takes from a real nats-server into a fresh SQLite file, everything derived and
//! every line acknowledged. A measure, not a test: `cargo xtask bench` runs it on one core.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta};
use decnet_bus::{
    Bus, BusIdentity, Worker,
    payload::IngestLine,
    provision,
    server::{Server, ServerConfig},
};
use decnet_core::{Clock, SystemClock};
use decnet_db::{Db, DbOptions};
use decnet_kit::{Parts, WorkerInfo, settings::Sources};
use decnet_logline::{Event, Secret};
use tokio::time::Instant;

/// Lines of one connection: connect, three logins, two commands, disconnect.
const PER_SESSION: u64 = 7;
/// Lines in flight to the broker.
const WINDOW: usize = 512;

fn main() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> Result<()> {
    let lines: u64 =
        std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse()).context("LINES is a number")?;
    let batch = std::env::args().nth(2).unwrap_or_else(|| "1000".to_owned());
    let folder = tempfile::tempdir()?;
    let server = Server::start(ServerConfig::new(folder.path().join("nats"))).await?;
    let agent = Bus::nats(&server.bus_config(), BusIdentity::local(Worker::Agent)).await?;
    provision(&agent).await?;
    fill(&agent, lines).await?;

    let state_dir = folder.path().display().to_string();
    let url = format!("sqlite://{state_dir}/bench.db");
    let db = Db::connect(&url, DbOptions::default()).await?;
    db.migrate().await?;
    let settings = Sources::variables([
        ("DECNET_STATE_DIR", state_dir.as_str()),
        ("DECNET_DB_URL", url.as_str()),
        ("DECNET_BATCH_SIZE", batch.as_str()),
    ])
    .load()?
    .settings;
    let collector = Bus::nats(&server.bus_config(), BusIdentity::local(Worker::Collector)).await?;
    let parts = Parts {
        bus: Some(collector),
        ..Parts::new(WorkerInfo::new(Worker::Collector, env!("CARGO_PKG_VERSION")), settings)
    };
    let stop = parts.stop.clone();
    pin_to_one_core();
    let (begin, cpu_before) = (Instant::now(), cpu_seconds()?);
    let worker = tokio::spawn(decnet_kit::run_in(parts, decnet_collector::collect));
    let mut stored = 0;
    while stored < lines {
        ensure!(begin.elapsed() < Duration::from_mins(5), "{stored} of {lines} lines after five minutes");
        tokio::time::sleep(Duration::from_millis(50)).await;
        stored = db.stats().await?.total_logs;
    }
    let (took, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds()? - cpu_before);
    stop.cancel();
    worker.await?;
    ensure!(db.stats().await?.total_logs == lines, "lines were doubled");
    #[expect(clippy::cast_precision_loss, reason = "a rate for reading")]
    let (rate, cpu_rate) = (lines as f64 / took, lines as f64 / cpu);
    println!(
        "{lines} lines in batches of {batch}: {took:.2} s, {rate:.0} lines/s ({cpu:.2} s of CPU, {cpu_rate:.0} lines/s of CPU), none lost, none doubled"
    );
    Ok(())
}

/// CPU time of this process: what the rate would be on a core that nobody else uses.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // After the program's name, which may hold anything: `state` is field 3, `utime` and `stime` are 14 and 15.
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let mut ticks = 0.0;
    for field in fields.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<f64>()?;
    }
    Ok(ticks / 100.0)
}

/// From here on this process has one core; the broker, which is another machine's part in the field, keeps the others.
fn pin_to_one_core() {
    let own = std::process::id().to_string();
    let status = std::process::Command::new("taskset")
        .args(["-a", "-c", "-p", "0", &own])
        .stdout(std::process::Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => {}
        _ => println!("(taskset is missing: not pinned to one core)"),
    }
}

async fn fill(agent: &Bus, lines: u64) -> Result<()> {
    let mut pending = std::collections::VecDeque::new();
    let start = SystemClock.now();
    for n in 0..lines {
        let line = line(n, start);
        pending.push_back(agent.send_acked(&line.topic(), &line.message_id(), line.to_body()?).await?);
        if pending.len() >= WINDOW
            && let Some(oldest) = pending.pop_front()
        {
            oldest.stored().await?;
        }
    }
    for oldest in pending {
        oldest.stored().await?;
    }
    Ok(())
}

fn line(n: u64, start: DateTime<chrono::Utc>) -> IngestLine {
    let session = n / PER_SESSION;
    let event = match n % PER_SESSION {
        0 => Event::new("ssh", "connect"),
        1..=3 => Event::new("ssh", "auth_attempt")
            .secret(&Secret::plaintext("root", format!("password-{}", n % 997)))
            .field("outcome", "failure"),
        4 | 5 => Event::new("ssh", "command").field("command", format!("cat /etc/passwd; echo {n}")),
        _ => Event::new("ssh", "disconnect").field("duration_ms", 4200),
    };
    let [.., a, b] = session.to_be_bytes();
    let at = start + TimeDelta::milliseconds(i64::try_from(n).unwrap_or(0));
    let record = event
        .field("src_ip", format!("203.0.{}.{}", a % 4, b))
        .field("src_port", 40_000 + session % 20_000)
        .field("dst_ip", "192.0.2.7")
        .field("dst_port", 22)
        .field("conn_id", format!("bench-{session}"))
        .field("seq", n % PER_SESSION)
        .into_record(at, "web-01");
    #[expect(clippy::expect_used, reason = "a constant")]
    let decky = "web-01".parse().expect("a decky name");
    IngestLine {
        host: decnet_core::HostId::default(),
        decky,
        source: "bench".to_owned(),
        seq: n,
        line: record.encode().into(),
    }
}
