//! A1 and its neighbours, on real files.

use std::{fs, os::unix::fs::PermissionsExt};

use decnet_core::{FleetSecret, HostId};
use tempfile::TempDir;

use super::*;
use crate::plan::{PlanRequest, RuntimeKind, plan};

/// As the original writes it, every optional key missing.
const ORIGINAL: &str = r#"{
  "config": {
    "mode": "unihost", "interface": "eth0", "subnet": "192.168.1.0/24", "gateway": "192.168.1.1",
    "deckies": [{"name": "decky-01", "ip": "192.168.1.50", "services": ["ssh", "smtp_relay"], "distro": "debian",
                 "base_image": "debian:bookworm-slim", "hostname": "SRV-ALPHA-42"}]
  },
  "compose_path": "decnet-compose.yml"
}"#;

/// The same with every key, among them a float of 17 digits and settings that are no text.
const FULL: &str = r#"{"config": {"mode": "swarm", "interface": "eth0", "subnet": "10.0.0.0/8", "gateway": "10.0.0.1",
  "deckies": [{"name": "decky-01", "ip": "10.0.0.50", "services": ["ssh"], "distro": "debian", "base_image": "x",
    "build_base": "y", "hostname": "h", "archetype": null, "service_config": {"ssh": {"port": 22, "password": "a"}},
    "nmap_os": "windows", "mutate_interval": null, "last_mutated": 1767225610.1234567, "last_login_attempt": 0.1,
    "host_uuid": "6f1cbd3e-6d5a-4d6a-9d0c-0f8a2a5f3d11"}],
  "log_file": "/var/log/decnet.log", "ipvlan": true, "mutate_interval": null}, "compose_path": "/x/y.yml"}"#;

struct Bench {
    folder: TempDir,
    store: StateStore,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::new(folder.path().join("lib/decnet-state.json"));
        fs::create_dir_all(folder.path().join("lib")).unwrap();
        Self { folder, store }
    }

    fn with(text: &str) -> Self {
        let bench = Self::new();
        fs::write(bench.store.path(), text).unwrap();
        bench
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("lib")).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn now() -> DateTime<Utc> {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn a_plan(generation: u64, deckies: &str) -> Plan {
    let spec = crate::ini::parse(deckies.as_bytes()).unwrap();
    plan(&PlanRequest {
        spec: &spec,
        secret: &FleetSecret::from_number(1),
        runtime: RuntimeKind::Process,
        generation,
        host: &HostId::default(),
        detected: None,
        used: &std::collections::HashSet::new(),
        previous: None,
        shells: None,
    })
    .unwrap()
}

#[test]
fn a_file_of_the_original_loads() {
    let state = Bench::with(ORIGINAL).store.load().unwrap().unwrap();
    assert_eq!((state.schema, state.generation, state.written_at), (1, 0, None));
    assert_eq!(state.config.mutate_interval, Some(30));
    let decky = state.decky("decky-01").unwrap();
    assert_eq!((decky.nmap_os.as_str(), decky.build_base.as_str()), ("linux", "debian:bookworm-slim"));
    assert_eq!((decky.mutate_interval, decky.host().as_str()), (None, "local"));
    let full = Bench::with(FULL).store.load().unwrap().unwrap();
    assert_eq!(full.config.mutate_interval, None);
    assert!(full.decky("decky-01").unwrap().is_windows());
    assert_eq!(Bench::with(ORIGINAL).store.load_plan().unwrap(), None);
}

#[test]
fn save_load_save_is_byte_stable() {
    for text in [ORIGINAL, FULL] {
        let bench = Bench::with(text);
        let lock = bench.store.lock().unwrap();
        lock.save_state(&bench.store.load().unwrap().unwrap()).unwrap();
        let first = fs::read(bench.store.path()).unwrap();
        lock.save_state(&bench.store.load().unwrap().unwrap()).unwrap();
        assert_eq!(String::from_utf8(fs::read(bench.store.path()).unwrap()), String::from_utf8(first));
    }
    let written = {
        let bench = Bench::with(FULL);
        bench.store.lock().unwrap().save_state(&bench.store.load().unwrap().unwrap()).unwrap();
        fs::read_to_string(bench.store.path()).unwrap()
    };
    assert!(written.contains("\"last_mutated\": 1767225610.1234567,"), "{written}");
}

#[test]
fn nothing_there_means_nothing_deployed() {
    let bench = Bench::new();
    assert_eq!(bench.store.load().unwrap(), None);
    assert_eq!(bench.store.load_plan().unwrap(), None);
    let lock = bench.store.lock().unwrap();
    assert_eq!(lock.set_aside(now()).unwrap(), None);
    assert_eq!(lock.remove_decky("a", now()).unwrap(), None);
    lock.clear().unwrap();
}

#[test]
fn a_deployment_is_saved_whole_and_its_plan_privately() {
    let bench = Bench::new();
    let lock = bench.store.lock().unwrap();
    let first = a_plan(1, "[a]\nservices=ssh\n[b]\nservices=http\n");
    let state = lock.save(&first, now()).unwrap();
    assert_eq!(bench.store.load().unwrap(), Some(state));
    assert_eq!(bench.store.load_plan().unwrap().as_ref(), Some(&first));
    let second = a_plan(2, "[a]\nservices=ssh\n");
    lock.save(&second, now()).unwrap();
    assert_eq!(bench.files(), ["decnet-state-plan-2.json", "decnet-state.json", "decnet-state.lock"]);
    let mode = |name: &str| {
        fs::metadata(bench.folder.path().join("lib").join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("decnet-state-plan-2.json"), mode("decnet-state.json")), (0o600, 0o644));
    let shared = fs::read_to_string(bench.store.path()).unwrap();
    assert!(!shared.contains(&second.deckies[0].seed.to_hex()));
}

/// A crash between write and rename, at both files: what was there still counts, whole.
#[test]
fn a_crash_before_the_rename_leaves_the_old_deployment() {
    let bench = Bench::new();
    let lock = bench.store.lock().unwrap();
    let old = a_plan(1, "[a]\nservices=ssh\n");
    let saved = lock.save(&old, now()).unwrap();

    // The new state file is written and synced, and the process dies: its temporary file stays.
    let new = StateFile { generation: 2, ..saved.clone() };
    let temporary = file::prepare(bench.store.path(), &new, file::SHARED).unwrap();
    let (_, left_over) = temporary.keep().unwrap();
    assert_eq!(bench.store.load().unwrap(), Some(saved.clone()));
    assert_eq!(bench.store.load_plan().unwrap(), Some(old.clone()));

    // The next plan file is in place already, the state file is not: the old generation's plan still counts.
    let plan_file = bench.folder.path().join("lib/decnet-state-plan-2.json");
    file::write_json(&plan_file, &a_plan(2, "[z]\n"), file::PRIVATE).unwrap();
    assert_eq!(bench.store.load_plan().unwrap(), Some(old));

    // The next deploy works and sweeps the plan that never counted.
    let third = a_plan(3, "[a]\nservices=ssh\n");
    lock.save(&third, now()).unwrap();
    assert_eq!(bench.store.load_plan().unwrap(), Some(third));
    assert!(!plan_file.exists());
    fs::remove_file(left_over).unwrap();
}

#[test]
fn a_torn_file_is_unknown_and_is_kept_aside() {
    let newer = r#"{"schema": 2, "#.to_owned() + &ORIGINAL[1..];
    for text in ["", "{", &ORIGINAL[..ORIGINAL.len() / 2], "\u{0}\u{0}", "[]", newer.as_str()] {
        let bench = Bench::with(text);
        let error = bench.store.load().unwrap_err();
        assert!(matches!(error, StateError::Unreadable { .. }), "{text:?}: {error}");
        let lock = bench.store.lock().unwrap();
        assert!(lock.remove_decky("decky-01", now()).is_err());
        assert_eq!(fs::read_to_string(bench.store.path()).unwrap(), text, "nothing is changed");
        let aside = lock.set_aside(now()).unwrap().unwrap();
        assert!(aside.ends_with("decnet-state.json.corrupt-20260102T030405Z"), "{}", aside.display());
        assert_eq!(fs::read_to_string(&aside).unwrap(), text);
        assert_eq!(bench.store.load().unwrap(), None);
        // A second one in the same second does not replace the first.
        fs::write(bench.store.path(), "again").unwrap();
        assert!(lock.set_aside(now()).unwrap().unwrap().to_string_lossy().ends_with("Z-1"));
        assert_eq!(fs::read_to_string(&aside).unwrap(), text);
    }
}

#[test]
fn a_plan_of_another_generation_is_unreadable() {
    let bench = Bench::new();
    let lock = bench.store.lock().unwrap();
    let state = lock.save(&a_plan(1, "[a]\n"), now()).unwrap();
    lock.save_state(&StateFile { generation: 7, ..state }).unwrap();
    assert!(matches!(bench.store.load_plan(), Err(StateError::Unreadable { .. })));
    fs::write(bench.store.path(), "torn").unwrap();
    assert_eq!(
        bench.store.newest_plan(),
        Some(a_plan(1, "[a]\n")),
        "the plan is whole, whatever the state file says"
    );
}

#[test]
fn an_absent_file_says_nothing_after_a_loss() {
    let bench = Bench::new();
    assert_eq!(bench.store.known().unwrap(), None);
    let lock = bench.store.lock().unwrap();
    lock.set_lost(true).unwrap();
    assert!(matches!(bench.store.known(), Err(StateError::Lost(_))) && bench.store.is_lost());
    assert_eq!(bench.store.load().unwrap(), None);
    let saved = lock.save(&a_plan(1, "[a]\n"), now()).unwrap();
    assert_eq!(bench.store.known().unwrap(), Some(saved));
    lock.clear().unwrap();
    assert!(bench.store.known().is_err());
    lock.set_lost(false).unwrap();
    lock.set_lost(false).unwrap();
    assert_eq!(bench.store.known().unwrap(), None);
}

#[test]
fn one_writer_at_a_time() {
    let bench = Bench::new();
    let lock = bench.store.lock().unwrap();
    assert!(matches!(bench.store.lock(), Err(StateError::Locked(_))));
    drop(lock);
    assert!(bench.store.lock().is_ok());
}

#[test]
fn teardown_rewrites_without_the_decky_and_the_last_one_takes_the_file_along() {
    let bench = Bench::new();
    let lock = bench.store.lock().unwrap();
    let mut state = lock.save(&a_plan(4, "[a]\nservices=ssh\n[b]\nservices=http\n"), now()).unwrap();
    state.config.deckies[1].last_mutated = 12.5;
    lock.save_state(&state).unwrap();

    assert_eq!(lock.remove_decky("ghost", now()).unwrap(), Some(state));
    let left = lock.remove_decky("a", now()).unwrap().unwrap();
    assert_eq!((left.generation, left.config.deckies.len()), (5, 1));
    assert!((left.config.deckies[0].last_mutated - 12.5).abs() < f64::EPSILON);
    let plan = bench.store.load_plan().unwrap().unwrap();
    assert_eq!((plan.generation, plan.deckies.len(), plan.networks[0].routes.len()), (5, 1, 1));
    assert_eq!(bench.store.load().unwrap(), Some(left));

    assert_eq!(lock.remove_decky("b", now()).unwrap(), None);
    assert_eq!(bench.files(), ["decnet-state.lock"]);
}

#[test]
fn teardown_of_an_original_deployment() {
    let two = ORIGINAL.replace(
        "\"deckies\": [",
        r#""deckies": [{"name": "other", "ip": "192.168.1.9", "services": ["ssh"], "distro": "debian", "base_image": "x", "hostname": "y"}, "#,
    );
    let bench = Bench::with(&two);
    let left = bench.store.lock().unwrap().remove_decky("other", now()).unwrap().unwrap();
    assert_eq!(left.config.deckies[0].name.as_str(), "decky-01");
    assert_eq!(left.compose_path, Path::new("decnet-compose.yml"));
    assert_eq!(bench.store.load().unwrap(), Some(left));
}
