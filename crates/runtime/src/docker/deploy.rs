//! Brings one decky to its plan: the front, its containment, and then what shares its network. A failure half-way removes
//! what this call made.

use std::{net::IpAddr, sync::Arc};

use bollard::query_parameters::LogsOptionsBuilder;
use decnet_core::Clock;
use decnet_fleet::{
    DeckyPlan, DecoyPlacement,
    plan::{CONFIG_PATH, ContainerPlan, ContainerRole, Image},
};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{
    archive::Entry,
    container::{self, ARTIFACTS},
    decky::{Decky, Deployment, Host},
    engine::{endpoints, pid},
    labels::{Seen, list_of},
    tend::namespace,
};
use crate::{
    Deployed, RuntimeError,
    error::blocking,
    process::{delete_path, make_evidence, write_record},
};

/// What the engine says of a name.
const NAME_TAKEN: &str = "is already in use by container";
/// Most characters of what a dead container said last.
const LAST_WORDS: usize = 400;

impl Decky {
    /// Brings it to `plan`. `None` if it was removed meanwhile: look it up again.
    pub(super) async fn deploy(self: &Arc<Self>, plan: &DeckyPlan) -> Result<Option<Deployed>, RuntimeError> {
        let _one = self.alone().await;
        if self.is_removed() {
            return Ok(None);
        }
        let there = list_of(&self.host, &self.name).await.map_err(|error| error.of(&self.name))?;
        let runs =
            |container: &ContainerPlan| there.iter().any(|seen| is_of(seen, container, plan) && seen.runs());
        let deployed = |started| Ok(Some(Deployed { started, port_base: 0 }));
        let is_recorded =
            self.deployment().is_some_and(|deployment| deployment.plan.plan_hash == plan.plan_hash);
        if is_recorded && plan.containers.iter().all(runs) {
            self.attention.notify_one();
            return deployed(false);
        }
        match self.bring_up(plan, there).await {
            Ok(()) => {
                self.live().last_error = None;
                deployed(true)
            }
            Err(error) => {
                let error = error.of(&self.name);
                self.live().last_error = Some(error.to_string());
                Err(error)
            }
        }
    }

    async fn bring_up(self: &Arc<Self>, plan: &DeckyPlan, mut there: Vec<Seen>) -> Result<(), RuntimeError> {
        let deployment = Arc::new(Deployment { plan: plan.clone(), placed_at: self.placed_at(plan) });
        // Written down before anything is touched: a full disk leaves what runs as it is.
        let (paths, record) = (self.paths.clone(), Arc::clone(&deployment));
        let artifacts = self.host.artifacts_of(&self.name);
        blocking(move || {
            paths.make()?;
            make_evidence(&artifacts)?;
            write_record(&paths.deployment(), &*record)?;
            // A removal that failed is taken back by whoever deploys it again.
            delete_path(&paths.removing())
        })
        .await?;
        let fits = |seen: &Seen| plan.containers.iter().any(|container| is_of(seen, container, plan));
        if !there.iter().all(fits) {
            self.remove_containers().await?;
            there.clear();
        }
        self.live().deployment = Some(Arc::clone(&deployment));
        let mut made = Vec::new();
        let outcome = self.place(&deployment, &there, &mut made).await;
        if outcome.is_err() {
            self.undo(&made, there.is_empty()).await;
        }
        outcome
    }

    /// When this machine was first placed: a decky that is made anew after the same plan is as old as before.
    fn placed_at(&self, plan: &DeckyPlan) -> chrono::DateTime<chrono::Utc> {
        let before = self.deployment().filter(|before| before.plan.plan_hash == plan.plan_hash);
        before.map_or_else(|| self.host.clock.now(), |before| before.placed_at)
    }

    /// Makes and starts what is missing, noting what was made.
    async fn place(
        self: &Arc<Self>,
        deployment: &Deployment,
        there: &[Seen],
        made: &mut Vec<String>,
    ) -> Result<(), RuntimeError> {
        let plan = &deployment.plan;
        let Some((front, beside)) = plan.containers.split_first() else {
            return Err(RuntimeError::Unfit {
                decky: Some(self.name.clone()),
                why: "its plan has no container: make a new plan".to_owned(),
            });
        };
        let of = |container: &ContainerPlan| there.iter().find(|seen| seen.name == container.name);
        if of(front).is_none() {
            self.create(deployment, front, made).await?;
            let mut document = plan.decoy_config(&placement(plan));
            let shell = beside.iter().find(|container| container.role == ContainerRole::Shell);
            if let Some(Image::Full { distro }) = shell.map(|shell| &shell.image)
                && let Some(release) = self.host.images.release(distro).await?
                && let Some(ssh) = document.services.iter_mut().find(|service| service.slug == "ssh")
            {
                // The greeting is that of the package which the intruder finds in the shell.
                ssh.settings.insert("release".to_owned(), release);
            }
            let document = serde_json::to_vec(&document);
            let document = document.map_err(|error| RuntimeError::Internal(error.to_string()))?;
            let document = Entry::file(CONFIG_PATH, 0o600, deployment.placed_at, document);
            self.host.put(&front.name, &[document]).await?;
        }
        if !of(front).is_some_and(Seen::runs) {
            self.host.engine.start(&front.name).await.map_err(|error| address_taken(error, plan))?;
        }
        let started = self.host.engine.inspect(&front.name).await?;
        let Some(found) = started.as_ref() else {
            return Err(self.ended_at_once(&front.name, None).await);
        };
        let Some(process) = pid(found) else {
            return Err(self.ended_at_once(&front.name, started.as_ref()).await);
        };
        self.live().since = Some(Instant::now());
        if let Err(error) = self.contain(process).await {
            if namespace(process).is_some() {
                return Err(error);
            }
            let ended = self.host.engine.inspect(&front.name).await?;
            return Err(self.ended_at_once(&front.name, ended.as_ref()).await);
        }
        let gateway = endpoints(found).find_map(|endpoint| endpoint.gateway.as_ref()?.parse::<IpAddr>().ok());
        let prefix = endpoints(found).find_map(|endpoint| u8::try_from(endpoint.ip_prefix_len?).ok());
        for container in beside {
            let is_fresh = of(container).is_none();
            if is_fresh {
                let image = self.create(deployment, container, made).await?;
                if container.role == ContainerRole::Shell {
                    self.dress(&container.name, &image, deployment, gateway, prefix).await?;
                }
            }
            if of(container).is_some_and(Seen::runs) {
                continue;
            }
            if container.role == ContainerRole::Shell {
                self.start_shell(&container.name, deployment, is_fresh).await?;
            } else {
                self.host.engine.start(&container.name).await?;
            }
        }
        Ok(())
    }

    /// Makes a container; the image that it has.
    async fn create(
        &self,
        deployment: &Deployment,
        container: &ContainerPlan,
        made: &mut Vec<String>,
    ) -> Result<String, RuntimeError> {
        let plan = &deployment.plan;
        let mac = (container.role == ContainerRole::Decky).then_some(plan.mac.as_str());
        let mut again = true;
        loop {
            let image = self.host.images.get(&container.image, &self.name).await?;
            let body = container::body(&self.host, plan, container, image.clone(), &self.paths);
            match self.host.engine.create(&container.name, body, mac).await {
                Ok(_) => {
                    made.push(container.name.clone());
                    return Ok(image);
                }
                Err(RuntimeError::Engine { reason, .. }) if reason.contains(NAME_TAKEN) => {
                    return Err(name_taken(&self.name, &container.name));
                }
                // Somebody removed it between the look and the call.
                Err(RuntimeError::Engine { reason, .. }) if reason.contains("No such image") && again => {
                    again = false;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes what a failed call made. Best effort: what cannot be removed now is found by its labels.
    async fn undo(&self, made: &[String], alone: bool) {
        self.unwatch();
        for name in made.iter().rev() {
            if let Err(error) = self.host.engine.remove(name).await {
                tracing::error!(decky = %self.name, container = name, %error, "what a failed deploy made stays: `decnet teardown` removes it");
            }
        }
        if alone {
            // Nothing of it is there, so nothing of it is to be looked after.
            self.live().deployment = None;
            let record = self.paths.deployment();
            if let Err(error) = blocking(move || delete_path(&record)).await {
                tracing::warn!(decky = %self.name, %error, "the record of a failed deploy stays");
            }
        } else {
            // What was there before goes on, and is watched over again.
            self.attention.notify_one();
        }
    }
}

impl Host {
    /// The last line that a container said.
    pub(super) async fn last_words(&self, container: &str) -> Option<String> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("3").build();
        let docker = self.engine.docker().await.ok()?;
        let mut lines = docker.logs(container, Some(options));
        let mut last = None;
        while let Some(Ok(line)) = lines.next().await {
            last = Some(line.into_bytes());
        }
        Some(decnet_logline::clean_bytes(&last?).trim().chars().take(LAST_WORDS).collect())
    }
}

/// That somebody else has the name of a container.
pub(super) fn name_taken(decky: &decnet_core::DeckyName, container: &str) -> RuntimeError {
    RuntimeError::Unfit {
        decky: Some(decky.clone()),
        why: format!(
            "its name is taken: a container {container} is there that is not of this fleet; remove that one (`docker rm {container}`) or give the decky another name"
        ),
    }
}

/// What the engine means by an address that is in use.
fn address_taken(error: RuntimeError, plan: &DeckyPlan) -> RuntimeError {
    match error {
        RuntimeError::Engine { reason, .. } if reason.contains("ddress already in use") => {
            let ip = plan.ip();
            let why = format!(
                "its address {ip} is taken by another container of the engine: `docker network inspect` of its network shows whose; remove that one, or give the decky another address (ip= in its section)"
            );
            RuntimeError::Unfit { decky: Some(plan.name().clone()), why }
        }
        other => other,
    }
}

/// Whether `seen` is `container` of this very plan.
fn is_of(seen: &Seen, container: &ContainerPlan, plan: &DeckyPlan) -> bool {
    seen.name == container.name && seen.plan_hash.as_ref() == Some(&plan.plan_hash)
}

/// Where the front's decoy finds things.
fn placement(plan: &DeckyPlan) -> DecoyPlacement {
    DecoyPlacement {
        bind: Vec::new(),
        port_base: 0,
        artifacts: Some(ARTIFACTS.into()),
        root: Some("/".into()),
        shell: plan.containers.iter().any(|container| container.role == ContainerRole::Shell),
    }
}
