//! A fleet that is left alone: what is on its disks, in its tables and on the bus afterwards.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use decnet_bus::{
    TopicFilter, TopicKind, Worker,
    payload::{OrchestratorAction, OrchestratorEmail},
};
use decnet_core::Clock;
use decnet_db::{EmailQuery, FileState, OrchestratorQuery, Paging};
use futures_util::{FutureExt as _, StreamExt as _};

use crate::ground::{Home, sha256};

const FLEET: &str = "[web]\nservices=ssh,http\n[mail]\nservices=ssh,imap\n[app]\nservices=ssh\n";
const DECKIES: [&str; 3] = ["web", "mail", "app"];

/// Everything that the tables know is on the disks, byte for byte.
async fn in_order(home: &Home) {
    for decky in DECKIES {
        for row in home.shelf(decky).await {
            if row.file.state != FileState::Planted {
                continue;
            }
            let (body, reply) = home.read(decky, &row.file.path).await.expect(&row.file.path);
            assert_eq!(sha256(&body), row.file.content_hash, "{decky}: {}", row.file.path);
            assert_eq!(row.body.as_ref(), Some(&body), "{decky}: {}", row.file.path);
            if let Some(stat) = reply.stat {
                assert_eq!(stat.mtime, row.file.planted_mtime, "{}", row.file.path);
                assert_eq!((stat.mode & 0o7777, stat.uid), (row.file.mode, row.file.uid));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_fleet_is_born_with_a_past_and_lives_on() {
    let home = Home::new(1).await;
    home.deploy(FLEET).await;
    let listener = home.listener(Worker::Api).await;
    let mut told = listener.subscribe(&TopicFilter::kind(TopicKind::OrchestratorFile)).await;
    let mut mailed = listener.subscribe(&TopicFilter::kind(TopicKind::OrchestratorEmail)).await;
    let mut connected = listener.subscribe(&TopicFilter::kind(TopicKind::OrchestratorTraffic)).await;
    let life = home.life();
    let begin = home.clock.now();
    for decky in DECKIES {
        let state = home.aged(decky).await;
        let age = begin - state.born;
        assert!(age > TimeDelta::weeks(3) && age < TimeDelta::weeks(10), "{age}");
        let shelf = home.shelf(decky).await;
        assert!(shelf.len() > 30, "{decky}: {} files", shelf.len());
        assert!(shelf.iter().any(|row| row.file.path.ends_with("/.bash_history")));
        assert!(shelf.iter().any(|row| row.file.edit_count > 0));
        assert!(
            shelf.iter().all(|row| row.file.planted_mtime > state.born && row.file.planted_mtime < begin)
        );
    }
    in_order(&home).await;
    let past = EmailQuery { mail_decky_uuid: Some("local:mail".into()), ..EmailQuery::default() };
    let old = home.db.emails().page(&past).await.unwrap().total;
    assert!(old > 20, "{old} messages");

    // A working day.
    let page =
        OrchestratorQuery { paging: Paging { limit: 1000, offset: 0 }, ..OrchestratorQuery::default() };
    let counts = async || {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for row in home.db.orchestrator().page(&page).await.unwrap().data {
            *counts.entry(row.action.split(':').take(2).collect::<Vec<_>>().join(":")).or_default() += 1;
        }
        let mails = home.db.emails().page(&past).await.unwrap().total - old;
        counts.insert("mail".to_owned(), u32::try_from(mails).unwrap());
        counts
    };
    let lived = home
        .live_until("of everything a little", TimeDelta::hours(30), async || {
            let counts = counts().await;
            let least = |what: &str, least: u32| counts.get(what).is_some_and(|count| *count >= least);
            (least("file:create", 8) && least("file:edit", 3) && least("connect:22", 3) && least("mail", 2))
                .then_some(counts)
        })
        .await;
    life.stop().await;
    println!("{lived:?}");
    in_order(&home).await;
    assert!(home.db.life().intents().await.unwrap().is_empty());

    // One row and one message each, with the same id; no bodies on the bus.
    let rows: BTreeMap<String, _> = home
        .db
        .orchestrator()
        .page(&page)
        .await
        .unwrap()
        .data
        .into_iter()
        .map(|row| (row.uuid.to_string(), row))
        .collect();
    let mut seen = BTreeSet::new();
    for events in [&mut told, &mut connected] {
        while let Some(Some(event)) = events.next().now_or_never() {
            let action: OrchestratorAction = event.envelope.decode().unwrap();
            let row = rows.values().find(|row| {
                row.ts == action.ts
                    && row.action == action.action
                    && row.dst_decky_uuid == action.dst_decky_uuid
                    && row.src_decky_uuid == action.src_decky_uuid
                    // More than one in one moment: a clock that stands still, a log that rotates.
                    && row.payload.as_object() == Some(&action.payload)
            });
            let row = row.unwrap_or_else(|| panic!("no row of {action:?}"));
            assert_eq!((&row.kind, &row.dst_decky_uuid), (&action.kind, &action.dst_decky_uuid));
            assert_eq!(row.success, action.success);
            assert!(serde_json::to_string(&action).unwrap().len() < 4096);
            assert!(!action.payload.contains_key("body"));
            assert!(seen.insert(row.uuid), "told twice");
        }
    }
    assert_eq!(seen.len(), rows.len());
    let failed: Vec<_> = rows.values().filter(|row| !row.success).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let mut mails = 0;
    while let Some(Some(event)) = mailed.next().now_or_never() {
        let mail: OrchestratorEmail = event.envelope.decode().unwrap();
        assert!(mail.success && mail.mail_decky_uuid == "local:mail");
        mails += 1;
    }
    assert_eq!(mails, lived["mail"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_the_next_day_and_touches_nothing() {
    let home = Home::new(30).await;
    home.deploy("[web]\nservices=ssh,http\n[app]\nservices=ssh\n").await;
    let child = home.orchestrator(&["--dry-run"]);
    let output = tokio::task::block_in_place(|| child.wait_with_output().unwrap());
    assert!(output.status.success(), "{}", output.status);
    let lines: Vec<serde_json::Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert!(lines.len() > 10, "{lines:#?}");
    let kinds: BTreeSet<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains("traffic") && kinds.contains("create"), "{kinds:?}");
    assert!(lines.is_sorted_by_key(|line| line["at"].as_str().unwrap().to_owned()));
    assert!(home.shelf("web").await.is_empty() && home.db.life().states().await.unwrap().is_empty());
    assert_eq!(home.db.orchestrator().page(&OrchestratorQuery::default()).await.unwrap().total, 0);
}
