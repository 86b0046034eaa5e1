//! `cargo xtask bench`: speed and memory on this machine, printed with its name and as ratios to the aims.

use anyhow::Result;

use crate::{
    engine, images, setup,
    shell::{self, cargo, output, program, target},
};

/// Lines of the collector's run, and its aim in lines a second.
const LINES: &str = "200000";
const AIM: &str = "20000";
/// Deckies of the reconciler's pass, and its aim in milliseconds.
const DECKIES: &str = "250";
const PASS_AIM: &str = "200";
/// Planned actions a second on one core.
const PLAN_AIM: &str = "100000";

pub(crate) fn run() -> Result<()> {
    setup::run(false, false)?;
    println!("bench: building in release (several minutes the first time)");
    shell::run(&mut cargo(["build", "--release", "--workspace", "--bins", "--quiet"]))?;
    for package in ["decnet-collector", "decnet-db", "decnet-realism", "decnet-reconciler"] {
        shell::run(&mut cargo(["build", "--release", "--package", package, "--examples", "--quiet"]))?;
    }
    println!("bench: machine: {}", machine());
    let release = target().join("release");
    for (what, name, args) in [
        ("database alone, all facts derived", "ingest_bench", &[LINES, "1000"][..]),
        ("collector on one core, from nats-server into SQLite", "collect_bench", &[LINES, "1000"][..]),
        ("the same in batches of 100", "collect_bench", &[LINES, "100"][..]),
    ] {
        println!("bench: {what} (aim: {AIM} lines/s):");
        let example = release.join("examples").join(name);
        shell::run(program(&example.to_string_lossy(), [""; 0]).args(args))?;
    }
    println!("bench: a reconcile pass over {DECKIES} deckies (aim: {PASS_AIM} ms):");
    let example = release.join("examples/pass_bench");
    shell::run(program(&example.to_string_lossy(), [""; 0]).arg(DECKIES))?;
    println!("bench: planning the life of 200 deckies over 14 days (aim: {PLAN_AIM} actions/s):");
    let example = release.join("examples/plan_bench");
    shell::run(program(&example.to_string_lossy(), [""; 0]).args(["200", "14"]))?;
    println!("bench: idle memory after 20 s:");
    shell::run(&mut program(&release.join("memory").to_string_lossy(), [""; 0]))?;
    if !engine::answers() {
        println!(
            "bench: containers: skipped, no container engine answers (cargo xtask setup --docker starts one)"
        );
        return Ok(());
    }
    println!("bench: twenty tiny deckies as containers:");
    let decoy = images::build(images::Profile::Release)?;
    let mut bench = program(&release.join("docker_bench").to_string_lossy(), [""; 0]);
    shell::run(bench.env(images::VARIABLE, decoy))
}

/// Processor and number of cores, so that a figure can be judged.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = output(&mut program("uname", ["-r"])).unwrap_or_default();
    format!("{}, {cores} cores, Linux {}", model.map_or("unknown", |(_, name)| name.trim()), kernel.trim())
}
