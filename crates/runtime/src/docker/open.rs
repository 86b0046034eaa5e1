//! The start of the Docker runtime: what runs is taken up as it stands, and no container is touched for that.
//!
//! It opens also while the engine is away: then nothing is known, and what runs is taken up when the engine is back.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use decnet_core::DeckyName;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::{
    DockerOptions, DockerRuntime, Shared,
    decky::{Decky, Host, clear_all_but_outputs},
    engine::Engine,
    events,
    images::Images,
    labels::Ours,
    paths::{Paths, removed},
};
use crate::{
    RuntimeError,
    capture::{Capture, CaptureLimits, CaptureOptions},
    error::{blocking, io_error},
    output::{Output, Watcher},
    process::{claim, make_folder},
};

/// Deckies looked after at once.
const TENDED_AT_ONCE: usize = 8;

impl DockerRuntime {
    /// Opens the folder and takes up the deckies that it knows.
    pub async fn open(options: DockerOptions) -> Result<Self, RuntimeError> {
        let (folder, artifacts) = (options.folder.clone(), options.artifacts.clone());
        let (base, artifacts, lock) = blocking(move || claim(&folder, &artifacts)).await?;
        let watcher = Watcher::start().inspect_err(|error| {
            tracing::warn!(%error, "no inotify: outputs are looked at every 200 ms");
        });
        let engine = Arc::new(Engine::new(options.socket.clone()));
        let host = Host {
            images: Images::new(Arc::clone(&engine), &options, &base),
            base,
            artifacts: artifacts.clone(),
            engine,
            ours: Ours { fleet: options.fleet, host: options.host.to_string() },
            clock: Arc::clone(&options.clock),
            ids: options.ids,
            watcher: watcher.ok(),
            changes: watch::Sender::new(0),
            detach: CancellationToken::new(),
            fleet: Mutex::default(),
            tending: Semaphore::new(TENDED_AT_ONCE),
            capture: Capture::new(CaptureOptions {
                artifacts,
                clock: options.clock,
                limits: CaptureLimits::default(),
            }),
            facts: tokio::sync::Mutex::default(),
        };
        let shared =
            Arc::new(Shared { host: Arc::new(host), deckies: Mutex::default(), ended: Mutex::default() });
        shared.load_ended().await?;
        shared.adopt().await?;
        tokio::spawn(events::listen(Arc::clone(&shared)));
        Ok(Self { shared, _lock: lock })
    }
}

impl Shared {
    /// Takes up the outputs that removed deckies left.
    async fn load_ended(&self) -> Result<(), RuntimeError> {
        let host = Arc::clone(&self.host);
        let outputs = blocking(move || {
            let folder = removed(&host.base);
            make_folder(&folder)?;
            let entries = std::fs::read_dir(&folder).map_err(io_error("list", &folder))?;
            let mut outputs = Vec::new();
            for entry in entries.flatten() {
                let paths = Paths { folder: entry.path() };
                let kept: Vec<Output> = [paths.decoy_output(), paths.host_output()]
                    .into_iter()
                    .filter_map(|files| Output::open_ended(files, &*host.ids).transpose())
                    .collect::<Result<_, _>>()?;
                if kept.is_empty() {
                    tracing::warn!(path = %entry.path().display(), "not an output of ours; left alone");
                } else {
                    clear_all_but_outputs(&paths)?;
                    outputs.extend(kept);
                }
            }
            Ok(outputs)
        })
        .await?;
        self.lock_ended()
            .extend(outputs.into_iter().map(|output| (Arc::clone(&output.source), Arc::new(output))));
        Ok(())
    }

    /// Takes up every decky that has a folder.
    async fn adopt(&self) -> Result<(), RuntimeError> {
        let host = Arc::clone(&self.host);
        let loaded = blocking(move || {
            let entries = std::fs::read_dir(&host.base).map_err(io_error("list", &host.base))?;
            let is_folder = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
            let names = entries
                .flatten()
                .filter(is_folder)
                .filter_map(|entry| DeckyName::parse(entry.file_name().to_str()?).ok());
            Ok(names.map(|name| (Decky::load(&host, &name), name)).collect::<Vec<_>>())
        })
        .await?;
        let mut unfinished = Vec::new();
        let mut fleet = BTreeSet::new();
        for (decky, name) in loaded {
            match decky.map(Arc::new) {
                Ok(decky) => {
                    fleet.extend(decky.deployment().map(|deployment| deployment.plan.ip()));
                    if decky.is_being_removed() {
                        unfinished.push(name.clone());
                    }
                    self.lock().insert(name, decky);
                }
                Err(error) => {
                    tracing::error!(decky = %name, %error, "a decky's folder cannot be used; left alone");
                }
            }
        }
        self.set_fleet(fleet);
        for name in unfinished {
            tracing::info!(decky = %name, "ending a removal that was interrupted");
            if let Err(error) = self.remove(&name).await {
                tracing::error!(decky = %name, %error, "a decky was not removed; its removal is tried again at the next start");
            }
        }
        for decky in self.all() {
            tokio::spawn(decky.keep());
        }
        Ok(())
    }
}
