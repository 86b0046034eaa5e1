//! What the suites with containers stand on: an engine, a LAN of their own, root file systems; and words they share.

use std::{net::Ipv4Addr, path::Path};

use anyhow::{Context, Result, ensure};
use decnet_tests::{
    Api, Stack,
    engine::{Engine, docker_or_skip},
    lan::Lan,
    root_tree,
    stack::Target,
};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Ground {
    pub(crate) engine: Engine,
    pub(crate) lan: Lan,
    pub(crate) images: TempDir,
}

impl Ground {
    /// `None` where there is no engine; the reason has been told.
    pub(crate) fn find() -> Result<Option<Self>> {
        let Some(engine) = docker_or_skip()? else { return Ok(None) };
        let images = TempDir::new()?;
        root_tree::write_alpine(images.path())?;
        Ok(Some(Self { engine, lan: Lan::new()?, images }))
    }

    pub(crate) async fn stack(&self, env: &[(&str, &str)]) -> Result<Stack> {
        Stack::on_lan(&self.engine, &self.lan, self.images.path(), env).await
    }

    /// A decky's name in this suite: names of containers are the engine's, and suites run side by side.
    pub(crate) fn named(&self, name: &str) -> String {
        format!("{name}-{}", self.lan.bridge)
    }

    /// Deploys these sections on the LAN; `[web~]` becomes the decky [`Self::named`] `web`.
    pub(crate) async fn deploy(&self, stack: &Stack, deckies: &str) -> Result<Vec<Target>> {
        let deckies = deckies.replace('~', &self.named(""));
        stack.deploy(&format!("{}\n{deckies}", self.lan.general())).await.map_err(|error| {
            let log: Vec<_> = stack.log().lines().rev().take(60).map(str::to_owned).collect();
            error.context(format!(
                "--- end of the log ---\n{}",
                log.into_iter().rev().collect::<Vec<_>>().join("\n")
            ))
        })
    }

    /// Fails if anything is left of a fleet that was torn down: containers, networks, links, name spaces.
    pub(crate) fn ensure_nothing_left(&self, folder: &Path) -> Result<()> {
        let containers = self.engine.containers_of(folder)?;
        ensure!(containers.is_empty(), "containers are left: {:?}", names(&containers));
        let networks = self.engine.networks_on(&self.lan.bridge)?;
        ensure!(networks.is_empty(), "networks are left: {networks:?}");
        let above = links_above(&self.lan.bridge)?;
        ensure!(above.is_empty(), "links are left: {above:?}");
        Ok(())
    }
}

pub(crate) fn names(containers: &[decnet_tests::engine::Container]) -> Vec<&str> {
    containers.iter().map(|container| container.name.as_str()).collect()
}

/// Links of this machine that are built on top of one, such as a fleet's own on its parent.
fn links_above(parent: &str) -> Result<Vec<String>> {
    let mut above = Vec::new();
    for entry in std::fs::read_dir(format!("/sys/class/net/{parent}"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        above.extend(name.strip_prefix("upper_").map(str::to_owned));
    }
    Ok(above)
}

pub(crate) fn find<'a>(targets: &'a [Target], name: &str) -> Result<&'a Target> {
    let is = |target: &&Target| target.name.split('-').next() == Some(name);
    targets.iter().find(is).with_context(|| format!("no decky {name}"))
}

/// The account that was planted first.
pub(crate) fn account(target: &Target) -> Result<(&str, &str)> {
    let (login, password) =
        target.accounts.first().with_context(|| format!("{}: no planted account", target.name))?;
    Ok((login, password))
}

/// Lines of this event that this address caused.
pub(crate) async fn lines_of(api: &Api, event: &str, from: Ipv4Addr) -> Result<Vec<Value>> {
    let mut rows = api.all_logs(&format!("event:{event}")).await?;
    rows.retain(|row| row["attacker_ip"] == from.to_string().as_str());
    Ok(rows)
}
