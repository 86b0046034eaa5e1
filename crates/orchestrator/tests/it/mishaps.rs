//! What goes wrong: intruders that change files, crashes at every step, agents that are gone, models that hang.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt as _, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use decnet_bus::{TopicFilter, TopicKind, Worker, payload::FileTampered};
use decnet_core::{Clock, IdSource, SystemIds};
use decnet_db::{
    FileState, IngestBatch, Intent, LifeChange, LifeState, NewLog, NewSyntheticFile, OrchestratorQuery,
    Origin, Paging, SessionFacts,
};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::{Map, Value, json};

use crate::ground::{Home, sha256, until};

const PAIR: &str = "[web]\nservices=ssh,http\n[app]\nservices=ssh\n";
const ALL: Paging = Paging { limit: 1000, offset: 0 };

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

/// One deed in the form in which intents keep it.
struct Begun {
    kind: &'static str,
    path: String,
    step: Value,
}

fn content(path: &str, body: &str, mtime: DateTime<Utc>) -> Value {
    json!({
        "path": path, "mode": 0o644, "uid": 1000, "gid": 1000, "mtime": mtime,
        "sha256": sha256(body.as_bytes()), "body": STANDARD.encode(body),
    })
}

async fn begin(home: &Home, begun: &Begun) {
    let document = json!({
        "at": home.clock.now(), "persona": "Ada Park", "login": "ada", "class": "note", "step": begun.step,
    });
    let intent = Intent {
        uuid: SystemIds.next_id(),
        decky_uuid: "local:web".to_owned(),
        kind: begun.kind.to_owned(),
        path: begun.path.clone(),
        created_at: home.clock.now(),
        document,
    };
    home.db.life().apply(&[LifeChange::Intend(intent)], &[]).await.unwrap();
}

async fn row(home: &Home, path: &str, body: &str) {
    let file = NewSyntheticFile {
        decky_uuid: "local:web".to_owned(),
        path: path.to_owned(),
        persona: "Ada Park".to_owned(),
        login: "ada".to_owned(),
        content_class: "note".to_owned(),
        mtime: home.clock.now() - TimeDelta::days(2),
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        content_hash: sha256(body.as_bytes()),
        body: body.as_bytes().to_vec(),
        edit_count: Some(0),
        last_event_uuid: None,
    };
    home.db.life().apply(&[LifeChange::File(Box::new(file))], &[]).await.unwrap();
}

/// The state after a crash at each step of each kind of deed, and what the next start makes of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_settles_whatever_a_crash_left_open() {
    let home = Home::new(3).await;
    home.deploy(PAIR).await;
    let life = home.life();
    home.aged("web").await;
    home.aged("app").await;
    life.kill().await;
    // Whatever the one above was at when it was killed is not this test's.
    for intent in home.db.life().intents().await.unwrap() {
        home.db.life().apply(&[LifeChange::Settle(intent.uuid)], &[]).await.unwrap();
    }
    let before = home.clock.now();
    let at = before - TimeDelta::hours(1);
    let disk = |path: &str, body: &str| {
        let path = home.on_disk("web", path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
    };
    let create = |path: &str| Begun {
        kind: "create",
        path: path.to_owned(),
        step: json!({"step": "create", "file": content(path, "new\n", at)}),
    };
    let edit = |path: &str| Begun {
        kind: "edit",
        path: path.to_owned(),
        step: json!({"step": "edit", "file": content(path, "old\nnew\n", at), "previous": sha256(b"old\n")}),
    };
    let rotate = |from: &str, rewritten: bool| {
        let to = format!("{from}.1");
        let body = if rewritten { "packed" } else { "old\n" };
        Begun {
            kind: "rotate",
            path: from.to_owned(),
            step: json!({
                "step": "rotate", "from": from, "previous": sha256(b"old\n"), "file": content(&to, body, at),
                "rewritten": rewritten, "replaces": null,
            }),
        }
    };
    let delete = |path: &str| Begun {
        kind: "delete",
        path: path.to_owned(),
        step: json!({"step": "delete", "path": path, "previous": sha256(b"old\n")}),
    };
    for known in ["e1", "e2", "e3", "e4", "r1", "r2", "r3", "r4", "d1", "d2", "d3"] {
        row(&home, &format!("/srv/{known}"), "old\n").await;
    }
    // Never begun; done; something else is there.
    begin(&home, &create("/srv/c1")).await;
    begin(&home, &create("/srv/c2")).await;
    disk("/srv/c2", "new\n");
    begin(&home, &create("/srv/c3")).await;
    disk("/srv/c3", "somebody's\n");
    // Not done; done; changed by somebody; removed by somebody.
    for path in ["/srv/e1", "/srv/e2", "/srv/e3", "/srv/e4"] {
        begin(&home, &edit(path)).await;
    }
    disk("/srv/e1", "old\n");
    disk("/srv/e2", "old\nnew\n");
    disk("/srv/e3", "somebody's\n");
    // Not done; renamed; packed and not yet removed; packed and removed.
    begin(&home, &rotate("/srv/r1", false)).await;
    disk("/srv/r1", "old\n");
    begin(&home, &rotate("/srv/r2", false)).await;
    disk("/srv/r2.1", "old\n");
    begin(&home, &rotate("/srv/r3", true)).await;
    disk("/srv/r3", "old\n");
    disk("/srv/r3.1", "packed");
    begin(&home, &rotate("/srv/r4", true)).await;
    disk("/srv/r4.1", "packed");
    // Not done; done; changed by somebody.
    for path in ["/srv/d1", "/srv/d2", "/srv/d3"] {
        begin(&home, &delete(path)).await;
    }
    disk("/srv/d1", "old\n");
    disk("/srv/d3", "somebody's\n");

    let life = home.life();
    until("every intent is settled", async || {
        home.db.life().intents().await.unwrap().is_empty().then_some(())
    })
    .await;
    life.stop().await;

    let files: BTreeMap<String, (FileState, Vec<u8>)> = home
        .shelf("web")
        .await
        .into_iter()
        .filter(|row| row.file.path.starts_with("/srv/"))
        .map(|row| (row.file.path, (row.file.state, row.body.unwrap())))
        .collect();
    let is = |path: &str, state, body: &str| {
        assert_eq!(files.get(path), Some(&(state, body.as_bytes().to_vec())), "{path}");
    };
    let on_disk = |path: &str| std::fs::read_to_string(home.on_disk("web", path)).ok();
    assert!(!files.contains_key("/srv/c1") && !files.contains_key("/srv/c3"));
    is("/srv/c2", FileState::Planted, "new\n");
    is("/srv/e1", FileState::Planted, "old\n");
    is("/srv/e2", FileState::Planted, "old\nnew\n");
    is("/srv/e3", FileState::Diverged, "old\n");
    is("/srv/e4", FileState::Lost, "old\n");
    is("/srv/r1", FileState::Planted, "old\n");
    is("/srv/r2.1", FileState::Planted, "old\n");
    is("/srv/r3.1", FileState::Planted, "packed");
    is("/srv/r4.1", FileState::Planted, "packed");
    for gone in ["/srv/r2", "/srv/r3", "/srv/r4", "/srv/d2"] {
        assert!(!files.contains_key(gone) && on_disk(gone).is_none(), "{gone}");
    }
    is("/srv/d1", FileState::Planted, "old\n");
    is("/srv/d3", FileState::Diverged, "old\n");
    for path in ["/srv/c3", "/srv/e3", "/srv/d3"] {
        assert_eq!(on_disk(path).as_deref(), Some("somebody's\n"), "{path} is not ours to touch");
    }
    // Each of what was done is one row; what was never begun is none.
    let page = OrchestratorQuery {
        since: Some(before - TimeDelta::seconds(1)),
        paging: ALL,
        ..OrchestratorQuery::default()
    };
    let rows = home.db.orchestrator().page(&page).await.unwrap().data;
    let of = |path: &str| rows.iter().filter(|row| row.payload["path"] == path).count();
    for (path, count) in [
        ("c1", 0),
        ("c2", 1),
        ("e1", 0),
        ("e2", 1),
        ("e3", 1),
        ("r1", 0),
        ("r2", 1),
        ("r3", 1),
        ("d1", 0),
        ("d2", 1),
    ] {
        assert_eq!(of(&format!("/srv/{path}")), count, "{path}");
    }
}

/// kill -9 again and again, with the machine's own clock.
#[tokio::test(flavor = "multi_thread")]
async fn no_crash_leaves_an_orphan_or_a_twin() {
    let mut home = Home::new(4).await;
    home.deploy(PAIR).await;
    let listing = |home: &Home| {
        let mut all = Vec::new();
        for decky in ["web", "app"] {
            let root = home.on_disk(decky, "/");
            walk(&root, &mut |path, meta| {
                let inside = path.strip_prefix(&root).unwrap();
                all.push((decky, format!("/{}", inside.display()), meta.ino()));
            });
        }
        all
    };
    let original: Vec<String> =
        listing(&home).into_iter().map(|(decky, path, _)| format!("{decky}{path}")).collect();
    for millis in [120u64, 250, 330, 420, 520, 650, 800, 1000, 1300] {
        let mut child = home.orchestrator(&["--once"]);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    home.kill_agent();
    home.start_agent();
    let status = tokio::task::block_in_place(|| home.orchestrator(&["--once"]).wait().unwrap());
    assert!(status.success(), "{status}");

    assert!(home.db.life().intents().await.unwrap().is_empty());
    let mut known = std::collections::BTreeSet::new();
    for decky in ["web", "app"] {
        let state = home.db.life().state(&format!("local:{decky}")).await.unwrap().unwrap();
        assert!(state.aged_at.is_some());
        for row in home.shelf(decky).await {
            let body = std::fs::read(home.on_disk(decky, &row.file.path)).expect(&row.file.path);
            assert_eq!(sha256(&body), row.file.content_hash, "{decky}: {}", row.file.path);
            assert!(known.insert(format!("{decky}{}", row.file.path)), "twice: {}", row.file.path);
        }
    }
    let orphans: Vec<String> = listing(&home)
        .into_iter()
        .map(|(decky, path, _)| format!("{decky}{path}"))
        .filter(|path| !original.contains(path) && !known.contains(path))
        .collect();
    assert!(orphans.is_empty(), "{orphans:#?}");
}

fn walk(folder: &std::path::Path, found: &mut impl FnMut(&std::path::Path, &std::fs::Metadata)) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let meta = entry.path().symlink_metadata().unwrap();
        if meta.is_dir() {
            walk(&entry.path(), found);
        } else {
            found(&entry.path(), &meta);
        }
    }
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
