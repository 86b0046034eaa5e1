//! `cargo xtask ci`: everything that must be green before a change lands.

use anyhow::Result;

use crate::{
    generate,
    shell::{self, cargo, on_path, program},
    test, tidy,
};

pub(crate) fn run() -> Result<()> {
    step("format", || shell::run(&mut cargo(["fmt", "--all", "--check"])))?;
    step("clippy", || {
        shell::run(&mut cargo(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
    })?;
    step("tidy", tidy::run)?;
    step("generated files", || generate::run(true))?;
    if on_path("cargo-deny") {
        step("licences", || {
            shell::run(&mut program("cargo-deny", ["check", "licenses", "bans", "sources"]))
        })?;
    } else {
        println!("ci: licences: skipped, cargo-deny is not installed");
    }
    step("tests", || test::run(false, None))
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("ci: {name}");
    work()
}
