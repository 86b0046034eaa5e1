//! Webhook subscriptions over HTTP. What the worker does with them is tested with the worker.

use std::time::Duration;

use decnet_bus::{
    Bus, BusIdentity, Topic, TopicFilter, TopicKind, Worker,
    payload::{WebhookTestRequest, WebhookTested},
};
use decnet_db::{NewDeadLetter, SealKey, Webhook, WebhookHealth};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{ADMIN, Options, World};

const BASE: &str = "/api/v1/webhooks";

fn wish(name: &str) -> Value {
    json!({"name": name, "url": "https://siem.example/hook", "simple_events": ["AttackerDetail"], "topic_patterns": ["canary.*.triggered"]})
}

impl World {
    async fn made(&self, token: &str, body: Value) -> Value {
        let response = self.post(BASE, token, body).await;
        assert_eq!(response.status(), 201);
        response.json().await.unwrap()
    }

    async fn patch(&self, token: &str, uuid: &str, body: Value) -> (u16, Value) {
        let path = format!("{BASE}/{uuid}");
        let response = self.request(Method::PATCH, &path, Some(token)).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn stored(&self, uuid: &str) -> Webhook {
        self.db.webhooks().get(uuid.parse().unwrap()).await.unwrap().unwrap()
    }

    fn opened(&self, webhook: &Webhook) -> String {
        let key = SealKey::load_or_create(&self.dir.path().join("webhook.key")).unwrap();
        key.open(&webhook.seal_owner(), &webhook.settings.secret).unwrap()
    }
}

#[tokio::test]
async fn a_secret_is_shown_once_where_it_is_made() {
    let world = World::new().await;
    let token = world.login(ADMIN).await;
    let made = world.made(&token, wish("siem")).await;
    let (uuid, secret) = (made["uuid"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert_eq!(secret.len(), 64);
    assert_eq!(world.opened(&world.stored(uuid).await), secret);
    assert_eq!(
        (made["enabled"].as_bool(), made["ordered"].as_bool(), &made["warnings"]),
        (Some(true), Some(true), &json!([]))
    );
    assert_eq!(
        made["patterns"][1],
        json!({"pattern": "canary.*.triggered", "known_topics": 1, "streamed_topics": 1})
    );

    let own = "a secret of my own making";
    let second = world.made(&token, json!({"name": "own", "url": "http://192.0.2.7/", "allow_cidrs": ["192.0.2.0/24"], "topic_patterns": ["attacker.>"], "secret": own})).await;
    assert_eq!((second.get("secret"), &second["warnings"]), (None, &json!(["insecure_url"])));
    assert_eq!(world.opened(&world.stored(second["uuid"].as_str().unwrap()).await), own);
    for path in [BASE.to_owned(), format!("{BASE}/{uuid}")] {
        let text = world.get(&path, &token).await.text().await.unwrap();
        assert!(!text.contains(secret) && !text.contains(own) && !text.contains("g1:"), "{text}");
    }

    // Another secret: shown once too, and the one before stays good for a day.
    let (status, rotated) = world.patch(&token, uuid, json!({"rotate_secret": true})).await;
    assert_eq!(status, 200);
    let stored = world.stored(uuid).await;
    assert_eq!(world.opened(&stored), rotated["secret"].as_str().unwrap());
    assert_ne!(rotated["secret"].as_str().unwrap(), secret);
    assert!(rotated["previous_secret_until"].is_string() && stored.settings.previous_secret.is_some());
}

#[tokio::test]
async fn every_mistake_names_its_field() {
    let world = World::new().await;
    let token = world.login(ADMIN).await;
    for (change, field) in [
        (json!({"name": ""}), "name"),
        (json!({"url": "ftp://siem.example"}), "url"),
        (json!({"url": "http://siem.example"}), "url"),
        (json!({"secret": "too short"}), "secret"),
        (json!({"simple_events": ["Everything"]}), "simple_events"),
        (json!({"topic_patterns": ["attacker..x"]}), "topic_patterns"),
        (json!({"topic_patterns": ["cmd.>"]}), "topic_patterns"),
        (json!({"simple_events": [], "topic_patterns": []}), "topic_patterns"),
        (json!({"simple_events": ["SystemStatus"], "topic_patterns": []}), "topic_patterns"),
        (json!({"allow_cidrs": ["10.0.0.0/40"]}), "allow_cidrs"),
    ] {
        let mut body = wish("siem");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let response = world.post(BASE, &token, body).await;
        assert_eq!(response.status(), 400, "{change}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    world.made(&token, wish("siem")).await;
    assert_eq!(world.post(BASE, &token, wish("siem")).await.status(), 409);
}

#[tokio::test]
async fn a_patch_changes_what_it_says_and_enabling_forgets_the_failures() {
    let world = World::with(Options { nats: true, ..Options::default() }).await;
    let nats = world.nats.as_ref().unwrap();
    let bus = Bus::nats(&nats.bus_config(), BusIdentity::local(Worker::Webhook)).await.unwrap();
    assert!(bus.connected_within(Duration::from_secs(10)).await);
    let mut notices = bus.subscribe(&TopicFilter::kind(TopicKind::NoticeWebhookChanged)).await;
    let mut noticed =
        async || tokio::time::timeout(Duration::from_secs(5), notices.recv()).await.expect("a notice");
    let token = world.login(ADMIN).await;
    let uuid = world.made(&token, wish("siem")).await["uuid"].as_str().unwrap().to_owned();
    noticed().await;
    world.made(&token, wish("other")).await;
    noticed().await;

    let before = world.stored(&uuid).await;
    assert_eq!(world.patch(&token, &uuid, json!({})).await.0, 200);
    assert_eq!(world.stored(&uuid).await, before, "an empty patch does nothing");
    let (status, changed) =
        world.patch(&token, &uuid, json!({"enabled": false, "topic_patterns": ["identity.>"]})).await;
    noticed().await;
    assert_eq!(
        (status, &changed["enabled"], &changed["topic_patterns"]),
        (200, &json!(false), &json!(["identity.>"]))
    );
    assert_eq!(
        (&changed["simple_events"], changed["name"].as_str()),
        (&json!(["AttackerDetail"]), Some("siem"))
    );
    assert_eq!(world.patch(&token, &uuid, json!({"simple_events": [], "topic_patterns": []})).await.0, 400);
    assert_eq!(world.patch(&token, &uuid, json!({"name": "other"})).await.0, 409);
    assert_eq!(world.patch(&token, &uuid, json!({"owner": "me"})).await.0, 400);

    let stored = world.stored(&uuid).await;
    let now = stored.created_at;
    let bad = WebhookHealth {
        failure_count: 6,
        breaker: "open".into(),
        opened_at: Some(now),
        auto_disabled_at: Some(now),
        last_error: Some("500".into()),
        ..WebhookHealth::default()
    };
    assert!(world.db.webhooks().note(stored.uuid, stored.revision, &bad).await.unwrap());
    let shown = world.get_json(&format!("{BASE}/{uuid}"), &token).await;
    assert_eq!(
        (&shown["breaker"], &shown["failure_count"], &shown["last_error"]),
        (&json!("open"), &json!(6), &json!("500"))
    );
    let (_, enabled) = world.patch(&token, &uuid, json!({"enabled": true})).await;
    noticed().await;
    assert_eq!(
        (
            &enabled["breaker"],
            &enabled["failure_count"],
            &enabled["auto_disabled_at"],
            &enabled["last_error"]
        ),
        (&json!("closed"), &json!(0), &Value::Null, &Value::Null)
    );

    let path = format!("{BASE}/{uuid}");
    assert_eq!(world.request(Method::DELETE, &path, Some(&token)).send().await.unwrap().status(), 200);
    noticed().await;
    assert_eq!(world.request(Method::DELETE, &path, Some(&token)).send().await.unwrap().status(), 404);
    assert_eq!(world.patch(&token, &uuid, json!({"enabled": true})).await.0, 404);
}

#[tokio::test]
async fn a_trial_is_the_workers_and_its_absence_is_an_answer() {
    let world = World::with(Options { nats: true, ..Options::default() }).await;
    let token = world.login(ADMIN).await;
    let uuid = world.made(&token, wish("siem")).await["uuid"].as_str().unwrap().to_owned();
    let path = format!("{BASE}/{uuid}/test");
    let tried: Value = world.post(&path, &token, json!({})).await.json().await.unwrap();
    assert_eq!((&tried["delivered"], &tried["status_code"]), (&json!(false), &Value::Null));
    assert!(tried["error"].as_str().unwrap().contains("webhook worker"), "{tried}");

    let nats = world.nats.as_ref().unwrap();
    let worker = Bus::nats(&nats.bus_config(), BusIdentity::local(Worker::Webhook)).await.unwrap();
    assert!(worker.connected_within(Duration::from_secs(10)).await);
    let topic = Topic::AskWebhookTest { host: decnet_core::HostId::default() };
    let mut requests = worker.serve(&TopicFilter::exact(&topic)).await;
    let asked = tokio::spawn(async move {
        let request = requests.recv().await.unwrap();
        let question: WebhookTestRequest = request.read().unwrap();
        let error = Some("the receiver answered 503 Service Unavailable".to_owned());
        request.respond(Ok(WebhookTested { delivered: false, status_code: Some(503), error })).await;
        question.webhook
    });
    let tried: Value = world.post(&path, &token, json!({})).await.json().await.unwrap();
    assert_eq!((&tried["delivered"], &tried["status_code"]), (&json!(false), &json!(503)));
    assert_eq!(asked.await.unwrap(), uuid);
    let nobody = format!("{BASE}/{}/test", Uuid::nil());
    assert_eq!(world.post(&nobody, &token, json!({})).await.status(), 404);
}

#[tokio::test]
async fn dead_letters_are_listed_marked_and_purged() {
    let world = World::new().await;
    let token = world.login(ADMIN).await;
    let uuid = world.made(&token, wish("siem")).await["uuid"].as_str().unwrap().to_owned();
    for event in 0..3 {
        let letter = NewDeadLetter {
            webhook: uuid.parse().unwrap(),
            event_id: format!("{event:032x}"),
            topic: "attacker.observed".into(),
            body: "{}".into(),
            attempts: 1,
            last_error: "the receiver answered 400 Bad Request".into(),
        };
        world.db.webhooks().bury(&letter).await.unwrap();
    }
    let path = format!("{BASE}/{uuid}/dead-letters");
    let page = world.get_json(&format!("{path}?limit=2"), &token).await;
    assert_eq!((&page["total"], page["data"].as_array().unwrap().len()), (&json!(3), 2));
    assert_eq!(world.get(&format!("{path}?limit=0"), &token).await.status(), 400);
    let one = page["data"][0]["uuid"].as_str().unwrap();
    let again = world.post(&format!("{path}/{one}/redeliver"), &token, json!({})).await;
    assert_eq!((again.status().as_u16(), again.json::<Value>().await.unwrap()), (202, json!({"letters": 1})));
    assert_eq!(
        world.post(&format!("{path}/{}/redeliver", Uuid::nil()), &token, json!({})).await.status(),
        404
    );
    let marked = world.get_json(&path, &token).await;
    let open: Vec<_> =
        marked["data"].as_array().unwrap().iter().map(|l| l["requested_at"].is_string()).collect();
    assert_eq!(open, [true, false, false]);
    let all: Value = world.post(&format!("{path}/redeliver"), &token, json!({})).await.json().await.unwrap();
    assert_eq!(all, json!({"letters": 3}));
    let purged = world.request(Method::DELETE, &path, Some(&token)).send().await.unwrap();
    assert_eq!(purged.json::<Value>().await.unwrap(), json!({"letters": 3}));
    assert_eq!(world.get_json(&path, &token).await["total"], json!(0));
    let nobody = format!("{BASE}/{}/dead-letters", Uuid::nil());
    assert_eq!(world.get(&nobody, &token).await.status(), 404);
}
