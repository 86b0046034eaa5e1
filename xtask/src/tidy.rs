//! `cargo xtask tidy`: the rules of the house that no compiler knows, each with the place where it is broken.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell::{cargo, output, program, root};

/// File and module names that say nothing.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "helpers", "common", "manager"];
/// 60 to 300 lines read best; a file longer than this needs `//! Long because ...` in its head.
const LONGEST: usize = 480;
/// Families of subjects; labels of containers also begin with `decnet.` and are something else.
const FAMILIES: [&str; 11] = [
    "system",
    "cmd",
    "ask",
    "notice",
    "ingest",
    "attacker",
    "credential",
    "orchestrator",
    "identity",
    "campaign",
    "canary",
];

pub(crate) fn run() -> Result<()> {
    let mut faults = Vec::new();
    dependency_rule(&mut faults)?;
    sources(&mut faults)?;
    if faults.is_empty() {
        println!("tidy: nothing to report");
        return Ok(());
    }
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    bail!("{} place(s) break a rule of the house", faults.len())
}

/// Domain crates depend on domain crates; infrastructure on domain and infrastructure; binaries on both; no binary
/// on another binary; `decoy` on `core`, `logline` and protocol crates only, never on bus, database or engine.
fn dependency_rule(faults: &mut Vec<String>) -> Result<()> {
    let metadata = output(&mut cargo(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut layers = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        match package["metadata"]["decnet"]["layer"].as_str() {
            Some(layer) => drop(layers.insert(name, layer)),
            None => faults.push(format!("{name}: no layer in [package.metadata.decnet]")),
        }
    }
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(&layer) = layers.get(name) else { continue };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            let for_tests = dependency["kind"] == "dev";
            let Some(&below) = layers.get(on) else {
                let unfit = ["sea-orm", "async-nats", "bollard"].contains(&on);
                if name == "decnet-decoy" && unfit {
                    faults.push(format!("{name} depends on {on}: it lives in the hostile box"));
                }
                continue;
            };
            let allowed = match layer {
                "domain" => below == "domain",
                "infrastructure" => matches!(below, "domain" | "infrastructure"),
                "binary" => matches!(below, "domain" | "infrastructure"),
                "test" => matches!(below, "domain" | "infrastructure"),
                "tool" => false,
                other => {
                    faults.push(format!("{name}: unknown layer {other}"));
                    true
                }
            };
            let boxed = name != "decnet-decoy" || ["decnet-core", "decnet-logline"].contains(&on);
            let excused = for_tests && layer != "tool";
            if !(allowed && boxed || excused) {
                faults.push(format!("{name} ({layer}) depends on {on} ({below})"));
            }
        }
    }
    Ok(())
}

fn sources(faults: &mut Vec<String>) -> Result<()> {
    let files =
        output(&mut program("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"]))?;
    for file in files.lines() {
        let path = Path::new(file);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        for name in [stem, folder] {
            if EMPTY_NAMES.contains(&name.as_ref()) {
                faults.push(format!("{file}: the name {name} says nothing"));
            }
        }
        let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
        if !text.starts_with("//!") {
            faults.push(format!("{file}: does not start with `//!`, what it is for"));
        }
        let lines = text.lines().count();
        if lines > LONGEST && !text.lines().take(15).any(|l| l.starts_with("//! Long because")) {
            faults.push(format!("{file}: {lines} lines without `//! Long because ...`"));
        }
        let is_test = ["/tests/", "/examples/", "tests.rs"].iter().any(|part| file.contains(part));
        let outside_the_bus = !file.starts_with("crates/bus/") && !file.starts_with("xtask/") && !is_test;
        if outside_the_bus && FAMILIES.iter().any(|family| text.contains(&format!("\"decnet.{family}."))) {
            faults.push(format!("{file}: a subject as text outside `bus`"));
        }
    }
    Ok(())
}
