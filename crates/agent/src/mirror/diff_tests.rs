//! The rows become what is deployed, a second look changes nothing, and what is not known deletes nothing.

use std::path::PathBuf;

use decnet_fleet::{DecnetConfig, Mode, StateFile};
use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["web", "db", "mail"];

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

fn name(text: &str) -> DeckyName {
    DeckyName::parse(text).unwrap()
}

fn state(names: &[&str], generation: u64) -> Deployed {
    if names.is_empty() {
        return Deployed::Known(None);
    }
    let decky = |text: &&str| {
        serde_json::from_value(serde_json::json!({
            "name": text, "ip": "127.70.0.2", "services": ["ssh"], "distro": "debian", "base_image": "b", "hostname": "h",
        }))
        .unwrap()
    };
    Deployed::Known(Some(Box::new(StateFile {
        schema: 1,
        generation,
        written_at: None,
        config: DecnetConfig {
            mode: Mode::Unihost,
            interface: "lo".to_owned(),
            subnet: "127.70.0.0/24".parse().unwrap(),
            gateway: None,
            deckies: names.iter().map(decky).collect(),
            log_file: None,
            ipvlan: false,
            mutate_interval: None,
        },
        compose_path: PathBuf::from("plan"),
    })))
}

fn status(text: &str, state: DeckyState, last_error: Option<&str>) -> DeckyStatus {
    DeckyStatus {
        name: name(text),
        plan_hash: Some("hash".to_owned()),
        state,
        services: BTreeMap::new(),
        addresses: BTreeMap::new(),
        port_base: 0,
        last_error: last_error.map(str::to_owned),
        hopeless: false,
        egress_blocked: 0,
    }
}

#[derive(Clone)]
struct Bench {
    deployed: Deployed,
    statuses: Option<Vec<DeckyStatus>>,
    overrides: BTreeMap<DeckyName, Override>,
    rows: Vec<FleetDecky>,
}

impl Bench {
    fn new(deployed: Deployed, statuses: Option<Vec<DeckyStatus>>) -> Self {
        Self { deployed, statuses, overrides: BTreeMap::new(), rows: Vec::new() }
    }

    fn look(&self) -> Difference {
        difference(&World {
            host: &HostId::default(),
            deployed: &self.deployed,
            statuses: self.statuses.as_deref(),
            overrides: &self.overrides,
            rows: &self.rows,
            now: now(),
        })
        .unwrap()
    }

    /// Writes what a look says as the database does; what was told.
    fn pass(&mut self) -> Vec<(String, Option<DeckyState>, DeckyState, &'static str)> {
        let Difference { changes, transitions } = self.look();
        for change in changes {
            match change {
                FleetChange::Upsert(new) => {
                    let seen =
                        self.rows.iter().find(|row| row.name == new.name).and_then(|row| row.last_seen);
                    self.rows.retain(|row| row.name != new.name);
                    self.rows.push(FleetDecky {
                        host_uuid: new.host_uuid.unwrap(),
                        services: serde_json::to_value(&new.services).unwrap(),
                        name: new.name,
                        decky_config: new.decky_config,
                        decky_ip: new.decky_ip,
                        state: new.state,
                        last_error: new.last_error,
                        compose_hash: new.compose_hash,
                        last_seen: seen,
                        updated_at: now(),
                        generation: new.generation,
                    });
                }
                FleetChange::State { name, state, last_error, .. } => {
                    let row = self.rows.iter_mut().find(|row| row.name == name).unwrap();
                    row.state = state;
                    row.last_seen = Some(now());
                    row.last_error = last_error.or(row.last_error.take());
                }
                FleetChange::Seen { name, .. } => {
                    self.rows.iter_mut().find(|row| row.name == name).unwrap().last_seen = Some(now());
                }
                FleetChange::Delete { name, .. } => self.rows.retain(|row| row.name != name),
            }
        }
        transitions.into_iter().map(|t| (t.name.to_string(), t.from, t.to, t.word)).collect()
    }

    fn row(&self, name: &str) -> &FleetDecky {
        self.rows.iter().find(|row| row.name == name).unwrap()
    }
}

#[test]
fn a_decky_from_its_plan_to_its_end() {
    use DeckyState::{Failed, Pending, Running, TearingDown, TornDown};
    let mut bench = Bench::new(state(&["web"], 1), Some(Vec::new()));
    let web = "web".to_owned();
    bench.overrides.insert(name("web"), Override { state: Pending, last_error: None });
    assert_eq!(bench.pass(), [(web.clone(), None, Pending, "inserted")]);
    bench.statuses = Some(vec![status("web", Running, None)]);
    assert_eq!(bench.pass(), [], "the engine's word counts while it is at work");
    bench.overrides.clear();
    assert_eq!(bench.pass(), [(web.clone(), Some(Pending), Running, "state_changed")]);
    assert_eq!(bench.row("web").last_seen, Some(now()));
    assert_eq!(bench.row("web").compose_hash.as_deref(), Some("hash"));
    assert_eq!(bench.look(), Difference::default());

    bench.statuses = Some(vec![status("web", Failed, Some("killed"))]);
    assert_eq!(bench.pass(), [(web.clone(), Some(Running), Failed, "state_changed")]);
    assert_eq!(bench.row("web").last_error.as_deref(), Some("killed"));
    bench.statuses = Some(vec![status("web", Pending, Some("killed"))]);
    assert_eq!(bench.pass(), [], "on its way up is not worth a word");
    bench.statuses = Some(vec![status("web", Running, None)]);
    assert_eq!(bench.pass(), [(web.clone(), Some(Failed), Running, "state_changed")]);
    assert_eq!(bench.row("web").last_error, None);
    bench.statuses = None;
    assert_eq!(bench.look(), Difference::default(), "not known changes nothing");
    bench.statuses = Some(Vec::new());
    assert_eq!(bench.pass(), [(web.clone(), Some(Running), TornDown, "state_changed")]);

    bench.overrides.insert(name("web"), Override { state: TearingDown, last_error: None });
    assert_eq!(bench.pass(), [(web.clone(), Some(TornDown), TearingDown, "state_changed")]);
    bench.deployed = state(&[], 0);
    assert_eq!(bench.pass(), [], "its row stays until it is gone");
    bench.overrides.clear();
    assert_eq!(bench.pass(), [(web, Some(TearingDown), TornDown, "deleted")]);
    assert!(bench.rows.is_empty());
}

#[test]
fn an_unknown_state_file_keeps_rows_and_their_states_true() {
    let mut bench =
        Bench::new(state(&["web", "db"], 1), Some(vec![status("web", DeckyState::Running, None)]));
    bench.pass();
    bench.deployed = Deployed::Unknown;
    assert_eq!(bench.pass(), []);
    bench.statuses = Some(vec![status("web", DeckyState::Failed, Some("dead"))]);
    assert_eq!(bench.pass().len(), 1);
    assert_eq!(bench.row("web").last_error.as_deref(), Some("dead"));
    bench.statuses = Some(Vec::new());
    assert_eq!(bench.pass(), []);
    assert_eq!(bench.rows.len(), 2);
}

#[test]
fn a_changed_payload_is_written_without_a_word() {
    let mut bench = Bench::new(state(&["web"], 1), Some(vec![status("web", DeckyState::Running, None)]));
    bench.pass();
    bench.deployed = state(&["web"], 2);
    assert_eq!(bench.pass(), []);
    assert_eq!(bench.row("web").generation, 2);
}

fn some_state() -> impl Strategy<Value = DeckyState> {
    proptest::sample::select(&DeckyState::ALL[..])
}

fn some_names() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(&NAMES[..], 0..=3)
}

fn some_statuses() -> impl Strategy<Value = Option<Vec<DeckyStatus>>> {
    let one = (some_state(), proptest::option::of("[a-z]{1,5}"));
    let all = (some_names(), proptest::collection::vec(one, 3)).prop_map(|(names, states)| {
        names.into_iter().zip(states).map(|(n, (state, error))| status(n, state, error.as_deref())).collect()
    });
    proptest::option::of(all)
}

proptest! {
    /// A2, as far as it is the mirror's.
    #[test]
    fn a_second_look_finds_nothing_to_do(
        before in some_names(), now_wanted in some_names(), known: bool,
        first in some_statuses(), second in some_statuses(), over in proptest::option::of(some_state()),
    ) {
        let mut bench = Bench::new(state(&before, 1), first);
        bench.pass();
        let rows = bench.rows.len();
        bench.deployed = if known { state(&now_wanted, 2) } else { Deployed::Unknown };
        bench.statuses = second;
        if let Some(state) = over {
            bench.overrides.insert(name("db"), Override { state, last_error: Some("why".to_owned()) });
        }
        let told = bench.pass();
        prop_assert!(told.iter().all(|(_, from, to, word)| *word == "deleted" || *from != Some(*to)), "{told:?}");
        prop_assert_eq!(bench.look(), Difference::default());
        if !known {
            prop_assert_eq!(bench.rows.len(), rows);
        }
    }
}
