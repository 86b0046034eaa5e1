//! Ships every line of every output to the ingest path, from a stored cursor on: one task per output.
//!
//! A line that was shipped and whose cursor was not stored is shipped again under the same message id, and stored once.
//! It reads no line.

mod cursor;
mod ship;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use decnet_kit::{Ctx, Extra};
use decnet_runtime::HostRuntime;
use tokio::task::{Id, JoinSet};

use self::{cursor::Cursors, ship::Ship};

/// How often outputs are listed without being told that they changed.
const LOOK: Duration = Duration::from_secs(5);

/// What followers count, for the heartbeat.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) shipped: AtomicU64,
    pub(crate) outputs: AtomicU64,
}

/// The followers of a host.
pub(crate) struct Follower {
    ctx: Ctx,
    runtime: Arc<dyn HostRuntime>,
    cursors: Arc<Cursors>,
    counters: Arc<Counters>,
}

impl Follower {
    pub(crate) fn new(ctx: Ctx, runtime: Arc<dyn HostRuntime>, cursors: PathBuf) -> anyhow::Result<Self> {
        let cursors = Arc::new(Cursors::open(cursors)?);
        Ok(Self { ctx, runtime, cursors, counters: Arc::default() })
    }

    /// What is added to the agent's heartbeat.
    pub(crate) fn heartbeat(&self) -> Extra {
        let counters = Arc::clone(&self.counters);
        Box::new(move || {
            let mut extra = serde_json::Map::new();
            extra.insert("lines_shipped".to_owned(), counters.shipped.load(Ordering::Relaxed).into());
            extra.insert("outputs".to_owned(), counters.outputs.load(Ordering::Relaxed).into());
            Ok(extra)
        })
    }

    /// Follows until the worker stops.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut changes = self.runtime.changes();
        let mut tasks = JoinSet::new();
        let mut followed: HashMap<Arc<str>, Id> = HashMap::new();
        let mut cleaned = false;
        while !self.ctx.is_stopping() {
            match self.runtime.outputs().await {
                Ok(outputs) => {
                    if !cleaned {
                        self.cursors.keep_only(&outputs);
                        cleaned = true;
                    }
                    self.counters.outputs.store(outputs.len() as u64, Ordering::Relaxed);
                    for output in outputs {
                        if followed.contains_key(&output.source) {
                            continue;
                        }
                        let source = Arc::clone(&output.source);
                        let ship = Ship {
                            ctx: self.ctx.clone(),
                            runtime: Arc::clone(&self.runtime),
                            cursors: Arc::clone(&self.cursors),
                            counters: Arc::clone(&self.counters),
                            output,
                        };
                        followed.insert(source, tasks.spawn(ship.run()).id());
                    }
                }
                Err(error) => tracing::warn!(%error, "the outputs of this host are not known now"),
            }
            tokio::select! {
                biased;
                () = self.ctx.stopping() => {}
                Some(ended) = tasks.join_next_with_id() => {
                    let id = match ended {
                        Ok((id, ())) => id,
                        Err(error) => {
                            tracing::error!(%error, "a follower failed and is started again");
                            error.id()
                        }
                    };
                    followed.retain(|_, task| *task != id);
                }
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        while tasks.join_next().await.is_some() {}
        Ok(())
    }
}
