//! Deckies as containers on a network of the test's own: what a neighbour sees of them, what accidents do to them, and that
//! two fleets share a host. Skipped, with the reason, where no engine answers or the test is not root.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, ensure};
use decnet_tests::{Api, Stack, api::SseEvent, eventually, lan::Neighbour};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::ground::{Ground, find, names};

/// Three machines of three makes.
const ZOO: &str = "[web~]\nservices = http, redis\n[desk~]\nservices = http\nnmap_os = windows\n[switch~]\nservices = http\nnmap_os = cisco\n";
/// Between two passes of the reconciler: seconds, as its default is.
const INTERVAL: Duration = Duration::from_secs(30);

/// The time to live of a machine's answer to a ping.
async fn ttl(from: &Neighbour, to: Ipv4Addr) -> Result<u32> {
    let said = from.run("ping", &["-n", "-c", "1", "-W", "5", &to.to_string()]).await?;
    let ttl = said.stdout.split_once("ttl=").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    ttl.with_context(|| format!("{to} does not answer a ping: {said:?}"))
}

/// Address and maker of every machine that nmap sees, as its XML tells.
async fn sweep(from: &Neighbour, subnet: &str) -> Result<Vec<(Ipv4Addr, String)>> {
    let said = from.run("nmap", &["-sn", "-n", "-oX", "-", subnet]).await?;
    ensure!(said.code == Some(0), "{said:?}");
    let value = |text: &str, key: &str| {
        let (_, rest) = text.split_once(&format!("{key}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let hosts = said.stdout.split("<host>").skip(1).filter_map(|host| {
        let addresses: Vec<&str> = host.split("<address ").skip(1).collect();
        let ip =
            addresses.iter().find(|a| a.contains("ipv4")).and_then(|a| value(a, "addr")?.parse().ok())?;
        let maker = addresses.iter().find(|a| a.contains("\"mac\"")).and_then(|a| value(a, "vendor"));
        Some((ip, maker.unwrap_or_default()))
    });
    Ok(hosts.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_answers_on_the_lan_as_the_machines_that_it_plays() -> Result<()> {
    let Some(ground) = Ground::find()? else { return Ok(()) };
    let stack = ground.stack(&[]).await?;
    let targets = ground.deploy(&stack, ZOO).await?;
    let intruder = ground.lan.plug()?;
    for (name, wanted) in [("web", 64), ("desk", 128), ("switch", 255)] {
        let seen = ttl(&intruder, find(&targets, name)?.ip).await?;
        ensure!(seen == wanted, "{name} answers with a TTL of {seen} instead of {wanted}");
    }
    let seen = sweep(&intruder, &ground.lan.subnet()).await?;
    for target in &targets {
        let maker = seen.iter().find(|(ip, _)| *ip == target.ip).map(|(_, maker)| maker.as_str());
        ensure!(maker.is_some_and(|maker| !maker.is_empty()), "{}: maker {maker:?} in {seen:?}", target.name);
    }
    let macs = targets.len();
    ensure!(macs == 3 && seen.len() >= macs, "{seen:?}");
    for target in &targets {
        let page = intruder.curl(&["--include", &format!("http://{}/", target.ip)]).await?;
        ensure!(page.stdout.starts_with("HTTP/1.1 "), "{}: {page:?}", target.name);
        // What is not served is closed, not filtered, as on a machine without a firewall.
        let closed = intruder.curl(&[&format!("http://{}:8081/", target.ip)]).await?;
        ensure!(closed.code == Some(7), "{}: {closed:?}", target.name);
    }
    let attackers = eventually("the intruder in the tool", Duration::from_secs(2), || async {
        let rows = stack.attackers().await?;
        Ok(rows.iter().any(|row| row["ip"] == intruder.ip.to_string().as_str()).then_some(rows))
    })
    .await?;
    ensure!(attackers.len() == 1, "somebody else was seen: {attackers:?}");
    // Nothing of the host's is in the containers, and nothing of the engine's is on the LAN.
    for container in ground.engine.containers_of(stack.folder())? {
        let document = ground.engine.inspect(&container.id)?;
        let host = &document["HostConfig"];
        ensure!(host["Privileged"] == false && host["NetworkMode"] != "host", "{host}");
        ensure!(host["CapDrop"].to_string().contains("ALL"), "{}: {}", container.name, host["CapDrop"]);
        ensure!(!document["Mounts"].to_string().contains("docker.sock"), "{}", document["Mounts"]);
    }
    let folder = stack.folder().to_owned();
    stack.stop().await?;
    ground.ensure_nothing_left(&folder)
}

/// The states of a decky that the live stream has told of since it was asked last.
fn told(events: &mut UnboundedReceiver<SseEvent>, decky: &str) -> Vec<String> {
    let mut states = Vec::new();
    while let Ok(event) = events.try_recv() {
        let payload = &event.data["payload"];
        if event.event == "decky.state" && payload.to_string().contains(decky) {
            let state = ["new", "new_state", "state", "to"].iter().find_map(|key| payload[key].as_str());
            states.push(state.unwrap_or("?").to_owned());
        }
    }
    states
}

async fn state_of(api: &Api, decky: &str) -> Result<String> {
    let deckies = api.get("/deckies").await?;
    let rows = deckies.as_array().or_else(|| deckies["data"].as_array()).context("no list of deckies")?;
    let row = rows.iter().find(|row| row["name"] == decky).with_context(|| format!("{decky}: {deckies}"))?;
    Ok(row["state"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accidents_are_told_of_truly_and_once() -> Result<()> {
    let Some(ground) = Ground::find()? else { return Ok(()) };
    let stack = ground.stack(&[]).await?;
    ground.deploy(&stack, "[first~]\nservices = redis\n[second~]\nservices = redis\n").await?;
    let api = Api::first_login(&stack.api(), stack.folder()).await?;
    let mut events = api.stream().await?;
    decnet_tests::api::until(&mut events, Duration::from_secs(5), |e| e.event == "snapshot").await?;
    let (a, b) = (ground.named("first"), ground.named("second"));
    let (a, b) = (a.as_str(), b.as_str());
    let front = |decky: &str| -> Result<String> {
        let containers = ground.engine.containers_of(stack.folder())?;
        let front = containers.iter().find(|c| c.label("decnet.fleet.decky") == Some(decky));
        Ok(front.with_context(|| format!("{decky}: {:?}", names(&containers)))?.id.clone())
    };
    let becomes = async |decky: &str, states: &[&str]| -> Result<()> {
        eventually(&format!("{decky} being {states:?}"), INTERVAL * 2, || async {
            let state = state_of(&api, decky).await?;
            ensure!(states.contains(&state.as_str()), "it is {state}");
            Ok(Some(()))
        })
        .await
    };
    becomes(a, &["running"]).await?;
    becomes(b, &["running"]).await?;
    told(&mut events, "");
    ground.engine.stop(&front(a)?)?;
    becomes(a, &["failed", "degraded"]).await?;
    ground.engine.start(&front(a)?)?;
    becomes(a, &["running"]).await?;
    ground.engine.remove(&front(b)?)?;
    becomes(b, &["failed", "degraded", "torn_down"]).await?;
    becomes(a, &["running"]).await?;
    let mut transitions = Vec::new();
    // The stream may be behind the table by a moment.
    eventually("the transition of b on the stream", Duration::from_secs(5), || {
        transitions.extend(told(&mut events, b));
        let done = !transitions.is_empty();
        async move { Ok(done.then_some(())) }
    })
    .await?;
    ensure!(transitions.windows(2).all(|pair| pair[0] != pair[1]), "told twice: {transitions:?}");
    // Nobody else was disturbed, and a new deploy mends it.
    ground.deploy(&stack, "[first~]\nservices = redis\n[second~]\nservices = redis\n").await?;
    becomes(b, &["running"]).await?;
    let folder = stack.folder().to_owned();
    stack.stop().await?;
    ground.ensure_nothing_left(&folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_fleets_on_one_host_do_not_touch_each_other() -> Result<()> {
    let (Some(one), Some(two)) = (Ground::find()?, Ground::find()?) else { return Ok(()) };
    let (first, second) = (one.stack(&[]).await?, two.stack(&[]).await?);
    let deckies = "[web~]\nservices = http\n[cache~]\nservices = redis\n";
    let (targets, others) = tokio::try_join!(one.deploy(&first, deckies), two.deploy(&second, deckies))?;
    let ids = |ground: &Ground, stack: &Stack| -> Result<BTreeSet<String>> {
        Ok(ground.engine.containers_of(stack.folder())?.into_iter().map(|c| c.id).collect())
    };
    let (mine, theirs) = (ids(&one, &first)?, ids(&two, &second)?);
    ensure!(mine.len() == 2 && theirs.len() == 2 && mine.is_disjoint(&theirs), "{mine:?} {theirs:?}");
    first.run(&["teardown", "--id", &one.named("web")]).await?;
    ensure!(ids(&one, &first)?.len() == 1 && ids(&two, &second)? == theirs, "a teardown reached over");
    first.run(&["teardown", "--all"]).await?;
    one.ensure_nothing_left(first.folder())?;
    ensure!(ids(&two, &second)? == theirs, "a teardown of all reached over");
    let intruder = two.lan.plug()?;
    let page = intruder.curl(&[&format!("http://{}/", find(&others, "web")?.ip)]).await?;
    ensure!(page.code == Some(0), "the other fleet no longer answers: {page:?}");
    let status: Value = second.json(&["status", "--json"]).await?;
    ensure!(
        status["deckies"].as_array().is_some_and(|d| d.iter().all(|d| d["state"] == "running")),
        "{status}"
    );
    ensure!(targets.len() == 2);
    first.stop().await?;
    let folder = second.folder().to_owned();
    second.stop().await?;
    two.ensure_nothing_left(&folder)
}
