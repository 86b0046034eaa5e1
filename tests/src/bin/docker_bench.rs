//! How long twenty tiny deckies take to come up and to go, and what each of them holds in memory. A measure, not a test:
//! `cargo xtask bench` runs it on release binaries, on a network of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use decnet_tests::{
    Stack,
    engine::{Container, docker_or_skip},
    lan::Lan,
};

const DECKIES: usize = 20;
/// Aims in seconds and KiB.
const DEPLOY_AIM: f64 = 10.0;
const MEMORY_AIM: f64 = 6.0 * 1024.0;
/// Time for allocators to settle.
const SETTLE: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Some(engine) = docker_or_skip()? else { return Ok(()) };
    let lan = Lan::new()?;
    let images = tempfile::tempdir()?;
    let stack = Stack::on_lan(&engine, &lan, images.path(), &[]).await?;
    // The image of the front is made once; it is not part of what a deploy takes.
    stack.deploy(&format!("{}[first]\nservices = redis\n", lan.general())).await?;
    stack.run(&["teardown", "--all"]).await?;
    let ini = format!("{}[tiny]\namount = {DECKIES}\nservices = http, redis\n", lan.general());
    let started = Instant::now();
    stack.deploy(&ini).await?;
    let took = started.elapsed().as_secs_f64();
    println!(
        "deploy of {DECKIES} tiny deckies, from the command until all run: {took:.1} s  {:.2} of the aim of {DEPLOY_AIM} s",
        took / DEPLOY_AIM
    );
    tokio::time::sleep(SETTLE).await;
    memory(&engine.containers_of(stack.folder())?, |container| engine.pid(&container.id))?;
    let started = Instant::now();
    stack.run(&["teardown", "--all"]).await?;
    println!("teardown of all: {:.1} s", started.elapsed().as_secs_f64());
    stack.stop().await
}

/// Proportional set size of process 1 of each container, and of the engine's shims beside them.
fn memory(containers: &[Container], pid: impl Fn(&Container) -> Result<u32>) -> Result<()> {
    let mut fronts = Vec::new();
    for container in containers {
        fronts.push(pss(pid(container)?)?);
    }
    let mut shims = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()) else {
            continue;
        };
        let cmdline = std::fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        if cmdline.contains("containerd-shim") && containers.iter().any(|c| cmdline.contains(&c.id)) {
            shims.extend(pss(pid));
        }
    }
    for (what, sizes, aim) in
        [("decoy of a decky", &fronts, Some(MEMORY_AIM)), ("engine's shim of a decky", &shims, None)]
    {
        let count = u32::try_from(sizes.len())?.max(1);
        let mean = sizes.iter().copied().map(f64::from).sum::<f64>() / f64::from(count);
        let most = sizes.iter().max().copied().unwrap_or(0);
        let ratio =
            aim.map_or_else(String::new, |aim| format!("  {:.2} of the aim of {aim} KiB", mean / aim));
        println!("{what}: {mean:.0} KiB PSS on average, at most {most}, of {} processes{ratio}", sizes.len());
    }
    Ok(())
}

fn pss(pid: u32) -> Result<u32> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let of = |line: &str| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.trim().parse().ok();
    rollup.lines().find_map(of).context("no Pss in smaps_rollup")
}
