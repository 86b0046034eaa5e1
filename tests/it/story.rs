//! The one complete path: deploy, be broken into by real clients from several addresses, and show it everywhere.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, ensure};
use decnet_tests::{Api, Stack, api::until, eventually, intruder::Intruder};

/// From the last client's end until everything is visible.
const VISIBLE: Duration = Duration::from_secs(2);

const FLEET: &str = "[web]\nservices = ssh, http\n[mail]\nservices = imap, ssh\n[cache]\nservices = redis\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intrusion_is_seen_in_the_tool_the_api_and_the_live_stream() -> Result<()> {
    let stack = Stack::start().await?;
    let targets = stack.deploy(FLEET).await?;
    let find = |name: &str| targets.iter().find(|t| t.name == name).context("decky");
    let (web, mail, cache) = (find("web")?, find("mail")?, find("cache")?);
    let api = Api::first_login(&stack.api(), stack.folder()).await?;
    let mut events = api.stream().await?;
    until(&mut events, Duration::from_secs(5), |e| e.event == "snapshot").await?;

    let addresses: Vec<Ipv4Addr> = (1..=4).map(|n| Ipv4Addr::new(127, 71, 3, n)).collect();
    let ssh = Intruder::at(addresses[0]).ssh(web, "root", "pa\"ss]w\\ord", "id").await?;
    ensure!(
        ssh.stderr.contains("Permission denied (publickey,password)"),
        "a wrong password must be refused as OpenSSH does: {ssh:?}"
    );
    let (login, password) = web.accounts.first().context("no planted account")?;
    let ssh = Intruder::at(addresses[0]).ssh(web, login, password, "cat /etc/passwd").await?;
    ensure!(
        ssh.code == Some(1) && ssh.stdout.contains("This account is currently not available."),
        "{ssh:?}"
    );
    let page = Intruder::at(addresses[1]).curl(web, "/", &["--include"]).await?;
    ensure!(page.stdout.starts_with("HTTP/1.1 200"), "{page:?}");
    Intruder::at(addresses[1]).log_in(web, "admin", "hunter2").await?;
    Intruder::at(addresses[1]).curl(web, "/admin", &["--user", "root:basic-secret"]).await?;
    let (login, password) = mail.accounts.first().context("no planted account")?;
    let refused = Intruder::at(addresses[2]).imap(mail, login, "wrong").await?;
    ensure!(refused.code == Some(3), "{refused:?}");
    let read = Intruder::at(addresses[2]).imap(mail, login, password).await?;
    ensure!(read.code == Some(0) && read.stdout.contains("Subject:"), "{read:?}");
    let answers =
        Intruder::at(addresses[3]).redis(cache, &["PING", "KEYS *", "CONFIG SET dir /root/.ssh"]).await?;
    ensure!(answers.first().is_some_and(|a| a == "+PONG\r\n"), "{answers:?}");
    let cli = Intruder::redis_cli(cache, &["INFO", "server"]).await?;
    ensure!(cli.stdout.contains("redis_version:"), "{cli:?}");

    // The tool.
    let attackers = eventually("all attackers in the tool", VISIBLE, || async {
        let rows = stack.attackers().await?;
        let seen: BTreeSet<_> = rows.iter().filter_map(|a| a["ip"].as_str().map(str::to_owned)).collect();
        Ok(addresses.iter().all(|ip| seen.contains(&ip.to_string())).then_some(rows))
    })
    .await?;
    let row =
        |ip: Ipv4Addr| attackers.iter().find(|a| a["ip"] == ip.to_string().as_str()).context("attacker");
    ensure!(row(addresses[0])?["credential_count"] == 2, "{}", row(addresses[0])?);
    ensure!(row(addresses[1])?["credential_count"] == 2, "{}", row(addresses[1])?);
    ensure!(row(addresses[2])?["credential_count"] == 2, "{}", row(addresses[2])?);
    ensure!(row(addresses[3])?["command_count"] == 3, "{}", row(addresses[3])?);

    // The API.
    let page = api.get("/attackers?limit=100").await?;
    let seen: BTreeSet<_> =
        page["data"].as_array().into_iter().flatten().filter_map(|a| a["ip"].as_str()).collect();
    ensure!(addresses.iter().all(|ip| seen.contains(ip.to_string().as_str())), "{page}");
    let credentials = api.get("/credentials?limit=100").await?;
    let secrets: BTreeSet<_> = credentials["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|c| {
            Some((c["service"].as_str()?, c["principal"].as_str()?, c["secret_printable"].as_str()?))
        })
        .collect();
    for wanted in
        [("ssh", "root", "pa\"ss]w\\ord"), ("http", "admin", "hunter2"), ("http", "root", "basic-secret")]
    {
        ensure!(secrets.contains(&wanted), "{wanted:?} is not among {secrets:?}");
    }
    let sessions = api.get("/sessions?limit=100").await?;
    ensure!(sessions["total"].as_u64() >= Some(8), "{sessions}");
    let deckies = api.get("/deckies").await?;
    ensure!(deckies.to_string().contains("\"running\""), "{deckies}");
    let workers = api.get("/workers").await?;
    for name in ["api", "agent", "collector", "orchestrator"] {
        let row = workers["workers"].as_array().into_iter().flatten().find(|w| w["name"] == name);
        ensure!(row.is_some_and(|w| w["status"] == "ok"), "{name}: {workers}");
    }
    // Sums are kept for five seconds.
    eventually("the sums", Duration::from_secs(7), || async {
        let stats = api.get("/stats").await?;
        ensure!(stats["unique_attackers"].as_u64() >= Some(4) && stats["deployed_deckies"] == 3, "{stats}");
        Ok(Some(()))
    })
    .await?;

    // The live stream: everything above has passed through it by now.
    let mut missing: BTreeSet<String> = addresses.iter().map(ToString::to_string).collect();
    let mut captured = 0;
    until(&mut events, VISIBLE, |event| {
        if event.event == "attacker.observed" {
            missing.remove(event.data["payload"]["attacker_ip"].as_str().unwrap_or_default());
        }
        captured += usize::from(event.event == "credential.captured");
        missing.is_empty() && captured >= 6
    })
    .await
    .with_context(|| format!("still missing {missing:?}; {captured} credentials"))?;

    // Our own life is nobody's attack, and decoys' own words are nobody's either.
    let strangers: Vec<_> =
        attackers.iter().filter(|a| targets.iter().any(|t| a["ip"] == t.ip.to_string().as_str())).collect();
    ensure!(strangers.is_empty(), "{strangers:?}");
    stack.stop().await
}

/// The same path into PostgreSQL; `cargo xtask test --all` starts the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intrusion_reaches_postgresql() -> Result<()> {
    let Ok(server) = std::env::var("DECNET_TEST_POSTGRES_URL") else {
        println!("skipped: DECNET_TEST_POSTGRES_URL is not set (cargo xtask test --all starts a PostgreSQL)");
        return Ok(());
    };
    let name = format!("decnet_story_{}", std::process::id());
    let made = tokio::process::Command::new("psql")
        .args([server.as_str(), "--quiet", "--command", &format!("create database {name}")])
        .status()
        .await?;
    ensure!(made.success(), "psql: {made}");
    let url = format!("{}/{name}", server.rsplit_once('/').context("address of the server")?.0);
    let stack = Stack::start_with(&[("DECNET_DB_URL", &url)]).await?;
    let targets = stack.deploy("[web]\nservices = ssh, http\n").await?;
    let web = targets.first().context("decky")?;
    let intruder = Intruder::at(Ipv4Addr::new(127, 73, 1, 1));
    intruder.ssh(web, "root", "toor", "id").await?;
    intruder.curl(web, "/", &[]).await?;
    // The tool reads the same database as the workers.
    let attackers = eventually("the attacker in PostgreSQL", VISIBLE, || async {
        let output = stack.decnet(&["attackers", "--json"])?.env("DECNET_DB_URL", &url).output().await?;
        let rows: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        Ok((rows[0]["credential_count"] == 1 && rows[0]["session_count"] == 2).then_some(rows))
    })
    .await?;
    ensure!(attackers[0]["ip"] == "127.73.1.1", "{attackers}");
    stack.stop().await
}
