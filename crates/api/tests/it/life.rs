//! The pool of personas, and what the orchestrator does as it is listed and streamed.

use chrono::{DateTime, TimeDelta, Utc};
use decnet_bus::{
    Token, Topic, Worker,
    payload::{OrchestratorAction, OrchestratorEmail},
};
use decnet_core::{Clock, HostId, IdSource, SystemClock, SystemIds};
use decnet_db::{LifeChange, NewOrchestratorEmail, NewOrchestratorEvent, NewSyntheticFile};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    stream::Reader,
    world::{ADMIN, Options, VIEWER, World},
};

fn persona(name: &str, email: &str) -> Value {
    json!({ "name": name, "email": email, "role": "Ops" })
}

#[tokio::test]
async fn a_pool_is_replaced_whole_or_not_at_all() {
    let world = World::new().await;
    let (admin, viewer) = (world.login(ADMIN).await, world.login(VIEWER).await);
    let path = "/api/v1/realism/personas";
    let get = async || -> Value {
        world.request(Method::GET, path, Some(&viewer)).send().await.unwrap().json().await.unwrap()
    };
    let put = async |token: &str, body: Value| {
        let answer = world.request(Method::PUT, path, Some(token)).json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let empty = get().await;
    let file = world.dir.path().join("people/pool.json");
    assert_eq!(empty["path"], file.to_str().unwrap());
    assert_eq!(empty["personas"], json!([]));

    let good = json!({ "personas": [persona("Ada Park", "ada@corp.example"), persona("Jörg Weiß", "joerg@corp.example")] });
    assert_eq!(put(&viewer, good.clone()).await.0, 403);
    let (status, written) = put(&admin, good).await;
    assert_eq!(status, 200, "{written}");
    assert_eq!(written["personas"][1]["language"], "en", "a missing language is filled in");
    assert_eq!(get().await["personas"], written["personas"]);
    let kept = std::fs::read_to_string(&file).unwrap();

    let mut bad = persona("Tom", "tom");
    bad["tone"] = json!("grumpy");
    let body = json!({ "personas": [persona("Ann", "ann@corp.example"), bad, 7] });
    let (status, problem) = put(&admin, body).await;
    assert_eq!(status, 400);
    let fields: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    for place in ["personas[1].email", "personas[1].tone", "personas[2]"] {
        assert!(fields.contains(&place), "{place} is not among {fields:?}");
    }
    assert_eq!(put(&admin, json!({ "personas": "everyone" })).await.0, 400);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept, "nothing was written");

    assert_eq!(put(&admin, json!({ "personas": [] })).await.0, 200);
    assert_eq!(get().await["personas"], json!([]));

    // Where the file cannot be written, the answer says which and what to do.
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file.parent().unwrap(), "in the way").unwrap();
    let (status, problem) = put(&admin, json!({ "personas": [] })).await;
    assert_eq!(status, 500);
    assert!(problem["detail"].as_str().unwrap().contains("pool.json"), "{problem}");
}

const DECKY: &str = "local:web-01";
const MAIL_DECKY: &str = "local:mail-01";

fn action(ts: DateTime<Utc>) -> NewOrchestratorEvent {
    NewOrchestratorEvent {
        uuid: SystemIds.next_id(),
        ts,
        kind: "file".into(),
        protocol: "ssh".into(),
        action: "file:create".into(),
        src_decky_uuid: None,
        dst_decky_uuid: DECKY.into(),
        success: true,
        payload: json!({ "path": "/home/ada/todo.md" }),
    }
}

fn mail(ts: DateTime<Utc>) -> NewOrchestratorEmail {
    NewOrchestratorEmail {
        uuid: SystemIds.next_id(),
        ts,
        mail_decky_uuid: MAIL_DECKY.into(),
        thread_id: "t-1".into(),
        message_id: "<1@corp.example>".into(),
        in_reply_to: None,
        sender_email: "ada@corp.example".into(),
        recipient_email: "tom@corp.example".into(),
        subject: "the lift is out".into(),
        language: "en".into(),
        eml_path: "/var/mail/vhosts/corp.example/tom/new/1.M1P1.mail".into(),
        success: true,
        payload: json!({}),
        references: Vec::new(),
        excerpt: "It is out.".into(),
        answered: false,
        mtime: ts,
        mode: 0o600,
        uid: 5000,
        gid: 5000,
        content_hash: "0".repeat(64),
        raw: "Subject: x\r\n\r\n".into(),
    }
}

fn file(path: &str, class: &str, body: &[u8]) -> NewSyntheticFile {
    NewSyntheticFile {
        decky_uuid: DECKY.into(),
        path: path.into(),
        persona: if class == "todo" { "Ada Park".into() } else { String::new() },
        login: String::new(),
        content_class: class.into(),
        mtime: SystemClock.now(),
        mode: 0o640,
        uid: 1000,
        gid: 1000,
        content_hash: "1".repeat(64),
        body: body.to_vec(),
        edit_count: None,
        last_event_uuid: None,
    }
}

async fn page(world: &World, token: &str, path: &str) -> Value {
    let answer = world.get(path, token).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn mail_and_files_are_listed_as_they_were_made() {
    let world = World::new().await;
    let viewer = world.login(VIEWER).await;
    let now = SystemClock.now();
    let changes = [
        LifeChange::Event(Box::new(action(now))),
        LifeChange::Mail(Box::new(mail(now))),
        LifeChange::File(Box::new(file("/home/ada/todo.md", "todo", b"- [ ] call Tom\n"))),
        LifeChange::File(Box::new(file("/var/log/cron.log.2.gz", "log_cron", &[0x1f, 0x8b, 0, 0xff]))),
    ];
    world.db.life().apply(&changes, &[]).await.unwrap();

    let all = page(&world, &viewer, "/api/v1/orchestrator/events").await;
    assert_eq!((&all["total"], &all["data"][0]["kind"]), (&json!(1), &json!("file")));
    let mails = page(&world, &viewer, "/api/v1/orchestrator/events?kind=email").await;
    let shown = &mails["data"][0];
    for (field, wanted) in [
        ("kind", "email"),
        ("protocol", "smtp"),
        ("action", "the lift is out"),
        ("src_decky_uuid", "ada@corp.example"),
        ("dst_decky_uuid", "tom@corp.example"),
        ("mail_decky_uuid", MAIL_DECKY),
        ("thread_id", "t-1"),
        ("message_id", "<1@corp.example>"),
        ("language", "en"),
    ] {
        assert_eq!(shown[field], wanted, "{field}");
    }
    let later = (now + TimeDelta::hours(1)).to_rfc3339().replace('+', "%2B");
    let none = page(&world, &viewer, &format!("/api/v1/orchestrator/events?kind=email&since={later}")).await;
    assert_eq!(none["total"], 0);
    assert_eq!(world.get("/api/v1/orchestrator/events?kind=smoke", &viewer).await.status(), 400);

    let files =
        page(&world, &viewer, "/api/v1/realism/synthetic-files?content_class=todo&state=planted").await;
    assert_eq!((&files["total"], &files["data"][0]["persona"]), (&json!(1), &json!("Ada Park")));
    assert!(files["data"][0].get("body").is_none());
    let path = format!("/api/v1/realism/synthetic-files/{}", files["data"][0]["uuid"].as_str().unwrap());
    let one = page(&world, &viewer, &path).await;
    assert_eq!((&one["body"], &one["truncated"]), (&json!("- [ ] call Tom\n"), &json!(false)));
    let logs = page(&world, &viewer, "/api/v1/realism/synthetic-files?content_class=log_cron").await;
    assert_eq!(logs["data"][0]["persona"], Value::Null);
    let path = format!("/api/v1/realism/synthetic-files/{}", logs["data"][0]["uuid"].as_str().unwrap());
    let one = page(&world, &viewer, &path).await;
    assert_eq!((&one["body"], &one["body_b64"]), (&json!(""), &json!("H4sA/w==")));
    let unknown = format!("/api/v1/realism/synthetic-files/{}", SystemIds.next_id());
    assert_eq!(world.get(&unknown, &viewer).await.status(), 404);
    assert_eq!(world.get("/api/v1/realism/synthetic-files?limit=501", &viewer).await.status(), 400);
}

#[tokio::test]
async fn life_is_streamed_from_the_snapshot_on_without_gap_or_double() {
    let world = World::with(Options { nats: true, ..Options::default() }).await;
    let viewer = world.login(VIEWER).await;
    let now = SystemClock.now();
    let (old, new) = (action(now - TimeDelta::minutes(1)), mail(now));
    let changes = [LifeChange::Event(Box::new(old.clone())), LifeChange::Mail(Box::new(new))];
    world.db.life().apply(&changes, &[]).await.unwrap();
    let orchestrator = world.peer(Worker::Orchestrator).await;

    let mut reader = Reader::at(&world, &viewer, "/api/v1/orchestrator/events/stream", None).await;
    assert!(reader.block().await.unwrap().event.is_empty(), "the first bytes are a comment");
    let snapshot = reader.block().await.unwrap();
    let kinds: Vec<&str> =
        snapshot.data["events"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!((snapshot.event.as_str(), kinds.as_slice()), ("snapshot", &["email", "file"][..]));

    let host = HostId::default();
    let told = |ts| OrchestratorAction {
        kind: "file".into(),
        protocol: "ssh".into(),
        action: "file:create".into(),
        src_decky_uuid: None,
        dst_decky_uuid: DECKY.into(),
        success: true,
        payload: Map::new(),
        ts,
    };
    let topic = Topic::OrchestratorFile { host: host.clone(), decky: Token::parse(DECKY).unwrap() };
    // The first one is in the snapshot already.
    let shown: DateTime<Utc> = snapshot.data["events"][1]["ts"].as_str().unwrap().parse().unwrap();
    orchestrator.publish(&topic, &told(shown)).await;
    orchestrator.publish(&topic, &told(now + TimeDelta::seconds(5))).await;
    let event = reader.block().await.unwrap();
    assert_eq!(event.event, "file");
    let at: DateTime<Utc> = event.data["payload"]["ts"].as_str().unwrap().parse().unwrap();
    assert_eq!(at, now + TimeDelta::seconds(5));
    let letter = OrchestratorEmail {
        kind: "email".into(),
        mail_decky_uuid: MAIL_DECKY.into(),
        thread_id: "t-2".into(),
        message_id: "<2@corp.example>".into(),
        in_reply_to: None,
        sender_email: "ada@corp.example".into(),
        recipient_email: "tom@corp.example".into(),
        subject: "it goes again".into(),
        language: "en".into(),
        success: true,
        ts: now + TimeDelta::seconds(6),
    };
    let topic = Topic::OrchestratorEmail { host, decky: Token::parse(MAIL_DECKY).unwrap() };
    orchestrator.publish(&topic, &letter).await;
    let event = reader.event("email").await;
    assert_eq!(event.data["payload"]["subject"], "it goes again");
}
