//! Subscriptions, how they do, and their dead letters.

use chrono::TimeDelta;
use decnet_core::{IdSource, SystemIds};
use decnet_db::{
    DbError, Edited, NewDeadLetter, Paging, PreviousSecret, Webhook, WebhookHealth, WebhookSettings,
};
use uuid::Uuid;

use crate::lines::start;
use crate::place::{Place, on_each};

fn settings(name: &str) -> WebhookSettings {
    WebhookSettings {
        name: name.into(),
        url: "https://siem.example/hook".into(),
        secret: "g1:sealed".into(),
        previous_secret: Some(PreviousSecret { sealed: "g1:older".into(), until: start() }),
        simple_events: vec!["AttackerDetail".into()],
        topic_patterns: vec!["canary.*.triggered".into(), "ä.>".into()],
        allow_cidrs: vec!["10.0.0.0/8".into()],
        enabled: true,
        ordered: true,
    }
}

async fn made(place: &Place, name: &str) -> Webhook {
    place.db.webhooks().create(SystemIds.next_id(), &settings(name)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_subscription_is_made_changed_and_removed() {
    on_each(async |place| {
        let hooks = place.db.webhooks();
        let siem = made(place, "siem").await;
        assert_eq!(siem.settings, settings("siem"));
        assert_eq!((siem.revision, siem.health.breaker.as_str()), (1, "closed"));
        assert_eq!(hooks.get(siem.uuid).await.unwrap().as_ref(), Some(&siem));
        assert_eq!(hooks.by_name("siem").await.unwrap().as_ref(), Some(&siem));
        assert_eq!(hooks.by_name("si\0em").await.unwrap(), None);
        assert_eq!(hooks.create(SystemIds.next_id(), &settings("siem")).await.unwrap(), None);
        let other = made(place, "other").await;
        assert_eq!(
            hooks.list().await.unwrap().iter().map(|w| w.uuid).collect::<Vec<_>>(),
            [other.uuid, siem.uuid]
        );

        let wish = WebhookSettings { enabled: false, previous_secret: None, ..settings("siem-2") };
        let Edited::Done(changed) = hooks.edit(&siem, &wish, false).await.unwrap() else { panic!() };
        assert_eq!((&changed.settings, changed.revision), (&wish, 2));
        assert_eq!(hooks.get(siem.uuid).await.unwrap().as_ref(), Some(&*changed));
        assert_eq!(hooks.edit(&siem, &wish, false).await.unwrap(), Edited::Stale, "read before the change");
        assert_eq!(hooks.edit(&changed, &settings("other"), false).await.unwrap(), Edited::NameTaken);
        assert!(matches!(hooks.create(Uuid::nil(), &settings("")).await, Err(DbError::Refused(_))));

        assert!(hooks.delete(siem.uuid).await.unwrap());
        assert!(!hooks.delete(siem.uuid).await.unwrap());
        assert_eq!(hooks.edit(&changed, &wish, false).await.unwrap(), Edited::Stale);
    })
    .await;
}

#[tokio::test]
async fn a_note_of_the_worker_does_not_undo_what_an_operator_reset() {
    on_each(async |place| {
        let hooks = place.db.webhooks();
        let siem = made(place, "siem").await;
        let bad = WebhookHealth {
            failure_count: 5,
            breaker: "open".into(),
            opened_at: Some(start()),
            auto_disabled_at: Some(start() - TimeDelta::hours(1)),
            last_success_at: None,
            last_failure_at: Some(start()),
            last_error: Some("é".repeat(600)),
            settled: Some(7),
            waiting: 12,
        };
        assert!(hooks.note(siem.uuid, 1, &bad).await.unwrap());
        let noted = hooks.get(siem.uuid).await.unwrap().unwrap();
        assert_eq!(noted.health, WebhookHealth { last_error: Some("é".repeat(512)), ..bad.clone() });
        assert_eq!((noted.revision, &noted.settings), (1, &siem.settings), "a note is no decision");

        let Edited::Done(reset) = hooks.edit(&noted, &settings("siem"), true).await.unwrap() else {
            panic!()
        };
        assert!(!hooks.note(siem.uuid, 1, &bad).await.unwrap(), "of the time before");
        let now = hooks.get(siem.uuid).await.unwrap().unwrap();
        assert_eq!(now, *reset);
        assert_eq!((now.health.failure_count, now.health.breaker.as_str()), (0, "closed"));
        assert_eq!(
            (now.health.auto_disabled_at, now.health.last_error, now.health.settled),
            (None, None, Some(7))
        );
    })
    .await;
}

#[tokio::test]
async fn dead_letters_are_kept_once_asked_for_and_forgotten() {
    on_each(async |place| {
        let hooks = place.db.webhooks();
        let (siem, other) = (made(place, "siem").await, made(place, "other").await);
        let letter = |webhook: &Webhook, event: u32| NewDeadLetter {
            webhook: webhook.uuid,
            event_id: format!("{event:032x}"),
            topic: "attacker.observed".into(),
            body: format!(r#"{{"n":{event},"text":"é\u0000"}}"#),
            attempts: 1,
            last_error: "400 Bad Request".into(),
        };
        for event in 0..3 {
            assert!(hooks.bury(&letter(&siem, event)).await.unwrap());
            assert!(hooks.bury(&letter(&siem, event)).await.unwrap(), "the same again is one letter");
        }
        assert!(hooks.bury(&letter(&other, 0)).await.unwrap());
        let page = hooks.dead_letters(siem.uuid, Paging::default()).await.unwrap();
        assert_eq!((page.total, page.data[0].event_id.as_str()), (3, format!("{:032x}", 2).as_str()));
        assert_eq!(page.data[0].body, letter(&siem, 2).body);

        assert_eq!(hooks.request_letters(siem.uuid, Some(page.data[1].uuid)).await.unwrap(), 1);
        assert_eq!(hooks.request_letters(siem.uuid, Some(Uuid::nil())).await.unwrap(), 0);
        let asked = hooks.requested_letters(siem.uuid, 10).await.unwrap();
        assert_eq!(asked.iter().map(|l| l.uuid).collect::<Vec<_>>(), [page.data[1].uuid]);
        hooks.refuse_letter(siem.uuid, asked[0].uuid, "404 Not Found").await.unwrap();
        assert!(hooks.requested_letters(siem.uuid, 10).await.unwrap().is_empty());
        let again = hooks.dead_letters(siem.uuid, Paging::default()).await.unwrap();
        assert_eq!((again.data[1].attempts, again.data[1].last_error.as_deref()), (2, Some("404 Not Found")));
        assert_eq!(hooks.request_letters(siem.uuid, None).await.unwrap(), 3);

        assert_eq!(hooks.purge_letters(siem.uuid, Some(page.data[0].uuid)).await.unwrap(), 1);
        assert_eq!(hooks.purge_letters(siem.uuid, None).await.unwrap(), 2);
        assert_eq!(hooks.dead_letters(other.uuid, Paging::default()).await.unwrap().total, 1);
        assert!(hooks.delete(other.uuid).await.unwrap());
        assert_eq!(place.number("SELECT COUNT(*) FROM webhook_deadletters").await, 0);
        assert!(!hooks.bury(&letter(&other, 1)).await.unwrap(), "its subscription is gone");
    })
    .await;
}

#[tokio::test]
async fn the_oldest_letters_go_beyond_the_limit() {
    on_each(async |place| {
        let hooks = place.db.webhooks();
        let siem = made(place, "siem").await;
        // Made behind the repository's back: ten thousand transactions would tell nothing more.
        for chunk in 0..20 {
            let rows: Vec<_> = (0..500)
                .map(|n| {
                    let n = chunk * 500 + n;
                    format!("('{}', '{}', 'e{n}', 't', '{{}}', 1, {n})", Uuid::from_u128(n + 1), siem.uuid)
                })
                .collect();
            place
                .raw(&format!(
                    "INSERT INTO webhook_deadletters (uuid, webhook_uuid, event_id, topic, body, attempts, created_at) VALUES {}",
                    rows.join(",")
                ))
                .await;
        }
        let new = NewDeadLetter {
            webhook: siem.uuid,
            event_id: "new".into(),
            topic: "t".into(),
            body: "{}".into(),
            attempts: 1,
            last_error: "410".into(),
        };
        assert!(hooks.bury(&new).await.unwrap());
        assert_eq!(place.number("SELECT COUNT(*) FROM webhook_deadletters").await, 10_000);
        assert_eq!(place.number("SELECT COUNT(*) FROM webhook_deadletters WHERE event_id IN ('e0', 'new')").await, 1);
    })
    .await;
}
