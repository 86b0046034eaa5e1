//! Trying a receiver over the bus, and what never shows.

use std::time::Duration;

use decnet_bus::payload::{WebhookTestRequest, WebhookTested};
use decnet_db::Webhook;

use crate::{
    receiver::Receiver,
    world::{SECRET, World, ask},
};

impl World {
    async fn try_it(&self, webhook: &Webhook) -> WebhookTested {
        let question = WebhookTestRequest { webhook: webhook.uuid.to_string() };
        self.api.request(&ask(), &question, Duration::from_secs(15)).await.unwrap()
    }
}

#[tokio::test]
async fn a_trial_is_one_post_that_counts_nowhere() {
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    let siem = world.subscribe(World::settings("siem", &receiver.url(), &["identity.>"])).await;
    world.start_worker().await;
    world.served(&siem).await;
    let before = world.webhook(siem.uuid).await.health;

    let good = world.try_it(&siem).await;
    assert_eq!(good, WebhookTested { delivered: true, status_code: Some(200), error: None });
    let got = receiver.got().pop().unwrap();
    assert_eq!(
        (got.json()["topic"].as_str(), got.header("x-decnet-event-topic")),
        (Some("test.ping"), "test.ping")
    );
    receiver.next(&[(500, None), (404, None)]);
    for status in [500, 404] {
        let bad = world.try_it(&siem).await;
        assert_eq!((bad.delivered, bad.status_code), (false, Some(status)));
        assert!(bad.error.unwrap().contains(&status.to_string()));
    }
    assert_eq!(receiver.got().len(), 3, "one try each");
    let after = world.webhook(siem.uuid).await.health;
    assert_eq!(
        (after.failure_count, after.last_error, after.last_success_at),
        (before.failure_count, None, None)
    );

    // Addresses that were not allowed are not called, whoever asks.
    let mut closed = World::settings("closed", &receiver.url().replace("http:", "https:"), &["identity.>"]);
    closed.allow_cidrs.clear();
    let closed = world.subscribe(closed).await;
    let refused = world.try_it(&closed).await;
    assert_eq!((refused.delivered, refused.status_code), (false, None));
    assert!(refused.error.unwrap().contains("not public"));
    assert_eq!(receiver.got().len(), 3);
}

#[tokio::test]
async fn the_secret_is_nowhere_but_sealed() {
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    receiver.next(&[(500, None), (400, None)]);
    let siem = world.subscribe(World::settings("siem", &receiver.url(), &["identity.>"])).await;
    world.start_worker().await;
    world.publish_all(0..3).await;
    crate::world::eventually("some arrived", async || !receiver.taken().is_empty()).await;
    world.try_it(&siem).await;
    world.stop_worker().await;
    world.db.clone().close().await.unwrap();
    let key = std::fs::read_to_string(world.path("webhook.key")).unwrap();
    for name in ["worker.log", "decnet.db", "decnet.db-wal"] {
        let bytes = std::fs::read(world.path(name)).unwrap_or_default();
        for secret in [SECRET, key.trim()] {
            assert!(
                !bytes.windows(secret.len()).any(|part| part == secret.as_bytes()),
                "{name} holds {secret:?}"
            );
        }
    }
    for got in receiver.got() {
        assert!(!format!("{:?}{:?}", got.headers, got.body).contains(SECRET));
    }
}
