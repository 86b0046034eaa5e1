//! `decnet lab life` as people call it: what it refuses and how, and what its output does not depend on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Command, Output, Stdio},
};

fn decnet() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_decnet"));
    command.args(["lab", "life", "--json"]);
    command
}

fn run(personas: &Path, change: &[(&str, &str)]) -> Output {
    let mut command = decnet();
    command.arg("--personas").arg(personas);
    let usual = [("--deckies", "2"), ("--days", "2"), ("--seed", "7"), ("--start", "2026-03-23T00:00:00Z")];
    for (flag, value) in usual {
        let changed = change.iter().find(|(changed, _)| *changed == flag).map(|(_, value)| *value);
        command.arg(format!("{flag}={}", changed.unwrap_or(value)));
    }
    command.output().unwrap()
}

fn refused(output: &Output) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(output.stdout.is_empty(), "something on stdout");
    assert!(!stderr.is_empty());
    stderr
}

fn pool(folder: &Path) -> std::path::PathBuf {
    let file = folder.join("people.json");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/personas.json"), &file).unwrap();
    file
}

#[test]
fn bad_usage_names_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    let file = pool(folder.path());
    for (flag, value) in [
        ("--days", "0"),
        ("--deckies", "0"),
        ("--days", "-1"),
        ("--deckies", "many"),
        ("--seed", "-1"),
        ("--seed", "+1"),
        ("--seed", "0x10"),
        ("--seed", "18446744073709551616"),
        ("--seed", ""),
        ("--start", "2026-03-23"),
        ("--start", "2026-03-23T00:00:00"),
        ("--start", "yesterday"),
        ("--start", "2026-02-30T00:00:00Z"),
    ] {
        let stderr = refused(&run(&file, &[(flag, value)]));
        assert!(stderr.contains(flag), "{flag}={value}: {stderr}");
    }
    let stderr = refused(&decnet().arg("--personas").arg(&file).output().unwrap());
    for flag in ["--deckies", "--days", "--seed", "--start"] {
        assert!(stderr.contains(flag), "{stderr}");
    }
}

#[test]
fn bad_files_are_named_and_every_bad_entry_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.json");
    let name = file.display().to_string();
    assert!(refused(&run(&file, &[])).contains(&name));
    for (text, why) in [
        ("[\n {\"name\": ]\n", "line 2, column 11"),
        ("{\"name\": 1}", "not a list"),
        ("null", "not a list"),
        ("[]", "nobody"),
        ("", "line 1"),
    ] {
        fs::write(&file, text).unwrap();
        let stderr = refused(&run(&file, &[]));
        assert!(stderr.contains(&name) && stderr.contains(why), "{text:?}: {stderr}");
    }
    let list = r#"[{"name":"A","email":"a@b.c","role":"r","tone":"silly","uid":-4}, 5,
        {"name":"B","email":"b@b.c","role":"r"}, {"name":"C","email":"x y@b.c","timezone":"Mars"}]"#;
    fs::write(&file, list).unwrap();
    let stderr = refused(&run(&file, &[]));
    let lines: Vec<&str> = stderr.lines().filter(|line| line.starts_with("personas[")).collect();
    let places: Vec<&str> = lines.iter().map(|line| line.split(": ").next().unwrap()).collect();
    let expected = [
        "personas[0].tone",
        "personas[0].uid",
        "personas[1]",
        "personas[3].email",
        "personas[3].role",
        "personas[3].timezone",
    ];
    assert_eq!(places, expected, "{stderr}");
    fs::create_dir(folder.path().join("folder")).unwrap();
    refused(&run(&folder.path().join("folder"), &[]));
}

#[test]
fn hours_that_cannot_be_read_are_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.json");
    fs::write(
        &file,
        r#"[{"name":"A B","email":"a@b.c","role":"r","active_hours":"9 to 5","hobby":"chess"}]"#,
    )
    .unwrap();
    let output = run(&file, &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("personas[0].active_hours: "), "{stderr}");
    assert!(!output.stdout.is_empty());
}

#[test]
fn nothing_but_the_arguments_matters() {
    let folder = tempfile::tempdir().unwrap();
    let file = pool(folder.path());
    let usual = run(&file, &[]);
    assert!(usual.status.success() && !usual.stdout.is_empty());
    let elsewhere = folder.path().join("another name");
    fs::copy(&file, &elsewhere).unwrap();
    let mut command = decnet();
    command
        .args(["--deckies", "2", "--days", "2", "--seed", "7", "--start", "2026-03-22T19:00:00-05:00"])
        .args(["--personas", "another name"])
        .current_dir(folder.path())
        .env_clear()
        .envs([("TZ", "Pacific/Auckland"), ("LC_ALL", "tr_TR.UTF-8"), ("HOME", "/nonexistent")]);
    let other = command.output().unwrap();
    assert!(other.status.success(), "{}", String::from_utf8_lossy(&other.stderr));
    assert!(usual.stdout == other.stdout, "the output depends on more than the arguments");
    assert!(run(&file, &[("--seed", "8")]).stdout != usual.stdout);
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let file = pool(folder.path());
    let mut command = decnet();
    command
        .arg("--personas")
        .arg(&file)
        .args(["--deckies", "20", "--days", "20", "--seed", "1", "--start", "2026-03-23T00:00:00Z"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = [0; 64];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    // The pipe is closed now.
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
