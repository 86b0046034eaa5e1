//! How many lines a second go through `Db::ingest` into a fresh SQLite file, all facts derived. A measure, not a test:
//! `cargo run --release -p decnet-db --example ingest_bench -- [LINES] [BATCH] [DATABASE URL]`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use anyhow::Context;
use chrono::{DateTime, TimeDelta};
use decnet_db::{Db, DbOptions, IngestBatch, NewCredential, NewLog, NewOutbox, Origin, SessionFacts};
use serde_json::{Map, Value};

/// Lines of one connection: connect, three logins, two commands, disconnect.
const PER_SESSION: u64 = 7;

fn main() -> anyhow::Result<()> {
    // One thread for everything but SQLite's own, so that "one core" means what it says under `taskset -c 0`.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let total: u64 =
        arguments.next().map_or(Ok(100_000), |text| text.parse()).context("LINES is a number")?;
    let size: u64 = arguments.next().map_or(Ok(1000), |text| text.parse()).context("BATCH is a number")?;
    let folder = tempfile::tempdir()?;
    let url =
        arguments.next().unwrap_or_else(|| format!("sqlite://{}", folder.path().join("bench.db").display()));
    let db = Db::connect(&url, DbOptions::default()).await?;
    db.migrate().await?;

    let batches: Vec<IngestBatch> = (0..total.div_ceil(size))
        .map(|batch| IngestBatch {
            logs: (batch * size..((batch + 1) * size).min(total)).map(line).collect(),
            rejected: Vec::new(),
        })
        .collect();
    let ids = decnet_core::SystemIds;
    let begin = Instant::now();
    let (mut inserted, mut events, mut slowest) = (0, 0, 0.0f64);
    for batch in &batches {
        let start = Instant::now();
        let outcome = db
            .ingest(batch, |facts| {
                let count = facts.new_attackers.len()
                    + facts.sessions_started.len()
                    + facts.sessions_ended.len()
                    + facts.credentials.len();
                (0..count).map(|_| event(&ids)).collect()
            })
            .await?;
        inserted += outcome.logs_inserted;
        events += outcome.outbox_rows;
        slowest = slowest.max(start.elapsed().as_secs_f64());
    }
    let took = begin.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for reading")]
    let rate = inserted as f64 / took;
    println!(
        "{} lines, {events} events, {} attackers: {took:.2} s, {rate:.0} lines/s, slowest batch of {size}: {:.1} ms",
        inserted,
        db.stats().await?.unique_attackers,
        slowest * 1000.0
    );
    anyhow::ensure!(inserted == total, "lines were lost");
    Ok(())
}

fn event(ids: &impl decnet_core::IdSource) -> NewOutbox {
    let id = ids.next_id();
    NewOutbox {
        id,
        producer: "collector".to_owned(),
        subject: "decnet.attacker.session.started".to_owned(),
        topic: "attacker.session.started".to_owned(),
        msg_id: id.to_string(),
        headers: Vec::new(),
        body: format!(r#"{{"v":1,"id":"{id}","topic":"attacker.session.started","payload":{{}}}}"#),
    }
}

/// Line `n` of a made-up week: sixteen deckies, two hundred addresses, every session alike.
fn line(n: u64) -> NewLog {
    let session = n / PER_SESSION;
    let part = n % PER_SESSION;
    let decky = session % 16;
    let last = u8::try_from(session % 200).unwrap_or(0);
    let ip = IpAddr::V4(Ipv4Addr::new(203, 0, 113, last));
    let kind = ["connect", "auth", "auth", "auth", "command", "command", "disconnect"]
        [usize::try_from(part).unwrap_or(0)];
    let conn = format!("{session:08x}-0000-7000-8000-{session:012x}");
    let mut fields = Map::new();
    for (key, value) in [
        ("src_ip", ip.to_string()),
        ("src_port", "40000".to_owned()),
        ("dst_port", "22".to_owned()),
        ("conn_id", conn.clone()),
        ("seq", part.to_string()),
        ("username", "root".to_owned()),
        ("command", "cat /etc/passwd; uname -a".to_owned()),
    ] {
        fields.insert(key.to_owned(), Value::String(value));
    }
    let raw = format!(
        "<134>1 2026-01-01T00:00:00.000000+00:00 web-{decky:02} ssh - {kind} [relay@55555 src_ip=\"{ip}\" src_port=\"40000\" dst_port=\"22\" conn_id=\"{conn}\" seq=\"{part}\" username=\"root\" command=\"cat /etc/passwd; uname -a\"]"
    );
    NewLog {
        host_uuid: "local".to_owned(),
        source: format!("decky-web-{decky:02}.log"),
        seq: n * 300,
        timestamp: DateTime::UNIX_EPOCH
            + TimeDelta::seconds(1_767_225_600)
            + TimeDelta::milliseconds(i64::try_from(n).unwrap_or(0)),
        decky: format!("web-{decky:02}"),
        service: "ssh".to_owned(),
        event_type: kind.to_owned(),
        attacker_ip: Some(ip),
        src_port: Some(40_000),
        conn_id: Some(conn),
        origin: Origin::Attacker,
        forged: false,
        raw_line: raw,
        fields,
        msg: None,
        trace_id: None,
        span_id: None,
        interaction: kind == "command",
        credential: (kind == "auth").then(|| NewCredential {
            principal: Some("root".to_owned()),
            secret_kind: "plaintext".to_owned(),
            secret_sha256: format!("{:064x}", n % 5000),
            secret_len: 8,
            secret_b64: Some("cGFzc3dvcmQ=".to_owned()),
            secret_printable: Some("password".to_owned()),
            outcome: Some("rejected".to_owned()),
            fields: Map::new(),
        }),
        command: (kind == "command").then(|| "cat /etc/passwd; uname -a".to_owned()),
        session: Some(SessionFacts {
            auth_attempt: kind == "auth",
            ended: kind == "disconnect",
            client: (kind == "connect").then(|| "SSH-2.0-Go".to_owned()),
            ..SessionFacts::default()
        }),
    }
}
