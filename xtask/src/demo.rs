//! `cargo xtask demo`: installs what is missing, builds, and hands over to the demo program of the test kit.

use anyhow::Result;

use crate::{
    setup,
    shell::{self, cargo, program, target},
};

pub(crate) fn run(once: bool) -> Result<()> {
    setup::run(false, false)?;
    println!("demo: building (the first time takes a few minutes)");
    shell::run(&mut cargo(["build", "--workspace", "--bins", "--quiet"]))?;
    let demo = target().join("debug/demo");
    shell::run(&mut program(&demo.to_string_lossy(), once.then_some("--once")))
}
