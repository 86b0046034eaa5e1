//! The mirror of the fleet.

use decnet_db::{DbError, DeckySource, DeckyState, FleetChange, NewFleetDecky};
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
