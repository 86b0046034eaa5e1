//! The outbox relay against kill -9 of the worker and of the broker.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use decnet_bus::{Envelope, Topic, Worker, payload};
use decnet_core::{Clock, IdSource, ManualClock, SystemClock, SystemIds};
use decnet_db::{Db, NewOutbox};
use decnet_kit::{Ctx, Exit, Parts, WorkerInfo, run_in};
use futures_util::StreamExt;
use rustix::process::Signal;

use super::ground::{Broker, Home, Process, until};

const PRODUCER: &str = "clusterer";
const PATIENCE: Duration = Duration::from_mins(1);
/// Rows that the relay has in flight at once (`WINDOW` of `outbox.rs`).
const WINDOW: i64 = 512;

fn row(number: usize) -> NewOutbox {
    let topic = Topic::IdentityMerged;
    let event = payload::Merged { winner_uuid: format!("w{number}"), loser_uuid: "l".into() };
    let envelope = Envelope::new(&topic, &event, &SystemClock, &SystemIds).unwrap();
    let id = SystemIds.next_id();
    NewOutbox {
        id,
        producer: PRODUCER.into(),
        subject: topic.subject(),
        topic: topic.label(),
        msg_id: id.to_string(),
        headers: Vec::new(),
        body: String::from_utf8(envelope.to_body().unwrap().to_vec()).unwrap(),
    }
}

/// Waits until no row waits. Not by `until`: an async closure over a reference is not `Send` enough for a worker's body.
async fn settled(db: &Db) {
    let start = Instant::now();
    while db.outbox().backlog(PRODUCER).await.unwrap().0 > 0 {
        assert!(start.elapsed() < Duration::from_secs(8), "rows still wait in spite of the nudge");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The message ids in `EVENTS`, in the order of the stream.
async fn stored(broker: &Broker) -> Vec<String> {
    let client = broker.client().await;
    let stream = async_nats::jetstream::new(client).get_stream("EVENTS").await.unwrap();
    let total = stream.get_info().await.unwrap().state.messages;
    let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
    let mut messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
    let mut ids = Vec::new();
    while (ids.len() as u64) < total {
        let message = tokio::time::timeout(PATIENCE, messages.next()).await.unwrap().unwrap().unwrap();
        ids.push(message.headers.as_ref().unwrap().get("Nats-Msg-Id").unwrap().to_string());
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_killed_run_are_published_exactly_once_though_the_broker_is_killed_too() {
    const ROWS: usize = 20_000;
    let (home, mut broker) = (Home::migrated().await, Broker::provisioned().await);
    let db = home.db().await;
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    for chunk in rows.chunks(1000) {
        db.outbox().insert(chunk).await.unwrap();
    }
    let waiting = async || db.outbox().backlog(PRODUCER).await.unwrap().0;

    let mut first = Process::start(home.variables(&broker), &[]);
    until("some rows are out", PATIENCE, async || waiting().await < ROWS as u64 - 500).await;
    first.signal(Signal::KILL);
    first.end(PATIENCE).await;
    let left = waiting().await;
    assert!(left > 0, "the first run was too quick for this test");

    let mut second = Process::start(home.variables(&broker), &[]);
    until("the second run goes on", PATIENCE, async || waiting().await < left).await;
    broker.kill().await;
    let left = waiting().await;
    assert!(left > 0, "the second run was too quick for this test");
    second.says("outbox rows wait").await;
    broker.start().await;
    until("all rows are out", PATIENCE, async || waiting().await == 0).await;
    second.signal(Signal::TERM);
    assert_eq!(second.end(PATIENCE).await, Some(0), "{}", second.log());

    let ids = stored(&broker).await;
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (ROWS, ROWS), "each row exactly once");
    assert!(rows.iter().all(|row| distinct.contains(&row.msg_id)));
    // A client that lost its broker sends what it still held as soon as it is back, and the relay then sends the whole
    // window again: out of order by at most that window, and only there.
    let mut sorted: Vec<_> = ids.iter().collect();
    sorted.sort_unstable();
    let places: HashMap<_, _> = sorted.into_iter().zip(0_i64..).collect();
    let moved = (0_i64..).zip(&ids).map(|(at, id)| (at - places[id]).abs()).max().unwrap();
    assert!(moved < WINDOW, "a row is {moved} places away from its order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nudge_publishes_at_once_a_bad_row_holds_up_nobody_and_the_last_commit_goes_out_too() {
    let (home, broker) = (Home::migrated().await, Broker::provisioned().await);
    let parts = Parts::new(WorkerInfo::new(Worker::Clusterer, "1"), home.settings(&broker));
    let stop = parts.stop.clone();
    let life = tokio::spawn(run_in(parts, |ctx: Ctx| async move {
        let db = ctx.db_when_open().await.expect("the database opens");
        let outbox = ctx.outbox().clone();
        let mut bad = row(0);
        bad.subject = "not.ours".into();
        let good = row(1);
        db.outbox().insert(&[bad, good]).await?;
        outbox.nudge();
        settled(&db).await;
        ctx.stopping().await;
        // Committed after the stop was asked for, and nobody nudges.
        db.outbox().insert(&[row(2)]).await?;
        Ok(())
    }));
    until("the first two are out", PATIENCE, async || stored(&broker).await.len() == 1).await;
    stop.cancel();
    assert_eq!(life.await.unwrap(), Exit::Done);
    assert_eq!(stored(&broker).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn published_rows_are_kept_for_a_day() {
    let broker = Broker::provisioned().await;
    for (hours, left) in [(23, 1), (25, 0)] {
        let home = Home::migrated().await;
        let db = home.db().await;
        db.outbox().insert(&[row(0)]).await.unwrap();
        let start = SystemClock.now();
        for later in [TimeDelta::zero(), TimeDelta::hours(hours)] {
            let mut parts = Parts::new(WorkerInfo::new(Worker::Clusterer, "1"), home.settings(&broker));
            parts.clock = Arc::new(ManualClock::at(start + later));
            let life = run_in(parts, |ctx: Ctx| async move {
                let db = ctx.db_when_open().await.expect("the database opens");
                ctx.outbox();
                settled(&db).await;
                Ok(())
            });
            assert_eq!(life.await, Exit::Done);
        }
        // Pruning all tells how many there were.
        let all = db.outbox().prune(start + TimeDelta::days(9)).await.unwrap();
        assert_eq!(all, left, "after {hours} hours");
    }
}
