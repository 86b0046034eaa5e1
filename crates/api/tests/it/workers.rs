//! The workers panel and orders to workers, over a real broker.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use decnet_bus::{
    Durable, Token, Topic, TopicFilter, TopicKind, Worker,
    payload::{
        Control, DeployCommand, Heartbeat, OperationKind, OperationNotice, TeardownCommand, TeardownScope,
    },
};
use decnet_core::{Clock, HostId, ManualClock, SystemClock};
use decnet_kit::ControlReply;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{ADMIN, Options, VIEWER, World, eventually};

fn health(worker: &str) -> Topic {
    Topic::SystemHealth { host: HostId::default(), worker: Token::parse(worker).unwrap() }
}

fn beat(worker: &str, clock: &dyn Clock) -> Heartbeat {
    let ts = decnet_bus::epoch_seconds(clock.now());
    Heartbeat { worker: worker.to_owned(), ts, version: Some("1.2.3".into()), ..Heartbeat::default() }
}

fn row<'a>(panel: &'a Value, name: &str) -> &'a Value {
    panel["workers"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap()
}

#[tokio::test]
async fn beats_show_and_grow_stale_by_the_clock() {
    let clock = ManualClock::at(SystemClock.now());
    let world =
        World::with(Options { nats: true, clock: Arc::new(clock.clone()), ..Options::default() }).await;
    let viewer = world.login(VIEWER).await;
    let collector = world.peer(Worker::Collector).await;
    for name in ["collector", "rogue"] {
        collector.publish(&health(name), &beat(name, &clock)).await;
    }
    let panel = eventually("the beat shows", Duration::from_secs(5), || async {
        let panel = world.get_json("/api/v1/workers", &viewer).await;
        (row(&panel, "collector")["status"] == "ok").then_some(panel)
    })
    .await;
    let names: Vec<_> =
        panel["workers"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["api", "bus", "collector", "reconciler", "webhook", "orchestrator", "agent"]);
    assert_eq!(panel["bus_connected"], true);
    assert_eq!(row(&panel, "collector")["extra"], json!({"version": "1.2.3"}));
    assert_eq!((&row(&panel, "api")["status"], &row(&panel, "bus")["status"]), (&json!("ok"), &json!("ok")));
    assert_eq!(row(&panel, "agent")["status"], "unknown");
    assert_eq!(row(&panel, "agent")["last_heartbeat_ts"], Value::Null);
    clock.advance(TimeDelta::seconds(89));
    assert_eq!(row(&world.get_json("/api/v1/workers", &viewer).await, "collector")["status"], "ok");
    clock.advance(TimeDelta::seconds(1));
    let panel = world.get_json("/api/v1/workers", &viewer).await;
    assert_eq!(row(&panel, "collector")["status"], "stale");
    let age = row(&panel, "collector")["seconds_since"].as_f64().unwrap();
    assert!((89.9..90.1).contains(&age), "{age}");
}

#[tokio::test]
async fn the_panel_survives_a_restart_of_the_api() {
    let world = World::with(Options { nats: true, ..Options::default() }).await;
    let viewer = world.login(VIEWER).await;
    let collector = world.peer(Worker::Collector).await;
    collector.publish(&health("orchestrator"), &beat("orchestrator", &SystemClock)).await;
    eventually("the beat is kept", Duration::from_secs(5), || async {
        let kept = collector.last_health().await;
        kept.iter().any(|(topic, _)| *topic == health("orchestrator")).then_some(())
    })
    .await;
    let url = crate::world::url_of(world.dir.path());
    let options = Options { nats: true, ..Options::default() };
    let (base, _, stop) = crate::world::serve(world.dir.path(), &url, world.nats.as_ref(), &options).await;
    eventually("a fresh API knows the old beat", Duration::from_secs(10), || async {
        let response =
            world.client.get(format!("{base}/api/v1/workers")).bearer_auth(&viewer).send().await.unwrap();
        let panel: Value = response.json().await.unwrap();
        (row(&panel, "orchestrator")["status"] == "ok").then_some(())
    })
    .await;
    stop.cancel();
}

#[tokio::test]
async fn stopping_asks_the_worker_and_starting_needs_a_unit() {
    let world = World::with(Options { nats: true, ..Options::default() }).await;
    let admin = world.login(ADMIN).await;
    let order = async |path: &str| world.request(Method::POST, path, Some(&admin)).send().await.unwrap();
    assert_eq!(order("/api/v1/workers/agent/stop").await.status(), 503, "nobody there");
    let agent = world.peer(Worker::Agent).await;
    let topic = Topic::SystemControl { host: HostId::default(), worker: Worker::Agent.token() };
    let mut orders = agent.serve(&TopicFilter::exact(&topic)).await;
    let obey = tokio::spawn(async move {
        let order = orders.recv().await.unwrap();
        let control: Control = order.read().unwrap();
        let reply = ControlReply { action: control.action.clone(), worker: "agent".into(), pid: 1 };
        order.respond(Ok(reply)).await;
        control
    });
    let accepted = eventually("the agent listens", Duration::from_secs(5), || async {
        let response = order("/api/v1/workers/agent/stop").await;
        (response.status() == 202).then_some(response)
    })
    .await;
    assert_eq!(
        accepted.json::<Value>().await.unwrap(),
        json!({"accepted": true, "worker": "agent", "action": "stop"})
    );
    let control = obey.await.unwrap();
    assert_eq!((control.action.as_str(), control.requested_by.as_str()), ("stop", ADMIN));
    for name in ["rogue", "sniffer", "decnet-x.service", "..%2Fssh"] {
        assert_eq!(order(&format!("/api/v1/workers/{name}/stop")).await.status(), 404, "{name}");
        assert_eq!(order(&format!("/api/v1/workers/{name}/start")).await.status(), 404, "{name}");
    }
    assert_eq!(order("/api/v1/workers/bus/stop").await.status(), 409);
    assert_eq!(order("/api/v1/workers/collector/start").await.status(), 503, "no unit is installed here");
    assert_eq!(order("/api/v1/workers/start-all").await.status(), 200);
    assert_eq!(order("/api/v1/workers/api/stop").await.status(), 202, "it answers, and is gone then");
    eventually("the API ends", Duration::from_secs(10), || async {
        world.client.get(format!("{}/healthz", world.base)).send().await.is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn health_follows_the_beats() {
    let world = World::with(Options { nats: true, ..Options::default() }).await;
    let viewer = world.login(VIEWER).await;
    let response = world.get("/api/v1/health", &viewer).await;
    assert_eq!(response.status(), 503, "no collector");
    let body: Value = response.json().await.unwrap();
    assert_eq!(
        (&body["status"], &body["components"]["collector"]["status"]),
        (&json!("unhealthy"), &json!("unhealthy"))
    );
    assert_eq!(body["components"]["database"]["status"], "healthy");
    let peer = world.peer(Worker::Collector).await;
    peer.publish(&health("collector"), &beat("collector", &SystemClock)).await;
    let status = async || {
        let response = world.get("/api/v1/health", &viewer).await;
        let code = response.status().as_u16();
        (code, response.json::<Value>().await.unwrap()["status"].as_str().unwrap().to_owned())
    };
    eventually("degraded without agent and orchestrator", Duration::from_secs(5), || async {
        (status().await == (200, "degraded".to_owned())).then_some(())
    })
    .await;
    for name in ["agent", "orchestrator"] {
        peer.publish(&health(name), &beat(name, &SystemClock)).await;
    }
    eventually("healthy", Duration::from_secs(5), || async {
        (status().await == (200, "healthy".to_owned())).then_some(())
    })
    .await;
    let ready = world.client.get(world.url("/readyz")).send().await.unwrap();
    assert_eq!(
        ready.json::<Value>().await.unwrap(),
        json!({"ready": true, "database": true, "nats": true, "schema": true})
    );
}

const INI: &str = "[web-01]\nip=127.10.0.5\nservices=ssh,http\n\n[db-01]\nip=127.10.0.6\nservices=redis\n";

#[tokio::test]
async fn a_deployment_is_planned_queued_and_awaited() {
    let world = World::with(Options { nats: true, ..Options::default() }).await;
    let admin = world.login(ADMIN).await;
    let deploy = async |ini: String, query: &'static str| {
        world.post(&format!("/api/v1/deckies/deploy{query}"), &admin, json!({ "ini_content": ini })).await
    };
    let bad = deploy("[web_01]\nservices=nosuch\n[x]\nip=300.1.1.1\n".into(), "").await;
    assert_eq!(bad.status(), 400);
    let problem: Value = bad.json().await.unwrap();
    assert!(problem["errors"].as_array().unwrap().len() >= 2, "all errors in one go: {problem}");
    assert!(problem.to_string().contains("line 1"), "{problem}");
    assert_eq!(deploy("  ".into(), "").await.status(), 400);
    let many = "[many]\nservices=ssh\namount=11\n".to_owned();
    assert_eq!(deploy(many, "").await.status(), 409, "more than the limit");

    let queued = deploy(INI.into(), "").await;
    let status = queued.status();
    let answer: Value = queued.json().await.unwrap();
    assert_eq!(
        (status.as_u16(), &answer["state"], &answer["mode"]),
        (202, &json!("queued"), &json!("unihost")),
        "{answer}"
    );

    let agent = world.peer(Worker::Agent).await;
    let durable = Durable::agent(&HostId::default());
    let mut work = agent.consume(durable).await;
    let first = work.fetch(10, Duration::from_secs(5)).await.unwrap();
    assert_eq!(first.len(), 1);
    let command: DeployCommand = first[0].envelope().unwrap().decode().unwrap();
    assert_eq!(
        (command.operation.as_str(), command.requested_by.as_str()),
        (answer["operation"].as_str().unwrap(), ADMIN)
    );
    let plan: decnet_fleet::Plan = serde_json::from_value(command.plan).unwrap();
    assert_eq!(plan.deckies.iter().map(|d| d.name().as_str()).collect::<Vec<_>>(), ["web-01", "db-01"]);
    first.into_iter().next().unwrap().ack().await.unwrap();

    let (done, ()) = tokio::join!(deploy(INI.into(), "?wait=true"), carry_out(&agent, &mut work, true));
    assert_eq!(done.status(), 200);
    let done: Value = done.json().await.unwrap();
    assert_eq!((&done["state"], &done["message"]), (&json!("done"), &json!("2 deckies run")));
    let (failed, ()) = tokio::join!(deploy(INI.into(), "?wait=true"), carry_out(&agent, &mut work, false));
    assert_eq!(failed.status(), 502);
    assert_eq!(failed.json::<Value>().await.unwrap()["detail"], "port 22 is taken");
}

/// What the agent does with the next command.
async fn carry_out(agent: &decnet_bus::Bus, work: &mut decnet_bus::Consumer, works: bool) {
    let delivered = work.fetch(1, Duration::from_secs(10)).await.unwrap().pop().expect("a command");
    let operation = delivered.envelope().unwrap().decode::<DeployCommand>().unwrap().operation;
    let say = |kind| OperationNotice { operation: operation.clone(), at: SystemClock.now(), kind };
    let topic = Topic::NoticeOperation { operation: Token::parse(&operation).unwrap() };
    let step = OperationKind::Progress { done: 1, total: 2, decky: None, text: "starting".into() };
    agent.publish(&topic, &say(step)).await;
    let end = if works {
        OperationKind::Done { summary: "2 deckies run".into() }
    } else {
        OperationKind::Failed { reason: "port 22 is taken".into() }
    };
    agent.publish(&topic, &say(end)).await;
    delivered.ack().await.unwrap();
}

#[tokio::test]
async fn removing_a_decky_is_queued_too() {
    let world = World::with(Options { nats: true, ..Options::default() }).await;
    let admin = world.login(ADMIN).await;
    let delete = async |name: &str| {
        world
            .request(Method::DELETE, &format!("/api/v1/deckies/{name}"), Some(&admin))
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(delete("web-01").await, 404);
    assert_eq!(delete("web_01").await, 400);
    let row = decnet_db::NewFleetDecky {
        host_uuid: None,
        name: "web-01".into(),
        services: vec!["ssh".into()],
        decky_config: None,
        decky_ip: None,
        state: decnet_db::DeckyState::Running,
        last_error: None,
        compose_hash: None,
        generation: 1,
    };
    world.db.fleet().upsert(row).await.unwrap();
    let agent = world.peer(Worker::Agent).await;
    let mut heard = agent.subscribe(&TopicFilter::kind(TopicKind::CmdTeardown)).await;
    assert_eq!(delete("web-01").await, 202);
    let received = tokio::time::timeout(Duration::from_secs(5), heard.recv()).await.unwrap().unwrap();
    let command: TeardownCommand = received.envelope.decode().unwrap();
    assert_eq!(command.scope, TeardownScope::One(decnet_core::DeckyName::parse("web-01").unwrap()));
}
