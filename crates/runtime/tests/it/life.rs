//! Decoys start, live on without their agent, come back when they die, and end when they shall.

use std::{net::TcpListener, os::unix::fs::PermissionsExt, time::Duration};

use bytes::Bytes;
use decnet_core::SystemClock;
use decnet_core::{Clock, traffic::SourcePorts};
use decnet_fleet::{DeckyState, ServiceState};
use decnet_runtime::{FileSpec, HostRuntime, RuntimeError};

use crate::bench::{Bench, eventually, is_alive, kill, name, pids, processes_of, running, status};

const THREE: &str = "[web]\nservices=ssh,http\n[db]\nservices=http\n[mail]\nservices=ssh\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_decoy_comes_back_and_the_others_notice_nothing() {
    let bench = Bench::new();
    let runtime = bench.open().await;
    let plan = bench.deploy(&runtime, THREE).await;
    let before = pids(&bench, &["web", "db", "mail"]);

    kill(before["web"]);
    eventually("the death is seen", || async {
        let status = status(&runtime, "web").await?;
        (status.state != DeckyState::Running).then_some(())
    })
    .await;
    let back = running(&runtime, "web").await;
    assert_eq!(back.services["ssh"], ServiceState::Running);
    let after = pids(&bench, &["web", "db", "mail"]);
    assert_ne!(after["web"], before["web"]);
    assert_eq!((after["db"], after["mail"]), (before["db"], before["mail"]));

    // The same plan again touches nothing.
    for decky in &plan.deckies {
        assert!(!runtime.deploy(decky).await.unwrap().started);
    }
    assert_eq!(pids(&bench, &["web", "db", "mail"]), after);

    // Another plan for one of them touches that one.
    let changed = bench.plan("[web]\nservices=http\n[db]\nservices=http\n[mail]\nservices=ssh\n");
    for decky in &changed.deckies {
        assert_eq!(runtime.deploy(decky).await.unwrap().started, decky.name().as_str() == "web");
    }
    let web = running(&runtime, "web").await;
    assert_eq!(web.services.keys().collect::<Vec<_>>(), ["http"]);
    assert!(!is_alive(after["web"]));
    assert_eq!(bench.pid("mail"), after["mail"]);
    let mode = std::fs::metadata(bench.of("web", "config.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the document holds passwords");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_agent_takes_over_living_decoys_and_can_end_them() {
    let bench = Bench::new();
    let runtime = bench.open().await;
    bench.deploy(&runtime, THREE).await;
    let before = pids(&bench, &["web", "db", "mail"]);
    runtime.detach();

    // One was started by an agent that was killed before it could write that down, one has died meanwhile.
    std::fs::remove_file(bench.of("db", "process.json")).unwrap();
    kill(before["mail"]);
    let runtime = bench.open().await;
    for decky in ["web", "db", "mail"] {
        running(&runtime, decky).await;
    }
    let after = pids(&bench, &["web", "db", "mail"]);
    assert_eq!((after["web"], after["db"]), (before["web"], before["db"]));
    assert_ne!(after["mail"], before["mail"]);

    // Those taken over are looked after too.
    kill(before["db"]);
    eventually("the taken over decoy is replaced", || async {
        (bench.pid("db") != before["db"]).then_some(())
    })
    .await;
    running(&runtime, "db").await;

    for decky in ["web", "db", "mail"] {
        assert!(runtime.remove(&name(decky)).await.unwrap());
        assert!(!runtime.remove(&name(decky)).await.unwrap());
    }
    assert!(runtime.inspect().await.unwrap().is_empty());
    assert_eq!(processes_of(&bench.base()), Vec::<u32>::new());
    runtime.detach();
    assert!(bench.open().await.inspect().await.unwrap().is_empty(), "what is removed stays removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_removal_is_ended_and_a_torn_record_deletes_nothing() {
    let bench = Bench::new();
    let runtime = bench.open().await;
    let plan = bench.deploy(&runtime, "[one]\nservices=http\n[two]\nservices=http\n").await;
    let two = bench.pid("two");
    runtime.detach();
    std::fs::write(bench.of("one", "removing"), "\"2026-01-01T00:00:00Z\"").unwrap();
    std::fs::write(bench.of("two", "deployment.json"), "{\"plan\": {\"id").unwrap();

    let runtime = bench.open().await;
    let left = runtime.inspect().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].name.as_str(), left[0].state, left[0].hopeless), ("two", DeckyState::Failed, true));
    assert!(is_alive(two), "a torn record is no reason to end a decoy");
    runtime.deploy(plan.decky("two").unwrap()).await.unwrap();
    running(&runtime, "two").await;
    assert!(!is_alive(two), "two decoys would write one output");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_the_same_folder_is_refused() {
    let bench = Bench::new();
    let _first = bench.open().await;
    let second = decnet_runtime::ProcessRuntime::open(decnet_runtime::ProcessOptions {
        folder: bench.base(),
        artifacts: bench.folder().join("artifacts"),
        decoy: bench.decoy.clone(),
        port_offset: 20_000,
        clock: std::sync::Arc::new(SystemClock),
        ids: std::sync::Arc::new(decnet_core::SystemIds),
    })
    .await;
    assert!(matches!(second, Err(RuntimeError::Locked(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_decoy_is_said_and_found_once_it_is_there() {
    let mut bench = Bench::new();
    let link = bench.folder().join("decoy-link");
    let real = std::mem::replace(&mut bench.decoy, link);
    let runtime = bench.open().await;
    let plan = bench.plan("[web]\nservices=http\n");
    let error = runtime.deploy(&plan.deckies[0]).await.unwrap_err();
    assert!(matches!(error, RuntimeError::NoDecoy { .. }) && error.is_permanent(), "{error}");
    let status = status(&runtime, "web").await.unwrap();
    assert_eq!((status.state, status.hopeless), (DeckyState::Failed, true));
    assert!(status.last_error.unwrap().contains("cannot be started"));
    std::os::unix::fs::symlink(real, &bench.decoy).unwrap();
    running(&runtime, "web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_are_taken_move_the_whole_decky_and_probes_find_it() {
    let bench = Bench::new();
    let runtime = bench.open().await;
    let text = "[web]\nservices=ssh,http\n[client]\nservices=http\n";
    let plan = bench.plan(text);
    let web = plan.decky("web").unwrap().ip();
    // Where standard ports are not ours anyway, this fails, and all is shifted without it.
    let _taken = TcpListener::bind((web, 80));
    let deployed = runtime.deploy(plan.decky("web").unwrap()).await.unwrap();
    assert_eq!(deployed.port_base, 20_000);
    runtime.deploy(plan.decky("client").unwrap()).await.unwrap();
    let status = running(&runtime, "web").await;
    assert_eq!(status.addresses["ssh"], [(web, 20_022).into()]);
    assert_eq!(status.addresses["http"], [(web, 20_080).into()]);

    let keyed = SourcePorts::of_fleet(&decnet_core::FleetSecret::from_number(1).seed());
    let now = SystemClock.now();
    let probe = runtime
        .probe(&name("client"), (web, 22).into(), None, &|from, to| {
            keyed.candidates(from, to.ip(), to.port(), now).to_vec()
        })
        .await
        .unwrap();
    assert!(probe.banner.starts_with(b"SSH-2.0-"), "{:?}", probe.banner);
    assert_eq!(probe.to, (web, 20_022).into());
    let client = plan.decky("client").unwrap().ip();
    assert!(keyed.is_ours((client, probe.src_port), (web, 20_022), now));
    // The decoy saw the very port that was reported.
    let seen = format!("src_port=\"{}\"", probe.src_port);
    eventually("the decoy's line about the probe", || async {
        let text = std::fs::read_to_string(bench.of("web", "output.log")).unwrap();
        text.lines().any(|line| line.contains(&seen) && line.contains(&client.to_string())).then_some(())
    })
    .await;

    let error =
        runtime.probe(&name("client"), (web, 9).into(), None, &|_, _| vec![40_001]).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Probe { .. }), "{error}");
    // The same source port twice in a row, as within one minute of one pair.
    for _ in 0..2 {
        runtime.probe(&name("client"), (web, 22).into(), None, &|_, _| vec![40_002, 40_003]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_files_are_served_and_gone_with_the_decky() {
    let bench = Bench::new();
    let runtime = bench.open().await;
    let plan = bench.deploy(&runtime, "[web]\nservices=http\n").await;
    let persona = &plan.deckies[0].persona;
    let passwd = runtime.read_file(&name("web"), "/etc/passwd", 10_000).await.unwrap().unwrap().content;
    let passwd = String::from_utf8(passwd.to_vec()).unwrap();
    assert!(!persona.accounts.is_empty());
    for person in &persona.accounts {
        assert!(passwd.contains(&format!("\n{}:x:{}:", person.login, person.uid)), "{passwd}");
    }
    let hostname = runtime.read_file(&name("web"), "/etc/hostname", 100).await.unwrap().unwrap().content;
    assert_eq!(hostname, format!("{}\n", persona.hostname));
    let age =
        std::fs::metadata(bench.of("web", "root/etc/passwd")).unwrap().modified().unwrap().elapsed().unwrap();
    assert!(age > Duration::from_hours(20 * 24), "installed {age:?} ago");
    let file = FileSpec {
        path: "/etc/motd".to_owned(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: SystemClock.now(),
        content: Bytes::from_static(b"welcome\n"),
        expect: None,
    };
    let web = name("web");
    runtime.put_files(&web, std::slice::from_ref(&file)).await.unwrap();
    assert_eq!(runtime.read_file(&web, "/etc/motd", 100).await.unwrap().unwrap().content, "welcome\n");
    let unknown = runtime.put_files(&name("nobody"), &[file]).await;
    assert!(matches!(unknown, Err(RuntimeError::UnknownDecky(_))));
    let captured = bench.folder().join("artifacts/web/evidence");
    std::fs::write(&captured, "captured").unwrap();
    runtime.remove(&web).await.unwrap();
    assert!(!bench.of("web", "").exists());
    assert!(captured.exists(), "evidence outlives its decky");
    assert!(matches!(runtime.read_file(&web, "/etc/motd", 100).await, Err(RuntimeError::UnknownDecky(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decoy_that_hangs_is_ended_all_the_same() {
    let bench = Bench::new();
    let runtime = bench.open().await;
    bench.deploy(&runtime, "[web]\nservices=http\n").await;
    let pid = bench.pid("web");
    let process = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::STOP).unwrap();
    let web = name("web");
    let removal = tokio::time::timeout(Duration::from_secs(20), runtime.remove(&web));
    assert!(removal.await.expect("the removal is bounded").unwrap());
    assert!(!is_alive(pid));
}
