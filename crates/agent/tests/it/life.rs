//! Deploy, redeploy, teardown, and what happens to them when agent, database or state file are lost.

use std::{collections::BTreeSet, time::Duration};

use decnet_bus::{
    Received, Topic, TopicFilter, TopicKind, Worker,
    payload::{DeckyMutation, DeckyState, TeardownScope},
};
use decnet_core::HostId;
use decnet_db::DeckyState as RowState;
use futures_util::{FutureExt, StreamExt};

use crate::ground::{Home, Operator, is_alive, name, until};

const THREE: &str = "[web]\nservices=ssh,http\n[db]\nservices=http\n[mail]\nservices=ssh\n";
const NAMES: [&str; 3] = ["web", "db", "mail"];

async fn rows(home: &Home) -> Vec<(String, RowState, u64)> {
    let db = home.db().await;
    let rows = db.fleet().list(Some("local")).await.unwrap();
    db.close().await.unwrap();
    rows.into_iter().map(|row| (row.name, row.state, row.generation)).collect()
}

/// State changes that came so far, as `name: from > to (word)`.
fn told(received: &[Received]) -> Vec<String> {
    let states = received.iter().filter_map(|event| event.envelope.decode::<DeckyState>().ok());
    states
        .map(|s| {
            format!("{}: {} > {} ({})", s.name, s.previous_state.unwrap_or_default(), s.state, s.transition)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_from_its_first_deploy_to_its_end() {
    let home = Home::new().await;
    let operator = Operator::new(&home).await;
    let watcher = home.broker.bus(Worker::Orchestrator).await;
    let mut states = watcher.subscribe(&TopicFilter::kind(TopicKind::DeckyState)).await;
    let mut mutations = watcher.subscribe(&TopicFilter::kind(TopicKind::DeckyMutation)).await;
    let agent = home.agent();

    let plan = home.plan(THREE);
    let outcome = operator.deploy(&plan).await;
    let summary = outcome.result.unwrap();
    assert!(summary.starts_with("3 of 3 deckies run (3 started, 0 unchanged, 0 removed)"), "{summary}");
    assert_eq!(outcome.progress.last().map(|(done, total, _)| (*done, *total)), Some((6, 6)));
    assert!(
        rows(&home)
            .await
            .iter()
            .all(|(_, state, generation)| (*state, *generation) == (RowState::Running, 1))
    );
    let mut events = Vec::new();
    while events.len() < 6 {
        events.push(tokio::time::timeout(Duration::from_secs(20), states.next()).await.unwrap().unwrap());
    }
    let expected: BTreeSet<String> = NAMES
        .iter()
        .flat_map(|n| {
            [format!("{n}:  > pending (inserted)"), format!("{n}: pending > running (state_changed)")]
        })
        .collect();
    assert_eq!(told(&events).into_iter().collect::<BTreeSet<_>>(), expected);
    for _ in 0..3 {
        let event = tokio::time::timeout(Duration::from_secs(20), mutations.next()).await.unwrap().unwrap();
        let mutation: DeckyMutation = event.envelope.decode().unwrap();
        assert_eq!((mutation.trigger.as_str(), mutation.actor.as_deref()), ("creation", Some("alice")));
        assert!(mutation.old_services.is_empty() && !mutation.new_services.is_empty());
    }

    // The same again changes nothing, not even the generation.
    let pids = NAMES.map(|n| home.pid(n));
    let summary = operator.deploy(&home.plan(THREE)).await.result.unwrap();
    assert!(summary.starts_with("3 deckies run; nothing had to be changed"), "{summary}");
    assert_eq!(NAMES.map(|n| home.pid(n)), pids);
    assert_eq!(home.store().load().unwrap().unwrap().generation, 1);

    // One changed, one new, one gone: the fourth is left alone.
    let next = home.plan("[web]\nservices=http\n[db]\nservices=http\n[files]\nservices=ssh\n");
    let summary = operator.deploy(&next).await.result.unwrap();
    assert!(summary.starts_with("3 of 3 deckies run (2 started, 1 unchanged, 1 removed)"), "{summary}");
    assert_eq!(home.pid("db"), pids[1]);
    assert!(!is_alive(pids[0].unwrap()) && !is_alive(pids[2].unwrap()));
    let names: Vec<String> = rows(&home).await.into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(names, ["db", "files", "web"]);

    // A5: one is removed and stays removed, over a restart of the agent too.
    let summary = operator.teardown(TeardownScope::One(name("db"))).await.result.unwrap();
    assert!(summary.starts_with("db is removed"), "{summary}");
    let summary = operator.teardown(TeardownScope::One(name("db"))).await.result.unwrap();
    assert!(summary.contains("nothing was changed"), "{summary}");
    assert_eq!(agent.stop().await, Some(0));
    let agent = home.agent();
    let left: Vec<String> = operator.inspect().await.into_iter().map(|d| d.name.to_string()).collect();
    assert_eq!(left, ["files", "web"]);
    assert!(home.store().load().unwrap().unwrap().decky("db").is_none());
    until("the rows follow", async || (rows(&home).await.len() == 2).then_some(())).await;
    assert!(!home.path("deckies/db").exists());

    let summary = operator.teardown(TeardownScope::All).await.result.unwrap();
    assert!(summary.starts_with("2 deckies are removed"), "{summary}");
    assert_eq!(home.store().load().unwrap(), None);
    assert_eq!(rows(&home).await, []);
    assert_eq!(operator.inspect().await, []);
    assert_eq!(operator.teardown(TeardownScope::All).await.result.unwrap(), "nothing was deployed");
    drop(agent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_leaves_its_decoys() {
    let home = Home::new().await;
    let operator = Operator::new(&home).await;
    let agent = home.agent();
    let plan = home.plan(THREE);
    operator.deploy(&plan).await.result.unwrap();
    let pids = NAMES.map(|n| home.pid(n));
    agent.kill();
    assert!(pids.iter().all(|pid| is_alive(pid.unwrap())));
    let _agent = home.agent();
    for decky in NAMES {
        operator.running(&plan, decky, 0).await;
    }
    assert_eq!(NAMES.map(|n| home.pid(n)), pids);
}

/// A command that was cut short by the agent's death is carried out by the next agent.
#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_survives_the_agents_death() {
    let home = Home::new().await;
    let operator = Operator::new(&home).await;
    let plan = home.plan(THREE);
    let mut order = Box::pin(operator.deploy(&plan));
    let agent = home.agent();
    until("the plan is saved", async || {
        assert!(
            (&mut order).now_or_never().is_none(),
            "the deploy was over before the agent could be killed"
        );
        home.store().load().unwrap().map(drop)
    })
    .await;
    agent.kill();
    let _next = home.agent();
    // The broker gives the command to the next agent once its patience with the first is over (a minute): that agent has
    // started what is recorded long before.
    for decky in NAMES {
        operator.running(&plan, decky, 0).await;
    }
}

/// A4.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_may_be_down_and_its_rows_follow() {
    let home = Home::without_database().await;
    let operator = Operator::new(&home).await;
    let agent = home.agent();
    let plan = home.plan(THREE);
    let summary = operator.deploy(&plan).await.result.unwrap();
    assert!(summary.contains("3 of 3 deckies run") && summary.contains("warning: the database"), "{summary}");
    let log = std::fs::read_to_string(home.path("agent.log")).unwrap();
    let warnings =
        log.lines().filter(|line| line.contains("rows of the deckies are not written now")).count();
    assert_eq!(warnings, 1, "{log}");
    home.migrate().await;
    until("the rows follow", async || {
        let rows = rows(&home).await;
        (rows.len() == 3 && rows.iter().all(|(_, state, _)| *state == RowState::Running)).then_some(())
    })
    .await;
    agent.says("up to date again").await;

    // Teardown likewise.
    assert_eq!(agent.stop().await, Some(0));
    std::fs::rename(home.path("database"), home.path("elsewhere")).unwrap();
    let _agent = home.agent();
    let summary = operator.teardown(TeardownScope::One(name("db"))).await.result.unwrap();
    assert!(summary.starts_with("db is removed; warning: the database"), "{summary}");
    std::fs::rename(home.path("elsewhere"), home.path("database")).unwrap();
    until("the row follows", async || {
        let names: Vec<String> = rows(&home).await.into_iter().map(|(name, _, _)| name).collect();
        (names == ["mail", "web"]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_state_file_is_kept_aside_and_nothing_is_deleted() {
    let home = Home::new().await;
    let operator = Operator::new(&home).await;
    let agent = home.agent();
    let plan = home.plan(THREE);
    operator.deploy(&plan).await.result.unwrap();
    let pids = NAMES.map(|n| home.pid(n));
    let aside = || {
        let entries = std::fs::read_dir(home.path("")).unwrap().flatten();
        entries.filter(|e| e.file_name().to_string_lossy().contains("decnet-state.json.corrupt-")).count()
    };

    // With the plan file beside it, the state is made again.
    assert_eq!(agent.stop().await, Some(0));
    std::fs::write(home.path("decnet-state.json"), "{\"config\": {\"mo").unwrap();
    let agent = home.agent();
    agent.says("made again from its plan file").await;
    assert_eq!(operator.inspect().await.len(), 3);
    assert_eq!(aside(), 1);
    assert_eq!(home.store().load().unwrap().unwrap().config.deckies.len(), 3);

    // Without, nothing is known: decoys and rows stay, over another restart too.
    assert_eq!(agent.stop().await, Some(0));
    for entry in std::fs::read_dir(home.path("")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().contains("-plan-") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    std::fs::write(home.path("decnet-state.json"), "").unwrap();
    for _ in 0..2 {
        let agent = home.agent();
        for decky in NAMES {
            operator.running(&plan, decky, 0).await;
        }
        assert_eq!(aside(), 2);
        assert_eq!(NAMES.map(|n| home.pid(n)), pids);
        assert_eq!(rows(&home).await.len(), 3);
        assert_eq!(agent.stop().await, Some(0));
    }

    // The next deploy makes it known again.
    let _agent = home.agent();
    let summary = operator.deploy(&home.plan("[web]\nservices=ssh,http\n")).await.result.unwrap();
    assert!(summary.contains("2 removed"), "{summary}");
    until("the rows follow", async || (rows(&home).await.len() == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_are_not_for_this_agent_are_refused_by_name() {
    let home = Home::new().await;
    let operator = Operator::new(&home).await;
    let _agent = home.agent();
    let plan = home.plan(THREE);
    let mut elsewhere = plan.clone();
    elsewhere.host = HostId::parse("7f1d4a52-6b0c-4d5e-8f4e-1c2b3a4d5e6f").unwrap();
    let mut twice = plan.clone();
    twice.deckies.push(plan.deckies[0].clone());
    let mut docker = plan.clone();
    docker.runtime = decnet_fleet::RuntimeKind::Docker;
    let mut none = plan.clone();
    none.deckies.clear();
    for (plan, word) in [(elsewhere, "host"), (twice, "twice"), (docker, "docker"), (none, "no decky")] {
        let reason = operator.deploy(&plan).await.result.unwrap_err();
        assert!(reason.contains(word), "{reason}");
    }
    let command = decnet_bus::payload::DeployCommand {
        operation: "op-1".to_owned(),
        requested_by: "alice".to_owned(),
        plan: serde_json::json!({"schema": 1}),
    };
    let outcome = operator.order(&Topic::CmdDeploy { host: HostId::default() }, "op-1", &command).await;
    assert!(outcome.result.unwrap_err().contains("cannot be read"));
    assert_eq!(operator.inspect().await, []);
    assert_eq!(home.store().load().unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_decky_that_cannot_start_does_not_hold_up_the_others() {
    let home = Home::new().await;
    let operator = Operator::new(&home).await;
    let _agent = home.agent();
    let plan = home.plan("[web]\nservices=http\n[db]\nservices=http\n");
    // Both places of one port are taken.
    let ip = plan.decky("db").unwrap().ip();
    // Without the right to it, the standard port is not to be had anyway.
    let _standard = std::net::TcpListener::bind((ip, 80));
    let shifted = std::net::TcpListener::bind((ip, 20_080)).unwrap();
    let outcome = operator.deploy(&plan).await;
    let reason = outcome.result.unwrap_err();
    assert!(reason.starts_with("1 of 2 deckies run") && reason.contains("--port-offset"), "{reason}");
    assert!(outcome.progress.iter().any(|(_, _, text)| text.contains("trying again in 10 s")), "spec 6.2");
    let db = home.db().await;
    let row = db.fleet().get("local", "db").await.unwrap().unwrap();
    assert_eq!(row.state, RowState::Failed);
    assert!(row.last_error.unwrap().contains("--port-offset"));
    drop(shifted);
    let summary = operator.deploy(&plan).await.result.unwrap();
    assert!(summary.contains("no standard ports for db: served 20000 above them"), "{summary}");
}
