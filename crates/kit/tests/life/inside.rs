//! The worker inside this process: wake-ups by real events, orders, the heartbeat's own part, how failures end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use decnet_bus::{Bus, Topic, TopicFilter, TopicKind, Worker, payload};
use decnet_core::DeckyId;
use decnet_kit::{Ctx, Exit, Parts, Timing, Wake, WorkerInfo, run_in};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::ground::{Broker, Home, until};

const SOON: Duration = Duration::from_secs(20);
const RARELY: Duration = Duration::from_hours(1);
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

/// Publishes until the worker's subscription is heard; how many it took.
async fn probe(api: &Bus, count: &Count) -> usize {
    let mut sent = 0;
    until("another's event wakes the worker", SOON, async || {
        let woken = count.events() > 0;
        if !woken {
            api.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
            sent += 1;
        }
        woken
    })
    .await;
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_500_events_is_one_or_two_passes() {
    let broker = Broker::running().await;
    let (_home, parts, stop) = parts(&broker).await;
    let (count, gate) = (Count::default(), Arc::new(Semaphore::new(0)));
    let (seen, door) = (count.clone(), Arc::clone(&gate));
    let life = tokio::spawn(run_in(parts, move |ctx: Ctx| async move {
        assert!(ctx.bus().connected_within(SOON).await);
        let mut wakeups = ctx.wakeups(RARELY).on(ctx.bus(), &notices()).await;
        while let Some(wake) = wakeups.next().await {
            seen.note(wake);
            if seen.passes() == 2 {
                // A long pass, during which the burst comes in.
                let _ = door.acquire().await?;
            }
        }
        Ok(())
    }));
    until("the first pass", SOON, async || count.passes() == 1).await;
    let api = broker.bus(Worker::Api).await;
    probe(&api, &count).await;
    let mut ear = broker.bus(Worker::Webhook).await.subscribe(&notices()).await;
    until("a bystander hears too", SOON, async || {
        api.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
        tokio::time::timeout(Duration::from_millis(100), ear.recv()).await.is_ok()
    })
    .await;
    let before = count.events();
    for _ in 0..500 {
        api.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
    }
    // Once another subscriber has the last of them, the server has handed them to the worker too.
    let mut heard = 0;
    until("a bystander heard the burst", SOON, async || {
        while tokio::time::timeout(Duration::from_millis(50), ear.recv()).await.is_ok() {
            heard += 1;
        }
        heard >= 500
    })
    .await;
    assert_eq!(count.passes(), 2, "the second pass still goes on");
    gate.add_permits(100);
    until("all 500 events are folded in", SOON, async || count.events() >= before + 500).await;
    let passes = count.passes() - 2;
    assert!((1..=2).contains(&passes), "{passes} passes for one burst");
    stop.cancel();
    assert_eq!(life.await.unwrap(), Exit::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn own_events_do_not_wake_and_those_of_others_do() {
    let broker = Broker::running().await;
    let (_home, parts, stop) = parts(&broker).await;
    let count = Count::default();
    let seen = count.clone();
    let api = broker.bus(Worker::Api).await;
    let mut ear = api.subscribe(&notices()).await;
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
    for _ in 0..50 {
        let own = tokio::time::timeout(SOON, ear.recv()).await;
        assert!(own.is_ok_and(|event| event.is_some()), "the worker's own events are really published");
    }
    // Now its own 50 are on the server, and its subscription was there before them.
    let sent = probe(&api, &count).await;
    stop.cancel();
    assert_eq!(life.await.unwrap(), Exit::Done);
    assert!(count.events() <= sent, "{} events woke it, others sent {sent}", count.events());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_came_while_the_worker_was_away_wake_it_once() {
    let broker = Broker::provisioned().await;
    let agent = broker.bus(Worker::Agent).await;
    let id: DeckyId = "local:web-01".parse().unwrap();
    let topic = Topic::decky_state(&id);
    let event = payload::DeckyState {
        host_uuid: id.host.clone(),
        name: id.name.to_string(),
        state: "running".into(),
        transition: "insert".into(),
        source: "fleet".into(),
        previous_state: None,
    };
    for number in 0..200 {
        let envelope = agent.envelope(&topic, &event).unwrap();
        agent.publish_acked(&topic, &format!("event-{number}"), &envelope).await.unwrap();
    }
    let (_home, mut parts, stop) = parts(&broker).await;
    parts.info = WorkerInfo::new(Worker::Orchestrator, "1.2.3");
    let count = Count::default();
    let seen = count.clone();
    let life = tokio::spawn(run_in(parts, move |ctx: Ctx| async move {
        let mut wakeups = ctx.wakeups(RARELY).on_wakes_of(ctx.bus(), ctx.worker()).await;
        while let Some(wake) = wakeups.next().await {
            seen.note(wake);
        }
        Ok(())
    }));
    until("all events are folded in", SOON, async || count.events() == 200).await;
    assert!((2..=3).contains(&count.passes()), "{} passes", count.passes());
    stop.cancel();
    assert_eq!(life.await.unwrap(), Exit::Done);
    let jetstream = async_nats::jetstream::new(broker.client().await);
    let stream = jetstream.get_stream("EVENTS").await.unwrap();
    let info = stream.consumer_info(Worker::Orchestrator.as_str()).await.unwrap();
    assert_eq!((info.num_pending, info.num_ack_pending), (0, 0), "nothing comes again");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_malformed_orders_are_ignored() {
    let broker = Broker::running().await;
    let (_home, parts, _stop) = parts(&broker).await;
    let life = tokio::spawn(run_in(parts, |ctx: Ctx| async move {
        ctx.stopping().await;
        Ok(())
    }));
    let client = broker.client().await;
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
