//! Operators that change, pause and remove subscriptions while events flow.

use std::time::Duration;

use decnet_bus::{Bus, BusIdentity, TopicKind, Worker};
use decnet_core::{Clock, SystemClock};
use decnet_db::{PreviousSecret, Webhook};

use crate::{
    receiver::Receiver,
    world::{SECRET, World, eventually},
};

#[tokio::test]
async fn a_change_of_patterns_loses_and_repeats_nothing() {
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    let siem = world.subscribe(World::settings("siem", &receiver.url(), &["identity.>"])).await;
    world.start_worker().await;
    world.served(&siem).await;
    let mut expected = Vec::new();
    for round in 0..8u32 {
        expected.extend(world.publish_all(round * 20..round * 20 + 10).await);
        let wider = round % 2 == 0;
        world
            .edit(
                siem.uuid,
                |settings| {
                    settings.topic_patterns = vec!["identity.>".to_owned()];
                    if wider {
                        settings.topic_patterns.push("campaign.merged".to_owned());
                    }
                },
                false,
            )
            .await;
        expected.extend(world.publish_all(round * 20 + 10..round * 20 + 20).await);
    }
    eventually("all arrived", async || receiver.taken().len() >= expected.len()).await;
    assert_eq!(receiver.taken(), expected);
    // The last change took the second topic away; adding it once more brings what happens from now on.
    world.edit(siem.uuid, |settings| settings.topic_patterns.push("campaign.merged".to_owned()), false).await;
    eventually("the wider wish is served", async || {
        world.publish(TopicKind::CampaignMerged, "campaign").await;
        receiver.taken().contains(&"campaign".to_owned())
    })
    .await;
}

#[tokio::test]
async fn a_paused_subscription_keeps_its_place() {
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    let siem = world.subscribe(World::settings("siem", &receiver.url(), &["identity.>"])).await;
    world.start_worker().await;
    let mut expected = world.publish_all(0..5).await;
    eventually("the first arrived", async || receiver.taken().len() == 5).await;
    world.edit(siem.uuid, |settings| settings.enabled = false, false).await;
    eventually("the pause is known", async || world.log().contains("paused")).await;
    expected.extend(world.publish_all(5..15).await);
    eventually("events wait", async || world.webhook(siem.uuid).await.health.waiting == 10).await;
    assert_eq!(receiver.taken().len(), 5, "nothing is posted while it is paused");
    world.edit(siem.uuid, |settings| settings.enabled = true, true).await;
    eventually("the rest arrived", async || receiver.taken().len() >= expected.len()).await;
    assert_eq!(receiver.taken(), expected);
}

#[tokio::test]
async fn a_removed_subscription_leaves_no_consumer() {
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    let (gone, stays) = (
        world.subscribe(World::settings("gone", &receiver.url(), &["identity.>"])).await,
        world.subscribe(World::settings("stays", &receiver.url(), &["campaign.>"])).await,
    );
    world.start_worker().await;
    world.served(&gone).await;
    world.served(&stays).await;
    assert!(world.db.webhooks().delete(gone.uuid).await.unwrap());
    world.changed().await;
    let bus = Bus::nats(&world.nats.bus_config(), BusIdentity::local(Worker::Webhook)).await.unwrap();
    let left = [decnet_bus::Durable::webhook_name(stays.uuid)];
    eventually("its consumer is gone", async || bus.siem_names().await.is_ok_and(|names| names == left))
        .await;
    world.publish(TopicKind::IdentityMerged, "unheard").await;
    world.publish(TopicKind::CampaignMerged, "heard").await;
    eventually("the other one is served", async || !receiver.taken().is_empty()).await;
    assert_eq!(receiver.taken(), ["heard"]);
}

#[tokio::test]
async fn while_a_secret_changes_both_vouch() {
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    let siem = world.subscribe(World::settings("siem", &receiver.url(), &["identity.>"])).await;
    world.start_worker().await;
    world.publish(TopicKind::IdentityMerged, "one").await;
    eventually("one", async || receiver.taken().len() == 1).await;
    let sealed = world.key.seal(&Webhook::owner(siem.uuid), "the new secret of it").unwrap();
    let until = SystemClock.now() + chrono::TimeDelta::hours(1);
    world
        .edit(
            siem.uuid,
            |settings| {
                let old = std::mem::replace(&mut settings.secret, sealed.clone());
                settings.previous_secret = Some(PreviousSecret { sealed: old, until });
            },
            false,
        )
        .await;
    eventually("two signatures", async || {
        world.publish(TopicKind::IdentityMerged, "more").await;
        receiver
            .got()
            .last()
            .is_some_and(|got| got.header("x-decnet-signature-v2").matches("v2=").count() == 2)
    })
    .await;
    let got = receiver.got().pop().unwrap();
    let now = chrono::DateTime::from_timestamp(got.header("x-decnet-timestamp").parse().unwrap(), 0).unwrap();
    let again = decnet_alerts::sign(
        &["the new secret of it", SECRET],
        got.header("x-decnet-event-id"),
        "identity.merged",
        &got.body,
        now,
    );
    for (name, value) in again {
        assert_eq!(got.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn unordered_subscriptions_get_everything_once() {
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    receiver.next(&[(500, None), (200, None), (500, None)]);
    let mut wish = World::settings("siem", &receiver.url(), &["identity.>"]);
    wish.ordered = false;
    world.subscribe(wish).await;
    let expected = world.publish_all(0..60).await;
    world.start_worker().await;
    eventually("all arrived", async || receiver.taken().len() >= expected.len()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut taken = receiver.taken();
    taken.sort();
    assert_eq!(taken, expected);
}

#[tokio::test]
async fn what_cannot_be_served_says_why_and_harms_nobody_else() {
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    let odd = world.subscribe(World::settings("odd", &receiver.url(), &["no.such.topic"])).await;
    let foreign = world.subscribe(World::settings("foreign", &receiver.url(), &["identity.>"])).await;
    let strange =
        decnet_db::SealKey::from_bytes([9; 32]).seal(&Webhook::owner(foreign.uuid), SECRET).unwrap();
    world.edit(foreign.uuid, |settings| settings.secret = strange.clone(), false).await;
    world.subscribe(World::settings("good", &receiver.url(), &["identity.>"])).await;
    world.start_worker().await;
    world.publish(TopicKind::IdentityMerged, "one").await;
    eventually("the good one is served", async || receiver.taken() == ["one"]).await;
    for (uuid, word) in [(odd.uuid, "no.such.topic"), (foreign.uuid, "key file")] {
        let error = world.webhook(uuid).await.health.last_error.unwrap();
        assert!(error.contains(word), "{error}");
    }
}
