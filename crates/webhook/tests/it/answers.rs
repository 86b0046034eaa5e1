//! What follows from a receiver's answer.

use std::time::Duration;

use decnet_db::Paging;

use crate::{
    receiver::Receiver,
    world::{World, eventually},
};

#[tokio::test]
async fn a_refusal_is_a_dead_letter_at_once_and_can_be_sent_again() {
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    receiver.next(&[(200, None), (400, None)]);
    let siem = world.subscribe(World::settings("siem", &receiver.url(), &["identity.>"])).await;
    world.start_worker().await;
    let names = world.publish_all(0..4).await;
    eventually("the others arrived", async || receiver.taken().len() == 3).await;
    assert_eq!(
        receiver.got().iter().map(super::receiver::Got::name).collect::<Vec<_>>(),
        names,
        "no second try"
    );
    let letters = world.db.webhooks().dead_letters(siem.uuid, Paging::default()).await.unwrap();
    let letter = &letters.data[0];
    assert_eq!((letters.total, letter.attempts, letter.topic.as_str()), (1, 1, "identity.merged"));
    assert_eq!(letter.last_error.as_deref(), Some("the receiver answered 400 Bad Request"));
    let sent = receiver.got()[1].clone();
    assert_eq!(
        (letter.body.as_bytes(), letter.event_id.as_str()),
        (&sent.body[..], sent.header("x-decnet-event-id"))
    );

    // Asked for, refused again; asked for, taken.
    receiver.next(&[(422, None)]);
    for outcome in [Some("the receiver answered 422 Unprocessable Content"), None] {
        world.db.webhooks().request_letters(siem.uuid, None).await.unwrap();
        world.changed().await;
        eventually("it was sent again", async || {
            let letters = world.db.webhooks().dead_letters(siem.uuid, Paging::default()).await.unwrap();
            letters.data.first().map(|letter| letter.last_error.clone())
                == outcome.map(|outcome| Some(outcome.to_owned()))
        })
        .await;
    }
    let again = receiver.got().pop().unwrap();
    assert_eq!(
        (again.body, again.headers["x-decnet-event-id"].clone()),
        (sent.body, sent.headers["x-decnet-event-id"].clone())
    );
}

#[tokio::test]
async fn a_pause_that_the_receiver_names_is_kept() {
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    receiver.next(&[(429, Some("2")), (503, None)]);
    world.subscribe(World::settings("siem", &receiver.url(), &["identity.>"])).await;
    world.start_worker().await;
    let names = world.publish_all(0..2).await;
    eventually("both arrived", async || receiver.taken().len() == 2).await;
    let got = receiver.got();
    assert_eq!(receiver.taken(), names);
    let (asked, own) = (got[1].at - got[0].at, got[2].at - got[1].at);
    assert!((Duration::from_millis(1900)..Duration::from_secs(6)).contains(&asked), "{asked:?}");
    assert!(own < Duration::from_secs(1), "its own pause is 20 milliseconds at this pace: {own:?}");
}

#[tokio::test]
async fn refusals_in_a_row_open_the_breaker_before_everything_is_a_dead_letter() {
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    receiver.always(401);
    let siem = world.subscribe(World::settings("siem", &receiver.url(), &["identity.>"])).await;
    world.start_worker().await;
    let names = world.publish_all(0..20).await;
    eventually("the breaker is open", async || world.webhook(siem.uuid).await.health.breaker == "open").await;
    receiver.always(200);
    eventually("the rest arrived", async || receiver.taken().last() == names.last()).await;
    let letters = world.db.webhooks().dead_letters(siem.uuid, Paging::default()).await.unwrap();
    let taken = receiver.taken();
    let dead = letters.data.len();
    assert_eq!(dead + taken.len(), names.len(), "each event is in one place");
    assert!((5..=7).contains(&dead), "{dead}");
    assert_eq!(taken, names[dead..]);
}
