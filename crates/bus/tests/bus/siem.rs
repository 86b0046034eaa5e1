//! Consumers of subscriptions on a real server: their start, their changes and their end.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use decnet_alerts::{Pattern, Selection};
use decnet_bus::{Bus, Durable, Topic, Worker, payload, provision, public_topics};
use decnet_core::{Clock, SystemClock};
use uuid::Uuid;

use crate::net::{Net, eventually, fetch};

fn durable(id: Uuid, patterns: &[&str]) -> Durable {
    let patterns: Vec<_> = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
    Durable::webhook(id, &Selection::resolve(&patterns, &public_topics()), true)
}

/// Publishes `identity.merged` and `campaign.merged`, each with this winner.
async fn publish(bus: &Bus, winner: &str) {
    let merged = payload::Merged { winner_uuid: winner.to_owned(), loser_uuid: "x".to_owned() };
    for topic in [Topic::IdentityMerged, Topic::CampaignMerged] {
        let envelope = bus.envelope(&topic, &merged).unwrap();
        bus.publish_acked(&topic, &envelope.id, &envelope).await.unwrap();
    }
}

async fn next(bus: &Bus, durable: &Durable) -> (String, String) {
    let message = fetch(bus, durable.clone(), 1).await.remove(0);
    message.ack().await.unwrap();
    let merged: payload::Merged = message.decode().unwrap();
    (message.topic.label(), merged.winner_uuid)
}

#[tokio::test]
async fn a_consumer_starts_with_its_subscription_and_keeps_its_place_when_its_filter_changes() {
    let net = Net::nats().await;
    provision(&net.bus(Worker::Cli).await).await.unwrap();
    let (events, webhook) = (net.bus(Worker::Clusterer).await, net.bus(Worker::Webhook).await);
    let id = Uuid::from_u128(7);
    let long_ago = DateTime::<Utc>::UNIX_EPOCH;
    let observer = durable(Uuid::from_u128(1), &[">"]);
    let waiting = async |count| {
        eventually("the events are in SIEM", async || {
            webhook.put_siem(&observer, long_ago, None).await.unwrap().waiting == count
        })
        .await;
    };

    publish(&events, "before").await;
    waiting(2).await;
    let since = SystemClock.now() + TimeDelta::milliseconds(1);
    tokio::time::sleep(Duration::from_millis(5)).await;
    publish(&events, "one").await;
    publish(&events, "two").await;
    waiting(6).await;

    // Only now the worker comes by and makes the consumer: it has what happened since the subscription, and nothing older.
    let identity = durable(id, &["identity.>"]);
    assert_eq!(webhook.put_siem(&identity, since, None).await.unwrap().waiting, 2);
    assert_eq!(next(&webhook, &identity).await, ("identity.merged".to_owned(), "one".to_owned()));

    // Another filter, same place: "one" is not seen again, "two" is not skipped.
    let both = durable(id, &["identity.>", "campaign.merged"]);
    let position = webhook.put_siem(&both, since, None).await.unwrap();
    assert_eq!(webhook.put_siem(&both, since, None).await.unwrap(), position, "harmless to repeat");
    let mut seen = Vec::new();
    for _ in 0..position.waiting {
        seen.push(next(&webhook, &both).await);
    }
    let of = |topic: &str, winner: &str| (topic.to_owned(), winner.to_owned());
    assert_eq!(
        seen,
        [of("campaign.merged", "one"), of("identity.merged", "two"), of("campaign.merged", "two")]
    );

    // Lost on the server: made anew behind what was settled.
    eventually("the acknowledgements are in", async || {
        webhook.put_siem(&both, since, None).await.unwrap().waiting == 0
    })
    .await;
    let settled = webhook.put_siem(&both, since, None).await.unwrap().settled;
    webhook.remove_siem(both.name()).await.unwrap();
    webhook.remove_siem(both.name()).await.unwrap();
    publish(&events, "three").await;
    waiting(8).await;
    assert_eq!(webhook.put_siem(&both, since, Some(settled)).await.unwrap().waiting, 2);
    assert_eq!(next(&webhook, &both).await, of("identity.merged", "three"));

    let mut names = webhook.siem_names().await.unwrap();
    names.sort();
    assert_eq!(names, [observer.name(), both.name()]);
    assert!(webhook.put_siem(&durable(id, &["system.>"]), since, None).await.is_err(), "nothing to read");
    assert!(webhook.put_siem(&Durable::collector(), since, None).await.is_err(), "another stream's");
}

#[tokio::test]
async fn the_twin_in_memory_keeps_places_too() {
    let net = Net::memory();
    provision(&net.bus(Worker::Cli).await).await.unwrap();
    let (events, webhook) = (net.bus(Worker::Clusterer).await, net.bus(Worker::Webhook).await);
    let id = Uuid::from_u128(7);
    let now = SystemClock.now();
    publish(&events, "before").await;
    let identity = durable(id, &["identity.>"]);
    assert_eq!(webhook.put_siem(&identity, now, None).await.unwrap().waiting, 0);
    publish(&events, "one").await;
    assert_eq!(next(&webhook, &identity).await.1, "one");
    assert_eq!(webhook.put_siem(&durable(id, &[">"]), now, None).await.unwrap().waiting, 1);
    assert_eq!(webhook.siem_names().await.unwrap(), [identity.name()]);
    webhook.remove_siem(identity.name()).await.unwrap();
    assert!(webhook.siem_names().await.unwrap().is_empty());
}
