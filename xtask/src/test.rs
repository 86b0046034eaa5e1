//! `cargo xtask test [--all]`: every suite, closed by one line that counts what passed, failed and was skipped.
//!
//! A test that cannot run here prints `skipped: <reason>`; it is counted as skipped, with its reason, never as passed.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use anyhow::{Context, Result, bail};

use crate::{
    databases::Databases,
    engine, images, setup,
    shell::{self, cargo, target},
};

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    /// Test and reason.
    skipped: Vec<(String, String)>,
    /// The test whose line was torn by what it printed.
    torn: String,
}

pub(crate) fn run(all: bool, filter: Option<&str>) -> Result<()> {
    setup::run(false, all)?;
    // Tests that need an engine ask for one by ping, and skip where none answers.
    let static_decoy = if engine::answers() { Some(images::build(images::Profile::Dev)?) } else { None };
    // The end-to-end suite starts the finished binaries, the kit's an example worker.
    shell::run(&mut cargo(["build", "--workspace", "--bins", "--examples", "--quiet"]))?;
    let mut command =
        cargo(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast", "--quiet"]);
    command.args(["--", "--show-output", "--format=pretty"]).args(filter);
    command.env("RUST_BACKTRACE", "0");
    command.envs(static_decoy.map(|path| (images::VARIABLE, path)));
    let databases = if all { Some(Databases::start()?) } else { None };
    command.envs(databases.iter().flat_map(|d| d.urls().iter().map(|(name, url)| (*name, url.as_str()))));
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo test")?;
    let log_path = target().join("xtask-test.log");
    let mut log = std::fs::File::create(&log_path)?;
    let mut tally = Tally::default();
    let mut speaker = String::new();
    for line in BufReader::new(child.stdout.take().context("cargo test has no output")?).split(b'\n') {
        let line = line?;
        log.write_all(&line)?;
        log.write_all(b"\n")?;
        read_line(&String::from_utf8_lossy(&line), &mut speaker, &mut tally);
    }
    let status = child.wait()?;
    for (test, reason) in &tally.skipped {
        println!("skipped {test}: {reason}");
    }
    for test in &tally.failed {
        println!("FAILED {test}");
    }
    let ran = tally.passed.saturating_sub(tally.skipped.len());
    println!("passed {ran}, failed {}, skipped {}", tally.failed.len(), tally.skipped.len());
    println!("{ran} passed, {} failed, {} skipped", tally.failed.len(), tally.skipped.len());
    if !status.success() {
        bail!("cargo test: {status}; the whole output is in {}", log_path.display());
    }
    Ok(())
}

/// Reads one line of the test harness; `speaker` is the test whose captured output is being shown.
fn read_line(line: &str, speaker: &mut String, tally: &mut Tally) {
    if let Some(name) = line.strip_prefix("---- ").and_then(|l| l.strip_suffix(" stdout ----")) {
        name.clone_into(speaker);
    } else if let Some(reason) = line.trim_start().strip_prefix("skipped: ") {
        if !tally.skipped.iter().any(|(test, _)| test == speaker) {
            tally.skipped.push((speaker.clone(), reason.to_owned()));
        }
    } else if let Some((name, result)) = line.strip_prefix("test ").and_then(|l| l.rsplit_once(" ... ")) {
        match result {
            "ok" => tally.passed += 1,
            "FAILED" => tally.failed.push(name.to_owned()),
            ignored if ignored.starts_with("ignored") => {
                // `#[ignore = "reason"]` is a skip with its reason; it has not passed.
                tally.passed += 1;
                tally.skipped.push((name.to_owned(), ignored.to_owned()));
            }
            // Something wrote past the harness, in the middle of its line: the result follows on a line of its own.
            _ => name.clone_into(&mut tally.torn),
        }
    } else if line == "ok" && !tally.torn.is_empty() {
        tally.passed += 1;
        tally.torn.clear();
    } else if line == "FAILED" && !tally.torn.is_empty() {
        tally.failed.push(std::mem::take(&mut tally.torn));
    } else if line.starts_with("error") || line.contains("panicked at") {
        eprintln!("{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_counted_with_its_reason() {
        let mut tally = Tally::default();
        let mut speaker = String::new();
        for line in [
            "test repo::postgres ... ok",
            "test repo::sqlite ... ok",
            "test repo::broken ... FAILED",
            "test slow ... ignored, takes an hour",
            "test loud ... [ OK ] binaries: installed",
            "[ OK ] users: made",
            "ok",
            "---- repo::postgres stdout ----",
            "skipped: DECNET_TEST_POSTGRES_URL is not set",
        ] {
            read_line(line, &mut speaker, &mut tally);
        }
        assert_eq!(tally.passed, 4);
        assert_eq!(tally.failed, ["repo::broken"]);
        assert_eq!(tally.skipped.len(), 2);
        assert_eq!(tally.skipped[1].0, "repo::postgres");
    }
}
