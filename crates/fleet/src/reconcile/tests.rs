//! Each row of the drift table, all at once, and for any world: a second pass finds nothing to do (A2, A3).

use std::{collections::BTreeSet, path::PathBuf};

use proptest::prelude::*;

use super::*;
use crate::config::{DecnetConfig, Mode};

const NAMES: [&str; 6] = ["web", "db", "mail", "files", "print", "voip"];

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

fn name(text: &str) -> DeckyName {
    DeckyName::parse(text).unwrap()
}

/// A state file with these deckies (`name`, or `name@host`).
fn state(names: &[&str], generation: u64) -> Option<StateFile> {
    let decky = |text: &&str| {
        let (name, host) = text.split_once('@').map_or((*text, None), |(n, h)| (n, Some(h)));
        serde_json::from_value(serde_json::json!({
            "name": name, "ip": "127.70.0.2", "services": ["ssh"], "distro": "debian", "base_image": "b",
            "hostname": "h", "host_uuid": host,
        }))
        .unwrap()
    };
    (!names.is_empty()).then(|| StateFile {
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
    })
}

fn seen(text: &str, state: DeckyState, last_error: Option<&str>) -> Observation {
    let last_error = last_error.map(str::to_owned);
    Observation { name: name(text), state, last_error, plan_hash: Some("hash".to_owned()) }
}

/// A world that remembers what was written to it.
#[derive(Clone)]
struct Bench {
    host: HostId,
    file: Option<StateFile>,
    readable: bool,
    rows: Vec<Row>,
    observed: Option<Vec<Observation>>,
    overrides: BTreeMap<DeckyName, Override>,
    now: DateTime<Utc>,
    is_writer: bool,
}

impl Bench {
    fn new(file: Option<StateFile>, observed: Option<Vec<Observation>>) -> Self {
        let (rows, overrides) = (Vec::new(), BTreeMap::new());
        Self {
            host: HostId::default(),
            file,
            readable: true,
            rows,
            observed,
            overrides,
            now: now(),
            is_writer: false,
        }
    }

    fn look(&self) -> Pass {
        reconcile(&World {
            host: &self.host,
            wanted: if self.readable { Wanted::Known(self.file.as_ref()) } else { Wanted::Unknown },
            rows: &self.rows,
            observed: self.observed.as_deref(),
            overrides: &self.overrides,
            now: self.now,
            interval: TimeDelta::seconds(30),
            is_writer: self.is_writer,
        })
    }

    fn find(&mut self, name: &DeckyName) -> &mut Row {
        self.rows.iter_mut().find(|row| row.name == name.as_str()).unwrap()
    }

    /// Writes what a look says as the database does; what was told.
    fn pass(&mut self) -> (Vec<String>, Counters) {
        let pass = self.look();
        let mut told = Vec::new();
        for Action { name, change, transition } in pass.actions {
            if let Some(Transition { from, to, word }) = transition {
                let from = from.map(|state| format!("{state} ")).unwrap_or_default();
                told.push(format!("{name}: {from}> {to} ({})", word.as_str()));
            }
            let now = self.now;
            let guard = |row: &Row, read: Read| {
                assert_eq!((row.state, row.updated_at), (read.state, read.updated_at));
            };
            match change {
                Change::Insert { record, seen } => {
                    assert!(self.rows.iter().all(|row| row.name != name.as_str()));
                    self.rows.push(row(&name, record, seen.then_some(now), now));
                }
                Change::Update { read, record, seen } => {
                    let old = self.find(&name);
                    guard(old, read);
                    *old = row(&name, record, if seen { Some(now) } else { old.last_seen }, now);
                }
                Change::Restate { read, state, last_error } => {
                    let old = self.find(&name);
                    guard(old, read);
                    (old.state, old.last_error, old.updated_at) = (state, last_error, now);
                }
                Change::Delete { read } => {
                    guard(self.find(&name), read);
                    self.rows.retain(|row| row.name != name.as_str());
                }
                Change::Seen => self.find(&name).last_seen = Some(now),
            }
        }
        (told, pass.counters)
    }

    fn row(&self, name: &str) -> &Row {
        self.rows.iter().find(|row| row.name == name).unwrap()
    }
}

fn row(name: &DeckyName, record: Record, last_seen: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Row {
    Row {
        name: name.to_string(),
        services: Some(record.services),
        config: Some(record.config),
        ip: Some(record.ip),
        state: record.state,
        last_error: record.last_error,
        plan_hash: record.plan_hash,
        generation: record.generation,
        last_seen,
        updated_at: now,
    }
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn row_1_and_1b_what_is_deployed_and_has_no_row_gets_one() {
    use DeckyState::{Degraded, Running, TornDown};
    let file = state(&["web", "db", "mail"], 1);
    let observed = vec![seen("web", Running, None), seen("db", Degraded, Some("http is down"))];
    let mut bench = Bench::new(file.clone(), Some(observed));
    let (told, counters) = bench.pass();
    let expected = ["db: > degraded (inserted)", "mail: > torn_down (inserted)", "web: > running (inserted)"];
    assert_eq!(told, expected);
    assert_eq!(counters, Counters { inserted: 3, ..Counters::default() });
    assert_eq!(bench.row("db").last_error.as_deref(), Some("http is down"));
    assert_eq!(bench.row("mail").state, TornDown);
    assert_eq!((bench.row("web").last_seen, bench.row("mail").last_seen), (Some(now()), None));
    let mut unknown = Bench::new(file, None);
    assert_eq!(unknown.pass().1.inserted, 3);
    assert!(unknown.rows.iter().all(|row| row.state == Running && row.last_seen.is_none()));
}

#[test]
fn row_2_a_row_that_nothing_stands_behind_goes() {
    for observed in [None, Some(vec![]), Some(vec![seen("db", DeckyState::Running, None)])] {
        let mut bench =
            Bench::new(state(&["web", "db"], 1), Some(vec![seen("web", DeckyState::Running, None)]));
        bench.pass();
        bench.file = state(&["web"], 2);
        bench.observed = observed;
        let (told, counters) = bench.pass();
        assert_eq!(told.iter().filter(|t| t.ends_with("(deleted)")).count(), 1);
        assert_eq!((counters.deleted, bench.rows.len()), (1, 1));
    }
}

#[test]
fn rows_3_4_5_8_states_follow_what_is_seen_and_only_that() {
    use DeckyState::{Failed, Pending, Running};
    let mut bench = Bench::new(state(&["web"], 1), Some(vec![seen("web", Running, None)]));
    bench.pass();
    assert_eq!(bench.look(), Pass::default(), "row 5");
    bench.now += TimeDelta::seconds(20);
    assert_eq!(bench.pass(), (none(), Counters::default()), "row 8 tells nobody");
    assert_eq!(bench.row("web").last_seen, Some(now() + TimeDelta::seconds(20)));
    bench.observed = Some(vec![seen("web", Failed, Some("killed"))]);
    assert_eq!(bench.pass().0, ["web: running > failed (state_changed)"]);
    bench.observed = Some(vec![seen("web", Pending, Some("killed"))]);
    assert_eq!(bench.look(), Pass::default(), "on its way up is not worth a word");
    bench.observed = None;
    assert_eq!(bench.look(), Pass::default(), "row 4");
    bench.observed = Some(vec![seen("web", Running, None)]);
    assert_eq!(bench.pass().0, ["web: failed > running (state_changed)"]);
    assert_eq!(bench.row("web").last_error, None);
    bench.observed = Some(Vec::new());
    assert_eq!(bench.pass().0, ["web: running > torn_down (state_changed)"]);
    assert_eq!(bench.row("web").last_error.as_deref(), Some("nothing of it is there: deploy it again"));
}

#[test]
fn row_6_a_changed_payload_is_written_and_told_to_nobody() {
    let mut bench = Bench::new(state(&["web"], 1), Some(vec![seen("web", DeckyState::Running, None)]));
    bench.pass();
    for (observed, generation) in [(bench.observed.clone(), 2), (None, 3)] {
        bench.observed = observed;
        let mut file = state(&["web"], generation).unwrap();
        file.config.deckies[0].services.push(format!("s{generation}"));
        bench.file = Some(file);
        let (told, counters) = bench.pass();
        assert_eq!((told, counters), (none(), Counters { payload_updated: 1, ..Counters::default() }));
        assert_eq!((bench.row("web").generation, bench.row("web").state), (generation, DeckyState::Running));
    }
}

#[test]
fn row_7_what_runs_and_nothing_wants_is_an_orphan() {
    let running = |name| seen(name, DeckyState::Running, None);
    let mut bench = Bench::new(state(&["web"], 1), Some(vec![running("web"), running("stray")]));
    assert_eq!(bench.look().orphans, [name("stray")]);
    assert_eq!(bench.pass().1.orphans, 1);
    // Being started or removed, it is nobody's orphan; nor where nobody knows what should run.
    bench.observed.as_mut().unwrap()[1].state = DeckyState::Pending;
    assert_eq!(bench.look().orphans, []);
    bench.observed.as_mut().unwrap()[1].state = DeckyState::TearingDown;
    assert_eq!(bench.look().orphans, []);
    bench.observed.as_mut().unwrap()[1] = running("stray");
    bench.readable = false;
    assert_eq!(bench.look(), Pass::default());
}

#[test]
fn an_unreadable_state_file_deletes_nothing_and_states_stay_true() {
    let mut bench = Bench::new(state(&["web", "db"], 1), Some(vec![seen("web", DeckyState::Running, None)]));
    bench.pass();
    bench.readable = false;
    assert_eq!(bench.look(), Pass::default());
    bench.observed = Some(vec![seen("web", DeckyState::Failed, Some("dead"))]);
    assert_eq!(bench.pass().0, ["web: running > failed (state_changed)"]);
    bench.observed = Some(Vec::new());
    assert_eq!(bench.look(), Pass::default());
    assert_eq!(bench.rows.len(), 2);
}

/// A state file that was read just before a deploy wrote the next one.
#[test]
fn a_young_row_of_a_newer_generation_is_not_deleted_and_an_old_one_is() {
    let observed = || Some(vec![seen("web", DeckyState::Running, None)]);
    let mut bench = Bench::new(state(&["web"], 5), observed());
    bench.pass();
    for file in [state(&["db"], 4), None] {
        bench.file = file;
        bench.rows.retain(|row| row.name == "web");
        let look = bench.look();
        assert_eq!((look.counters.deleted, look.orphans.len()), (0, 0));
        let mut later = bench.clone();
        later.now += TimeDelta::seconds(60);
        assert_eq!(later.look().counters.deleted, 1);
        let mut writer = bench.clone();
        writer.is_writer = true;
        assert_eq!(writer.look().counters.deleted, 1, "who writes the file knows");
    }
    bench.file = state(&["db"], 6);
    assert_eq!(bench.look().counters.deleted, 1);
}

/// W11: rows are inserted under the id under which they are read, and what is another host's is not ours.
#[test]
fn the_host_id_rule() {
    let host = "6f1cbd3e-6d5a-4d6a-9d0c-0f8a2a5f3d11";
    let mine = format!("mine@{host}");
    let file = state(&["plain", &mine, "theirs@7f1d4a52-6b0c-4d5e-8f4e-1c2b3a4d5e6f"], 1);
    let mut bench = Bench::new(file, Some(Vec::new()));
    bench.host = HostId::parse(host).unwrap();
    assert_eq!(bench.pass().0, ["mine: > torn_down (inserted)", "plain: > torn_down (inserted)"]);
    assert_eq!(bench.look(), Pass::default());
    bench.host = HostId::default();
    bench.rows.clear();
    assert_eq!(bench.pass().0, ["plain: > torn_down (inserted)"]);
}

#[test]
fn the_engines_word_counts_while_it_is_at_work() {
    use DeckyState::{Failed, Pending, Running, TearingDown};
    let mut bench = Bench::new(state(&["web"], 1), Some(Vec::new()));
    bench.is_writer = true;
    let set = |bench: &mut Bench, state| {
        bench.overrides.insert(name("web"), Override { state, last_error: None });
    };
    set(&mut bench, Pending);
    assert_eq!(bench.pass().0, ["web: > pending (inserted)"]);
    bench.observed = Some(vec![seen("web", Running, None)]);
    assert_eq!(bench.pass().0, none());
    bench.overrides.clear();
    assert_eq!(bench.pass().0, ["web: pending > running (state_changed)"]);
    set(&mut bench, Failed);
    assert_eq!(bench.pass().0, ["web: running > failed (state_changed)"]);
    set(&mut bench, TearingDown);
    assert_eq!(bench.pass().0, ["web: failed > tearing_down (state_changed)"]);
    bench.file = None;
    assert_eq!(bench.look(), Pass::default(), "its row stays until it is gone");
    bench.overrides.clear();
    // The same, as the reconciler hears it from the agent.
    bench.observed = Some(vec![seen("web", TearingDown, None)]);
    assert_eq!(bench.look(), Pass::default());
    bench.observed = Some(Vec::new());
    assert_eq!(bench.pass().0, ["web: tearing_down > torn_down (deleted)"]);
    assert!(bench.rows.is_empty());
}

#[test]
fn an_endless_error_does_not_make_an_endless_difference() {
    let error = "x\0".repeat(MAX_ERROR);
    let mut bench = Bench::new(state(&["web"], 1), Some(vec![seen("web", DeckyState::Failed, Some(&error))]));
    bench.pass();
    assert_eq!(bench.row("web").last_error.as_ref().map(String::len), Some(MAX_ERROR));
    assert_eq!(bench.look(), Pass::default());
}

/// A3: every row of the table in one pass; counters and messages agree.
#[test]
fn all_at_once() {
    use DeckyState::{Degraded, Failed, Running};
    let mut bench = Bench::new(
        state(&["web", "db", "mail"], 1),
        Some(["web", "db", "mail"].map(|n| seen(n, Running, None)).to_vec()),
    );
    bench.pass();
    let mut file = state(&["web", "db", "files"], 2).unwrap();
    file.config.deckies[1].services.push("http".to_owned());
    bench.file = Some(file);
    bench.observed = Some(vec![
        seen("web", Degraded, Some("half")),
        seen("db", Running, None),
        seen("files", Failed, Some("no")),
        seen("stray", Running, None),
    ]);
    let (told, counters) = bench.pass();
    assert_eq!(
        told,
        [
            "files: > failed (inserted)",
            "web: running > degraded (state_changed)",
            "mail: running > torn_down (deleted)"
        ]
    );
    let expected = Counters { inserted: 1, deleted: 1, state_updated: 1, payload_updated: 1, orphans: 1 };
    assert_eq!(counters, expected);
    assert_eq!(bench.look().actions, []);
}

fn some_state() -> impl Strategy<Value = DeckyState> {
    proptest::sample::select(&DeckyState::ALL[..])
}

fn some_names() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(&NAMES[..], 0..=NAMES.len())
}

fn some_observed() -> impl Strategy<Value = Option<Vec<Observation>>> {
    let one = (some_state(), proptest::option::of("[a-z\0]{1,5}"));
    let all = (some_names(), proptest::collection::vec(one, NAMES.len())).prop_map(|(names, states)| {
        names.into_iter().zip(states).map(|(n, (state, error))| seen(n, state, error.as_deref())).collect()
    });
    proptest::option::of(all)
}

/// Rows as anybody may have left them.
fn some_rows() -> impl Strategy<Value = Vec<Row>> {
    let one =
        (some_state(), 0u64..4, 0i64..120, proptest::option::of(0i64..120), any::<bool>(), any::<bool>());
    (some_names(), proptest::collection::vec(one, NAMES.len())).prop_map(|(names, rows)| {
        let rows = names.into_iter().zip(rows);
        rows.map(|(name, (state, generation, age, last_seen, decodes, config))| Row {
            name: name.to_owned(),
            services: decodes.then(|| vec!["ssh".to_owned()]),
            config: config.then(|| serde_json::json!({"name": name})),
            ip: config.then(|| "127.70.0.2".to_owned()),
            state,
            last_error: decodes.then(|| "old".to_owned()),
            plan_hash: None,
            generation,
            last_seen: last_seen.map(|age| now() - TimeDelta::seconds(age)),
            updated_at: now() - TimeDelta::seconds(age),
        })
        .collect()
    })
}

proptest! {
    /// A2 and the counters of A3, for any world.
    #[test]
    fn a_second_pass_finds_nothing_to_do(
        wanted in some_names(), generation in 0u64..4, readable: bool, rows in some_rows(), observed in some_observed(),
        over in proptest::collection::btree_map(proptest::sample::select(&NAMES[..]), (some_state(), proptest::option::of("[a-z]{1,5}")), 0..3),
        is_writer: bool,
    ) {
        let mut bench = Bench::new(state(&wanted, generation), observed);
        bench.is_writer = is_writer;
        bench.rows = rows;
        bench.readable = readable;
        for (text, (state, last_error)) in over {
            bench.overrides.insert(name(text), Override { state, last_error });
        }
        let before = bench.clone();
        let (told, counters) = bench.pass();
        prop_assert_eq!(told.len() as u64, counters.inserted + counters.deleted + counters.state_updated);
        prop_assert_eq!(&bench.look().actions, &[]);
        let names = |rows: &[Row]| rows.iter().map(|row| row.name.clone()).collect::<BTreeSet<_>>();
        prop_assert_eq!(names(&bench.rows).len() as u64, names(&before.rows).len() as u64 + counters.inserted - counters.deleted);
        if !readable {
            prop_assert_eq!(names(&bench.rows), names(&before.rows), "nothing is known, so nothing goes and nothing comes");
        }
        if before.observed.is_none() && before.overrides.is_empty() {
            for row in &bench.rows {
                let old = before.rows.iter().find(|old| old.name == row.name);
                prop_assert!(old.is_none_or(|old| old.state == row.state && old.last_error == row.last_error && old.last_seen == row.last_seen));
            }
        }
        if before.observed.is_none() {
            prop_assert_eq!(counters.orphans, 0);
        }
    }
}
