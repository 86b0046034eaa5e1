//! Precedence, origin, refusals in one go.

use std::io::Write;

use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn entry<'a>(loaded: &'a Loaded, key: &str) -> &'a Effective {
    loaded.effective.iter().find(|e| e.key == key).unwrap()
}

#[test]
fn flags_over_environment_over_file_over_default_with_origin() {
    let ini = file("[api]\nport = 1001\nhost = 10.0.0.1\n[ingester]\nbatch-size = 11\n");
    let loaded = Sources::variables([("DECNET_API_PORT", "1002"), ("DECNET_API_HOST", "10.0.0.2")])
        .file(ini.path())
        .flag("--set", "api_port", "1003")
        .load()
        .unwrap();
    assert_eq!(loaded.settings.api_port, 1003);
    assert_eq!(loaded.settings.api_host.to_string(), "10.0.0.2");
    assert_eq!(loaded.settings.batch_size.get(), 11);
    assert_eq!(loaded.settings.sse_max_per_user.get(), 5);

    assert_eq!(
        (entry(&loaded, "api_port").layer, entry(&loaded, "api_port").origin.as_str()),
        (Layer::Flag, "flag --set")
    );
    assert_eq!(entry(&loaded, "api_host").origin, "environment DECNET_API_HOST");
    let batch = entry(&loaded, "batch_size");
    assert_eq!(batch.layer, Layer::File);
    assert_eq!(batch.origin, format!("{} line 5 ([ingester] batch-size)", ini.path().display()));
    assert_eq!(
        (entry(&loaded, "sse_max_per_user").layer, entry(&loaded, "jwt_secret").layer),
        (Layer::Default, Layer::Unset)
    );
    assert_eq!(loaded.effective.len(), SETTINGS.len());
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let ini = file("[api]\nport = 1001\n");
    let loaded = Sources::variables([("DECNET_API_PORT", ""), ("DECNET_JWT_SECRET", "")])
        .file(ini.path())
        .load()
        .unwrap();
    assert_eq!(loaded.settings.api_port, 1001);
    assert!(loaded.settings.jwt_secret.is_none());
}

#[test]
fn defaults_live_below_the_state_folder_wherever_it_was_named() {
    let ini = file("[decnet]\nstate-dir = /srv/decnet/\n");
    let settings = Sources::variables([("X", "")]).file(ini.path()).load().unwrap().settings;
    assert_eq!(settings.state_file.to_str(), Some("/srv/decnet/decnet-state.json"));
    assert_eq!(settings.db_url.expose(), "sqlite:///srv/decnet/decnet.db?mode=rwc");
}

#[test]
fn every_mistake_is_told_at_once_with_value_and_origin() {
    let ini = file("[api]\nport = 99999\nprot = 5\n[decnet]\njwt-secret = swordfish\n");
    let error = Sources::variables([
        ("DECNET_RUNTIME", "podman"),
        ("DECNET_BATCH_SIZE", "0"),
        ("DECNET_HOST_UUID", "nobody"),
    ])
    .file(ini.path())
    .flag("--set", "no_such", "1")
    .flag("--set", "admin_password", "hunter2")
    .load()
    .unwrap_err();
    let text = error.to_string();
    for part in [
        "7 wrong settings",
        "api_port = \"99999\"",
        "line 2 ([api] port)",
        "runtime = \"podman\" (environment DECNET_RUNTIME): say one of: auto docker process",
        "batch_size = \"0\"",
        "host = \"nobody\"",
        "no_such (flag --set)",
        "DECNET_ADMIN_PASSWORD",
        "line 5): jwt-secret is a secret",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    assert!(!text.contains("hunter2") && !text.contains("swordfish"), "{text}");
}

#[test]
fn secrets_are_read_from_the_environment_and_hidden_everywhere() {
    let loaded = Sources::variables([
        ("DECNET_JWT_SECRET", "007"),
        ("DECNET_ADMIN_PASSWORD", "true"),
        ("DECNET_DB_URL", "postgres://u:sesame@h/d"),
    ])
    .load()
    .unwrap();
    // Text that looks like a number or a truth value stays text.
    assert_eq!(loaded.settings.jwt_secret.as_ref().unwrap().expose(), "007");
    assert_eq!(loaded.settings.admin_password.as_ref().unwrap().expose(), "true");
    let report = format!("{:?} {}", loaded.settings, serde_json::to_string(&loaded.effective).unwrap());
    assert!(!report.contains("007") && !report.contains("sesame"), "{report}");
    assert_eq!(entry(&loaded, "jwt_secret").value.as_deref(), Some("(hidden)"));
    assert_eq!(entry(&loaded, "db_url").value.as_deref(), Some("postgres://u:***@h/d"));
}

#[test]
fn a_missing_file_is_fine_unless_a_flag_names_it() {
    assert!(Sources::variables([("DECNET_CONFIG", "/nonexistent/decnet.ini")]).load().is_ok());
    let error = Sources::variables([("X", "")]).file("/nonexistent/decnet.ini").load().unwrap_err();
    assert!(error.to_string().contains("/nonexistent/decnet.ini"), "{error}");
}

#[test]
fn a_password_inside_the_file_is_used_but_warned_of() {
    let ini = file("[database]\nurl = mysql://u:pw@h/d\ntyp = x\n");
    let loaded = Sources::variables([("X", "")]).file(ini.path()).load().unwrap();
    assert_eq!(loaded.settings.db_url.expose(), "mysql://u:pw@h/d");
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    assert!(loaded.warnings.iter().any(|w| w.contains("DECNET_DB_URL")));
    assert!(loaded.warnings.iter().all(|w| !w.contains("pw@")));
}
