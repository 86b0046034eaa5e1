//! `cargo xtask demo`: the whole system with a small fleet, an intrusion by real clients from several addresses, and
//! what was seen of it. `--once` ends after the summary: 0 if every stage produced its result, else 1.
//!
//! Where a container engine answers and this is root, deckies are machines on a LAN of the demo's own; else processes on
//! loopback addresses.

mod intrusion;
mod scene;
mod stages;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use decnet_tests::{eventually, receiver::Receiver, stack::bin_dir};

use crate::scene::Scene;

const FLEET: &str = include_str!("../../../../docs/examples/office.ini");
/// A day of life in a minute, so that some of it is seen.
const LIFE: [(&str, &str); 2] = [("DECNET_ORCHESTRATE_INTERVAL", "1"), ("DECNET_ORCHESTRATE_PACE", "1440")];
/// How long the last line may take from a decoy into the database, and the last notification to its receiver.
const SEEN_BOUND: Duration = Duration::from_secs(15);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let once = std::env::args().any(|arg| arg == "--once");
    match play(once).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn play(once: bool) -> Result<bool> {
    let scene = Scene::set(&bin_dir()?).await?;
    println!("demo: {}", scene.said());
    println!("demo: starting broker, database and workers from {}", bin_dir()?.display());
    let stack = scene.stack(&LIFE).await?;
    let receiver = Receiver::listen().await?;
    receiver.subscribe(&stack).await?;
    println!("demo: deploying docs/examples/office.ini");
    let targets = stack.deploy(&scene.placed(FLEET)).await?;
    print!("{}", stack.run(&["status"]).await?);
    println!("demo: an intrusion from five addresses");
    let intruders = intrusion::play(&scene, &targets).await?;
    let look = || stages::look(&stack, &receiver, &targets, &intruders, &scene);
    let stages = eventually("every stage", SEEN_BOUND, || async {
        let stages = look().await?;
        Ok(stages.iter().all(stages::Stage::is_good).then_some(stages))
    })
    .await;
    let stages = match stages {
        Ok(stages) => stages,
        Err(_) => look().await?,
    };
    println!("\nWho was seen (decnet attackers):");
    print!("{}", stack.run(&["attackers"]).await?);
    println!("\nWhat they did last (decnet logs -n 12):");
    print!("{}", stack.run(&["logs", "-n", "12"]).await?);
    println!("\nSummary:");
    for stage in &stages {
        println!(
            "  {:<22} {:>5}  {}",
            stage.name,
            stage.seen,
            if stage.is_good() { "ok" } else { "MISSING" }
        );
    }
    println!("  identities, campaigns, token triggers: their workers are not part of this version yet");
    let complete = stages.iter().all(stages::Stage::is_good);
    if !once {
        let password = std::fs::read_to_string(stack.folder().join("admin-password")).unwrap_or_default();
        println!("\nAPI {}/openapi.json, first login: admin / {}", stack.api(), password.trim());
        println!(
            "Try it yourself: DECNET_STATE_DIR={} {}/decnet logs -f",
            stack.folder().display(),
            bin_dir()?.display()
        );
        scene.explain(&targets);
        println!("Ctrl-C ends the demo and removes the deckies.");
        tokio::signal::ctrl_c().await?;
    }
    stack.stop().await?;
    Ok(complete)
}
