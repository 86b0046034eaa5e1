//! `kill -9` of everything in the middle of a load: no line is lost, none is doubled, and everything comes back.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use decnet_tests::{Api, Stack, eventually, intruder::Intruder, stack::Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LINES: usize = 10_000;

/// Asks for one key after the other; a broken connection is opened again and the unanswered question asked again.
/// Returns how often each key was asked for.
async fn load(target: Target, done: Arc<AtomicUsize>) -> Result<Vec<usize>> {
    let intruder = Intruder::at(Ipv4Addr::new(127, 72, 1, 9));
    let mut asked = vec![0; LINES];
    let mut stream = None;
    let mut key = 0;
    while key < LINES {
        let answered = async {
            if stream.is_none() {
                stream = Some(intruder.connect(&target, 6379).await?);
            }
            let stream = stream.as_mut().context("stream")?;
            asked[key] += 1;
            stream.write_all(format!("GET load-{key}\r\n").as_bytes()).await?;
            let mut answer = [0; 64];
            match stream.read(&mut answer).await? {
                5 if answer.starts_with(b"$-1\r\n") => anyhow::Ok(()),
                0 => bail!("closed"),
                n => bail!("{:?}", String::from_utf8_lossy(&answer[..n])),
            }
        }
        .await;
        if let Ok(()) = answered {
            key += 1;
            done.store(key, Ordering::Release);
        } else {
            stream = None;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_the_middle_of_a_load_lose_no_line_and_double_none() -> Result<()> {
    let stack = Stack::start().await?;
    let targets = stack.deploy("[cache]\nservices = redis\n").await?;
    let target = targets.first().context("decky")?.clone();
    let api = Api::first_login(&stack.api(), stack.folder()).await?;
    let done = Arc::new(AtomicUsize::new(0));
    let task = tokio::spawn(load(target, Arc::clone(&done)));

    let victims = [
        "decnet-collector",
        "decnet-agent",
        "nats-server",
        "decnet-decoy",
        "decnet-api",
        "decnet-orchestrator",
        "decnet-agent",
        "nats-server",
        "decnet-collector",
        "decnet-decoy",
    ];
    for (turn, victim) in victims.iter().enumerate() {
        let at = (turn + 1) * LINES / (victims.len() + 1);
        eventually("the load going on", Duration::from_mins(2), || async {
            Ok((done.load(Ordering::Acquire) >= at).then_some(()))
        })
        .await?;
        let killed = eventually("the victim being there", Duration::from_secs(20), || async {
            Ok(Some(stack.kill(victim)?).filter(|n| *n > 0))
        })
        .await?;
        ensure!(killed == 1, "{killed} processes of {victim}");
    }
    let asked = task.await??;

    let mut rows = BTreeMap::new();
    eventually("every line in the database", Duration::from_mins(1), || {
        let api = &api;
        let asked = &asked;
        async move {
            let counted = count(&api.all_logs("event:command").await?);
            ensure_complete(&counted, asked)?;
            Ok(Some(counted))
        }
    })
    .await
    .map(|counted| rows = counted)
    .with_context(|| {
        format!("--- log ---\n{}", stack.log().lines().rev().take(60).collect::<Vec<_>>().join("\n"))
    })?;
    for (key, asked) in asked.iter().enumerate() {
        let stored = rows.get(&key).copied().unwrap_or(0);
        ensure!(
            (1..=*asked).contains(&stored),
            "key {key} was asked for {asked} times and stored {stored} times"
        );
    }
    // All of it is one intruder, counted once for each line.
    let attackers = stack.attackers().await?;
    let total: usize = rows.values().sum();
    let row = attackers.iter().find(|a| a["ip"] == "127.72.1.9").context("the intruder")?;
    ensure!(row["command_count"] == total, "{row} but {total} commands");
    // Everything is back.
    stack.targets().await?;
    // A beat that fell between the broker's end and the API's return is followed by the next one after 30 seconds.
    eventually("all workers beating again", Duration::from_secs(45), || async {
        let workers = api.get("/workers").await?;
        let beats = |name: &str| {
            workers["workers"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|w| w["name"] == name && w["status"] == "ok")
        };
        let all = ["api", "agent", "collector", "orchestrator"].iter().all(|name| beats(name));
        ensure!(all, "{workers}");
        Ok(Some(()))
    })
    .await?;
    stack.stop().await
}

fn count(rows: &[serde_json::Value]) -> BTreeMap<usize, usize> {
    let mut counted = BTreeMap::new();
    for row in rows {
        let args = row["fields"]["args"].as_str().unwrap_or_default();
        let key = args
            .split_once("load-")
            .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        if let Some(key) = key.and_then(|k| k.parse().ok()) {
            *counted.entry(key).or_insert(0) += 1;
        }
    }
    counted
}

fn ensure_complete(counted: &BTreeMap<usize, usize>, asked: &[usize]) -> Result<()> {
    let missing = (0..asked.len()).filter(|key| !counted.contains_key(key)).count();
    ensure!(missing == 0, "{missing} of {} lines missing", asked.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_decky_stays_removed_and_a_killed_supervisor_leaves_a_fleet_that_is_taken_over()
-> Result<()> {
    let stack = Stack::start().await?;
    stack.deploy("[a]\nservices = redis\n[b]\nservices = redis\n").await?;
    stack.run(&["teardown", "--id", "a"]).await?;
    let left = stack.targets().await?;
    ensure!(left.len() == 1 && left.iter().all(|t| t.name == "b"), "{left:?}");
    let decoys = stack.pids("decnet-decoy")?;
    ensure!(decoys.len() == 1, "{decoys:?}");
    ensure!(stack.kill("decnet-agent")? == 1);
    eventually("the agent being back", Duration::from_secs(20), || async {
        Ok((stack.pids("decnet-agent")?.len() == 1).then_some(()))
    })
    .await?;
    let left = stack.targets().await?;
    ensure!(left.iter().all(|t| t.name == "b"), "{left:?}");
    ensure!(stack.pids("decnet-decoy")? == decoys, "the decoy was not taken over but started anew");
    a_torn_state_file_deletes_nothing(&stack, &decoys).await?;
    stack.stop().await
}

async fn a_torn_state_file_deletes_nothing(stack: &Stack, decoys: &[i32]) -> Result<()> {
    let path = stack.folder().join("decnet-state.json");
    let torn = std::fs::read(&path)?.get(..100).context("a short state file")?.to_vec();
    std::fs::write(&path, &torn)?;
    let said = stack.decnet(&["status", "--json"])?.output().await?;
    let told: serde_json::Value = serde_json::from_slice(&said.stdout)?;
    ensure!(said.status.code() == Some(1) && told["deployed"].is_null(), "{said:?}");
    ensure!(told["deckies"][0]["state"] == "running", "{told}");
    ensure!(String::from_utf8_lossy(&said.stderr).contains("nothing is deleted"), "{said:?}");
    stack.deploy("[b]\nservices = redis\n").await?;
    ensure!(stack.pids("decnet-decoy")? == decoys, "the same deployment started a decoy anew");
    let kept = std::fs::read_dir(stack.folder())?.flatten().find_map(|entry| {
        entry.file_name().to_string_lossy().contains(".corrupt-").then(|| std::fs::read(entry.path()))
    });
    ensure!(kept.context("the torn file was not kept")?? == torn, "the torn file was changed");
    Ok(())
}
