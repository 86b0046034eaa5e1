//! The mirror of the fleet.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use decnet_core::{Clock, HostId, SystemClock};
use decnet_db::{Db, DbError, DeckySource, DeckyState, FleetChange, FleetStep, NewFleetDecky};
use decnet_fleet::{
    DecnetConfig, Mode, StateFile,
    reconcile::{Counters, Observation, Pass, Row, Wanted, World, reconcile},
};
use serde_json::{Value, json};

use crate::lines::event;
use crate::place::{on_each, quoted};

fn decky(host: Option<&str>, name: &str, state: DeckyState) -> NewFleetDecky {
    NewFleetDecky {
        host_uuid: host.map(str::to_owned),
        name: name.into(),
        services: vec!["ssh".into(), "http".into()],
        decky_config: Some(json!({"name": name, "ip": "10.0.0.2"})),
        decky_ip: Some("10.0.0.2".into()),
        state,
        last_error: None,
        compose_hash: Some("abc".into()),
        generation: 3,
    }
}

#[tokio::test]
async fn deckies_are_mirrored() {
    on_each(async |place| {
        let fleet = place.db.fleet();
        fleet.upsert(decky(None, "omega", DeckyState::Pending)).await.unwrap();
        fleet.upsert(decky(None, "alpha", DeckyState::Running)).await.unwrap();
        fleet.upsert(decky(Some("peer"), "omega", DeckyState::Running)).await.unwrap();
        let names =
            |rows: Vec<decnet_db::FleetDecky>| rows.iter().map(decnet_db::FleetDecky::id).collect::<Vec<_>>();
        assert_eq!(names(fleet.list(None).await.unwrap()), ["local:alpha", "local:omega", "peer:omega"]);
        assert_eq!(names(fleet.list(Some("local")).await.unwrap()), ["local:alpha", "local:omega"]);
        assert_eq!(names(fleet.list_running().await.unwrap()), ["local:alpha", "peer:omega"]);

        assert!(
            fleet.update_state("local", "omega", DeckyState::Degraded, Some("http is down")).await.unwrap()
        );
        assert!(!fleet.update_state("local", "nobody", DeckyState::Failed, None).await.unwrap());
        assert!(fleet.update_state("local", "omega", DeckyState::Running, None).await.unwrap());
        let omega = fleet.get("local", "omega").await.unwrap().unwrap();
        assert_eq!(omega.last_error.as_deref(), Some("http is down"), "no error given leaves the last one");
        assert!(omega.last_seen.is_some());
        assert_eq!((omega.generation, omega.state), (3, DeckyState::Running));

        let changed =
            NewFleetDecky { services: vec!["redis".into()], ..decky(None, "omega", DeckyState::Running) };
        fleet.upsert(changed).await.unwrap();
        let again = fleet.get("local", "omega").await.unwrap().unwrap();
        assert_eq!(
            (again.service_slugs(), again.last_error, again.last_seen),
            (vec!["redis".to_owned()], None, omega.last_seen)
        );

        let running = fleet.list_running_deckies().await.unwrap();
        assert_eq!(
            running.iter().map(|d| d.uuid.as_str()).collect::<Vec<_>>(),
            ["local:alpha", "local:omega", "peer:omega"]
        );
        assert!(running.iter().all(|d| d.source == DeckySource::Fleet && d.topology_id.is_none()));
        assert_eq!((running[0].container.as_str(), running[1].container.as_str()), ("alpha-ssh", "omega"));
        assert_eq!(running[2].host_uuid, "peer");
        let stats = place.db.stats().await.unwrap();
        assert_eq!((stats.active_deckies, stats.deployed_deckies), (3, 3));

        assert!(fleet.delete("peer", "omega").await.unwrap());
        assert!(!fleet.delete("peer", "omega").await.unwrap());
        assert_eq!(fleet.list(Some("peer")).await.unwrap(), vec![]);
    })
    .await;
}

#[tokio::test]
async fn text_that_is_no_json_comes_back_as_text() {
    on_each(async |place| {
        place.db.fleet().upsert(decky(None, "alpha", DeckyState::Running)).await.unwrap();
        let services = quoted(&place.url, "services");
        place.raw(&format!("UPDATE fleet_deckies SET {services} = 'ssh, http', decky_config = '{{'")).await;
        let alpha = place.db.fleet().get("local", "alpha").await.unwrap().unwrap();
        assert_eq!(alpha.services, Value::String("ssh, http".into()));
        assert_eq!(alpha.decky_config, Some(Value::String("{".into())));
        assert_eq!(place.db.fleet().list_running_deckies().await.unwrap()[0].services, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_pass_and_its_events_are_one_transaction() {
    on_each(async |place| {
        let fleet = place.db.fleet();
        let (told, twin) =
            (event("reconciler", "decky.local:a.state"), event("reconciler", "decky.local:b.state"));
        let changes = [
            FleetChange::Upsert(decky(None, "a", DeckyState::Running)),
            FleetChange::Upsert(decky(None, "b", DeckyState::Running)),
            FleetChange::Seen { host_uuid: "local".into(), name: "a".into() },
            FleetChange::Delete { host_uuid: "local".into(), name: "b".into() },
        ];
        assert_eq!(fleet.apply(&changes, &[told.clone(), twin]).await.unwrap(), 4);
        assert_eq!(place.db.outbox().pending("reconciler", 10).await.unwrap().len(), 2);
        // The event's id is taken: neither the event nor the change is written.
        let err = fleet
            .apply(&[FleetChange::Delete { host_uuid: "local".into(), name: "a".into() }], &[told])
            .await;
        assert!(matches!(err, Err(DbError::Sql(_))), "{err:?}");
        assert_eq!(fleet.list(None).await.unwrap().len(), 1);

        let err = fleet.upsert(decky(None, "", DeckyState::Running)).await.unwrap_err();
        assert!(matches!(err, DbError::Refused(_)), "{err}");
    })
    .await;
}

/// What a worker knows when it begins a pass.
struct Seen {
    file: Option<StateFile>,
    observed: Option<Vec<Observation>>,
}

impl Seen {
    fn new(names: &[&str], generation: u64, states: &[(&str, DeckyState)]) -> Self {
        let deckies = names.iter().map(|name| {
            serde_json::from_value(json!({
                "name": name, "ip": "127.70.0.2", "services": ["ssh"], "distro": "debian", "base_image": "b",
                "hostname": "h", "last_mutated": 1_767_225_610.123_456_7,
            }))
            .unwrap()
        });
        let file = StateFile {
            schema: 1,
            generation,
            written_at: None,
            config: DecnetConfig {
                mode: Mode::Unihost,
                interface: "lo".to_owned(),
                subnet: "127.70.0.0/24".parse().unwrap(),
                gateway: None,
                deckies: deckies.collect(),
                log_file: None,
                ipvlan: false,
                mutate_interval: None,
            },
            compose_path: "plan".into(),
        };
        let observed = states.iter().map(|(name, state)| Observation {
            name: name.parse().unwrap(),
            state: *state,
            last_error: (*state == DeckyState::Failed).then(|| "it ended".to_owned()),
            plan_hash: Some("hash".to_owned()),
        });
        Self { file: (!names.is_empty()).then_some(file), observed: Some(observed.collect()) }
    }

    fn look(&self, rows: &[Row]) -> Pass {
        reconcile(&World {
            host: &HostId::default(),
            wanted: Wanted::Known(self.file.as_ref()),
            rows,
            observed: self.observed.as_deref(),
            overrides: &BTreeMap::new(),
            now: SystemClock.now(),
            interval: TimeDelta::seconds(30),
            is_writer: true,
        })
    }
}

async fn rows(db: &Db) -> Vec<Row> {
    db.fleet().list(Some("local")).await.unwrap().into_iter().map(decnet_db::FleetDecky::into_row).collect()
}

fn steps(pass: Pass) -> Vec<FleetStep> {
    let step = |action: decnet_fleet::reconcile::Action| {
        let topic = format!("decky.local:{}.state", action.name);
        FleetStep { event: action.transition.map(|_| event("reconciler", &topic)), action }
    };
    pass.actions.into_iter().map(step).collect()
}

#[tokio::test]
async fn a_pass_is_written_once_and_a_second_one_finds_nothing() {
    on_each(async |place| {
        use DeckyState::{Failed, Running};
        let db = &place.db;
        db.fleet().upsert(decky(Some("peer"), "web", Running)).await.unwrap();
        let worlds = [
            (Seen::new(&["web", "db"], 1, &[("web", Running), ("db", Running)]), (2, 0, 0, 0)),
            (Seen::new(&["web", "db"], 1, &[("web", Failed), ("db", Running)]), (0, 0, 1, 0)),
            (Seen::new(&["web", "db"], 2, &[("web", Failed), ("db", Running)]), (0, 0, 0, 2)),
            (Seen::new(&["web"], 3, &[("web", Running)]), (0, 1, 1, 0)),
            (Seen::new(&[], 0, &[]), (0, 1, 0, 0)),
        ];
        let mut told = 0;
        for (world, (inserted, deleted, state_updated, payload_updated)) in worlds {
            let pass = world.look(&rows(db).await);
            let done = db.fleet().converge("local", &steps(pass), &[]).await.unwrap();
            let expected = Counters { inserted, deleted, state_updated, payload_updated, orphans: 0 };
            assert_eq!((done.counters, done.overtaken), (expected, 0));
            told += inserted + deleted + state_updated;
            assert_eq!(world.look(&rows(db).await).actions, [], "what was written reads back as it was");
        }
        assert_eq!(db.outbox().backlog("reconciler").await.unwrap().0, told);
        let peer = db.fleet().get("peer", "web").await.unwrap().unwrap();
        assert_eq!((peer.state, peer.generation), (Running, 3), "a peer's row is nobody's here");
    })
    .await;
}

/// What two workers saw is told once, whoever is first and however they overlap.
#[tokio::test(flavor = "multi_thread")]
async fn passes_that_overlap_tell_each_transition_once() {
    on_each(async |place| {
        use DeckyState::{Failed, Running};
        let names: Vec<String> = (0..20).map(|n| format!("d{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let all = |state| names.iter().map(|name| (*name, state)).collect::<Vec<_>>();
        let worlds = [
            Seen::new(&names, 1, &all(Running)),
            Seen::new(&names, 1, &all(Failed)),
            Seen::new(&names, 1, &all(Running)),
            Seen::new(&[], 0, &[]),
        ];
        for (at, world) in worlds.iter().enumerate() {
            // All of them read before any of them writes.
            let before = rows(&place.db).await;
            let passes = (0..6).map(|_| {
                let (db, steps) = (place.db.clone(), steps(world.look(&before)));
                tokio::spawn(async move { db.fleet().converge("local", &steps, &[]).await.unwrap() })
            });
            let mut wrote = 0;
            let mut overtaken = 0;
            for pass in passes.collect::<Vec<_>>() {
                let done = pass.await.unwrap();
                wrote += done.counters.inserted + done.counters.deleted + done.counters.state_updated;
                overtaken += done.overtaken;
            }
            assert_eq!((wrote, overtaken), (20, 100), "world {at}");
            let told = place.db.outbox().backlog("reconciler").await.unwrap().0;
            assert_eq!(told, 20 * (at as u64 + 1), "world {at}");
            assert_eq!(world.look(&rows(&place.db).await).actions, []);
        }
    })
    .await;
}

/// A worker that read before a deploy and writes after it must not undo it.
#[tokio::test]
async fn who_read_an_old_row_does_not_overwrite_the_new_one() {
    on_each(async |place| {
        use DeckyState::{Failed, Running};
        let db = &place.db;
        let old = Seen::new(&["web"], 1, &[("web", Running)]);
        db.fleet().converge("local", &steps(old.look(&rows(db).await)), &[]).await.unwrap();
        let stale = steps(Seen::new(&["web"], 1, &[("web", Failed)]).look(&rows(db).await));
        let gone = steps(Seen::new(&[], 0, &[]).look(&rows(db).await));
        let new = Seen::new(&["web"], 2, &[("web", Running)]);
        db.fleet().converge("local", &steps(new.look(&rows(db).await)), &[]).await.unwrap();
        for late in [stale, gone] {
            let beside = event("reconciler", "decky.local:web.mutation");
            let done = db.fleet().converge("local", &late, &[beside]).await.unwrap();
            assert_eq!((done.counters, done.overtaken), (Counters::default(), 1));
        }
        let web = db.fleet().get("local", "web").await.unwrap().unwrap();
        assert_eq!((web.state, web.generation), (Running, 2));
        assert_eq!(
            db.outbox().backlog("reconciler").await.unwrap().0,
            3,
            "one insertion, and what stands beside"
        );
    })
    .await;
}
