//! Receivers, broker and worker that go away: everything arrives, in order, once.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use decnet_bus::TopicKind;
use tokio::time::Instant;

use crate::{
    receiver::Receiver,
    world::{SECRET, World, eventually},
};

#[tokio::test]
async fn a_receiver_that_was_down_gets_everything_in_order_and_once_whatever_else_dies() {
    let mut world = World::new().await;
    world.start_worker().await;
    let early = Receiver::start().await;
    world.subscribe(World::settings("early", &early.url(), &["identity.>"])).await;
    world.publish(TopicKind::IdentityMerged, "before the subscription").await;
    eventually("it is known to all", async || early.taken().len() == 1).await;
    let address = Receiver::nowhere().await;
    let url = format!("http://{address}/hook");
    let siem = world.subscribe(World::settings("siem", &url, &["identity.>"])).await;

    let mut expected = world.publish_all(0..20).await;
    eventually("a failure is noted", async || world.webhook(siem.uuid).await.health.last_error.is_some())
        .await;
    world.kill_worker().await;
    expected.extend(world.publish_all(20..30).await);
    world.start_worker().await;
    world.nats.kill().await;
    world.nats.restart().await.unwrap();
    expected.extend(world.publish_all(30..40).await);
    let error = world.webhook(siem.uuid).await.health.last_error.unwrap();
    assert!(error.contains("is the receiver running"), "{error}");

    let receiver = Receiver::on(address).await;
    eventually("half of them arrived", async || receiver.taken().len() >= 20).await;
    world.stop_worker().await;
    world.start_worker().await;
    eventually("all arrived", async || receiver.taken().len() >= 40).await;
    assert_eq!(receiver.taken(), expected, "in order, none lost, none repeated");
    let first = &receiver.got()[0];
    assert_eq!(first.header("user-agent"), "decnet-webhook/1.0");
    assert_eq!(first.header("x-decnet-event-topic"), "identity.merged");
    assert_eq!(first.header("x-decnet-event-id"), first.json()["id"]);
    eventually("the row says so", async || {
        let health = world.webhook(siem.uuid).await.health;
        health.last_error.is_none() && health.last_success_at.is_some() && health.waiting == 0
    })
    .await;
    assert!(!world.log().contains(SECRET));
}

#[tokio::test]
async fn a_dead_receiver_delays_nobody_else() {
    let mut world = World::new().await;
    // Takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let dead = world.subscribe(World::settings("dead", &url, &["identity.>"])).await;
    let receiver = Receiver::start().await;
    let live = world.subscribe(World::settings("live", &receiver.url(), &["identity.>"])).await;
    world.start_worker().await;
    world.served(&dead).await;
    world.served(&live).await;
    let mut slowest = Duration::ZERO;
    for number in 0..40 {
        let (name, start) = (format!("event-{number}"), Instant::now());
        world.publish(TopicKind::IdentityMerged, &name).await;
        eventually("it arrived", async || receiver.taken().last() == Some(&name)).await;
        slowest = slowest.max(start.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert_eq!(receiver.taken().len(), 40);
}

#[tokio::test]
async fn an_open_breaker_tries_one_event_now_and_then_and_loses_none() {
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    receiver.always(503);
    let siem = world.subscribe(World::settings("siem", &receiver.url(), &["identity.>"])).await;
    world.start_worker().await;
    let expected = world.publish_all(0..10).await;
    eventually("the breaker is open", async || world.webhook(siem.uuid).await.health.breaker == "open").await;
    let health = world.webhook(siem.uuid).await.health;
    assert!(health.auto_disabled_at.is_some() && health.failure_count >= 5, "{health:?}");
    assert_eq!(health.last_error.as_deref(), Some("the receiver answered 503 Service Unavailable"));
    // Four tries of the first round, four later ones; then only probes, each of the same event.
    let tries = receiver.got().len();
    assert!((8..=10).contains(&tries), "{tries}");
    assert!(receiver.got().iter().all(|got| got.name() == expected[0]));
    eventually("it probes", async || receiver.got().len() > tries).await;

    receiver.always(200);
    eventually("all arrived", async || receiver.taken().len() >= expected.len()).await;
    assert_eq!(receiver.taken(), expected);
    eventually("it is closed", async || {
        let health = world.webhook(siem.uuid).await.health;
        health.breaker == "closed" && health.auto_disabled_at.is_none() && health.failure_count == 0
    })
    .await;
}

#[tokio::test]
async fn the_sample_receiver_takes_what_is_signed_and_nothing_else() {
    let mut world = World::new().await;
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/webhook_receiver.py");
    let start = |secret: &str| {
        let mut child = Command::new("python3")
            .args([sample, "--port", "0"])
            .env("DECNET_WEBHOOK_SECRET", secret)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = said.next().unwrap().unwrap().replace("listening on ", "");
        // Kept open: a receiver whose words nobody takes would fail.
        (Killed(child), url, said)
    };
    let ((mut right, url, _said), (_wrong, other, _refusals)) =
        (start(SECRET), start("another secret altogether"));
    world.subscribe(World::settings("right", &url, &["identity.>"])).await;
    let refused = world.subscribe(World::settings("wrong", &other, &["identity.>"])).await;
    world.start_worker().await;
    let expected = world.publish_all(0..3).await;
    let lines = BufReader::new(right.0.stdout.take().unwrap()).lines();
    let seen = tokio::task::spawn_blocking(move || {
        lines
            .take(3)
            .map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap())
            .collect::<Vec<_>>()
    })
    .await
    .unwrap();
    let names: Vec<_> = seen.iter().map(|event| event["payload"]["winner_uuid"].as_str().unwrap()).collect();
    assert_eq!(names, expected);
    assert_eq!((seen[0]["v"].as_u64(), seen[0]["topic"].as_str()), (Some(1), Some("identity.merged")));
    eventually("refused with 401", async || {
        world.webhook(refused.uuid).await.health.last_error.is_some_and(|error| error.contains("401"))
    })
    .await;
}

struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
