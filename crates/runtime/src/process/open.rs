//! The start of the process runtime: what an earlier agent left is taken up where it stands.

use std::sync::{Arc, Mutex};

use decnet_core::DeckyName;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    ProcessOptions, ProcessRuntime,
    decky::{Decky, Host, clear_all_but_output},
    folder::{self, removed},
};
use crate::{
    HostRuntime, RuntimeError,
    error::{blocking, io_error},
    output::{Files, Output, Watcher},
};

impl ProcessRuntime {
    /// Opens the folder, takes over the decoys that live and starts those that should. One that cannot be started is
    /// reported by [`HostRuntime::inspect`] and tried again.
    pub async fn open(options: ProcessOptions) -> Result<Self, RuntimeError> {
        let ProcessOptions { folder, artifacts, decoy, port_offset, clock, ids } = options;
        let (base, artifacts, lock) = blocking(move || folder::claim(&folder, &artifacts)).await?;
        let watcher = Watcher::start().inspect_err(|error| {
            tracing::warn!(%error, "no inotify: outputs are looked at every 200 ms");
        });
        let host = Host {
            base,
            artifacts,
            decoy: std::path::absolute(&decoy).unwrap_or(decoy),
            port_offset,
            clock,
            ids,
            watcher: watcher.ok(),
            changes: watch::Sender::new(0),
            detach: CancellationToken::new(),
        };
        let runtime =
            Self { host: Arc::new(host), deckies: Mutex::default(), ended: Mutex::default(), _lock: lock };
        runtime.load_ended().await?;
        runtime.resume().await?;
        Ok(runtime)
    }

    /// Takes up the outputs that removed deckies left.
    async fn load_ended(&self) -> Result<(), RuntimeError> {
        let host = Arc::clone(&self.host);
        let outputs = blocking(move || {
            let folder = removed(&host.base);
            folder::make(&folder)?;
            let entries = std::fs::read_dir(&folder).map_err(io_error("list", &folder))?;
            let mut outputs = Vec::new();
            for entry in entries.flatten() {
                match Output::open_ended(Files::within(&entry.path()), &*host.ids)? {
                    Some(output) => {
                        clear_all_but_output(&entry.path())?;
                        outputs.push(Arc::new(output));
                    }
                    None => {
                        tracing::warn!(path = %entry.path().display(), "not an output of ours; left alone");
                    }
                }
            }
            Ok(outputs)
        })
        .await?;
        self.lock_ended().extend(outputs.into_iter().map(|output| (Arc::clone(&output.source), output)));
        Ok(())
    }

    /// Goes on with every decky that has a folder.
    async fn resume(&self) -> Result<(), RuntimeError> {
        let host = Arc::clone(&self.host);
        let loaded = blocking(move || {
            let entries = std::fs::read_dir(&host.base).map_err(io_error("list", &host.base))?;
            let names =
                entries.flatten().filter_map(|entry| DeckyName::parse(entry.file_name().to_str()?).ok());
            Ok(names.map(|name| (Decky::load(&host, &name), name)).collect::<Vec<_>>())
        })
        .await?;
        let mut unfinished = Vec::new();
        let mut resumed = Vec::new();
        for (decky, name) in loaded {
            match decky.map(Arc::new) {
                Ok(decky) if decky.is_being_removed() => {
                    self.lock().insert(name.clone(), decky);
                    unfinished.push(name);
                }
                Ok(decky) => {
                    self.lock().insert(name, Arc::clone(&decky));
                    resumed.push(decky);
                }
                Err(error) => {
                    tracing::error!(decky = %name, %error, "a decky's folder cannot be used; left alone");
                }
            }
        }
        join_all(resumed.iter().map(|decky| async {
            if let Err(error) = decky.resume().await {
                tracing::error!(decky = %decky.name, %error, "a decky was not started; trying again");
            }
        }))
        .await;
        for name in unfinished {
            tracing::info!(decky = %name, "ending a removal that was interrupted");
            if let Err(error) = self.remove(&name).await {
                tracing::error!(decky = %name, %error, "a decky was not removed; its removal is tried again at the next start");
            }
        }
        Ok(())
    }
}
