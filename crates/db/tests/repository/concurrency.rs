//! Sixteen writers at once: no twins, exact counters, one first sighting.

use std::collections::BTreeMap;
use std::sync::Arc;

use decnet_db::{
    AttackerQuery, CredentialQuery, Db, DbOptions, IngestBatch, IngestOutcome, Paging, SessionQuery,
};

use crate::lines::{command, events, goodbye, login};
use crate::place::on_each;

const WRITERS: u64 = 16;
const BATCHES: u64 = 8;
const LINES: u64 = 20;

/// Batch `n` of writer `w`: all writers share five addresses and three passwords.
fn share(writer: u64, n: u64) -> IngestBatch {
    let source = format!("file-{writer}");
    let logs = (0..LINES)
        .map(|at| {
            let seq = n * LINES + at;
            let ip = format!("198.51.100.{}", seq % 5);
            let conn = format!("w{writer}-{}", seq / 4);
            match seq % 4 {
                0 => command(&source, seq, &ip, &conn, "id"),
                3 => goodbye(&source, seq, &ip, &conn),
                _ => login(
                    &source,
                    seq,
                    &ip,
                    &conn,
                    Some("root"),
                    ["a", "b", "c"][usize::try_from(seq % 3).unwrap()],
                ),
            }
        })
        .collect();
    IngestBatch { logs, rejected: Vec::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_count_exactly() {
    on_each(async |place| {
        // Each writer has its own connections, as processes have, and sends every batch twice.
        let url: Arc<str> = place.url.as_str().into();
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let url = url.clone();
            writers.spawn(async move {
                let options = DbOptions {
                    readers: 1,
                    patience: std::time::Duration::from_secs(30),
                    ..DbOptions::default()
                };
                let db = Db::connect(&url, options).await.unwrap();
                let mut sum = IngestOutcome::default();
                for n in 0..BATCHES {
                    // The twin of the neighbour's batch races with the neighbour.
                    for batch in [share(writer, n), share((writer + 1) % WRITERS, n)] {
                        let outcome = db.ingest(&batch, events).await.unwrap();
                        sum.logs_inserted += outcome.logs_inserted;
                        sum.logs_duplicate += outcome.logs_duplicate;
                        sum.new_attackers += outcome.new_attackers;
                        sum.sessions_started += outcome.sessions_started;
                        sum.sessions_ended += outcome.sessions_ended;
                        sum.outbox_rows += outcome.outbox_rows;
                    }
                }
                db.close().await.unwrap();
                sum
            });
        }
        let sums = writers.join_all().await;
        let total = |pick: fn(&IngestOutcome) -> u64| sums.iter().map(pick).sum::<u64>();
        let lines = WRITERS * BATCHES * LINES;
        assert_eq!(total(|sum| sum.logs_inserted), lines);
        assert_eq!(total(|sum| sum.logs_duplicate), lines);
        assert_eq!(total(|sum| sum.new_attackers), 5, "each address is seen for the first time once");
        assert_eq!(total(|sum| sum.sessions_started), lines / 4);
        assert_eq!(total(|sum| sum.sessions_ended), lines / 4);

        let (mut events_of, mut secrets) = (BTreeMap::new(), BTreeMap::new());
        for log in (0..WRITERS).flat_map(|w| (0..BATCHES).flat_map(move |n| share(w, n).logs)) {
            let ip = log.attacker_ip.unwrap().to_string();
            *events_of.entry(ip.clone()).or_insert(0u64) += 1;
            if let Some(secret) = log.credential {
                *secrets.entry((ip, secret.secret_sha256)).or_insert(0u64) += 1;
            }
        }
        let paging = Paging { limit: 1000, offset: 0 };
        let attackers =
            place.db.attackers().page(&AttackerQuery { paging, ..AttackerQuery::default() }).await.unwrap();
        let counted: BTreeMap<_, _> = attackers.data.iter().map(|a| (a.ip.clone(), a.event_count)).collect();
        assert_eq!(counted, events_of);
        for attacker in &attackers.data {
            let own = secrets.keys().filter(|(ip, _)| *ip == attacker.ip).count();
            assert_eq!(attacker.credential_count, own as u64, "{}", attacker.ip);
        }
        let credentials = place
            .db
            .credentials()
            .page(&CredentialQuery { paging, ..CredentialQuery::default() })
            .await
            .unwrap();
        let counted: BTreeMap<_, _> = credentials
            .data
            .iter()
            .map(|c| ((c.attacker_ip.clone(), c.secret_sha256.clone()), c.attempt_count))
            .collect();
        assert_eq!(counted, secrets);
        let sessions =
            place.db.sessions().page(&SessionQuery { paging, ..SessionQuery::default() }).await.unwrap();
        assert_eq!(sessions.total, lines / 4);
        assert!(sessions.data.iter().all(|session| session.event_count == 4 && session.ended_at.is_some()));
        assert_eq!(
            sessions.data.iter().map(|session| session.auth_count).sum::<u64>(),
            secrets.values().sum::<u64>()
        );
        assert_eq!(
            total(|sum| sum.outbox_rows),
            u64::try_from(place.number("SELECT COUNT(*) FROM outbox").await).unwrap()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_and_a_key_are_taken_once() {
    on_each(async |place| {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..WRITERS {
            let db = place.db.clone();
            tasks.spawn(async move {
                db.state().set("cursor", &n).await.unwrap();
                let new = decnet_db::NewUser {
                    username: "admin".into(),
                    password_hash: n.to_string(),
                    role: decnet_db::Role::Admin,
                    must_change_password: true,
                };
                u32::from(db.users().create(new).await.unwrap().is_some())
            });
        }
        assert_eq!(tasks.join_all().await.into_iter().sum::<u32>(), 1);
        assert!(place.db.state().get::<u64>("cursor").await.unwrap().unwrap() < WRITERS);
        assert_eq!(place.db.users().list().await.unwrap().len(), 1);
    })
    .await;
}
