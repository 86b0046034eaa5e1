//! Agent and reconciler beside each other, with real decoys, broker and database: what drifts is put right, each transition is
//! told once, and nobody brings back what was removed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use decnet_bus::{
    Received, Topic, TopicFilter, TopicKind, Worker,
    payload::{DeckyState, TeardownCommand, TeardownScope},
};
use decnet_core::HostId;
use decnet_db::{DeckyState as RowState, FleetDecky};
use futures_util::StreamExt;

use crate::ground::{Home, Operator, kill, name, until};

const TWO: &str = "[web]\nservices=ssh,http\n[db]\nservices=redis\n";
const QUIET: &str = "inserted=0 deleted=0 state_updated=0 payload_updated=0 orphans=0 overtaken=0 pruned=0\n";

async fn rows(home: &Home) -> Vec<FleetDecky> {
    let db = home.db().await;
    let rows = db.fleet().list(Some("local")).await.unwrap();
    db.close().await.unwrap();
    rows
}

async fn states(home: &Home) -> Vec<(String, RowState)> {
    rows(home).await.into_iter().map(|row| (row.name, row.state)).collect()
}

/// What came follows one from the other: nothing is told twice and nothing is left out. Two reconcilers share one outbox, so a
/// message may be sent by both; it is one message by its id, and the stream keeps it once.
fn chain(received: &[Received]) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let once = received.iter().filter(|event| ids.insert(event.envelope.id.as_str()));
    for event in once.filter_map(|event| event.envelope.decode::<DeckyState>().ok()) {
        let chain = told.entry(event.name.clone()).or_default();
        assert_eq!(event.previous_state.as_ref(), chain.last(), "{event:?} after {chain:?}");
        assert_ne!(chain.last(), Some(&event.state), "told twice");
        chain.push(event.state);
    }
    told
}

/// A11.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_decoy_is_told_once_per_transition_however_many_look() {
    let home = Home::new().await;
    let operator = Operator::new(&home).await;
    let watcher = home.broker.bus(Worker::Orchestrator).await;
    let mut events = watcher.subscribe(&TopicFilter::kind(TopicKind::DeckyState)).await;
    let _agent = home.agent();
    let _one = home.reconciler(&["--interval", "1"]);
    let _other = home.reconciler(&["--interval", "1"]);
    let plan = home.plan(TWO);
    operator.deploy(&plan).await.result.unwrap();
    let mut received = Vec::new();
    let mut told = async |wanted: &str, received: &mut Vec<Received>| {
        while chain(received).get("web").and_then(|states| states.last()).is_none_or(|last| last != wanted) {
            let event = tokio::time::timeout(Duration::from_secs(40), events.next()).await;
            received.push(
                event
                    .unwrap_or_else(|_| panic!("web is never told {wanted}: {:?}", chain(received)))
                    .unwrap(),
            );
        }
    };
    told("running", &mut received).await;
    for _ in 0..2 {
        // Each death makes the next pause longer, so that sooner or later somebody sees it.
        let killer = async {
            let mut last = None;
            loop {
                if let Some(pid) = home.pid("web").filter(|pid| Some(*pid) != last) {
                    last = Some(pid);
                    kill(pid);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = told("failed", &mut received) => {}
            () = killer => {}
        }
        told("running", &mut received).await;
    }
    operator.teardown(TeardownScope::One(name("web"))).await.result.unwrap();
    told("torn_down", &mut received).await;
    let seen = chain(&received);
    assert_eq!(seen["db"], ["pending", "running"], "a neighbour is not touched");
    assert_eq!(seen["web"][..2], ["pending", "running"]);
    assert_eq!(seen["web"][seen["web"].len() - 2..], ["tearing_down", "torn_down"]);
    // Silence while all is as planned, over several passes of both.
    let quiet = tokio::time::timeout(Duration::from_secs(4), events.next()).await;
    assert!(quiet.is_err(), "told although nothing happened: {quiet:?}");
    assert_eq!(states(&home).await, [("db".to_owned(), RowState::Running)]);
}

/// A4 without the agent's help: it is gone by the time the database is there.
#[tokio::test(flavor = "multi_thread")]
async fn one_pass_yields_the_rows_that_the_database_missed() {
    let home = Home::without_database().await;
    let operator = Operator::new(&home).await;
    let agent = home.agent();
    let summary = operator.deploy(&home.plan(TWO)).await.result.unwrap();
    assert!(summary.contains("2 of 2 deckies run") && summary.contains("warning: the database"), "{summary}");
    agent.kill();
    home.migrate().await;
    let (out, log) = home.reconcile_once(&["--interval", "0.5"]);
    assert!(out.starts_with("inserted=2 deleted=0 state_updated=0 payload_updated=0"), "{out}{log}");
    assert!(log.contains("nobody answers decnet.ask.inspect.local"), "{log}");
    let expected = [("db".to_owned(), RowState::Running), ("web".to_owned(), RowState::Running)];
    assert_eq!(states(&home).await, expected, "row 1b");
    assert_eq!(home.reconcile_once(&[]).0, QUIET);

    // Teardown likewise.
    std::fs::rename(home.path("database"), home.path("elsewhere")).unwrap();
    let agent = home.agent();
    let summary = operator.teardown(TeardownScope::All).await.result.unwrap();
    assert!(summary.starts_with("2 deckies are removed; warning: the database"), "{summary}");
    agent.kill();
    std::fs::rename(home.path("elsewhere"), home.path("database")).unwrap();
    // The rows are newer than an absent file: they are let go once they are two intervals old.
    let out = until("the rows go", async || {
        let (out, _) = home.reconcile_once(&["--interval", "0.5"]);
        (out != QUIET).then_some(out)
    })
    .await;
    assert!(out.starts_with("inserted=0 deleted=2 "), "{out}");
    assert_eq!(states(&home).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_changes_nothing() {
    let home = Home::new().await;
    let operator = Operator::new(&home).await;
    let agent = home.agent();
    operator.deploy(&home.plan(TWO)).await.result.unwrap();
    agent.kill();
    kill(home.pid("web").unwrap());
    let before = rows(&home).await;
    let (out, log) = home.reconcile_once(&[]);
    assert_eq!(out, QUIET);
    assert!(log.contains("the states of the deckies stay as they are"), "{log}");
    std::fs::write(home.path("decnet-state.json"), "{").unwrap();
    let (out, log) = home.reconcile_once(&["--interval", "0.1"]);
    assert_eq!(out, QUIET);
    assert!(log.contains("cannot be read"), "{log}");
    assert_eq!(rows(&home).await, before);
    // The agent makes the file again from the plan beside it; a file that is lost for good is not an empty fleet either.
    let agent = home.agent();
    agent.says("made again from its plan file").await;
    assert_eq!(agent.stop().await, Some(0));
    for entry in std::fs::read_dir(home.path("")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().contains("-plan-") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    std::fs::write(home.path("decnet-state.json"), "").unwrap();
    let _agent = home.agent();
    operator.inspect().await;
    let (out, log) = home.reconcile_once(&["--interval", "0.1"]);
    assert!(out.contains("deleted=0") && log.contains("is set aside"), "{out}{log}");
    assert_eq!(states(&home).await.len(), 2);
}

/// A5, and row 7 of the drift table.
#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_is_told_and_removed_on_demand_and_nothing_else_is() {
    let home = Home::new().await;
    let operator = Operator::new(&home).await;
    let _agent = home.agent();
    let plan = home.plan(TWO);
    operator.deploy(&plan).await.result.unwrap();
    // As after a teardown that was cut short: it runs, and the record has it no more.
    home.store().lock().unwrap().remove_decky("db", chrono::DateTime::UNIX_EPOCH).unwrap();
    let (out, log) = home.reconcile_once(&[]);
    // The agent may have let go of the row first.
    assert!(out.starts_with("inserted=0 deleted=") && out.contains(" orphans=1 "), "{out}");
    assert!(log.contains("orphan: db"), "{log}");
    assert_eq!(states(&home).await, [("web".to_owned(), RowState::Running)]);
    assert_eq!(operator.inspect().await.len(), 2, "told and no more");
    let (out, _) = home.reconcile_once(&["--prune"]);
    assert!(out.ends_with("orphans=1 overtaken=0 pruned=1\n"), "{out}");
    until("the orphan is gone", async || (operator.inspect().await.len() == 1).then_some(())).await;
    // What is deployed is nobody's orphan, whatever the reconciler believed.
    let command = TeardownCommand {
        operation: "op-prune".to_owned(),
        requested_by: Worker::Reconciler.to_string(),
        scope: TeardownScope::One(name("web")),
    };
    let outcome = operator.order(&Topic::CmdTeardown { host: HostId::default() }, "op-prune", &command).await;
    assert!(outcome.result.unwrap().contains("it is no orphan"));
    operator.running(&plan, "web", 80).await;

    operator.teardown(TeardownScope::One(name("web"))).await.result.unwrap();
    for _ in 0..10 {
        assert_eq!(home.reconcile_once(&["--interval", "0.1"]).0, QUIET);
    }
    assert_eq!((states(&home).await, operator.inspect().await), (vec![], vec![]));
}

/// A first deploy that fails leaves nothing but a row that says so, and a later one mends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_first_start_is_undone_and_stays_told() {
    let home = Home::new().await;
    let operator = Operator::new(&home).await;
    let _agent = home.agent();
    let plan = home.plan("[db]\nservices=http\n");
    let ip = plan.decky("db").unwrap().ip();
    // Both places of its port are taken; without the right to the standard one, that is not to be had anyway.
    let _standard = std::net::TcpListener::bind((ip, 80));
    let shifted = std::net::TcpListener::bind((ip, 20_080)).unwrap();
    let reason = operator.deploy(&plan).await.result.unwrap_err();
    assert!(reason.contains("--port-offset"), "{reason}");
    assert!(!home.path("deckies/db").exists(), "half of it is left");
    for _ in 0..2 {
        assert_eq!(home.reconcile_once(&[]).0, QUIET);
    }
    let row = rows(&home).await.remove(0);
    assert_eq!(row.state, RowState::Failed);
    assert!(row.last_error.unwrap().contains("--port-offset"));
    let seen = operator.inspect().await.remove(0);
    assert_eq!((seen.state.as_str(), seen.plan_hash), ("failed", None));
    drop(shifted);
    // Another fleet without it: its failure is nobody's any more.
    operator.deploy(&home.plan("[web]\nservices=ssh\n")).await.result.unwrap();
    let names: Vec<String> = operator.inspect().await.into_iter().map(|d| d.name.to_string()).collect();
    assert_eq!(names, ["web"]);
    assert_eq!(states(&home).await, [("web".to_owned(), RowState::Running)]);
}
