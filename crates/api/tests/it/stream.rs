//! `/stream` over real HTTP, with events from a real nats-server.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use chrono::DateTime;
use decnet_bus::{
    Bus, Topic, Worker,
    payload::{AttackerObserved, CredentialCaptured, IngestCommitted},
};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::world::{ADMIN, Options, PASSWORD, VIEWER, World, eventually, line, login_line};

/// One event, or a comment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sent {
    pub(crate) event: String,
    id: Option<String>,
    pub(crate) data: Value,
    comment: Option<String>,
}

/// The reading end of a stream.
pub(crate) struct Reader {
    response: Response,
    buffer: String,
}

impl Reader {
    async fn open(world: &World, token: &str, query: &str, last: Option<&str>) -> Self {
        Self::at(world, token, &format!("/api/v1/stream{query}"), last).await
    }

    pub(crate) async fn at(world: &World, token: &str, path: &str, last: Option<&str>) -> Self {
        let mut request = world.request(Method::GET, path, Some(token));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self { response, buffer: String::new() }
    }

    /// The next block; `None` at the end of the stream.
    pub(crate) async fn block(&mut self) -> Option<Sent> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let sent = parse(block);
                self.buffer = rest.into();
                return Some(sent);
            }
            let chunk = self.response.chunk().await.ok()??;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event of this name; others are passed over.
    pub(crate) async fn event(&mut self, name: &str) -> Sent {
        let wait = async {
            loop {
                match self.block().await {
                    Some(sent) if sent.event == name => return sent,
                    Some(_) => {}
                    None => panic!("the stream ended while {name} was awaited"),
                }
            }
        };
        timeout(Duration::from_secs(15), wait).await.unwrap_or_else(|_| panic!("no {name}"))
    }

    /// The ids of the next `count` log rows.
    async fn lines(&mut self, count: usize) -> Vec<i64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            ids.push(self.event("log").await.data["payload"]["id"].as_i64().unwrap());
        }
        ids
    }

    async fn ended_within(&mut self, patience: Duration) -> bool {
        timeout(patience, async { while self.block().await.is_some() {} }).await.is_ok()
    }
}

fn parse(block: &str) -> Sent {
    let mut sent = Sent::default();
    for text in block.lines() {
        match text.split_once(':') {
            Some(("", comment)) => sent.comment = Some(comment.trim().to_owned()),
            Some(("event", name)) => sent.event = name.trim().into(),
            Some(("id", id)) => sent.id = Some(id.trim().to_owned()),
            Some(("data", data)) => sent.data = serde_json::from_str(data.trim()).unwrap(),
            other => panic!("not an SSE line: {other:?}"),
        }
    }
    sent
}

fn observed(ip: &str) -> AttackerObserved {
    AttackerObserved {
        attacker_ip: ip.parse().unwrap(),
        decky: "web-01".into(),
        service: "ssh".into(),
        event_type: "auth".into(),
        first_seen: DateTime::UNIX_EPOCH,
    }
}

async fn committed(bus: &Bus) {
    let notice = IngestCommitted { component: "collector".into(), flushed: 1, position: 1 };
    bus.publish(&Topic::NoticeIngestCommitted, &notice).await;
}

#[tokio::test]
async fn comment_snapshot_then_events_within_a_second() {
    let world = World::with(Options { nats: true, ..Options::default() }).await;
    let viewer = world.login(VIEWER).await;
    world.store(vec![line(1, "198.51.100.7", "before")]).await;
    let collector = world.peer(Worker::Collector).await;
    let mut reader = Reader::open(&world, &viewer, "", None).await;
    assert!(reader.block().await.unwrap().comment.is_some(), "the first bytes are a comment");
    let snapshot = reader.block().await.unwrap();
    assert_eq!(snapshot.event, "snapshot");
    assert_eq!(snapshot.data["payload"]["stats"]["total_logs"], 1);
    assert_eq!(snapshot.data["payload"]["histogram"][0]["count"], 1);
    assert!(snapshot.id.is_some());

    let begun = Instant::now();
    collector.publish(&Topic::AttackerObserved, &observed("198.51.100.7")).await;
    let event = reader.event("attacker.observed").await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(
        (&event.data["topic"], &event.data["payload"]["attacker_ip"]),
        (&json!("attacker.observed"), &json!("198.51.100.7"))
    );
    assert!(event.data["ts"].as_f64().unwrap() > 1.7e9);
    assert!(event.data.get("type").is_some());

    let begun = Instant::now();
    world.store(vec![login_line(2, "198.51.100.7", "root", "hunter2!secret")]).await;
    committed(&collector).await;
    let row = reader.event("log").await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(row.data["payload"]["attacker_ip"], "198.51.100.7");
    let text = row.data.to_string();
    assert!(!text.contains("hunter2") && text.contains("********"), "{text}");

    // Totals follow new rows.
    let stats = async { while reader.event("stats").await.data["payload"]["stats"]["total_logs"] != 2 {} };
    timeout(Duration::from_secs(10), stats).await.expect("totals with both rows");

    let captured = CredentialCaptured {
        secret_sha256: "00".repeat(32),
        secret_kind: "plaintext".into(),
        attacker_ip: "198.51.100.7".parse().unwrap(),
        decky: "web-01".into(),
        service: "ssh".into(),
    };
    collector.publish(&Topic::CredentialCaptured, &captured).await;
    assert_eq!(reader.event("credential.captured").await.data["payload"]["service"], "ssh");
}

#[tokio::test]
async fn without_a_broker_rows_come_by_polling_and_the_stream_stays_open() {
    let world = World::with(Options { keepalive: Duration::from_millis(200), ..Options::default() }).await;
    let viewer = world.login(VIEWER).await;
    let mut reader = Reader::open(&world, &viewer, "", None).await;
    reader.event("snapshot").await;
    world.store(vec![line(1, "198.51.100.7", "polled")]).await;
    assert_eq!(reader.event("log").await.data["payload"]["msg"], "polled");
    let comments = async {
        let mut seen = 0;
        while seen < 3 {
            let sent = reader.block().await.expect("open");
            seen += usize::from(sent.comment.as_deref() == Some("keepalive"));
        }
    };
    timeout(Duration::from_secs(10), comments).await.expect("keepalives");
}

#[tokio::test]
async fn the_sixth_stream_is_refused_and_a_closed_one_frees_its_slot() {
    let world = World::new().await;
    let (viewer, admin) = (world.login(VIEWER).await, world.login(ADMIN).await);
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(Reader::open(&world, &viewer, "", None).await);
    }
    let sixth = world.get("/api/v1/stream", &viewer).await;
    assert_eq!(sixth.status(), 429);
    assert_eq!(sixth.headers()["content-type"], "application/problem+json");
    let other = Reader::open(&world, &admin, "", None).await;
    open.pop();
    eventually("the slot is free within a second", Duration::from_secs(1), || async {
        let again = world.get("/api/v1/stream", &viewer).await;
        (again.status() == 200).then_some(())
    })
    .await;
    drop(other);
}

#[tokio::test]
async fn coming_back_gives_what_was_missed_once() {
    let world = World::with(Options { nats: true, ..Options::default() }).await;
    let viewer = world.login(VIEWER).await;
    let collector = world.peer(Worker::Collector).await;
    let mut reader = Reader::open(&world, &viewer, "", None).await;
    reader.event("snapshot").await;
    let store = async |from: u64, count: u64| {
        world
            .store((from..from + count).map(|n| line(n, "198.51.100.7", &format!("line {n}"))).collect())
            .await;
        committed(&collector).await;
    };
    store(0, 10).await;
    let mut seen = Vec::new();
    let mut last = String::new();
    while seen.len() < 4 {
        let row = reader.event("log").await;
        seen.push(row.data["payload"]["id"].as_i64().unwrap());
        last = row.id.unwrap();
    }
    drop(reader);
    // Another page is open meanwhile, so that the tail goes on.
    let mut witness = Reader::open(&world, &viewer, "", None).await;
    witness.event("snapshot").await;
    store(10, 1_200).await;
    collector.publish(&Topic::AttackerObserved, &observed("203.0.113.9")).await;
    witness.event("attacker.observed").await;

    let mut reader = Reader::open(&world, &viewer, "", Some(&last)).await;
    reader.event("snapshot").await;
    seen.extend(reader.lines(1_206).await);
    store(2_000, 5).await;
    let missed = reader.event("attacker.observed").await;
    assert_eq!(missed.data["payload"]["attacker_ip"], "203.0.113.9");
    seen.extend(reader.lines(5).await);
    let whole: Vec<i64> = (1..=1_215).collect();
    assert_eq!(seen, whole, "without gap or repeat");

    // By the query, for clients that cannot send the header.
    let mut again =
        Reader::open(&world, &viewer, &format!("?lastEventId={}", missed.id.unwrap()), None).await;
    again.event("snapshot").await;
    assert_eq!(again.lines(5).await, (1_211..=1_215).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_unknown_position_is_told_to_read_again() {
    let world = World::new().await;
    let viewer = world.login(VIEWER).await;
    for position in ["00000000-5-999999", "nonsense"] {
        let mut reader = Reader::open(&world, &viewer, "", Some(position)).await;
        reader.event("resync").await;
    }
}

#[tokio::test]
async fn a_search_lets_only_matching_rows_through() {
    let world = World::new().await;
    let viewer = world.login(VIEWER).await;
    let mut reader = Reader::open(&world, &viewer, "?search=attacker:203.0.113.9", None).await;
    reader.event("snapshot").await;
    world
        .store(
            (0..40).map(|n| line(n, if n % 10 == 9 { "203.0.113.9" } else { "198.51.100.7" }, "x")).collect(),
        )
        .await;
    assert_eq!(reader.lines(4).await, [10, 20, 30, 40]);
    assert_eq!(world.get(&format!("/api/v1/stream?search={}", "x".repeat(513)), &viewer).await.status(), 400);
}

#[tokio::test]
async fn a_stream_ends_with_the_login_behind_it() {
    let world = World::new().await;
    let viewer = world.login(VIEWER).await;
    let answer: Value = world
        .request(Method::POST, "/api/v1/auth/stream-token", Some(&viewer))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let response = world
        .client
        .get(world.url(&format!("/api/v1/stream?token={}", answer["token"].as_str().unwrap())))
        .send()
        .await
        .unwrap();
    let mut by_token = Reader { response, buffer: String::new() };
    by_token.event("snapshot").await;
    let mut by_header = Reader::open(&world, &viewer, "", None).await;
    by_header.event("snapshot").await;
    let admin = world.login(ADMIN).await;
    let mut other = Reader::open(&world, &admin, "", None).await;
    other.event("snapshot").await;
    let body = json!({"old_password": PASSWORD, "new_password": "another password"});
    assert_eq!(world.post("/api/v1/auth/change-password", &viewer, body).await.status(), 200);
    assert!(by_header.ended_within(Duration::from_secs(2)).await);
    assert!(by_token.ended_within(Duration::from_secs(2)).await);
    assert!(!other.ended_within(Duration::from_millis(300)).await, "others go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_reader_is_told_and_others_do_not_notice() {
    let world = World::with(Options { nats: true, ..Options::default() }).await;
    let viewer = world.login(VIEWER).await;
    let mut stalled = Reader::open(&world, &viewer, "", None).await;
    let mut brisk = Reader::open(&world, &viewer, "", None).await;
    stalled.event("snapshot").await;
    brisk.event("snapshot").await;
    // Large rows fill what the kernel buffers for the one who does not read.
    let filler = "x".repeat(4 * 1024);
    let written = AtomicU64::new(0);
    let write = async {
        for batch in 0..40_u64 {
            let rows = (0..50).map(|n| line(batch * 50 + n, "198.51.100.7", &filler));
            world.store(rows.collect()).await;
            written.fetch_add(50, Ordering::Relaxed);
        }
    };
    let read = async {
        let wait = brisk.lines(2_000);
        timeout(Duration::from_mins(1), wait).await.expect("a brisk reader gets everything")
    };
    let ((), ids) = tokio::join!(write, read);
    assert_eq!(ids, (1..=2_000).collect::<Vec<_>>());
    let told = async { while stalled.block().await.expect("open").event != "resync" {} };
    timeout(Duration::from_secs(30), told).await.expect("a resync for the stalled one");
}

#[tokio::test]
async fn a_broken_broker_is_told_and_events_come_again() {
    let mut world = World::with(Options { nats: true, ..Options::default() }).await;
    let viewer = world.login(VIEWER).await;
    let mut reader = Reader::open(&world, &viewer, "", None).await;
    reader.event("snapshot").await;
    let mut nats = world.nats.take().unwrap();
    nats.kill().await;
    world.store(vec![line(1, "198.51.100.7", "while away")]).await;
    assert_eq!(reader.event("log").await.data["payload"]["msg"], "while away");
    nats.restart().await.unwrap();
    world.nats = Some(nats);
    let collector = world.peer(Worker::Collector).await;
    let told = async {
        loop {
            let sent = reader.block().await.expect("open");
            if sent.event == "resync" {
                return;
            }
        }
    };
    timeout(Duration::from_secs(20), told).await.expect("a resync after the break");
    // The API's subscription is back on the server.
    let app = &world.app;
    assert!(app.bus().connected_within(Duration::from_secs(10)).await);
    let seen = async {
        loop {
            collector.publish(&Topic::AttackerObserved, &observed("198.51.100.7")).await;
            if let Ok(Some(sent)) = timeout(Duration::from_millis(300), reader.block()).await
                && sent.event == "attacker.observed"
            {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), seen).await.expect("events flow again");
}
