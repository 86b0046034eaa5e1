//! What goes wrong: intruders that change files or look, disks that are lost, agents that are gone, models that hang.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use decnet_bus::{TopicFilter, TopicKind, Worker, payload::FileTampered};
use decnet_core::Clock;
use decnet_db::{
    FileState, IngestBatch, LifeChange, LifeState, NewLog, OrchestratorQuery, Origin, Paging, SessionFacts,
};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::Map;

use crate::ground::{Home, sha256, until};

pub(crate) const PAIR: &str = "[web]\nservices=ssh,http\n[app]\nservices=ssh\n";
pub(crate) const ALL: Paging = Paging { limit: 1000, offset: 0 };

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_changed_is_reported_and_never_touched_again() {
    let home = Home::new(2).await;
    home.deploy(PAIR).await;
    let listener = home.listener(Worker::Api).await;
    let mut told = listener.subscribe(&TopicFilter::kind(TopicKind::DeckyFileTampered)).await;
    let life = home.life();
    let mut planted: BTreeMap<(&str, String), String> = BTreeMap::new();
    for decky in ["web", "app"] {
        home.aged(decky).await;
        for (number, row) in home.shelf(decky).await.into_iter().enumerate() {
            let path = home.on_disk(decky, &row.file.path);
            if number % 2 == 0 {
                std::fs::write(&path, "mine now\n").unwrap();
            } else {
                std::fs::remove_file(&path).unwrap();
            }
            planted.insert((decky, row.file.path), row.file.content_hash);
        }
    }
    let states = async || {
        let mut states = Vec::new();
        for decky in ["web", "app"] {
            let rows = home.shelf(decky).await;
            states.extend(rows.into_iter().map(move |row| (decky, row.file)));
        }
        states
    };
    home.live_until("both kinds were noticed", TimeDelta::days(4), async || {
        let states = states().await;
        let any = |wanted| states.iter().any(|(_, file)| file.state == wanted);
        (any(FileState::Diverged) && any(FileState::Lost)).then_some(())
    })
    .await;
    life.stop().await;

    let mut events: BTreeMap<String, FileTampered> = BTreeMap::new();
    until("all of it was told", async || {
        while let Some(Some(event)) = told.next().now_or_never() {
            let event: FileTampered = event.envelope.decode().unwrap();
            events.insert(format!("{} {}", event.decky_uuid, event.path), event);
        }
        let noticed = states().await.iter().filter(|(_, file)| file.state != FileState::Planted).count();
        (events.len() == noticed).then_some(())
    })
    .await;
    for (decky, file) in states().await {
        let disk = home.on_disk(decky, &file.path);
        let key = (decky, file.path.clone());
        match file.state {
            FileState::Planted | FileState::Gone => {}
            FileState::Diverged => {
                assert_eq!(std::fs::read_to_string(&disk).unwrap(), "mine now\n");
                let event = &events[&format!("local:{decky} {}", file.path)];
                assert_eq!(event.expected_sha256, planted[&key]);
                assert_eq!(event.found_sha256, Some(sha256(b"mine now\n")));
                assert_eq!(file.found_hash, event.found_sha256);
            }
            FileState::Lost => {
                assert!(!disk.exists());
                assert_eq!(events[&format!("local:{decky} {}", file.path)].found_sha256, None);
            }
        }
    }
    let page = OrchestratorQuery { success: Some(false), paging: ALL, ..OrchestratorQuery::default() };
    let failed = home.db.orchestrator().page(&page).await.unwrap();
    assert!(failed.data.iter().any(|row| row.action == "file:edit" && row.payload["error"].is_string()));
    assert!(home.db.life().intents().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_disk_of_a_known_decky_gets_back_what_was_there() {
    let home = Home::new(5).await;
    home.deploy(PAIR).await;
    let life = home.life();
    let state = home.aged("web").await;
    home.aged("app").await;
    life.stop().await;
    let before = home.shelf("web").await;
    // As a heal leaves it: what was put there is gone, and the disk is another one.
    for row in &before {
        std::fs::remove_file(home.on_disk("web", &row.file.path)).unwrap();
    }
    let lost = before.iter().find(|row| row.file.content_class == "note").unwrap().file.path.clone();
    let other = [
        LifeChange::Lived(LifeState { incarnation: "the one before".to_owned(), ..state.clone() }),
        LifeChange::FileState {
            decky_uuid: "local:web".to_owned(),
            path: lost,
            state: FileState::Diverged,
            found: Some("00".to_owned()),
            event: None,
        },
    ];
    home.db.life().apply(&other, &[]).await.unwrap();
    let life = home.life();
    let after = until("it has its files again", async || {
        let now = home.db.life().state("local:web").await.unwrap().unwrap();
        (now.incarnation == state.incarnation && now.aged_at.is_some()).then_some(now)
    })
    .await;
    life.stop().await;
    assert_eq!(after.born, state.born);
    let rows = home.shelf("web").await;
    assert!(rows.len() >= before.len());
    for row in &before {
        let body = std::fs::read(home.on_disk("web", &row.file.path)).expect(&row.file.path);
        assert_eq!(sha256(&body), row.file.content_hash, "{}", row.file.path);
        let now = rows.iter().find(|now| now.file.path == row.file.path).unwrap();
        assert_eq!((now.file.state, now.file.planted_mtime), (FileState::Planted, row.file.planted_mtime));
    }
    let page = OrchestratorQuery { kind: Some("file".into()), paging: ALL, ..OrchestratorQuery::default() };
    let rows = home.db.orchestrator().page(&page).await.unwrap().data;
    assert_eq!(rows.iter().filter(|row| row.action == "file:restore").count(), 1);
}

/// A line of an intruder on web.
fn line(at: DateTime<Utc>, seq: u64, facts: SessionFacts) -> NewLog {
    NewLog {
        host_uuid: "local".into(),
        source: "web.log".into(),
        seq,
        timestamp: at,
        decky: "web".into(),
        service: "ssh".into(),
        event_type: "auth".into(),
        attacker_ip: Some("198.51.100.7".parse().unwrap()),
        src_port: Some(40_001),
        conn_id: Some("c1".into()),
        origin: Origin::Attacker,
        forged: false,
        raw_line: format!("<134>1 {seq}"),
        fields: Map::new(),
        msg: None,
        trace_id: None,
        span_id: None,
        interaction: true,
        credential: None,
        command: None,
        session: Some(facts),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_where_somebody_looks() {
    let home = Home::new(6).await;
    home.deploy(PAIR).await;
    let life = home.life();
    home.aged("web").await;
    home.aged("app").await;
    let ingest = async |seq, facts| {
        let batch = IngestBatch { logs: vec![line(home.clock.now(), seq, facts)], rejected: Vec::new() };
        home.db.ingest(&batch, |_| Vec::new()).await.unwrap();
    };
    ingest(0, SessionFacts { authenticated: true, ..SessionFacts::default() }).await;
    let entered = home.clock.now();
    let files = async |decky: &str, since: DateTime<Utc>| {
        let query = OrchestratorQuery {
            kind: Some("file".into()),
            dst_decky_uuid: Some(format!("local:{decky}")),
            since: Some(since),
            paging: ALL,
            ..OrchestratorQuery::default()
        };
        home.db.orchestrator().page(&query).await.unwrap().total
    };
    // Whatever was in the middle of it when he came ends first.
    home.clock.advance(TimeDelta::seconds(30));
    let calm = home.clock.now();
    home.live_until("the other one lives", TimeDelta::days(2), async || {
        (files("app", calm).await >= 6).then_some(())
    })
    .await;
    assert_eq!(files("web", calm).await, 0, "since {entered}");
    ingest(1, SessionFacts { ended: true, ..SessionFacts::default() }).await;
    let left = home.clock.now();
    home.live_until("life goes on", TimeDelta::days(2), async || {
        (files("web", left).await >= 3).then_some(())
    })
    .await;
    let query = OrchestratorQuery {
        kind: Some("file".into()),
        dst_decky_uuid: Some("local:web".into()),
        since: Some(left),
        paging: ALL,
        ..OrchestratorQuery::default()
    };
    let first = home.db.orchestrator().page(&query).await.unwrap().data.pop().unwrap();
    assert!(first.ts - left >= TimeDelta::minutes(10), "{} after {left}", first.ts);
    life.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_agent_it_waits_and_stops_at_once_and_goes_on_later() {
    let mut home = Home::new(7).await;
    home.deploy(PAIR).await;
    let life = home.life();
    home.aged("web").await;
    home.aged("app").await;
    home.kill_agent();
    let later = home.clock.now() + TimeDelta::hours(6);
    home.live_until("half a day has passed", TimeDelta::hours(12), async || {
        (home.clock.now() > later).then_some(())
    })
    .await;
    assert!(!life.has_ended());
    life.stop().await;
    home.start_agent();
    let life = home.life();
    let since = home.clock.now();
    let done = OrchestratorQuery {
        success: Some(true),
        since: Some(since),
        paging: ALL,
        ..OrchestratorQuery::default()
    };
    home.live_until("it goes on", TimeDelta::days(2), async || {
        let rows = home.db.orchestrator().page(&done).await.unwrap().data;
        let clear = home.db.life().intents().await.unwrap().is_empty();
        (clear && rows.iter().filter(|row| row.kind == "file").count() >= 2).then_some(())
    })
    .await;
    life.stop().await;
    for decky in ["web", "app"] {
        for row in home.shelf(decky).await {
            let body = std::fs::read(home.on_disk(decky, &row.file.path)).expect(&row.file.path);
            assert_eq!(sha256(&body), row.file.content_hash, "{decky}: {}", row.file.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_hangs_or_babbles_costs_nothing() {
    let home = Home::new(8).await;
    home.deploy(PAIR).await;
    for script in ["!hang", "!garbage"] {
        let life = home.life_with(&[
            ("DECNET_REALISM_LLM", "canned"),
            ("DECNET_REALISM_FAKE_OUTPUT", script),
            ("DECNET_REALISM_TIMEOUT", "600"),
        ]);
        home.aged("web").await;
        home.aged("app").await;
        let since = home.clock.now();
        let page = OrchestratorQuery {
            kind: Some("file".into()),
            since: Some(since),
            paging: ALL,
            ..OrchestratorQuery::default()
        };
        home.live_until("life goes on", TimeDelta::days(2), async || {
            (home.db.orchestrator().page(&page).await.unwrap().total >= 3).then_some(())
        })
        .await;
        let begin = std::time::Instant::now();
        life.stop().await;
        assert!(begin.elapsed() < Duration::from_secs(10), "the stop is bounded: {:?}", begin.elapsed());
        assert!(home.db.content_pool().waiting().await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_wrote_ahead_is_used_once() {
    let home = Home::new(9).await;
    home.deploy(PAIR).await;
    let text =
        "call the vendor about the late rack order\nlook at the ups log again\nask for the new door code\n";
    let life = home.life_with(&[("DECNET_REALISM_LLM", "canned"), ("DECNET_REALISM_FAKE_OUTPUT", text)]);
    home.aged("web").await;
    home.aged("app").await;
    until("the model has written", async || {
        home.db
            .content_pool()
            .waiting()
            .await
            .unwrap()
            .iter()
            .any(|(class, ..)| class == "note")
            .then_some(())
    })
    .await;
    let page = OrchestratorQuery { kind: Some("file".into()), paging: ALL, ..OrchestratorQuery::default() };
    let row = home
        .live_until("its text is in a file", TimeDelta::days(8), async || {
            let rows = home.db.orchestrator().page(&page).await.unwrap().data;
            rows.into_iter().find(|row| row.payload["model"] == "canned" && row.success)
        })
        .await;
    life.stop().await;
    let path = row.payload["path"].as_str().unwrap();
    let file = home.db.synthetic_files().at(&row.dst_decky_uuid, path).await.unwrap().unwrap();
    assert!(file.last_body.starts_with("call the vendor about the late rack order\n"), "{}", file.last_body);
    assert_eq!(file.file.content_class, "note");
}
