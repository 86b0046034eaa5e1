//! The rights of each key against a real server: every worker and every subject of the table, what a stolen key cannot do,
//! and that the work of everyone still gets done.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use decnet_bus::{
    Bus, BusIdentity, Delivery, Durable, Provisioning, Topic, TopicFilter, TopicKind, Worker, holders,
    payload, provision_with,
    server::{Server, ServerConfig},
};
use decnet_core::{Clock, DeckyName, HostId, SystemClock};
use nkeys::KeyPair;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::net::{PATIENCE, config, fetch};

async fn server(folder: &tempfile::TempDir) -> Server {
    let config = ServerConfig { port: 0, ..config(folder) }.with_keys(HostId::default());
    Server::start(config).await.unwrap()
}

async fn bus(server: &Server, worker: Worker) -> Bus {
    let bus = Bus::nats(&server.bus_config_of(worker), BusIdentity::local(worker)).await.unwrap();
    assert!(bus.connected_within(PATIENCE).await, "{worker} is not let in");
    bus
}

async fn provisioned(folder: &tempfile::TempDir) -> Server {
    let server = server(folder).await;
    let wish = Provisioning::for_hosts(&[HostId::default()]);
    provision_with(&bus(&server, Worker::Migrate).await, &wish).await.unwrap();
    server
}

/// A client that speaks the protocol by hand, so that every refusal is seen with its subject.
struct Raw(BufReader<TcpStream>);

impl Raw {
    async fn connect(server: &Server, key: &KeyPair) -> Result<Self, String> {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", server.port())).await.unwrap());
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let info: Value = serde_json::from_str(line.strip_prefix("INFO ").unwrap()).unwrap();
        let signature = key.sign(info["nonce"].as_str().unwrap().as_bytes()).unwrap();
        let hello = json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true, "protocol": 1,
            "nkey": key.public_key(), "sig": BASE64_URL_SAFE_NO_PAD.encode(signature),
        });
        let mut raw = Self(stream);
        let refusals = raw.say(&format!("CONNECT {hello}\r\n")).await;
        if refusals.is_empty() { Ok(raw) } else { Err(refusals.join("; ")) }
    }

    async fn of(server: &Server, folder: &tempfile::TempDir, worker: Worker) -> Self {
        let file = ServerConfig::new(folder.path().join("bus")).keys().file(worker);
        let seed = std::fs::read_to_string(file).unwrap();
        Self::connect(server, &KeyPair::from_seed(seed.trim()).unwrap()).await.unwrap()
    }

    /// Sends, and returns the server's complaints.
    async fn say(&mut self, text: &str) -> Vec<String> {
        self.0.get_mut().write_all(format!("{text}PING\r\n").as_bytes()).await.unwrap();
        let mut refusals = Vec::new();
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(PATIENCE, self.0.read_line(&mut line))
                .await
                .expect("the server answers");
            if read.unwrap_or(0) == 0 || line.starts_with("PONG") {
                return refusals;
            }
            if let Some(refusal) = line.strip_prefix("-ERR ") {
                refusals.push(refusal.trim().to_owned());
            } else if line.starts_with("MSG ") || line.starts_with("HMSG ") {
                let length: usize = line.split_whitespace().last().unwrap().parse().unwrap();
                let mut body = vec![0; length + 2];
                self.0.read_exact(&mut body).await.unwrap();
            }
        }
    }

    /// Which of `subjects` the verb (`PUB`, `SUB`) is refused for.
    async fn refused(&mut self, verb: &str, subjects: &[String]) -> BTreeSet<String> {
        let line = |(number, subject): (usize, &String)| match verb {
            "PUB" => format!("PUB {subject} 0\r\n\r\n"),
            _ => format!("SUB {subject} {number}\r\nUNSUB {number}\r\n"),
        };
        let text: String = subjects.iter().enumerate().map(line).collect();
        let refusals = self.say(&text).await;
        let quoted = |refusal: &String| refusal.split('"').nth(1).map(str::to_owned);
        let named: BTreeSet<String> = refusals.iter().filter_map(quoted).collect();
        assert_eq!(named.len(), refusals.len(), "a refusal without its subject: {refusals:?}");
        named
    }
}

/// A subject of the row, and the worker that it names if it names one.
fn subjects_of(kind: TopicKind) -> Vec<(String, Option<Worker>)> {
    let wildcard = TopicFilter::kind(kind).subjects().remove(0).replacen('*', "local", 1);
    // Every row with fields begins with the host, except those of topologies and operations, where any token will do.
    if matches!(kind, TopicKind::SystemHealth | TopicKind::SystemControl) {
        let named = |worker: Worker| (wildcard.replace('*', worker.as_str()), Some(worker));
        return Worker::KNOWN.iter().copied().map(named).collect();
    }
    vec![(wildcard.replace('*', "x"), None)]
}

#[tokio::test]
async fn every_key_may_publish_and_subscribe_exactly_where_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = provisioned(&folder).await;
    let mut cells = 0;
    for worker in holders() {
        let mut raw = Raw::of(&server, &folder, worker).await;
        let (mut all, mut may_publish, mut may_subscribe) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for kind in TopicKind::ALL {
            let row = kind.spec();
            for (subject, named) in subjects_of(*kind) {
                let own = named.is_none_or(|named| named == worker);
                if row.producers.contains(&worker) && (own || *kind == TopicKind::SystemControl) {
                    may_publish.insert(subject.clone());
                }
                // Streams reach the webhook worker through its consumers on SIEM.
                let live = worker != Worker::Webhook || row.class != Delivery::Stream;
                if row.reads.contains(&worker) && live && (own || *kind == TopicKind::SystemHealth) {
                    may_subscribe.insert(subject.clone());
                }
                all.push(subject);
            }
        }
        let allowed = |refused: &BTreeSet<String>| -> BTreeSet<String> {
            all.iter().filter(|subject| !refused.contains(*subject)).cloned().collect()
        };
        let refused = raw.refused("PUB", &all).await;
        assert_eq!(allowed(&refused), may_publish, "publish by {worker}");
        let refused = raw.refused("SUB", &all).await;
        assert_eq!(allowed(&refused), may_subscribe, "subscribe by {worker}");
        cells += all.len() * 2;

        // Wildcards do not widen a right, and nobody reads another's answers or the streams as they pass.
        let others = holders().filter(|other| *other != worker).map(|other| format!("_INBOX_{other}.>"));
        let wide: Vec<String> =
            [">", "decnet.>", "decnet.cmd.>", "decnet.ingest.>", "decnet.ask.>", "$JS.>", "$SYS.>"]
                .into_iter()
                .map(str::to_owned)
                .chain(others)
                .collect();
        assert_eq!(raw.refused("SUB", &wide).await.len(), wide.len(), "wide subscriptions by {worker}");
        let never: Vec<String> = [
            "$JS.API.STREAM.DELETE.INGEST",
            "$JS.API.STREAM.PURGE.INGEST",
            "$JS.API.STREAM.MSG.GET.COMMANDS",
            "$JS.API.STREAM.MSG.DELETE.EVENTS",
            "$JS.API.DIRECT.GET.EVENTS",
            "$SYS.REQ.SERVER.PING",
        ]
        .into_iter()
        .map(str::to_owned)
        .collect();
        assert_eq!(raw.refused("PUB", &never).await.len(), never.len(), "by {worker}");
        let own = [format!("_INBOX_{worker}.x")];
        assert!(raw.refused("PUB", &own).await.is_empty() && raw.refused("SUB", &own).await.is_empty());
    }
    assert!(cells > 1000, "{cells}");
}

#[tokio::test]
async fn a_stolen_collector_key_can_only_collect() {
    let folder = tempfile::tempdir().unwrap();
    let server = provisioned(&folder).await;
    let mut thief = Raw::of(&server, &folder, Worker::Collector).await;
    for (what, verb, subjects) in [
        (
            "stop a worker",
            "PUB",
            &["decnet.system.local.agent.control", "decnet.system.local.collector.control"][..],
        ),
        ("order a teardown", "PUB", &["decnet.cmd.teardown.local"]),
        (
            "read commands",
            "PUB",
            &[
                "$JS.API.CONSUMER.MSG.NEXT.COMMANDS.agent-local",
                "$JS.API.CONSUMER.CREATE.COMMANDS.spy",
                "$JS.API.CONSUMER.DURABLE.CREATE.COMMANDS.spy",
                "$JS.API.DIRECT.GET.COMMANDS",
            ],
        ),
        ("hear commands", "SUB", &["decnet.cmd.deploy.local", "decnet.cmd.*.local"]),
        ("drain the lines unread", "PUB", &["$JS.API.STREAM.PURGE.INGEST", "$JS.API.STREAM.DELETE.INGEST"]),
        ("lose its own consumer", "PUB", &["$JS.API.CONSUMER.DELETE.INGEST.collector"]),
        ("read another's answers", "SUB", &["_INBOX_api.>", "_INBOX_agent.>", "_INBOX_*.>"]),
        (
            "acknowledge for others",
            "PUB",
            &["$JS.ACK.COMMANDS.agent-local.1.1.1.1.0", "$JS.ACK.EVENTS.orchestrator.1.1.1.1.0"],
        ),
        ("trip a token", "PUB", &["decnet.canary.local.x.triggered"]),
        ("feign a decky's line", "PUB", &["decnet.ingest.local.web"]),
        ("beat for another", "PUB", &["decnet.system.local.api.health"]),
        ("reach into a decky", "PUB", &["decnet.ask.read-file.local", "decnet.ask.put-files.local"]),
        ("administer the server", "PUB", &["$SYS.REQ.SERVER.PING", "$JS.API.ACCOUNT.PURGE.DECNET"]),
    ] {
        let subjects: Vec<String> = subjects.iter().map(|s| (*s).to_owned()).collect();
        let refused = thief.refused(verb, &subjects).await;
        assert_eq!(refused.len(), subjects.len(), "{what}: only {refused:?} was refused");
    }
    // What it may: its own work.
    let work = ["$JS.API.CONSUMER.MSG.NEXT.INGEST.collector", "$JS.ACK.INGEST.collector.1.1.1.1.0"];
    assert!(thief.refused("PUB", &work.map(str::to_owned)).await.is_empty());
}

#[tokio::test]
async fn who_has_no_key_is_not_let_in_and_nobody_is_in_the_system_account() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder).await;
    let refusal = Raw::connect(&server, &KeyPair::new_user()).await.err().expect("a foreign key is refused");
    assert!(refusal.contains("Authorization"), "{refusal}");
    let config = decnet_bus::BusConfig::nats(server.url());
    let bus = Bus::nats(&config, BusIdentity::local(Worker::Api)).await.unwrap();
    assert!(!bus.connected_within(Duration::from_secs(2)).await, "without any key");
}

#[tokio::test]
async fn everyones_work_gets_done() {
    let folder = tempfile::tempdir().unwrap();
    let server = provisioned(&folder).await;
    let host = HostId::default();
    let (agent, collector, api) = (
        bus(&server, Worker::Agent).await,
        bus(&server, Worker::Collector).await,
        bus(&server, Worker::Api).await,
    );

    // A line: agent to collector, acknowledged for good.
    let line = Topic::Ingest { host: host.clone(), decky: DeckyName::parse("web").unwrap() };
    agent.send_acked(&line, "1", "line".into()).await.unwrap().stored().await.unwrap();
    let got = fetch(&collector, Durable::collector(), 1).await;
    got[0].ack().await.unwrap();

    // A command: operator to agent, and its notice back.
    let operator = bus(&server, Worker::Cli).await;
    let mut notices = operator.subscribe(&TopicFilter::kind(TopicKind::NoticeOperation)).await;
    let order = payload::TeardownCommand {
        operation: "op-1".to_owned(),
        requested_by: "test".to_owned(),
        scope: payload::TeardownScope::All,
    };
    let topic = Topic::CmdTeardown { host: host.clone() };
    let envelope = operator.envelope(&topic, &order).unwrap();
    operator.publish_acked(&topic, &envelope.id, &envelope).await.unwrap();
    let commands = fetch(&agent, Durable::agent(&host), 1).await;
    commands[0].progress().await.unwrap();
    commands[0].ack().await.unwrap();
    let notice = Topic::NoticeOperation { operation: decnet_bus::Token::parse("op-1").unwrap() };
    let step = payload::OperationKind::Progress { done: 1, total: 1, decky: None, text: "x".to_owned() };
    let step = payload::OperationNotice { operation: "op-1".to_owned(), at: SystemClock.now(), kind: step };
    agent.publish(&notice, &step).await;
    let heard = tokio::time::timeout(PATIENCE, notices.recv()).await.expect("the notice comes");
    assert_eq!(heard.unwrap().topic, notice);

    // A question: reconciler and orchestrator to agent.
    let mut questions = agent.serve(&TopicFilter::exact(&Topic::AskInspect { host: host.clone() })).await;
    let answering = tokio::spawn(async move {
        for _ in 0..2 {
            questions.recv().await.unwrap().respond(Ok(json!({"fine": true}))).await;
        }
    });
    for asker in [Worker::Reconciler, Worker::Orchestrator] {
        let topic = Topic::AskInspect { host: host.clone() };
        let answer: Value = bus(&server, asker).await.request(&topic, &json!({}), PATIENCE).await.unwrap();
        assert_eq!(answer["fine"], true, "{asker}");
    }
    answering.await.unwrap();

    // An order: API to every worker, answered.
    for worker in holders().filter(|worker| Worker::KNOWN.contains(worker)) {
        let listener = bus(&server, worker).await;
        let topic = Topic::SystemControl { host: host.clone(), worker: worker.token() };
        let mut orders = listener.serve(&TopicFilter::exact(&topic)).await;
        let obeying =
            tokio::spawn(async move { orders.recv().await.unwrap().respond(Ok(json!("yes"))).await });
        let answer: Value = api.request(&topic, &json!({"action": "stop"}), PATIENCE).await.unwrap();
        assert_eq!(answer, "yes", "{worker}");
        obeying.await.unwrap();
    }

    // The last beats: read back from HEALTH.
    let beat =
        payload::Heartbeat { worker: "collector".to_owned(), ts: 1.0, ..payload::Heartbeat::default() };
    collector
        .publish(&Topic::SystemHealth { host: host.clone(), worker: Worker::Collector.token() }, &beat)
        .await;
    let beats = api.last_health().await;
    assert_eq!(beats.len(), 1, "{beats:?}");

    // An event wakes the orchestrator and reaches the API live.
    let mut live = api.subscribe(&TopicFilter::kind(TopicKind::DeckyState)).await;
    let id = decnet_core::DeckyId::new(host, DeckyName::parse("web").unwrap());
    let state = Topic::decky_state(&id);
    let change = payload::DeckyState {
        host_uuid: id.host.clone(),
        name: "web".to_owned(),
        state: "running".to_owned(),
        transition: "inserted".to_owned(),
        source: "fleet".to_owned(),
        previous_state: None,
    };
    let envelope = agent.envelope(&state, &change).unwrap();
    agent.publish_acked(&state, &envelope.id, &envelope).await.unwrap();
    assert!(tokio::time::timeout(PATIENCE, live.recv()).await.expect("live").is_some());
    let durable = Durable::events(Worker::Orchestrator).unwrap();
    fetch(&bus(&server, Worker::Orchestrator).await, durable, 1).await[0].ack().await.unwrap();
}

#[tokio::test]
async fn the_webhook_worker_keeps_its_own_consumers() {
    let folder = tempfile::tempdir().unwrap();
    let server = provisioned(&folder).await;
    let (webhook, collector) = (bus(&server, Worker::Webhook).await, bus(&server, Worker::Collector).await);
    let patterns = [decnet_alerts::Pattern::parse("attacker.session.*").unwrap()];
    let selection = decnet_alerts::Selection::resolve(&patterns, &decnet_bus::public_topics());
    let subscription = uuid::Uuid::from_u128(7);
    let durable = Durable::webhook(subscription, &selection, true);
    webhook.put_siem(&durable, SystemClock.now(), None).await.unwrap();
    let name = Durable::webhook_name(subscription);
    assert_eq!(webhook.siem_names().await.unwrap(), std::slice::from_ref(&name));

    let topic = Topic::AttackerSessionStarted;
    let session = payload::AttackerSession {
        session_id: "s".to_owned(),
        attacker_ip: "192.0.2.9".parse().unwrap(),
        decky: "web".to_owned(),
        service: "ssh".to_owned(),
        started_at: SystemClock.now(),
        ended_at: None,
        command_count: 0,
    };
    let envelope = collector.envelope(&topic, &session).unwrap();
    collector.publish_acked(&topic, &envelope.id, &envelope).await.unwrap();
    fetch(&webhook, durable.clone(), 1).await[0].ack().await.unwrap();
    webhook.put_siem(&durable, SystemClock.now(), None).await.unwrap();
    webhook.remove_siem(&name).await.unwrap();
    assert!(webhook.siem_names().await.unwrap().is_empty());
    // Nobody else makes, reads or removes them.
    assert!(collector.put_siem(&durable, SystemClock.now(), None).await.is_err());
    assert!(collector.siem_names().await.is_err());
}

#[tokio::test]
async fn what_a_broker_with_a_token_kept_is_not_lost_when_it_gets_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = Server::start(config(&folder)).await.unwrap();
    let agent = Bus::nats(&before.bus_config(), BusIdentity::local(Worker::Agent)).await.unwrap();
    assert!(agent.connected_within(PATIENCE).await);
    decnet_bus::provision(&agent).await.unwrap();
    let line = Topic::Ingest { host: HostId::default(), decky: DeckyName::parse("web").unwrap() };
    agent.send_acked(&line, "1", "evidence".into()).await.unwrap().stored().await.unwrap();
    before.stop().await;
    let after = provisioned(&folder).await;
    let got = fetch(&bus(&after, Worker::Collector).await, Durable::collector(), 1).await;
    assert_eq!(&got[0].body[..], b"evidence");
}

#[tokio::test]
async fn keys_stay_over_restarts_of_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = provisioned(&folder).await;
    let api = bus(&server, Worker::Api).await;
    server.kill().await;
    server.restart().await.unwrap();
    assert!(api.connected_within(PATIENCE).await, "the old connection comes back");
    server.stop().await;
    let again = self::server(&folder).await;
    bus(&again, Worker::Api).await;
}
