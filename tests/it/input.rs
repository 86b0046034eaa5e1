//! What the operator's tool says to bad input and to a machine that is not as it should be.

use std::{os::unix::fs::PermissionsExt, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use decnet_tests::stack::bin_dir;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn decnet(folder: &TempDir, args: &[&str], env: &[(&str, &str)], input: &[u8]) -> Result<Said> {
    let mut child = Command::new(bin_dir()?.join("decnet"))
        .args(args)
        .env("DECNET_STATE_DIR", folder.path())
        .env("DECNET_CONFIG", folder.path().join("none.ini"))
        .env("DECNET_RUNTIME", "process")
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("stdin")?;
    let input = input.to_vec();
    // The tool may end without reading everything.
    let feed = tokio::spawn(async move { stdin.write_all(&input).await });
    let output = tokio::time::timeout(Duration::from_mins(1), child.wait_with_output())
        .await
        .with_context(|| format!("decnet {args:?} hangs"))??;
    drop(feed.await?);
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

#[tokio::test]
async fn an_ini_is_refused_with_everything_that_is_wrong_with_it() -> Result<()> {
    let folder = TempDir::new()?;
    let ini = b"[general]\nnet = 127.5.0.0/24\nnetz = 1\n\n[web.01]\nservices = ssh\n\n[db]\nip = 10.9.9.9\nservices = ssh, nosuch\n\n[db]\nservices = redis\n";
    let said = decnet(&folder, &["deploy", "--config", "-", "--dry-run", "--json"], &[], ini).await?;
    ensure!(said.code == Some(2) && said.out.is_empty(), "{:?} {}", said.code, said.err);
    for wanted in ["netz", "web.01", "10.9.9.9", "nosuch", "line 3", "line 5", "line 9", "line 12"] {
        ensure!(said.err.contains(wanted), "{wanted:?} is missing from:\n{}", said.err);
    }
    Ok(())
}

#[tokio::test]
async fn a_dry_run_is_repeatable_and_leaves_no_trace() -> Result<()> {
    let folder = TempDir::new()?;
    let ini = b"[web]\namount = 3\narchetype = linux-server\n[general]\nnet=192.0.2.0/24\ngw=192.0.2.1\ninterface=eth0\n";
    let plan = async |seed: &str| {
        decnet(
            &folder,
            &["deploy", "--config", "-", "--dry-run", "--json", "--seed", seed],
            &[("DECNET_RUNTIME", "auto")],
            ini,
        )
        .await
    };
    let (first, again, other) = (plan("7").await?, plan("7").await?, plan("8").await?);
    ensure!(first.code == Some(0), "{}", first.err);
    ensure!(first.out == again.out && first.out != other.out);
    let plan: serde_json::Value = serde_json::from_str(&first.out)?;
    ensure!(plan["deckies"].as_array().map(Vec::len) == Some(3), "{plan}");
    ensure!(plan["networks"][0]["subnet"] == "192.0.2.0/24", "{plan}");
    ensure!(std::fs::read_dir(folder.path())?.next().is_none(), "a dry run wrote something");
    Ok(())
}

#[tokio::test]
async fn lines_are_read_without_broker_and_database() -> Result<()> {
    let folder = TempDir::new()?;
    let input = b"<134>1 2026-03-23T09:14:07Z web-01 ssh - auth_attempt [relay@55555 src_ip=\"203.0.113.9\"]\nrubbish\n";
    let said = decnet(&folder, &["lab", "lines", "--json"], &[], input).await?;
    let lines: Vec<serde_json::Value> =
        said.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(said.code == Some(0) && lines.len() == 2, "{}", said.out);
    ensure!(lines[0]["attacker_ip"] == "203.0.113.9" && lines[1]["offset"] == 0, "{}", said.out);
    Ok(())
}

#[tokio::test]
async fn settings_show_where_they_come_from_and_bad_ones_are_named() -> Result<()> {
    let folder = TempDir::new()?;
    std::fs::write(folder.path().join("host.ini"), "[api]\nport = 9001\n")?;
    let ini = folder.path().join("host.ini").to_string_lossy().into_owned();
    let args = ["config", "check", "--json", "--settings", &ini, "--set", "batch_size=7"];
    let said =
        decnet(&folder, &args, &[("DECNET_JWT_SECRET", "0123456789abcdef0123456789abcdef")], b"").await?;
    let check: serde_json::Value = serde_json::from_str(&said.out)?;
    let row =
        |key: &str| check["settings"].as_array().into_iter().flatten().find(|r| r["key"] == key).cloned();
    let row = |key: &str| row(key).with_context(|| format!("no {key} in {check}"));
    ensure!(row("api_port")?["layer"] == "file" && row("api_port")?["value"] == "9001", "{check}");
    ensure!(row("batch_size")?["layer"] == "flag" && row("state_dir")?["layer"] == "env", "{check}");
    ensure!(
        row("cors_origins")?["layer"] == "default" || row("cors_origins")?["layer"] == "unset",
        "{check}"
    );
    ensure!(!said.out.contains("0123456789abcdef"), "a secret is shown");
    let said =
        decnet(&folder, &["config", "check", "--set", "api_port=many", "--set", "runtime=vm"], &[], b"")
            .await?;
    ensure!(
        said.code == Some(2) && said.err.contains("many") && said.err.contains("vm"),
        "{:?} {}",
        said.code,
        said.err
    );
    Ok(())
}

#[tokio::test]
async fn looking_makes_no_database_and_an_agent_host_does_not_decide() -> Result<()> {
    let folder = TempDir::new()?;
    let said = decnet(&folder, &["attackers", "--json"], &[], b"").await?;
    ensure!(said.code == Some(1) && said.out.is_empty() && said.err.contains("migrate"), "{}", said.err);
    ensure!(std::fs::read_dir(folder.path())?.next().is_none(), "a file was made");
    let agent = [("DECNET_MODE", "agent")];
    for args in [&["deploy", "--services", "ssh"][..], &["teardown", "--all"], &["migrate"], &["up"]] {
        let said = decnet(&folder, args, &agent, b"").await?;
        ensure!(said.code == Some(1) && said.err.contains("master"), "{args:?}: {}", said.err);
    }
    let help = decnet(&folder, &["--help"], &agent, b"").await?;
    ensure!(help.out.contains("status") && !help.out.contains("teardown"), "{}", help.out);
    Ok(())
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() -> Result<()> {
    for args in [&["completions", "bash"][..], &["services", "--json"], &["archetypes"]] {
        let mut child = Command::new(bin_dir()?.join("decnet"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        drop(child.stdout.take());
        let output = tokio::time::timeout(Duration::from_mins(1), child.wait_with_output()).await??;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success() && said.is_empty(), "{args:?}: {} {said}", output.status);
    }
    Ok(())
}

#[tokio::test]
async fn without_a_broker_the_tool_says_what_to_do() -> Result<()> {
    let folder = TempDir::new()?;
    let env = [("DECNET_NATS_URL", "nats://127.0.0.1:1")];
    let said = decnet(&folder, &["teardown", "--all"], &env, b"").await?;
    ensure!(said.code == Some(1) && said.err.contains("decnet up"), "{}", said.err);
    let said = decnet(&folder, &["status", "--json"], &env, b"").await?;
    ensure!(said.code == Some(0) && said.out.contains("\"deployed\": false"), "{}", said.out);
    let said = decnet(&folder, &["attackers"], &env, b"").await?;
    ensure!(said.code == Some(1) && said.err.contains("decnet"), "{}", said.err);
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_too_old_missing_or_shut_out_is_refused_in_one_sentence() -> Result<()> {
    let folder = TempDir::new()?;
    let old = folder.path().join("old-nats-server");
    std::fs::write(&old, "#!/bin/sh\necho 'nats-server: v2.9.10'\n")?;
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755))?;
    let old = old.to_string_lossy().into_owned();
    let said = decnet(&folder, &["up", "--nats-port", "0"], &[("DECNET_NATS_SERVER", &old)], b"").await?;
    ensure!(said.code == Some(1) && said.err.contains("2.10") && said.err.contains("2.9.10"), "{}", said.err);
    let gone = folder.path().join("gone").to_string_lossy().into_owned();
    let said = decnet(&folder, &["up", "--nats-port", "0"], &[("DECNET_NATS_SERVER", &gone)], b"").await?;
    ensure!(said.code == Some(1) && said.err.contains("nats-server"), "{}", said.err);
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = taken.local_addr()?.port().to_string();
    let said = decnet(&folder, &["up", "--nats-port", &port], &[], b"").await?;
    ensure!(said.code == Some(1) && said.err.contains(&port), "{}", said.err);
    Ok(())
}

#[tokio::test]
async fn a_database_newer_than_the_program_is_left_alone() -> Result<()> {
    let folder = TempDir::new()?;
    let database = folder.path().join("decnet.db");
    let script = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\ndb.execute('create table seaql_migrations (version text primary key, applied_at bigint)')\ndb.execute(\"insert into seaql_migrations values ('m99990101_000001_the_future', 0)\")\ndb.commit()\n";
    let made = Command::new("python3").args(["-c", script]).arg(&database).status().await?;
    ensure!(made.success());
    let said = decnet(&folder, &["up", "--nats-port", "0"], &[], b"").await?;
    ensure!(said.code == Some(1) && said.err.contains("newer"), "{:?} {}", said.code, said.err);
    Ok(())
}
