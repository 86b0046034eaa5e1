//! Which runtime an agent has: the one that is set, else the one that what is deployed needs, else containers where an engine
//! answers and processes where none does. Made once, when the agent starts.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use decnet_fleet::{RuntimeKind, StateStore};
use decnet_kit::{
    Ctx,
    settings::{self, Settings},
};
use decnet_runtime::{
    DockerOptions, DockerRuntime, HostRuntime, ProcessOptions, ProcessRuntime, engine_answers,
};

use crate::Args;

/// Opens the runtime of this host.
pub(crate) async fn open(ctx: &Ctx, args: &Args, fleet: &str) -> anyhow::Result<Arc<dyn HostRuntime>> {
    let settings = ctx.settings();
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join("decnet-decoy"));
    let decoy = args.decoy.clone().or_else(beside).unwrap_or_else(|| "decnet-decoy".into());
    let socket = socket(std::env::var("DOCKER_HOST").ok().as_deref());
    let (kind, why) = choose(settings, socket.clone()).await;
    tracing::info!(runtime = kind.as_str(), why, "deckies of this host");
    Ok(match kind {
        RuntimeKind::Process => {
            let options = ProcessOptions {
                folder: settings.state_dir.join("deckies"),
                artifacts: settings.artifacts_root.clone(),
                decoy,
                port_offset: args.port_offset,
                clock: Arc::clone(ctx.clock()),
                ids: Arc::clone(ctx.ids()),
            };
            Arc::new(ProcessRuntime::open(options).await.context("the process runtime")?)
        }
        RuntimeKind::Docker => {
            let options = DockerOptions {
                folder: settings.state_dir.join("agent/docker"),
                artifacts: settings.artifacts_root.clone(),
                images: settings.images_dir.clone(),
                pull: settings.images_pull,
                decoy,
                host: settings.host.clone(),
                fleet: fleet.to_owned(),
                clock: Arc::clone(ctx.clock()),
                ids: Arc::clone(ctx.ids()),
                socket,
            };
            Arc::new(DockerRuntime::open(options).await.context("the Docker runtime")?)
        }
    })
}

async fn choose(settings: &Settings, socket: Option<PathBuf>) -> (RuntimeKind, &'static str) {
    match settings.runtime {
        settings::RuntimeKind::Process => return (RuntimeKind::Process, "set by DECNET_RUNTIME"),
        settings::RuntimeKind::Docker => return (RuntimeKind::Docker, "set by DECNET_RUNTIME"),
        settings::RuntimeKind::Auto => {}
    }
    // Deckies do not change what they are made of because an engine comes or goes.
    if let Some(kind) = deployed(&StateStore::new(&settings.state_file)) {
        return (kind, "so are those that are deployed");
    }
    match engine_answers(socket).await {
        Some(_) => (RuntimeKind::Docker, "a container engine answers"),
        None => (RuntimeKind::Process, "no container engine answers"),
    }
}

/// What runs the deckies that are deployed, if some are.
fn deployed(store: &StateStore) -> Option<RuntimeKind> {
    match store.load_plan() {
        Ok(plan) => plan,
        // The newest plan that is whole is what the state is made again from.
        Err(_) => store.newest_plan(),
    }
    .map(|plan| plan.runtime)
}

/// The engine's socket, where `DOCKER_HOST` names one.
fn socket(docker_host: Option<&str>) -> Option<PathBuf> {
    Some(docker_host?.strip_prefix("unix://")?.into())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use decnet_core::{FleetSecret, HostId, SystemClock};
    use decnet_fleet::{PlanRequest, ini, plan};
    use decnet_kit::settings::Sources;

    use super::*;

    #[tokio::test]
    async fn what_is_deployed_keeps_its_kind_and_a_setting_counts_most() {
        let folder = tempfile::tempdir().unwrap();
        let settings = |runtime: &str| {
            let dir = folder.path().display().to_string();
            Sources::variables([("DECNET_STATE_DIR", dir.as_str()), ("DECNET_RUNTIME", runtime)])
                .load()
                .unwrap()
                .settings
        };
        let nowhere = Some(folder.path().join("no.sock"));
        let chosen = async |runtime| choose(&settings(runtime), nowhere.clone()).await.0;
        assert_eq!(chosen("auto").await, RuntimeKind::Process, "no engine answers there");
        assert_eq!(chosen("docker").await, RuntimeKind::Docker);
        let plan = plan(&PlanRequest {
            spec: &ini::parse(
                b"[general]\nnet=192.0.2.0/24\ngw=192.0.2.1\ninterface=x\n[a]\nservices=http\n",
            )
            .unwrap(),
            secret: &FleetSecret::from_number(1),
            runtime: RuntimeKind::Docker,
            generation: 1,
            host: &HostId::default(),
            detected: None,
            used: &HashSet::new(),
            previous: None,
            shells: None,
        });
        let store = StateStore::new(&settings("auto").state_file);
        store.lock().unwrap().save(&plan.unwrap(), decnet_core::Clock::now(&SystemClock)).unwrap();
        assert_eq!(chosen("auto").await, RuntimeKind::Docker, "its engine is only away");
        assert_eq!(chosen("process").await, RuntimeKind::Process);
        std::fs::write(store.path(), "torn").unwrap();
        assert_eq!(chosen("auto").await, RuntimeKind::Docker);
        assert_eq!(socket(Some("unix:///run/x.sock")), Some("/run/x.sock".into()));
        assert_eq!((socket(Some("tcp://h:1")), socket(None)), (None, None));
    }
}
