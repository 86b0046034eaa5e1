//! The worker inside this process: wake-ups by real events, orders, the heartbeat's own part, how failures end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use decnet_bus::{Topic, TopicFilter, TopicKind, Worker, payload};
use decnet_kit::{Ctx, Exit, Parts, Timing, Wake, WorkerInfo, run_in};
use tokio_util::sync::CancellationToken;

use super::ground::{Broker, Home, until};

const SOON: Duration = Duration::from_secs(20);
const RARELY: Duration = Duration::from_secs(3600);
const CONTROL: &str = "decnet.system.local.clusterer.control";

async fn parts(broker: &Broker) -> (Home, Parts, CancellationToken) {
    let home = Home::migrated().await;
    let info = WorkerInfo::new(Worker::Clusterer, "1.2.3");
    let parts = Parts::new(info, home.settings(broker));
    let stop = parts.stop.clone();
    (home, parts, stop)
}

fn notices() -> TopicFilter {
    TopicFilter::kind(TopicKind::NoticeWebhookChanged)
}

/// Counts passes and the events that led to them.
#[derive(Clone, Default)]
struct Count {
    passes: Arc<AtomicUsize>,
    events: Arc<AtomicUsize>,
}

impl Count {
    fn passes(&self) -> usize {
        self.passes.load(Ordering::SeqCst)
    }

    fn events(&self) -> usize {
        self.events.load(Ordering::SeqCst)
    }

    fn note(&self, wake: Wake) {
        if let Wake::Events(n) = wake {
            self.events.fetch_add(n, Ordering::SeqCst);
        }
        self.passes.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_500_events_is_one_or_two_passes() {
    let broker = Broker::running().await;
    let (_home, parts, stop) = parts(&broker).await;
    let count = Count::default();
    let seen = count.clone();
    let life = tokio::spawn(run_in(parts, move |ctx: Ctx| async move {
        assert!(ctx.bus().connected_within(SOON).await);
        let mut wakeups = ctx.wakeups(RARELY).on(ctx.bus(), &notices()).await;
        while let Some(wake) = wakeups.next().await {
            seen.note(wake);
            ctx.progress();
        }
        Ok(())
    }));
    until("the first pass", SOON, async || { count.passes() == 1 }).await;
    let api = broker.bus(Worker::Api).await;
    until("its subscription is heard", SOON, async || {
        api.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
        count.events() > 0
    })
    .await;
    // Stragglers of the probing above.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let (passes, events) = (count.passes(), count.events());
    for _ in 0..500 {
        api.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
    }
    until("all 500 events are folded in", SOON, async || { count.events() == events + 500 }).await;
    let burst = count.passes() - passes;
    assert!((1..=2).contains(&burst), "{burst} passes for one burst");
    stop.cancel();
    assert_eq!(life.await.unwrap(), Exit::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn own_events_do_not_wake_and_those_of_others_do() {
    let broker = Broker::running().await;
    let (_home, parts, stop) = parts(&broker).await;
    let count = Count::default();
    let seen = count.clone();
    let life = tokio::spawn(run_in(parts, move |ctx: Ctx| async move {
        assert!(ctx.bus().connected_within(SOON).await);
        let mut wakeups = ctx.wakeups(RARELY).on(ctx.bus(), &notices()).await;
        while let Some(wake) = wakeups.next().await {
            for _ in 0..50 {
                ctx.bus().publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
            }
            seen.note(wake);
        }
        Ok(())
    }));
    let api = broker.bus(Worker::Api).await;
    let mut ear = api.subscribe(&notices()).await;
    until("the first pass", SOON, async || { count.passes() == 1 }).await;
    // The events of the first pass are on the server before ours is.
    let mut sent = 0;
    until("another's event wakes", SOON, async || {
        count.events() > 0 || {
            api.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
            false
        }
    })
    .await;
    stop.cancel();
    assert_eq!(life.await.unwrap(), Exit::Done);
    while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(500), ear.recv()).await {
        sent += 1;
    }
    assert!(sent >= 50, "the worker's own events were really published: {sent}");
    assert!(count.events() < 50, "{} events woke it: its own are among them", count.events());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_malformed_orders_are_ignored() {
    let broker = Broker::running().await;
    let (_home, parts, _stop) = parts(&broker).await;
    let life = tokio::spawn(run_in(parts, |ctx: Ctx| async move {
        ctx.stopping().await;
        Ok(())
    }));
    let client = async_nats::connect(broker.url()).await.unwrap();
    until("the worker listens", SOON, async || {
        let order = r#"{"action":"dance","requested_by":"ann","ts":1}"#;
        let answer =
            tokio::time::timeout(Duration::from_millis(200), client.request(CONTROL, order.into())).await;
        // Nobody there = an error at once; somebody who ignores us = silence.
        answer.is_err()
    })
    .await;
    for order in [
        "",
        "stop",
        "[]",
        "\u{0}",
        r#"{"action":"stop"}"#,
        r#"{"action":"start","requested_by":"ann","ts":1}"#,
    ] {
        client.publish_with_reply(CONTROL, client.new_inbox(), order.into()).await.unwrap();
    }
    let order = r#"{"action":"stop","requested_by":"ann","ts":1.5,"more":"is fine"}"#;
    let answer = tokio::time::timeout(SOON, client.request(CONTROL, order.into())).await.unwrap().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(answer["ok"]["action"], "stop", "{answer}");
    assert_eq!(life.await.unwrap(), Exit::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_beat_goes_on_when_its_callback_fails_and_carries_what_it_adds() {
    let broker = Broker::running().await;
    let (_home, mut parts, stop) = parts(&broker).await;
    parts.timing = Timing { beat: Duration::from_millis(100), ..Timing::default() };
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let api = broker.bus(Worker::Api).await;
    let mut health = api.subscribe(&TopicFilter::kind(TopicKind::SystemHealth)).await;
    let life = tokio::spawn(run_in(parts, move |ctx: Ctx| async move {
        ctx.heartbeat_extra(Box::new(move || match counted.fetch_add(1, Ordering::SeqCst) % 3 {
            0 => anyhow::bail!("the disk is full"),
            1 => panic!("the callback is broken (this panic belongs to the test)"),
            n => Ok([("calls".to_owned(), n.into()), ("worker".to_owned(), "forged".into())]
                .into_iter()
                .collect()),
        }));
        ctx.stopping().await;
        Ok(())
    }));
    let (mut plain, mut enriched) = (0, 0);
    while plain < 2 || enriched < 1 {
        let beat = tokio::time::timeout(SOON, health.recv()).await.expect("the beat goes on").unwrap();
        let beat: payload::Heartbeat = beat.envelope.decode().unwrap();
        assert_eq!((beat.worker.as_str(), beat.version.as_deref()), ("clusterer", Some("1.2.3")));
        if beat.extra.contains_key("calls") { enriched += 1 } else { plain += 1 }
    }
    stop.cancel();
    assert_eq!(life.await.unwrap(), Exit::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_and_stops_end_with_the_right_verdict() {
    async fn verdict<F, Fut>(body: F) -> Exit
    where
        F: FnOnce(Ctx) -> Fut + Send + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (_home, mut parts, _stop) = parts(&Broker::absent()).await;
        parts.timing = Timing { stop_bound: Duration::from_secs(1), ..Timing::default() };
        tokio::time::timeout(SOON, run_in(parts, body)).await.expect("the bound holds")
    }
    assert_eq!(verdict(|_| async { Ok(()) }).await, Exit::Done, "work that is done");
    assert_eq!(verdict(|_| async { anyhow::bail!("no") }).await, Exit::Failed, "a failed body");
    assert_eq!(verdict(|_| async { panic!("on purpose, by a test") }).await, Exit::Failed, "a panicked body");
    let task_fails = verdict(|ctx: Ctx| async move {
        ctx.spawn("part", async { anyhow::bail!("lost") });
        ctx.stopping().await;
        Ok(())
    });
    assert_eq!(task_fails.await, Exit::Failed, "a failed part");
    let task_panics = verdict(|ctx: Ctx| async move {
        ctx.spawn("part", async { panic!("on purpose, by a test") });
        ctx.stopping().await;
        Ok(())
    });
    assert_eq!(task_panics.await, Exit::Failed, "a panicked part");
    let fails_late = verdict(|ctx: Ctx| async move {
        ctx.stop();
        ctx.stopping().await;
        anyhow::bail!("while stopping")
    });
    assert_eq!(fails_late.await, Exit::Done, "asked to stop: a failure on the way out must not restart it");
    let never_ends = verdict(|ctx: Ctx| async move {
        ctx.stop();
        std::future::pending().await
    });
    assert_eq!(never_ends.await, Exit::Done, "cut at the bound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_the_parts_and_their_work() {
    let (_home, parts, stop) = parts(&Broker::absent()).await;
    let finished = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&finished);
    let life = tokio::spawn(run_in(parts, move |ctx: Ctx| async move {
        let part = ctx.clone();
        ctx.spawn("part", async move {
            part.stopping().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            seen.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        ctx.stopping().await;
        Ok(())
    }));
    stop.cancel();
    assert_eq!(life.await.unwrap(), Exit::Done);
    assert_eq!(finished.load(Ordering::SeqCst), 1, "the part was not waited for");
}
