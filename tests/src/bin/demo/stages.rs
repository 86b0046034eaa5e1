//! What each stage of the demo should have produced, and what it did.

use std::net::Ipv4Addr;

use anyhow::Result;
use decnet_tests::{Stack, receiver::Receiver, stack::Target};
use serde_json::Value;

use crate::scene::Scene;

/// A stage of the story.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    wanted: u64,
    pub(crate) seen: u64,
    /// More than wanted is as wrong as less.
    exact: bool,
}

impl Stage {
    pub(crate) fn is_good(&self) -> bool {
        self.seen == self.wanted || (!self.exact && self.seen > self.wanted)
    }
}

pub(crate) async fn look(
    stack: &Stack,
    receiver: &Receiver,
    targets: &[Target],
    intruders: &[Ipv4Addr],
    scene: &Scene,
) -> Result<Vec<Stage>> {
    let attackers = stack.attackers().await?;
    let known: Vec<&Value> =
        attackers.iter().filter(|a| intruders.iter().any(|ip| a["ip"] == ip.to_string().as_str())).collect();
    let sum = |name: &str| known.iter().filter_map(|a| a[name].as_u64()).sum::<u64>();
    let count = |n: usize| u64::try_from(n).unwrap_or(0);
    let stage = |name, wanted, seen| Stage { name, wanted, seen, exact: false };
    let mut stages = vec![
        stage("deckies running", count(targets.len()), count(stack.targets().await?.len())),
        stage("attackers", count(intruders.len()), count(known.len())),
        Stage { exact: true, ..stage("strangers", 0, count(attackers.len() - known.len())) },
        stage("sessions", 9, sum("session_count")),
        stage("credentials", 7, sum("credential_count")),
        stage("commands", 9, sum("command_count")),
    ];
    stages.extend(life(stack, targets, &attackers).await?);
    if let Scene::Lan(_) = scene {
        for (name, event, wanted) in [
            ("terminals recorded", "session_recorded", 1),
            ("files kept", "file_captured", 2),
            ("attempts to get out", "egress_blocked", 1),
        ] {
            stages.push(stage(name, wanted, lines(stack, event).await?));
        }
    }
    stages.push(stage("webhooks delivered", 1, receiver.delivered()));
    stages.push(Stage { exact: true, ..stage("wrong signatures", 0, receiver.wrong()) });
    Ok(stages)
}

/// What the deckies did by themselves; none of it may be taken for an attack.
async fn life(stack: &Stack, targets: &[Target], attackers: &[Value]) -> Result<Vec<Stage>> {
    let said = stack.run(&["logs", "--json", "-n", "1000", "event:connect"]).await?;
    let rows: Vec<Value> = said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let ours = |row: &&Value| row["origin"] == "life";
    let is_decky = |row: &&Value| targets.iter().any(|t| row["attacker_ip"] == t.ip.to_string().as_str());
    let connections = rows.iter().filter(ours).count();
    let taken = attackers.iter().filter(|row| targets.iter().any(|t| row["ip"] == t.ip.to_string().as_str()));
    let strays = rows.iter().filter(is_decky).filter(|row| !ours(row)).count() + taken.count();
    let stage = |name, wanted, seen: usize, exact| Stage { name, wanted, seen: seen as u64, exact };
    Ok(vec![
        stage("life: connections", 1, connections, false),
        stage("life taken for attack", 0, strays, true),
    ])
}

/// How many lines of an event the tool knows.
async fn lines(stack: &Stack, event: &str) -> Result<u64> {
    let said = stack.run(&["logs", "--json", "-n", "1000", &format!("event:{event}")]).await?;
    Ok(said.lines().count() as u64)
}
