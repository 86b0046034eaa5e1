//! What holds for both transports. Each function runs once on the hub in memory and once on a nats-server.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use bytes::Bytes;
use decnet_bus::{
    Bus, BusIdentity, Delivered, Durable, FetchError, Field, LEAST_STORAGE, ProvisionError, Provisioning,
    PublishError, RequestError, SUBSCRIPTION_CAPACITY, StreamName, Subscription, Topic, TopicFilter,
    TopicKind, Worker, payload, provision, provision_with,
};
use decnet_core::{DeckyId, DeckyName, HostId};

use crate::net::{Net, PATIENCE, eventually, fetch};

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $name() { super::$name(super::Net::memory()).await; })*
        }
        mod nats {
            $(#[tokio::test] async fn $name() { super::$name(super::Net::nats().await).await; })*
        }
    };
}

on_both!(
    echo_is_suppressed,
    filters_narrow,
    a_worker_does_not_wake_on_its_own_event,
    a_message_id_is_stored_once,
    nak_brings_a_message_back,
    a_poison_message_is_terminated_and_the_rest_goes_on,
    an_unacknowledged_message_comes_again_and_progress_delays_that,
    a_command_reaches_one_host_and_is_gone_when_done,
    a_given_up_fetch_loses_nothing,
    an_empty_fetch_waits_and_a_message_ends_the_wait,
    requests_and_their_errors,
    the_unprovisioned_is_named,
    a_large_message_is_refused_clearly,
    the_last_beats_are_readable,
    a_slow_subscription_loses_its_oldest,
    a_full_ingest_pushes_back_and_resumes,
    an_outage_is_bounded_and_passes,
    provisioning_twice_changes_nothing,
);

const ACK_WAIT: Duration = Duration::from_secs(30);

fn merged(n: usize) -> payload::Merged {
    payload::Merged { winner_uuid: n.to_string(), loser_uuid: String::new() }
}

fn decky(n: usize) -> (Topic, payload::DeckyState) {
    let id = DeckyId::new(HostId::default(), DeckyName::parse(&format!("web-{n}")).unwrap());
    let state = payload::DeckyState {
        host_uuid: id.host.clone(),
        name: id.name.to_string(),
        state: "running".to_owned(),
        transition: "insert".to_owned(),
        source: "fleet".to_owned(),
        previous_state: None,
    };
    (Topic::decky_state(&id), state)
}

fn line(seq: u64, size: usize) -> payload::IngestLine {
    payload::IngestLine {
        host: HostId::default(),
        decky: DeckyName::parse("web").unwrap(),
        source: "out".to_owned(),
        seq,
        line: Bytes::from(vec![b'x'; size]),
    }
}

async fn send(bus: &Bus, line: &payload::IngestLine) -> Result<bool, PublishError> {
    let pending = bus.send_acked(&line.topic(), &line.message_id(), line.to_body().unwrap()).await?;
    pending.stored().await.map(|stored| stored.duplicate)
}

async fn next_merged(subscription: &mut Subscription) -> String {
    let received = tokio::time::timeout(PATIENCE, subscription.recv()).await.expect("a message").unwrap();
    received.envelope.decode::<payload::Merged>().unwrap().winner_uuid
}

async fn echo_is_suppressed(net: Net) {
    let (a, b) = (net.bus(Worker::Clusterer).await, net.bus(Worker::CampaignClusterer).await);
    let filter = TopicFilter::family("identity");
    let (mut to_a, mut to_b) = (a.subscribe(&filter).await, b.subscribe(&filter).await);
    a.publish(&Topic::IdentityMerged, &merged(1)).await;
    b.publish(&Topic::IdentityMerged, &merged(2)).await;
    a.publish(&Topic::IdentityMerged, &merged(3)).await;
    b.publish(&Topic::IdentityMerged, &merged(4)).await;
    assert_eq!(next_merged(&mut to_b).await, "1");
    assert_eq!(next_merged(&mut to_b).await, "3");
    assert_eq!(next_merged(&mut to_a).await, "2");
    assert_eq!(next_merged(&mut to_a).await, "4");
}

async fn filters_narrow(net: Net) {
    let (speaker, listener) = (net.bus(Worker::Agent).await, net.bus(Worker::Api).await);
    let (topic, state) = decky(7);
    let Topic::DeckyState { decky: wanted, .. } = &topic else { unreachable!() };
    let filter = TopicFilter::kind(TopicKind::DeckyState).bind(Field::Decky, wanted);
    let mut one = listener.subscribe(&filter).await;
    let mut public = listener.subscribe(&TopicFilter::public()).await;
    let (other, other_state) = decky(8);
    speaker.publish(&other, &other_state).await;
    speaker.publish(&topic, &state).await;
    assert_eq!(one.recv().await.unwrap().topic, topic);
    let seen = public.recv().await.unwrap();
    assert_eq!((seen.topic, seen.envelope.topic.as_str()), (other, "decky.local:web-8.state"));
    assert_eq!(public.recv().await.unwrap().topic, topic);
}

async fn a_worker_does_not_wake_on_its_own_event(net: Net) {
    net.provision(&[HostId::default()], ACK_WAIT).await;
    let orchestrator = net.bus(Worker::Orchestrator).await;
    let agent = net.bus(Worker::Agent).await;
    let durable = || Durable::events(Worker::Orchestrator).unwrap();
    let (mine, state) = decky(1);
    orchestrator.publish(&mine, &state).await;
    let (theirs, state) = decky(2);
    agent.publish(&theirs, &state).await;
    // Another run of the same worker does not see them either.
    let again = net.bus(Worker::Orchestrator).await;
    let batch = fetch(&again, durable(), 1).await;
    assert_eq!(batch[0].topic, theirs);
    assert_eq!(batch[0].decode::<payload::DeckyState>().unwrap(), state);
    batch[0].ack().await.unwrap();
    let mut consumer = orchestrator.consume(durable()).await;
    assert!(consumer.fetch(10, Duration::from_millis(200)).await.unwrap().is_empty());
}

async fn a_message_id_is_stored_once(net: Net) {
    net.provision(&[HostId::default()], ACK_WAIT).await;
    let (agent, collector) = (net.bus(Worker::Agent).await, net.bus(Worker::Collector).await);
    assert!(!send(&agent, &line(0, 10)).await.unwrap());
    assert!(send(&agent, &line(0, 10)).await.unwrap());
    assert!(!send(&agent, &line(11, 10)).await.unwrap());
    let mut consumer = collector.consume(Durable::collector()).await;
    let batch = consumer.fetch(10, Duration::from_secs(5)).await.unwrap();
    let seqs: Vec<_> = batch.iter().map(|message| message.ingest_line().unwrap().seq).collect();
    assert_eq!(seqs, [0, 11]);
    Delivered::ack_all(&batch).await.unwrap();
}

async fn nak_brings_a_message_back(net: Net) {
    net.provision(&[HostId::default()], ACK_WAIT).await;
    let (agent, collector) = (net.bus(Worker::Agent).await, net.bus(Worker::Collector).await);
    send(&agent, &line(0, 10)).await.unwrap();
    let first = fetch(&collector, Durable::collector(), 1).await;
    assert_eq!(first[0].delivery, 1);
    let pause = Duration::from_millis(300);
    let asked = Instant::now();
    first[0].nak(pause).await.unwrap();
    let second = fetch(&collector, Durable::collector(), 1).await;
    assert_eq!(second[0].delivery, 2);
    assert!(asked.elapsed() + Duration::from_millis(20) >= pause, "too early: {:?}", asked.elapsed());
    assert_eq!(second[0].ingest_line().unwrap(), line(0, 10));
    second[0].ack().await.unwrap();
    let mut consumer = collector.consume(Durable::collector()).await;
    assert!(consumer.fetch(1, pause * 2).await.unwrap().is_empty());
}

async fn a_poison_message_is_terminated_and_the_rest_goes_on(net: Net) {
    net.provision(&[HostId::default()], Duration::from_secs(1)).await;
    let (agent, collector) = (net.bus(Worker::Agent).await, net.bus(Worker::Collector).await);
    let poison = Bytes::from_static(b"{\"v\":9,\xff");
    agent.send_acked(&line(0, 1).topic(), "poison", poison).await.unwrap().stored().await.unwrap();
    send(&agent, &line(1, 10)).await.unwrap();
    let mut consumer = collector.consume(Durable::collector()).await;
    let mut good = Vec::new();
    while good.is_empty() {
        for message in consumer.fetch(10, Duration::from_secs(5)).await.unwrap() {
            match message.ingest_line() {
                Ok(line) => {
                    message.ack().await.unwrap();
                    good.push(line.seq);
                }
                Err(error) => consumer.reject(&message, &error).await,
            }
        }
    }
    assert_eq!(good, [1]);
    assert_eq!(collector.counters().poison.load(Ordering::Relaxed), 1);
    // Longer than the server's patience: a message that was not terminated would be back.
    assert!(consumer.fetch(10, Duration::from_millis(1500)).await.unwrap().is_empty());
}

async fn an_unacknowledged_message_comes_again_and_progress_delays_that(net: Net) {
    let wait = Duration::from_secs(1);
    net.provision(&[HostId::default()], wait).await;
    let (agent, collector) = (net.bus(Worker::Agent).await, net.bus(Worker::Collector).await);
    send(&agent, &line(0, 10)).await.unwrap();
    let mut consumer = collector.consume(Durable::collector()).await;
    let first = consumer.fetch(1, PATIENCE).await.unwrap();
    let taken = Instant::now();
    while taken.elapsed() < wait * 2 {
        first[0].progress().await.unwrap();
        assert!(consumer.fetch(1, wait / 4).await.unwrap().is_empty(), "came while still at work");
    }
    let second = consumer.fetch(1, PATIENCE).await.unwrap();
    assert_eq!(second[0].delivery, 2);
    second[0].ack().await.unwrap();
}

async fn a_command_reaches_one_host_and_is_gone_when_done(net: Net) {
    let here = HostId::default();
    let there = HostId::parse("7f1d4a52-6b0c-4d5e-8f4e-1c2b3a4d5e6f").unwrap();
    net.provision(&[here.clone(), there.clone()], ACK_WAIT).await;
    let (api, agent) = (net.bus(Worker::Api).await, net.bus(Worker::Agent).await);
    for (n, host) in [&there, &here].into_iter().enumerate() {
        let topic = Topic::CmdTeardown { host: host.clone() };
        let command = payload::TeardownCommand {
            operation: n.to_string(),
            requested_by: "admin".to_owned(),
            scope: payload::TeardownScope::One(DeckyName::parse("web").unwrap()),
        };
        let envelope = api.envelope(&topic, &command).unwrap();
        api.publish_acked(&topic, &format!("op-{n}"), &envelope).await.unwrap();
    }
    let mine = fetch(&agent, Durable::agent(&here), 1).await;
    assert_eq!(mine[0].topic, Topic::CmdTeardown { host: here.clone() });
    assert_eq!(mine[0].decode::<payload::TeardownCommand>().unwrap().operation, "1");
    mine[0].ack().await.unwrap();
    let mut consumer = agent.consume(Durable::agent(&here)).await;
    assert!(consumer.fetch(5, Duration::from_millis(200)).await.unwrap().is_empty());
    assert_eq!(fetch(&agent, Durable::agent(&there), 1).await.len(), 1);
}

async fn a_given_up_fetch_loses_nothing(net: Net) {
    net.provision(&[HostId::default()], ACK_WAIT).await;
    let (agent, collector) = (net.bus(Worker::Agent).await, net.bus(Worker::Collector).await);
    let mut consumer = collector.consume(Durable::collector()).await;
    // A worker's loop gives a fetch up whenever something else happens.
    for _ in 0..3 {
        let waiting = consumer.fetch(10, PATIENCE);
        assert!(tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err());
    }
    for seq in 0..5 {
        send(&agent, &line(seq, 10)).await.unwrap();
    }
    let mut seqs = Vec::new();
    let fetching = async {
        while seqs.len() < 5 {
            for message in consumer.fetch(10, Duration::from_secs(1)).await.unwrap() {
                assert_eq!(message.delivery, 1);
                seqs.push(message.ingest_line().unwrap().seq);
                message.ack().await.unwrap();
            }
        }
    };
    // Well below the server's patience: nothing had to be delivered again.
    tokio::time::timeout(ACK_WAIT / 3, fetching).await.expect("all five, soon");
    seqs.sort_unstable();
    assert_eq!(seqs, [0, 1, 2, 3, 4]);
}

async fn an_empty_fetch_waits_and_a_message_ends_the_wait(net: Net) {
    net.provision(&[HostId::default()], ACK_WAIT).await;
    let (agent, collector) = (net.bus(Worker::Agent).await, net.bus(Worker::Collector).await);
    let mut consumer = collector.consume(Durable::collector()).await;
    let asked = Instant::now();
    assert!(consumer.fetch(5, Duration::from_millis(400)).await.unwrap().is_empty());
    assert!(asked.elapsed() >= Duration::from_millis(380), "did not wait: {:?}", asked.elapsed());
    let asked = Instant::now();
    let (batch, ()) = tokio::join!(consumer.fetch(5, PATIENCE), async {
        send(&agent, &line(0, 10)).await.unwrap();
    });
    assert_eq!(batch.unwrap().len(), 1);
    assert!(asked.elapsed() < PATIENCE / 2, "waited to the end");
}

async fn requests_and_their_errors(net: Net) {
    let (api, agent) = (net.bus(Worker::Api).await, net.bus(Worker::Agent).await);
    let topic = Topic::AskReadFile { host: HostId::default() };
    let question = payload::ReadFileRequest {
        decky: DeckyName::parse("web").unwrap(),
        path: "/etc/passwd".to_owned(),
        max: 100,
    };
    let nobody = api.request::<_, payload::ReadFileReply>(&topic, &question, PATIENCE).await;
    assert!(matches!(nobody, Err(RequestError::NoResponder { .. })), "{nobody:?}");

    let mut requests = agent.serve(&TopicFilter::kind(TopicKind::AskReadFile)).await;
    let serving = tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            let asked = request.read::<payload::ReadFileRequest>();
            match asked.map(|asked| asked.max) {
                Ok(100) => {
                    let content_b64 = Some("cm9vdA==".to_owned());
                    request.respond(Ok(payload::ReadFileReply { content_b64, stat: None })).await;
                }
                Ok(0) => drop(request),
                Ok(_) => request.respond::<()>(Err("no such decky".to_owned())).await,
                Err(text) => request.respond::<()>(Err(text)).await,
            }
        }
    });
    let reply: payload::ReadFileReply = api.request(&topic, &question, PATIENCE).await.unwrap();
    assert_eq!(reply.content_b64.as_deref(), Some("cm9vdA=="));

    let ask = |max| payload::ReadFileRequest { max, ..question.clone() };
    let refused = api.request::<_, payload::ReadFileReply>(&topic, &ask(7), PATIENCE).await;
    assert!(matches!(&refused, Err(RequestError::Remote(text)) if text == "no such decky"), "{refused:?}");
    let silent = api.request::<_, ()>(&topic, &ask(0), Duration::from_millis(200)).await;
    assert!(matches!(silent, Err(RequestError::TimedOut { .. })), "{silent:?}");
    let odd = api.request::<_, ()>(&topic, &"not the struct", PATIENCE).await;
    assert!(matches!(&odd, Err(RequestError::Remote(text)) if text.contains("cannot be read")), "{odd:?}");
    let wrong = api.request::<_, u8>(&topic, &question, PATIENCE).await;
    assert!(matches!(wrong, Err(RequestError::BadMessage { .. })), "{wrong:?}");
    let huge = "x".repeat(2 * 1024 * 1024);
    let large = api.request::<_, ()>(&topic, &huge, PATIENCE).await;
    assert!(matches!(large, Err(RequestError::BadMessage { .. })), "{large:?}");
    // One's own requests are no requests: the server sends nobody his own messages.
    let own = agent.request::<_, ()>(&topic, &question, Duration::from_secs(1)).await;
    assert!(matches!(own, Err(RequestError::NoResponder { .. } | RequestError::TimedOut { .. })), "{own:?}");
    serving.abort();
}

async fn the_unprovisioned_is_named(net: Net) {
    let bus = net.bus(Worker::Collector).await;
    let error = send(&bus, &line(0, 10)).await.unwrap_err();
    assert!(matches!(error, PublishError::NoStream { .. }), "{error:?}");
    assert!(error.is_transient() && error.to_string().contains("decnet migrate"), "{error}");
    let mut consumer = bus.consume(Durable::collector()).await;
    let error = consumer.fetch(1, Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, FetchError::NotProvisioned { stream: StreamName::Ingest, .. }), "{error:?}");
    // The same consumer works once somebody provisions.
    provision(&net.bus(Worker::Cli).await).await.unwrap();
    send(&bus, &line(0, 10)).await.unwrap();
    assert_eq!(consumer.fetch(1, PATIENCE).await.unwrap().len(), 1);
}

async fn a_large_message_is_refused_clearly(net: Net) {
    net.provision(&[HostId::default()], ACK_WAIT).await;
    let bus = net.bus(Worker::Agent).await;
    let error = send(&bus, &line(0, 1024 * 1024)).await.unwrap_err();
    assert!(matches!(error, PublishError::TooLarge { .. }), "{error:?}");
    assert!(!error.is_transient() && error.to_string().contains("1048576"), "{error}");
    let (topic, mut state) = decky(1);
    state.state = "x".repeat(1024 * 1024);
    bus.publish(&topic, &state).await;
    assert_eq!(bus.counters().lost.load(Ordering::Relaxed), 1);
    // The connection is none the worse.
    assert!(!send(&bus, &line(1, payload::MAX_INGEST)).await.unwrap());
}

async fn the_last_beats_are_readable(net: Net) {
    net.provision(&[HostId::default()], ACK_WAIT).await;
    for (worker, ts) in [(Worker::Collector, 1.0), (Worker::Agent, 2.0), (Worker::Collector, 3.0)] {
        let bus = net.bus(worker).await;
        let topic = Topic::SystemHealth { host: HostId::default(), worker: worker.token() };
        let beat = payload::Heartbeat { worker: worker.to_string(), ts, ..payload::Heartbeat::default() };
        bus.publish(&topic, &beat).await;
    }
    let api = net.bus(Worker::Api).await;
    let mut beats: Vec<_> = api
        .last_health()
        .await
        .into_iter()
        .map(|(topic, envelope)| (topic.label(), envelope.decode::<payload::Heartbeat>().unwrap().ts))
        .collect();
    beats.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(beats, [("system.agent.health".to_owned(), 2.0), ("system.collector.health".to_owned(), 3.0)]);
}

async fn a_slow_subscription_loses_its_oldest(net: Net) {
    net.provision(&[HostId::default()], ACK_WAIT).await;
    let (speaker, listener) = (net.bus(Worker::Clusterer).await, net.bus(Worker::Api).await);
    let mut slow = listener.subscribe(&TopicFilter::kind(TopicKind::IdentityMerged)).await;
    let extra = 300;
    for n in 0..SUBSCRIPTION_CAPACITY + extra {
        speaker.publish(&Topic::IdentityMerged, &merged(n)).await;
    }
    eventually("the overrun is seen", || async { slow.dropped() == extra as u64 }).await;
    assert_eq!(speaker.counters().lost.load(Ordering::Relaxed), 0);
    assert_eq!(next_merged(&mut slow).await, extra.to_string());
    assert_eq!(listener.counters().overrun.load(Ordering::Relaxed), extra as u64);
}

async fn a_full_ingest_pushes_back_and_resumes(net: Net) {
    let mut wish = Provisioning::for_hosts(&[HostId::default()]);
    wish.storage = LEAST_STORAGE;
    provision_with(&net.bus(Worker::Cli).await, &wish).await.unwrap();
    let (agent, collector) = (net.bus(Worker::Agent).await, net.bus(Worker::Collector).await);
    let mut stored = 0;
    let full = loop {
        match send(&agent, &line(stored, 200 * 1024)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 1000, "never full");
    };
    assert!(matches!(full, PublishError::StreamFull { .. }), "{full:?}");
    assert!(full.is_transient());
    let batch = fetch(&collector, Durable::collector(), usize::try_from(stored).unwrap()).await;
    Delivered::ack_all(&batch).await.unwrap();
    eventually("there is room again", || async { send(&agent, &line(stored, 200 * 1024)).await.is_ok() })
        .await;
    let rest = fetch(&collector, Durable::collector(), 1).await;
    assert_eq!(rest[0].ingest_line().unwrap().seq, stored);
}

async fn an_outage_is_bounded_and_passes(mut net: Net) {
    net.provision(&[HostId::default()], ACK_WAIT).await;
    let (speaker, listener) = (net.bus(Worker::Clusterer).await, net.bus(Worker::Api).await);
    let mut live = listener.subscribe(&TopicFilter::kind(TopicKind::IdentityMerged)).await;
    let mut consumer = listener.consume(Durable::collector()).await;
    net.down().await;
    for n in 0..50 {
        let payload = merged(n);
        let publish = speaker.publish(&Topic::IdentityMerged, &payload);
        tokio::time::timeout(Duration::from_secs(1), publish).await.expect("a publish is bounded");
    }
    eventually("the speaker notices", || async { !speaker.is_connected() }).await;
    let error = send(&speaker, &line(0, 10)).await.unwrap_err();
    assert!(matches!(error, PublishError::Disconnected), "{error:?}");
    eventually("the listener notices", || async { !listener.is_connected() }).await;
    let error = consumer.fetch(1, Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, FetchError::Disconnected), "{error:?}");
    let inspect = Topic::AskInspect { host: HostId::default() };
    let question = payload::InspectRequest {};
    let asked = listener.request::<_, ()>(&inspect, &question, Duration::from_millis(100)).await;
    assert!(matches!(asked, Err(RequestError::Disconnected)), "{asked:?}");
    assert!(listener.last_health().await.is_empty());

    net.up().await;
    assert!(speaker.connected_within(Duration::from_secs(5)).await, "back within five seconds");
    assert!(listener.connected_within(Duration::from_secs(5)).await, "back within five seconds");
    // The subscription is back by itself; until the server has it again, what is said is lost.
    let heard = async {
        loop {
            speaker.publish(&Topic::IdentityMerged, &merged(1000)).await;
            let next = tokio::time::timeout(Duration::from_millis(100), next_merged(&mut live)).await;
            if next.is_ok_and(|winner| winner == "1000") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("the subscription returns");
    send(&speaker, &line(0, 10)).await.unwrap();
    assert_eq!(consumer.fetch(1, PATIENCE).await.unwrap().len(), 1, "the same consumer works again");
}

async fn provisioning_twice_changes_nothing(net: Net) {
    let cli = net.bus(Worker::Cli).await;
    provision(&cli).await.unwrap();
    let agent = net.bus(Worker::Agent).await;
    send(&agent, &line(0, 10)).await.unwrap();
    provision(&cli).await.unwrap();
    let collector = net.bus(Worker::Collector).await;
    assert_eq!(fetch(&collector, Durable::collector(), 1).await.len(), 1);
    let off = Bus::null(BusIdentity::local(Worker::Cli));
    assert!(matches!(provision(&off).await, Err(ProvisionError::Disabled)));
}
