//! `cargo xtask demo`: the whole system with a small fleet, an intrusion by real clients from several addresses, and
//! what was seen of it. `--once` ends after the summary: 0 if every stage produced its result, else 1.

use std::{net::Ipv4Addr, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use decnet_tests::{
    Stack, eventually,
    intruder::Intruder,
    stack::{Target, bin_dir},
};
use serde_json::Value;

const FLEET: &str = include_str!("../../../docs/examples/office.ini");
/// How long the last line may take from a decoy into the database.
const SEEN_BOUND: Duration = Duration::from_secs(10);

/// A stage of the story: its name, what it should have produced, and what it did.
struct Stage {
    name: &'static str,
    wanted: u64,
    seen: u64,
}

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
    println!(
        "demo: process runtime: low interaction, loopback addresses, no root and no container engine needed"
    );
    println!("demo: starting broker, database and workers from {}", bin_dir()?.display());
    let stack = Stack::start_with(&[("DECNET_ORCHESTRATE_INTERVAL", "5")]).await?;
    println!("demo: deploying docs/examples/office.ini");
    let targets = stack.deploy(FLEET).await?;
    print!("{}", stack.run(&["status"]).await?);
    println!("demo: an intrusion from five addresses");
    let intruders = intrude(&targets).await?;
    let stages = eventually("every stage", SEEN_BOUND, || async {
        let stages = look(&stack, &targets, &intruders).await?;
        Ok(stages.iter().all(|s| s.seen >= s.wanted).then_some(stages))
    })
    .await;
    let stages = match stages {
        Ok(stages) => stages,
        Err(_) => look(&stack, &targets, &intruders).await?,
    };
    println!("\nWho was seen (decnet attackers):");
    print!("{}", stack.run(&["attackers"]).await?);
    println!("\nWhat they did last (decnet logs -n 12):");
    print!("{}", stack.run(&["logs", "-n", "12"]).await?);
    println!("\nSummary:");
    let mut complete = true;
    for stage in &stages {
        let good = stage.seen >= stage.wanted;
        complete &= good;
        println!("  {:<22} {:>5}  {}", stage.name, stage.seen, if good { "ok" } else { "MISSING" });
    }
    println!(
        "  identities, campaigns, token triggers, webhooks: their workers are not part of this version yet"
    );
    if once {
        stack.stop().await?;
        return Ok(complete);
    }
    let password = std::fs::read_to_string(stack.folder().join("admin-password")).unwrap_or_default();
    println!("\nAPI {}/openapi.json, first login: admin / {}", stack.api(), password.trim());
    println!(
        "Try it yourself: DECNET_STATE_DIR={} {}/decnet logs -f",
        stack.folder().display(),
        bin_dir()?.display()
    );
    println!("Ctrl-C ends the demo and removes the deckies.");
    tokio::signal::ctrl_c().await?;
    stack.stop().await?;
    Ok(complete)
}

/// Breaks in and returns the addresses that did.
async fn intrude(targets: &[Target]) -> Result<Vec<Ipv4Addr>> {
    let with = |service: &str| {
        targets.iter().filter(|t| t.services.iter().any(|s| s == service)).collect::<Vec<_>>()
    };
    let (shells, sites, caches, mailboxes) = (with("ssh"), with("http"), with("redis"), with("imap"));
    let addresses: Vec<Ipv4Addr> = (1..=5).map(|n| Ipv4Addr::new(127, 66, n, 10 + n)).collect();
    let [scanner, guesser, reader, cracker, insider] = addresses[..] else { unreachable!("five addresses") };
    for site in &sites {
        Intruder::at(scanner).curl(site, "/", &["--user-agent", "Mozilla/5.0 zgrab/0.x"]).await?;
        Intruder::at(scanner).curl(site, "/.env", &[]).await?;
    }
    let shell = shells.first().context("no ssh in the fleet")?;
    for password in ["123456", "toor", "Passw0rd"] {
        Intruder::at(guesser).ssh(shell, "root", password, "id").await?;
    }
    let mailbox = mailboxes.first().context("no imap in the fleet")?;
    let (login, password) = mailbox.accounts.first().context("no planted account")?;
    Intruder::at(reader).imap(mailbox, login, "letmein").await?;
    Intruder::at(reader).imap(mailbox, login, password).await?;
    let site = sites.first().context("no http in the fleet")?;
    Intruder::at(cracker).log_in(site, "admin", "admin").await?;
    for cache in &caches {
        Intruder::at(cracker)
            .redis(
                cache,
                &["INFO server", "KEYS *", "CONFIG SET dir /var/spool/cron", "CONFIG SET dbfilename root"],
            )
            .await?;
    }
    let (login, password) = shell.accounts.first().context("no planted account")?;
    Intruder::at(insider).ssh(shell, login, password, "uname -a; cat /etc/passwd").await?;
    Ok(addresses)
}

async fn look(stack: &Stack, targets: &[Target], intruders: &[Ipv4Addr]) -> Result<Vec<Stage>> {
    let attackers = stack.attackers().await?;
    let known: Vec<&Value> =
        attackers.iter().filter(|a| intruders.iter().any(|ip| a["ip"] == ip.to_string().as_str())).collect();
    let sum = |name: &str| known.iter().filter_map(|a| a[name].as_u64()).sum::<u64>();
    let count = |n: usize| u64::try_from(n).unwrap_or(0);
    let stage = |name, wanted, seen| Stage { name, wanted, seen };
    Ok(vec![
        stage("deckies running", count(targets.len()), count(stack.targets().await?.len())),
        stage("attackers", count(intruders.len()), count(known.len())),
        stage("strangers", 0, count(attackers.len() - known.len())),
        stage("sessions", 9, sum("session_count")),
        stage("credentials", 7, sum("credential_count")),
        stage("commands", 9, sum("command_count")),
    ])
}
