//! `cargo xtask bench`: speed and memory on this machine, printed with its name and as ratios to the aims.

use anyhow::Result;

use crate::{
    setup,
    shell::{self, cargo, on_path, output, program, target},
};

/// Lines of the collector's run, and its aim in lines a second.
const LINES: &str = "200000";
const AIM: &str = "20000";

pub(crate) fn run() -> Result<()> {
    setup::run(false, false)?;
    println!("bench: building in release (several minutes the first time)");
    shell::run(&mut cargo(["build", "--release", "--workspace", "--bins", "--quiet"]))?;
    shell::run(&mut cargo(["build", "--release", "--package", "decnet-collector", "--examples", "--quiet"]))?;
    shell::run(&mut cargo(["build", "--release", "--package", "decnet-db", "--examples", "--quiet"]))?;
    println!("bench: machine: {}", machine());
    let release = target().join("release");
    for (what, name, args) in [
        ("database alone (aim", "ingest_bench", &[LINES, "1000"][..]),
        ("collector from nats-server into SQLite (aim", "collect_bench", &[LINES, "1000"][..]),
        ("the same in the default batches (aim", "collect_bench", &[LINES][..]),
    ] {
        println!("bench: {what} {AIM} lines/s on one core):");
        let example = release.join("examples").join(name);
        let mut command = if on_path("taskset") {
            let mut pinned = program("taskset", ["-c", "0"]);
            pinned.arg(example);
            pinned
        } else {
            program(&example.to_string_lossy(), [""; 0])
        };
        shell::run(command.args(args))?;
    }
    println!("bench: idle memory after 20 s:");
    shell::run(&mut program(&release.join("memory").to_string_lossy(), [""; 0]))
}

/// Processor and number of cores, so that a figure can be judged.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = output(&mut program("uname", ["-r"])).unwrap_or_default();
    format!("{}, {cores} cores, Linux {}", model.map_or("unknown", |(_, name)| name.trim()), kernel.trim())
}
