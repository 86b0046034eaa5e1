//! `cargo xtask demo`: installs what is missing, builds, and hands over to the demo program of the test kit.

use anyhow::Result;

use crate::{
    engine, images, setup,
    shell::{self, cargo, on_path, program, target},
};

pub(crate) fn run(once: bool) -> Result<()> {
    setup::run(false, false)?;
    let mut with_engine = engine::answers();
    if !with_engine && on_path("dockerd") && rustix::process::geteuid().is_root() {
        // The demo can do without; the reason is worth a line.
        with_engine = engine::start().inspect_err(|error| println!("demo: {error:#}")).is_ok();
    }
    println!("demo: building (the first time takes a few minutes)");
    shell::run(&mut cargo(["build", "--workspace", "--bins", "--quiet"]))?;
    let mut demo = program(&target().join("debug/demo").to_string_lossy(), once.then_some("--once"));
    if with_engine {
        demo.env(images::VARIABLE, images::build(images::Profile::Dev)?);
    }
    shell::run(&mut demo)
}
