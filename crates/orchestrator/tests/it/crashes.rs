//! kill -9 after each step of each kind of deed, and at any time at all.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt as _, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::{Clock, IdSource, SystemIds};
use decnet_db::{FileState, Intent, LifeChange, NewSyntheticFile, OrchestratorQuery};
use serde_json::{Value, json};

use crate::{
    ground::{Home, sha256, until},
    mishaps::{ALL, PAIR},
};

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
