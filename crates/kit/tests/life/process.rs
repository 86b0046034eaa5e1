//! The worker as a process: start without a broker, readiness, watchdog, signals, exit codes, the bound of the stop.

use std::{
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use decnet_bus::{Topic, TopicFilter, TopicKind, Worker, payload};
use decnet_core::HostId;
use decnet_kit::ControlReply;
use rustix::process::Signal;

use super::ground::{Broker, Home, Manager, Process, until};

const SOON: Duration = Duration::from_secs(20);

fn control() -> Topic {
    Topic::SystemControl { host: HostId::default(), worker: Worker::Clusterer.token() }
}

fn stop() -> payload::Control {
    payload::Control { action: "stop".into(), requested_by: "ann".into(), ts: 0.0 }
}

#[tokio::test]
async fn a_worker_starts_and_works_without_a_broker_then_beats_and_obeys_once_there_is_one() {
    let (home, mut broker) = (Home::migrated().await, Broker::absent());
    let passes = home.path("passes");
    let mut worker = Process::start(
        home.variables(&broker),
        &["--interval", "0.1", "--passes", passes.to_str().unwrap(), "--log-format", "json"],
    );
    until("passes happen on the timer", SOON, async || {
        std::fs::read_to_string(&passes).is_ok_and(|text| text.lines().count() >= 5)
    })
    .await;
    let text = std::fs::read_to_string(&passes).unwrap();
    assert!(text.starts_with("Start\nTimer\n"), "{text}");

    broker.start().await;
    let appeared = Instant::now();
    let api = broker.bus(Worker::Api).await;
    let mut health = api.subscribe(&TopicFilter::kind(TopicKind::SystemHealth)).await;
    let beat = tokio::time::timeout(SOON, health.recv()).await.expect("a beat comes").unwrap();
    assert!(appeared.elapsed() < Duration::from_secs(5), "the beat took {:?}", appeared.elapsed());
    let beat: payload::Heartbeat = beat.envelope.decode().unwrap();
    assert_eq!((beat.worker.as_str(), beat.pid), ("clusterer", Some(worker.id())));
    assert_eq!((beat.version.as_deref(), beat.queue_depth), (Some(env!("CARGO_PKG_VERSION")), Some(0)));
    assert!(
        beat.uptime_s.is_some_and(|s| s > 0.3) && beat.rss_bytes.is_some_and(|b| b > 1_000_000),
        "{beat:?}"
    );
    let age = beat.ts - beat.last_progress_ts.unwrap();
    assert!((0.0..2.0).contains(&age), "last progress {age} s ago");

    // Its control subscription may come back a moment after its beat.
    let mut reply: Option<ControlReply> = None;
    until("the stop is answered", SOON, async || {
        reply = api.request(&control(), &stop(), Duration::from_secs(5)).await.ok();
        reply.is_some()
    })
    .await;
    assert_eq!(reply.unwrap().pid, worker.id());
    assert_eq!(worker.end(Duration::from_secs(10)).await, Some(0), "{}", worker.log());
    let last = worker.log().lines().last().unwrap().to_owned();
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["worker"], "clusterer", "each line is JSON with the worker's name");
}

#[tokio::test]
async fn ready_waits_for_the_database_but_not_for_the_broker() {
    let (home, broker) = (Home::migrated().await, Broker::absent());
    let manager = Manager::listening(&home);
    let mut variables = home.variables(&broker);
    variables.insert("NOTIFY_SOCKET".into(), manager.path.display().to_string());
    variables.insert("DECNET_DB_URL".into(), format!("sqlite://{}", home.path("later/decnet.db").display()));
    let mut worker = Process::start(variables, &["--interval", "0.1"]);
    worker.says("starting without the database").await;
    worker.says("pass failed").await;
    assert!(manager.heard("READY=1").is_empty());

    // The folder appears with a migrated database in it.
    std::fs::create_dir(home.path("making")).unwrap();
    for file in ["decnet.db", "decnet.db-wal", "decnet.db-shm"] {
        let _ = std::fs::copy(home.path(file), home.path("making").join(file));
    }
    std::fs::rename(home.path("making"), home.path("later")).unwrap();
    manager.hears("READY=1").await;
    manager.hears("STATUS=running without the broker").await;
    worker.signal(Signal::TERM);
    assert_eq!(worker.end(Duration::from_secs(10)).await, Some(0), "{}", worker.log());
    manager.hears("STOPPING=1").await;
}

#[tokio::test]
async fn a_waiting_loop_feeds_the_watchdog_and_a_frozen_one_does_not() {
    let watchdog = Duration::from_millis(1500);
    let broker = Broker::running().await;
    for frozen in [false, true] {
        let home = Home::migrated().await;
        let manager = Manager::listening(&home);
        let mut variables = home.variables(&broker);
        variables.insert("NOTIFY_SOCKET".into(), manager.path.display().to_string());
        variables.insert("WATCHDOG_USEC".into(), watchdog.as_micros().to_string());
        let args: &[&str] =
            if frozen { &["--interval", "0.05", "--freeze-after", "3"] } else { &["--interval", "3600"] };
        let mut worker = Process::start(variables, args);
        manager.hears("READY=1").await;
        manager.hears("WATCHDOG=1").await;
        if frozen {
            until("the pings end", SOON, async || {
                manager.heard("WATCHDOG=1").last().is_some_and(|at| at.elapsed() > watchdog * 3)
            })
            .await;
            // The rest of the process is well, and that must not count.
            let api = broker.bus(Worker::Api).await;
            let reply: ControlReply = api.request(&control(), &stop(), Duration::from_secs(5)).await.unwrap();
            assert_eq!(reply.pid, worker.id());
        } else {
            until("six pings of an idle loop", SOON, async || manager.heard("WATCHDOG=1").len() >= 6).await;
            let pings = manager.heard("WATCHDOG=1");
            let longest = pings.windows(2).map(|w| w[1] - w[0]).max().unwrap();
            assert!(longest < watchdog, "the manager would have killed it: {longest:?} without a ping");
            worker.signal(Signal::INT);
            assert_eq!(worker.end(Duration::from_secs(10)).await, Some(0), "{}", worker.log());
        }
    }
}

#[tokio::test]
async fn a_worker_that_never_ends_is_cut_at_the_bound_and_still_exits_with_zero() {
    let (home, broker) = (Home::migrated().await, Broker::absent());
    let passes = home.path("passes");
    let mut worker =
        Process::start(home.variables(&broker), &["--deaf", "--passes", passes.to_str().unwrap()]);
    until("it is deep in its pass", SOON, async || passes.exists()).await;
    let asked = Instant::now();
    worker.signal(Signal::TERM);
    assert_eq!(worker.end(Duration::from_secs(25)).await, Some(0), "{}", worker.log());
    let took = asked.elapsed().as_secs_f64();
    assert!((14.0..22.0).contains(&took), "cut after {took} s");
    assert!(worker.log().contains("did not stop in time"), "{}", worker.log());
}

#[tokio::test]
async fn a_second_signal_cuts_at_once() {
    let (home, broker) = (Home::migrated().await, Broker::absent());
    let passes = home.path("passes");
    let mut worker =
        Process::start(home.variables(&broker), &["--deaf", "--passes", passes.to_str().unwrap()]);
    until("it is deep in its pass", SOON, async || passes.exists()).await;
    worker.signal(Signal::TERM);
    worker.says("stopping").await;
    worker.signal(Signal::TERM);
    assert_eq!(worker.end(Duration::from_secs(5)).await, Some(0), "{}", worker.log());
}

#[tokio::test]
async fn a_worker_ends_with_its_supervisor_and_without_one_ignores_its_input() {
    for supervised in [true, false] {
        let (home, broker) = (Home::migrated().await, Broker::absent());
        let passes = home.path("passes");
        let mut variables = home.variables(&broker);
        if supervised {
            variables.insert("DECNET_SUPERVISED".into(), "1".into());
        }
        let args = ["--interval", "0.1", "--passes", passes.to_str().unwrap()];
        let mut worker = Process::start(variables, &args);
        until("it works", SOON, async || passes.exists()).await;
        worker.hang_up();
        if supervised {
            assert_eq!(worker.end(Duration::from_secs(10)).await, Some(0), "{}", worker.log());
            assert!(worker.log().contains("the supervisor is gone"), "{}", worker.log());
        } else {
            let lines = || std::fs::read_to_string(&passes).unwrap().lines().count();
            let before = lines();
            until("it goes on", SOON, async || lines() > before + 5).await;
        }
    }
}

#[tokio::test]
async fn what_a_worker_makes_is_its_owners_alone() {
    let (home, broker) = (Home::migrated().await, Broker::absent());
    let passes = home.path("passes");
    let _worker = Process::start(home.variables(&broker), &["--passes", passes.to_str().unwrap()]);
    until("it made a file", SOON, async || passes.exists()).await;
    assert_eq!(passes.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_schema_that_does_not_fit_ends_with_78() {
    let (home, broker) = (Home { dir: tempfile::tempdir().unwrap() }, Broker::absent());
    let mut worker = Process::start(home.variables(&broker), &["--interval", "0.1"]);
    assert_eq!(worker.end(SOON).await, Some(78), "{}", worker.log());
    assert!(worker.log().contains("migrate"), "the log says what to do:\n{}", worker.log());
}

#[tokio::test]
async fn wrong_settings_are_all_told_and_end_with_2() {
    let (home, broker) = (Home { dir: tempfile::tempdir().unwrap() }, Broker::absent());
    let mut variables = home.variables(&broker);
    variables.insert("DECNET_RUNTIME".into(), "podman".into());
    variables.insert("DECNET_API_PORT".into(), "eighty".into());
    let mut worker = Process::start(variables, &["--set", "batch_size=none"]);
    assert_eq!(worker.end(SOON).await, Some(2));
    let log = worker.log();
    for part in ["3 wrong settings", "DECNET_RUNTIME", "DECNET_API_PORT", "--set batch_size"] {
        assert!(log.contains(part), "{part} is missing in:\n{log}");
    }
}
