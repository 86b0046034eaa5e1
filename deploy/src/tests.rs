//! The rendered tree: one table, one set of names everywhere, and what the machine's own tools say of it.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use super::*;

fn names(text: &str, ending: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "-.@".contains(c)))
        .filter(|word| word.starts_with("decnet-") && word.ends_with(ending))
        .map(str::to_owned)
        .collect()
}

#[test]
fn units_target_polkit_users_and_permissions_are_the_worker_table() {
    let table: BTreeSet<String> = Worker::BUILT.iter().map(|worker| worker.unit()).collect();
    let files = files();
    let units: BTreeSet<String> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix(UNITS)?.strip_prefix('/'))
        .filter(|name| name.ends_with(".service"))
        .map(str::to_owned)
        .collect();
    let mut with_migrate = table.clone();
    with_migrate.insert("decnet-migrate.service".to_owned());
    assert_eq!(units, with_migrate);
    assert_eq!(names(&target(), ".service"), with_migrate);
    assert_eq!(target_units().into_iter().collect::<BTreeSet<_>>(), with_migrate);
    assert_eq!(names(&polkit_rule(), ".service"), table, "migrate is nobody's to start from the panel");
    for unit in &units {
        let own = unit.strip_suffix(".service").unwrap();
        let user = if own == "decnet-agent" { "root" } else { own };
        assert_eq!(sysusers().contains(&format!("u {own} - ")), user == own, "{user}");
        assert_eq!(sysusers().contains(&format!("m {own} {GROUP}\n")), user == own, "{user}");
        let text = &files.iter().find(|file| file.path.ends_with(unit.as_str())).unwrap().text;
        assert!(
            text.contains(&format!("User={user}\n")) && text.contains("PartOf=decnet.target\n"),
            "{unit}"
        );
    }
    // Everyone with a unit has a key, but the broker itself, which holds the provisioner's.
    let config = broker_config(
        &holders().map(|h| (h, "U".to_owned())).collect::<Vec<_>>(),
        &HostId::default(),
        FULL_STORAGE,
    );
    let config = config.unwrap();
    for worker in Worker::BUILT.iter().filter(|worker| **worker != Worker::Bus) {
        assert!(config.contains(&format!("# {worker}\n")), "{worker}");
        assert!(worker_unit(*worker).contains(&format!("LoadCredential=nkey:{KEYS}/{worker}.nk\n")));
    }
}

#[test]
fn every_line_is_one_directive_and_secrets_are_credentials() {
    for file in files().iter().filter(|file| file.path.starts_with(UNITS)) {
        for line in file.text.lines().filter(|line| !line.is_empty()) {
            let shape = line.starts_with('#') || line.starts_with('[') || line.contains('=');
            assert!(shape && !line.ends_with('\\'), "{}: {line}", file.path);
        }
        // Every variable that names one of them points into the unit's credentials.
        let variables =
            ["DECNET_SECRET_FILE=", "DECNET_JWT_SECRET_FILE=", "DECNET_WEBHOOK_KEY_FILE=", "NKEY_FILE=%"];
        for line in file.text.lines().filter(|line| variables.iter().any(|name| line.contains(name))) {
            let name = line.split_once("=%d/").unwrap_or_else(|| panic!("{}: {line}", file.path)).1;
            assert!(file.text.contains(&format!("LoadCredential={name}:/")), "{}: {line}", file.path);
        }
    }
    // Only who needs it is handed the fleet secret.
    for worker in Worker::BUILT.iter().filter(|worker| **worker != Worker::Bus) {
        assert_eq!(
            worker_unit(*worker).contains("fleet.secret"),
            worker.spec().grant.fleet_secret,
            "{worker}"
        );
        assert_eq!(worker_unit(*worker).contains("jwt.secret"), *worker == Worker::Api, "{worker}");
        let seals = matches!(worker, Worker::Api | Worker::Webhook);
        assert_eq!(worker_unit(*worker).contains("webhook.key"), seals, "{worker}");
    }
}

#[test]
fn only_the_agent_has_powers_and_only_who_calls_out_may() {
    for worker in Worker::BUILT.iter().filter(|worker| **worker != Worker::Bus) {
        let text = worker_unit(*worker);
        assert_eq!(text.contains("CAP_"), *worker == Worker::Agent, "{worker}");
        assert_eq!(!text.contains("IPAddressDeny=any"), worker.spec().grant.egress, "{worker}");
        assert_eq!(text.contains("KillMode=process"), *worker == Worker::Agent, "{worker}");
        // Who opens what intruders left needs a call that this filter refuses.
        let opens = matches!(worker, Worker::Agent | Worker::Api);
        assert_eq!(text.contains("RestrictSUIDSGID=no"), opens, "{worker}");
        assert!(!text.contains("docker.sock") && !text.contains("SupplementaryGroups"), "{worker}");
    }
}

#[test]
fn the_copy_in_the_repository_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("generated");
    for file in generated().unwrap() {
        let copy = fs::read_to_string(folder.join(file.path.trim_start_matches('/'))).unwrap_or_default();
        assert!(copy == file.text, "{} is stale: run `cargo xtask gen`", file.path);
    }
}

/// The units with the program files moved below `folder`, where each exists.
fn tree(folder: &Path) -> Vec<String> {
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    let programs = Worker::ALL.iter().map(|worker| worker.program());
    for program in programs {
        fs::write(bin.join(&program), "#!/bin/sh\n").unwrap();
        fs::set_permissions(bin.join(&program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut written = Vec::new();
    for file in files() {
        let Some(name) = file.path.strip_prefix(UNITS).and_then(|path| path.strip_prefix('/')) else {
            continue;
        };
        fs::write(folder.join(name), file.text.replace(BIN, bin.to_str().unwrap())).unwrap();
        written.push(name.to_owned());
    }
    written
}

fn analyze(folder: &Path, arguments: &[&str]) -> Option<Output> {
    let path = format!("{}:", folder.display());
    let run = Command::new("systemd-analyze")
        .args(arguments)
        .current_dir(folder)
        .env("SYSTEMD_UNIT_PATH", path)
        .env("SYSTEMD_PAGER", "")
        .output();
    run.inspect_err(|_| println!("skipped: systemd-analyze is not installed")).ok()
}

#[test]
fn systemd_finds_nothing_to_complain_about() {
    let folder = tempfile::tempdir().unwrap();
    let units = tree(folder.path());
    let names: Vec<&str> = units.iter().map(String::as_str).collect();
    let paths: Vec<String> =
        names.iter().map(|name| folder.path().join(name).display().to_string()).collect();
    let mut arguments = vec!["verify", "--man=no"];
    arguments.extend(paths.iter().map(String::as_str));
    let Some(output) = analyze(folder.path(), &arguments) else { return };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Units of the machine itself are not ours to mend.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("decnet")).collect();
    assert!(output.status.success() && ours.is_empty(), "{}: {said}", output.status);
}

#[test]
fn no_unit_is_more_exposed_than_its_row_allows() {
    let folder = tempfile::tempdir().unwrap();
    tree(folder.path());
    let check = |unit: &str, most: u32| {
        let path = folder.path().join(unit).display().to_string();
        let threshold = format!("--threshold={most}");
        let Some(output) =
            analyze(folder.path(), &["security", "--offline=true", "--no-pager", &threshold, &path])
        else {
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let score = text.lines().find(|line| line.contains("exposure level")).unwrap_or("no score");
        println!("{unit}: {score}");
        assert!(output.status.success(), "{unit} may have {most} tenths at most: {text}");
    };
    for worker in Worker::BUILT {
        check(&worker.unit(), most_exposed(*worker));
    }
    check("decnet-migrate.service", 12);
    assert!(Worker::BUILT.iter().filter(|worker| most_exposed(**worker) > 20).eq([&Worker::Agent]));
}

#[test]
fn users_and_folders_can_be_made_by_systemd() {
    let root = tempfile::tempdir().unwrap();
    let at = format!("--root={}", root.path().display());
    fs::create_dir(root.path().join("etc")).unwrap();
    let run = |program: &str, text: String, arguments: &[&str]| {
        let file = root.path().join(format!("{program}.conf"));
        fs::write(&file, text).unwrap();
        let output = Command::new(program).arg(&at).args(arguments).arg(&file).output();
        let Ok(output) = output else {
            println!("skipped: {program} is not installed");
            return false;
        };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let complains = said.lines().any(|line| line.contains("decnet") && !line.starts_with("Creating "));
        assert!(output.status.success() && !complains, "{program}: {said}");
        true
    };
    // Without root no owner can be set, which is the point of both.
    if fs::metadata("/proc/self").map_or(1, |data| std::os::unix::fs::MetadataExt::uid(&data)) != 0 {
        println!("skipped: only root can make users and folders of others");
        return;
    }
    if !run("systemd-sysusers", sysusers(), &[]) || !run("systemd-tmpfiles", tmpfiles(), &["--create"]) {
        return;
    }
    let passwd = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    for worker in Worker::BUILT.iter().filter(|worker| user_of(**worker) != "root") {
        let line = passwd.lines().find(|line| line.starts_with(&format!("{}:", user_of(*worker)))).unwrap();
        assert!(line.ends_with("nologin"), "{line}");
    }
    for folder in folders() {
        let data = fs::metadata(root.path().join(folder.path.trim_start_matches('/'))).unwrap();
        assert_eq!(data.permissions().mode() & 0o7777, folder.mode, "{}", folder.path);
    }
}

/// Runs the rule over units and verbs in a JavaScript engine, and returns what it allowed.
fn allowed(asked: &[(String, &str, &str)]) -> Option<Vec<String>> {
    let engine =
        ["node", "duk", "qjs"].into_iter().find(|engine| Command::new(engine).arg("-h").output().is_ok())?;
    let folder = tempfile::tempdir().unwrap();
    let list: Vec<String> =
        asked.iter().map(|(unit, verb, user)| format!("[{unit:?}, {verb:?}, {user:?}]")).collect();
    let script = format!(
        "var rule; var polkit = {{ Result: {{ YES: 'yes', NOT_HANDLED: 'other' }}, addRule: function(f) {{ rule = f; }} }};\n\
         {}\nvar say = typeof console !== 'undefined' ? console.log : print;\n\
         [{}].forEach(function(c) {{\n\
           var action = {{ id: 'org.freedesktop.systemd1.manage-units', lookup: function(k) {{ return k === 'unit' ? c[0] : c[1]; }} }};\n\
           if (rule(action, {{ user: c[2] }}) === 'yes') say(c.join(' '));\n\
         }});\n\
         if (rule({{ id: 'org.freedesktop.systemd1.manage-unit-files', lookup: function() {{ return 'decnet-api.service'; }} }}, {{ user: 'decnet-api' }}) === 'yes') say('unit-files');\n",
        polkit_rule(),
        list.join(", ")
    );
    let path = folder.path().join("rule.js");
    fs::write(&path, script).unwrap();
    let output = Command::new(engine).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

#[test]
fn the_polkit_rule_allows_the_table_and_nothing_else() {
    let api = "decnet-api";
    let mut good = Vec::new();
    for unit in polkit_units() {
        for verb in ["start", "stop", "restart"] {
            good.push((unit.clone(), verb, api));
        }
    }
    let mut bad: Vec<(String, &str, &str)> = Vec::new();
    for unit in [
        "decnet-x.service",
        "decnet-x.service.d",
        "decnet-api.service.d",
        "decnet-../ssh.service",
        "sshd.service",
        "ssh.service",
        "decnet-api.service\nssh.service",
        "decnet-api",
        "decnet-",
        "",
        "decnet-api.service ",
        "xdecnet-api.service",
        "decnet-migrate.service",
        "decnet-sniffer.service",
        "length",
        "__proto__",
    ] {
        bad.push((unit.to_owned(), "start", api));
    }
    for verb in ["kill", "mask", "enable", "reload", "set-property", "", "Start", "start "] {
        bad.push(("decnet-api.service".to_owned(), verb, api));
    }
    for user in ["root2", "decnet-collector", "decnet", "nobody", ""] {
        bad.push(("decnet-api.service".to_owned(), "start", user));
    }
    let asked: Vec<_> = good.iter().chain(&bad).cloned().collect();
    let Some(allowed) = allowed(&asked) else {
        println!("skipped: no JavaScript engine (node, duk or qjs) is installed");
        return;
    };
    let wanted: Vec<_> = good.iter().map(|(unit, verb, user)| format!("{unit} {verb} {user}")).collect();
    assert_eq!(allowed, wanted);
}
