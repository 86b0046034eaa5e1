//! What only a real server can do to us: die in the middle, be absent, freeze, be too old, refuse the token.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use bytes::Bytes;
use decnet_bus::{
    Bus, BusConfig, BusIdentity, BusStatus, ConnectError, Delivered, Durable, PUBLISH_BUDGET, ProvisionError,
    Topic, TopicFilter, TopicKind, Worker, payload, provision, server::Server,
};
use decnet_core::{DeckyName, HostId};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
};

use crate::net::{Net, PATIENCE, config, eventually};

/// Lines that go through each storm.
const TOTAL: u64 = 2000;

fn line(seq: u64) -> payload::IngestLine {
    payload::IngestLine {
        host: HostId::default(),
        decky: DeckyName::parse("web").unwrap(),
        source: "out".to_owned(),
        seq,
        line: Bytes::from(format!("line {seq}")),
    }
}

/// Publishes all lines as the agent does: many on their way, and after an error again from the first that is
/// not known to be stored.
async fn publish_all(agent: Bus, progress: watch::Sender<u64>) -> u64 {
    let (mut done, mut repeated) = (0, 0);
    while done < TOTAL {
        progress.send_replace(done);
        let mut flight = Vec::new();
        for seq in done..TOTAL.min(done + 50) {
            let line = line(seq);
            match agent.send_acked(&line.topic(), &line.message_id(), line.to_body().unwrap()).await {
                Ok(pending) => flight.push(pending),
                Err(error) => {
                    assert!(error.is_transient(), "{error:?}");
                    break;
                }
            }
        }
        if flight.is_empty() {
            agent.connected_within(PATIENCE).await;
        }
        for pending in flight {
            match pending.stored().await {
                Ok(stored) => {
                    repeated += u64::from(stored.duplicate);
                    done += 1;
                }
                Err(error) => {
                    assert!(error.is_transient(), "{error:?}");
                    break;
                }
            }
        }
    }
    repeated
}

/// Collects as the collector does until all lines are there: (line, its numbers in the stream).
async fn collect_all(collector: Bus, progress: watch::Sender<u64>) -> BTreeMap<u64, BTreeSet<u64>> {
    let mut consumer = collector.consume(Durable::collector()).await;
    let mut seen: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    while (seen.len() as u64) < TOTAL {
        progress.send_replace(seen.len() as u64);
        let Ok(batch) = consumer.fetch(100, Duration::from_secs(1)).await else { continue };
        for message in &batch {
            let line = message.ingest_line().unwrap();
            assert_eq!(line.line, format!("line {}", line.seq));
            seen.entry(line.seq).or_default().insert(message.sequence);
        }
        drop(Delivered::ack_all(&batch).await);
    }
    seen
}

/// Kills the broker at each quarter of `work` and starts it again.
async fn under_fire<T>(net: &mut Net, work: JoinHandle<T>, mut progress: watch::Receiver<u64>) -> T {
    for quarter in 1..4 {
        let reached = progress.wait_for(|done| *done >= quarter * TOTAL / 4);
        drop(
            tokio::time::timeout(PATIENCE, reached)
                .await
                .expect("a quarter is done")
                .expect("not all is done"),
        );
        net.down().await;
        net.up().await;
    }
    tokio::time::timeout(PATIENCE * 3, work).await.expect("the work ends").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_line_is_lost_or_doubled_by_kill_9() {
    let mut net = Net::nats().await;
    net.provision(&[HostId::default()], Duration::from_secs(1)).await;
    let (agent, collector) = (net.bus(Worker::Agent).await, net.bus(Worker::Collector).await);
    let (sender, progress) = watch::channel(0);
    let publishing = tokio::spawn(publish_all(agent, sender));
    let repeated = under_fire(&mut net, publishing, progress).await;
    let (sender, progress) = watch::channel(0);
    let collecting = tokio::spawn(collect_all(collector, sender));
    let seen = under_fire(&mut net, collecting, progress).await;
    assert!(seen.keys().copied().eq(0..TOTAL), "lines are missing");
    assert!(seen.values().all(|numbers| numbers.len() == 1), "a line was stored twice");
    println!("sent again: {repeated}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_on_their_way_through_survive_kill_9() {
    let mut net = Net::nats().await;
    net.provision(&[HostId::default()], Duration::from_secs(1)).await;
    let (agent, collector) = (net.bus(Worker::Agent).await, net.bus(Worker::Collector).await);
    let (sent, (sender, progress)) = (watch::Sender::new(0), watch::channel(0));
    let through =
        tokio::spawn(async { tokio::join!(publish_all(agent, sent), collect_all(collector, sender)) });
    let (_, seen) = under_fire(&mut net, through, progress).await;
    assert!(seen.keys().copied().eq(0..TOTAL), "lines are missing");
    // What was collected before the kill is forgotten by the server with its message id, so a repetition may be
    // stored anew; the database's key absorbs it. It stays within what was on its way.
    let doubled = seen.values().filter(|numbers| numbers.len() > 1).count();
    assert!(doubled <= 3 * 50, "{doubled} lines were stored twice");
    println!("stored twice: {doubled}");
}

#[tokio::test]
async fn a_broker_that_is_absent_at_the_start_is_found_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(config(&folder)).await.unwrap();
    let address = server.bus_config();
    server.stop().await;

    let started = Instant::now();
    let bus = Bus::nats(&address, BusIdentity::local(Worker::Api)).await.unwrap();
    let mut live = bus.subscribe(&TopicFilter::kind(TopicKind::NoticeWebhookChanged)).await;
    bus.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
    assert!(started.elapsed() < Duration::from_secs(1), "the start was held up: {:?}", started.elapsed());
    assert!(!bus.is_connected());
    assert_eq!(bus.counters().lost.load(Ordering::Relaxed), 1);

    server.restart().await.unwrap();
    assert!(bus.connected_within(Duration::from_secs(5)).await, "found within five seconds");
    let other = Bus::nats(&address, BusIdentity::local(Worker::Cli)).await.unwrap();
    assert!(other.connected_within(PATIENCE).await);
    let heard = async {
        loop {
            other.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
            if tokio::time::timeout(Duration::from_millis(100), live.recv())
                .await
                .is_ok_and(|got| got.is_some())
            {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("the early subscription hears");
}

#[tokio::test]
async fn the_first_beat_does_not_get_lost_in_the_connecting() {
    let net = Net::nats().await;
    let listener = net.bus(Worker::Api).await;
    let mut live = listener.subscribe(&TopicFilter::kind(TopicKind::NoticeWebhookChanged)).await;
    let Net::Nats { server, .. } = &net else { unreachable!() };
    let bus = Bus::nats(&server.bus_config(), BusIdentity::local(Worker::Cli)).await.unwrap();
    bus.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
    assert!(tokio::time::timeout(PATIENCE, live.recv()).await.unwrap().is_some());
}

/// A server of which we see only the greeting.
async fn greeter(version: &str) -> (BusConfig, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let info = format!(
        "INFO {{\"server_id\":\"X\",\"server_name\":\"x\",\"version\":\"{version}\",\"go\":\"go1\",\"host\":\"127.0.0.1\",\
         \"port\":4222,\"headers\":true,\"max_payload\":1048576,\"proto\":1,\"client_id\":1}}\r\n"
    );
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let info = info.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                stream.write_all(info.as_bytes()).await.unwrap();
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                    if line.starts_with("PING") && stream.write_all(b"PONG\r\n").await.is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    (BusConfig::nats(url), serving)
}

#[tokio::test]
async fn a_connected_server_that_is_too_old_is_refused() {
    let (address, serving) = greeter("2.9.10").await;
    let bus = Bus::nats(&address, BusIdentity::local(Worker::Api)).await.unwrap();
    let mut status = bus.status();
    let waiting = status.wait_for(|status| matches!(status, BusStatus::Refused(_)));
    let refused = tokio::time::timeout(PATIENCE, waiting).await.expect("a verdict").unwrap().clone();
    let BusStatus::Refused(ConnectError::ServerTooOld { version }) = refused else { unreachable!() };
    assert_eq!(version, "2.9.10");
    assert!(!bus.is_connected());
    bus.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
    assert_eq!(bus.counters().published.load(Ordering::Relaxed), 0);
    let error = tokio::time::timeout(PATIENCE, provision(&bus)).await.unwrap().unwrap_err();
    assert!(matches!(error, ProvisionError::Server(_)) && error.to_string().contains("2.10"), "{error}");
    serving.abort();

    let (address, serving) = greeter("2.10.0").await;
    let bus = Bus::nats(&address, BusIdentity::local(Worker::Api)).await.unwrap();
    assert!(bus.connected_within(PATIENCE).await, "2.10 is new enough");
    serving.abort();
}

#[tokio::test]
async fn a_wrong_token_is_no_connection_and_a_wrong_address_a_clear_error() {
    let net = Net::nats().await;
    let Net::Nats { server, .. } = &net else { unreachable!() };
    let address = BusConfig::nats(server.url()).with_token("wrong");
    let bus = Bus::nats(&address, BusIdentity::local(Worker::Api)).await.unwrap();
    let mut status = bus.status();
    let waiting = status.wait_for(|status| matches!(status, BusStatus::Refused(ConnectError::NotAllowed)));
    tokio::time::timeout(PATIENCE, waiting).await.expect("a verdict").unwrap();
    assert!(!bus.is_connected());
    let error = tokio::time::timeout(PATIENCE, provision(&bus)).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("DECNET_NATS_TOKEN"), "{error}");
    bus.drain().await;

    // The URL may carry the token instead.
    let url = server.url().replace("nats://", &format!("nats://{}@", server.token()));
    let bus = Bus::nats(&BusConfig::nats(url), BusIdentity::local(Worker::Api)).await.unwrap();
    assert!(bus.connected_within(PATIENCE).await);

    let odd = BusConfig::nats("nats://user:hunter2@bad host:x");
    let error = Bus::nats(&odd, BusIdentity::local(Worker::Api)).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("DECNET_NATS_URL") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn draining_sends_what_is_on_its_way_and_ends_subscriptions() {
    let net = Net::nats().await;
    let (speaker, listener) = (net.bus(Worker::Clusterer).await, net.bus(Worker::Api).await);
    let mut heard = listener.subscribe(&TopicFilter::kind(TopicKind::NoticeWebhookChanged)).await;
    let mut own = speaker.subscribe(&TopicFilter::family("identity")).await;
    for _ in 0..100 {
        speaker.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
    }
    speaker.drain().await;
    for n in 0..100 {
        assert!(tokio::time::timeout(PATIENCE, heard.recv()).await.is_ok(), "message {n}");
    }
    assert!(tokio::time::timeout(PATIENCE, own.recv()).await.expect("an end").is_none());
    assert_eq!(*speaker.status().borrow(), BusStatus::Closed);
    tokio::time::timeout(
        Duration::from_secs(1),
        speaker.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}),
    )
    .await
    .expect("a publish after the end is bounded");
}

#[tokio::test]
async fn a_bus_that_is_switched_off_is_silent() {
    let config = BusConfig { enabled: false, ..BusConfig::default() };
    let bus = Bus::open(&config, BusIdentity::local(Worker::Api)).await.unwrap();
    assert!(!bus.is_enabled() && !bus.is_connected());
    bus.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
    assert!(bus.subscribe(&TopicFilter::public()).await.recv().await.is_none());
    assert!(bus.serve(&TopicFilter::family("ask")).await.recv().await.is_none());
    let mut consumer = bus.consume(Durable::collector()).await;
    assert!(consumer.fetch(1, Duration::from_millis(10)).await.unwrap().is_empty());
    // Lines must not vanish: only notifications may.
    let line = line(0);
    assert!(bus.send_acked(&line.topic(), "id", line.to_body().unwrap()).await.is_err());
}

#[tokio::test]
async fn without_streams_a_notification_still_arrives_and_keeps_nobody() {
    let net = Net::nats().await;
    let (speaker, listener) = (net.bus(Worker::Clusterer).await, net.bus(Worker::Api).await);
    let mut live = listener.subscribe(&TopicFilter::kind(TopicKind::IdentityMerged)).await;
    let merged = payload::Merged { winner_uuid: "a".to_owned(), loser_uuid: "b".to_owned() };
    let started = Instant::now();
    for _ in 0..100 {
        speaker.publish(&Topic::IdentityMerged, &merged).await;
    }
    assert!(started.elapsed() < Duration::from_secs(2), "every publish waited: {:?}", started.elapsed());
    for n in 0..100 {
        assert!(tokio::time::timeout(PATIENCE, live.recv()).await.is_ok(), "message {n}");
    }
}

#[tokio::test]
async fn stopped_subscribers_do_not_hold_up_publishers() {
    let net = Net::nats().await;
    let (speaker, listener) = (net.bus(Worker::Clusterer).await, net.bus(Worker::Api).await);
    let topic = Topic::NoticeWebhookChanged;
    let publish_many = async || {
        let started = Instant::now();
        for _ in 0..2000 {
            speaker.publish(&topic, &payload::Empty {}).await;
        }
        started.elapsed()
    };
    let alone = publish_many().await;
    let slow = listener.subscribe(&TopicFilter::kind(TopicKind::NoticeWebhookChanged)).await;
    let beside = publish_many().await;
    println!("2000 publishes: alone {alone:?}, beside a stopped subscriber {beside:?}");
    assert_eq!(speaker.counters().lost.load(Ordering::Relaxed), 0);
    eventually("the overrun is counted", || async { slow.dropped() > 0 }).await;
}

/// The connection stands and nobody answers: the case for which `publish` has a budget.
#[tokio::test]
async fn a_frozen_broker_holds_up_no_publisher() {
    let net = Net::nats().await;
    net.provision(&[HostId::default()], Duration::from_secs(1)).await;
    let speaker = net.bus(Worker::Clusterer).await;
    let Net::Nats { server, .. } = &net else { unreachable!() };
    let broker = server.pid().and_then(|pid| Pid::from_raw(pid.cast_signed())).unwrap();
    let merged = payload::Merged { winner_uuid: "a".to_owned(), loser_uuid: "b".to_owned() };
    let kept = async || {
        let started = Instant::now();
        speaker.publish(&Topic::IdentityMerged, &merged).await;
        speaker.publish(&Topic::NoticeWebhookChanged, &payload::Empty {}).await;
        started.elapsed()
    };
    kill_process(broker, Signal::STOP).unwrap();
    let mut times = Vec::new();
    for _ in 0..20 {
        times.push(kept().await);
    }
    kill_process(broker, Signal::CONT).unwrap();
    // Twice the budget for two calls, and something for a loaded machine.
    let bound = PUBLISH_BUDGET * 2 + Duration::from_millis(250);
    assert!(times.iter().all(|time| *time < bound), "{times:?}");
    assert!(
        times[10..].iter().all(|time| *time < PUBLISH_BUDGET),
        "a known silence is waited for: {times:?}"
    );
    assert!(speaker.counters().lost.load(Ordering::Relaxed) > 0);
}
