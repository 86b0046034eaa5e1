//! `kill -9` of agent, broker and decoy in the middle of a load of ten thousand lines: no line is lost, none is doubled.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use bytes::Bytes;
use decnet_bus::{Durable, Worker, payload::TeardownScope};
use futures_util::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::ground::{Home, Operator, kill, name, until};

/// Each leaves a line when it is opened, asked and closed.
const REQUESTS: usize = 3600;

async fn request(to: SocketAddr, number: usize) -> bool {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await.ok()?;
        let head = format!("GET /load/{number} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        answer.starts_with(b"HTTP/1.1").then_some(())
    };
    tokio::time::timeout(Duration::from_secs(20), exchange).await.ok().flatten().is_some()
}

/// The lines of each source, by offset. A line that comes twice must be the same: the collector's key keeps one.
type Lines = BTreeMap<String, BTreeMap<u64, Bytes>>;

/// Takes everything that is in the stream now, as the collector would.
async fn drain(home: &Home, lines: &mut Lines) {
    let bus = home.broker.bus(Worker::Collector).await;
    let mut consumer = bus.consume(Durable::collector()).await;
    loop {
        let batch = consumer.fetch(500, Duration::from_millis(500)).await.unwrap();
        if batch.is_empty() {
            return;
        }
        for message in batch {
            let line = message.ingest_line().unwrap();
            assert_eq!(line.decky.as_str(), "web");
            let known = lines.entry(line.source).or_default().insert(line.seq, line.line.clone());
            assert!(known.is_none_or(|known| known == line.line), "two lines at one place");
            message.ack().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_lines_survive_everybody() {
    let mut home = Home::new().await;
    let operator = Operator::new(&home).await;
    let mut agent = home.agent();
    let plan = home.plan("[web]\nservices=http\n");
    operator.deploy(&plan).await.result.unwrap();
    let to = operator.running(&plan, "web", 80).await;
    let load = tokio::spawn(async move {
        let mut answered = BTreeSet::new();
        let mut all = futures_util::stream::iter(0..REQUESTS)
            .map(|n| async move { (n, request(to, n).await) })
            .buffer_unordered(16);
        while let Some((number, ok)) = all.next().await {
            if ok {
                answered.insert(number);
            } else {
                // The decoy is away: without a pause the load would be over before it is back.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        answered
    });
    let log = home.path("deckies/web/output.log");
    let size = || std::fs::metadata(&log).unwrap().len();
    let mut kills = Vec::new();
    for victim in ["agent", "broker", "decoy", "agent", "broker", "agent", "decoy"] {
        let from = size();
        until("the load goes on", async || (size() > from + 350_000 || load.is_finished()).then_some(()))
            .await;
        if load.is_finished() {
            break;
        }
        match victim {
            "agent" => {
                agent.kill();
                agent = home.agent();
            }
            "broker" => {
                home.broker.kill().await;
                home.broker.start().await;
            }
            _ => {
                let pid = home.pid("web").unwrap();
                kill(pid);
                until("the next decoy", async || home.pid("web").filter(|next| *next != pid)).await;
            }
        }
        kills.push(victim);
    }
    assert!(kills.len() >= 4, "the load was over too early: only {kills:?} were killed");
    let answered = load.await.unwrap();

    let cursor = || -> Option<u64> {
        let folder = std::fs::read_dir(home.path("agent/cursors")).ok()?;
        let file = folder.flatten().find(|entry| !entry.file_name().to_string_lossy().starts_with('.'))?;
        let cursor: serde_json::Value = serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()?;
        cursor["offset"].as_u64()
    };
    until("the cursor is at the end", async || (cursor() == Some(size())).then_some(())).await;
    let end = size();
    let mut lines = Lines::new();
    drain(&home, &mut lines).await;
    lines.retain(|source, _| !source.starts_with("lifecycle-"));
    assert_eq!(lines.len(), 1, "one output has one source, whoever was killed");
    let lines = lines.into_values().next().unwrap();

    // Line by line from the first byte to the last: nothing is missing in between, and nothing overlaps.
    let mut at = 0;
    for (seq, line) in &lines {
        assert_eq!(*seq, at, "between {at} and {seq}");
        at = seq + line.len() as u64 + 1;
    }
    assert_eq!(at, end);
    assert!(lines.len() >= 10_000, "only {} lines", lines.len());
    let mut seen = BTreeSet::new();
    for line in lines.values() {
        if let Ok(record) = decnet_logline::scan(line)
            && record.msgid == "request"
            && let Some(number) =
                record.fields.get("path").and_then(|path| path.strip_prefix("/load/")?.parse().ok())
        {
            assert!(seen.insert(number), "request {number} twice");
        }
    }
    let missing: Vec<_> = answered.difference(&seen).collect();
    assert!(missing.is_empty(), "answered and not shipped: {missing:?}");
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_lines_of_a_removed_decky_are_shipped_also_when_the_broker_was_away() {
    let mut home = Home::new().await;
    let operator = Operator::new(&home).await;
    let agent = home.agent();
    let plan = home.plan("[web]\nservices=http\n");
    operator.deploy(&plan).await.result.unwrap();
    let to = operator.running(&plan, "web", 80).await;
    assert!(request(to, 1).await);
    let removed = home.path("deckies/.removed");
    operator.teardown(TeardownScope::One(name("web"))).await.result.unwrap();
    until("its output is shipped and deleted", async || {
        (std::fs::read_dir(&removed).unwrap().count() == 0).then_some(())
    })
    .await;
    let mut lines = Lines::new();
    drain(&home, &mut lines).await;
    let farewell = |lines: &Lines| {
        let all = lines.values().flat_map(BTreeMap::values);
        all.filter(|line| decnet_logline::scan(line).is_ok_and(|record| record.msgid == "shutdown")).count()
    };
    assert_eq!(farewell(&lines), 1);
    let lifecycle = lines.iter().filter(|(source, _)| source.starts_with("lifecycle-")).count();
    assert_eq!(lifecycle, 2, "creation and retirement");

    // Once more, and this time nobody takes the lines until the next agent.
    operator.deploy(&home.plan("[web]\nservices=http\n")).await.result.unwrap();
    assert!(request(to, 2).await);
    home.broker.kill().await;
    kill(home.pid("web").unwrap());
    assert_eq!(agent.stop().await, Some(0));
    std::fs::write(home.path("deckies/web/removing"), "\"2026-01-01T00:00:00Z\"").unwrap();
    let agent = home.agent();
    until("the output is kept aside", async || {
        (std::fs::read_dir(&removed).unwrap().count() == 1).then_some(())
    })
    .await;
    home.broker.start().await;
    until("its output is shipped and deleted", async || {
        (std::fs::read_dir(&removed).unwrap().count() == 0).then_some(())
    })
    .await;
    let mut lines = Lines::new();
    drain(&home, &mut lines).await;
    let asked = lines
        .values()
        .flat_map(BTreeMap::values)
        .any(|line| line.windows(7).any(|seven| seven == b"/load/2"));
    assert!(asked, "the lines from before the removal are missing");
    drop(agent);
}
