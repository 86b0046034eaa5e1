//! Where events leave the decoy: one line each on stdout or in a file, large values as files beside it.

mod artifacts;
mod fit;
mod writer;

use std::{
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use artifacts::{Artifacts, Stored};
use decnet_core::{Clock, DeckyName};
use decnet_logline::{Event, Severity};
use tokio_util::sync::CancellationToken;
pub use writer::{Writer, Written};

use crate::report::Report;

/// APP-NAME of lines about the decoy itself.
pub const SELF: &str = "decoy";
/// How long a conversation waits for a blocked output.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The way out.
pub struct Output {
    decky: DeckyName,
    clock: Arc<dyn Clock>,
    writer: Writer,
    artifacts: Option<Arc<Artifacts>>,
    emitted: AtomicU64,
}

impl Output {
    /// Lines of `decky` go to `sink`, large values to `artifacts`. `broken` is cancelled when `sink` fails.
    pub fn start(
        decky: DeckyName,
        clock: Arc<dyn Clock>,
        sink: impl Write + Send + 'static,
        artifacts: Option<&Path>,
        patience: Duration,
        broken: CancellationToken,
    ) -> std::io::Result<Self> {
        let artifacts = artifacts.map(Artifacts::open).transpose()?.map(Arc::new);
        let about_drops = {
            let (decky, clock) = (decky.clone(), clock.clone());
            move |lost: u64| {
                Event::new(SELF, "events_dropped")
                    .severity(Severity::Warning)
                    .field("events_dropped", lost)
                    .into_record(clock.now(), decky.as_str())
                    .encode()
            }
        };
        let writer = Writer::start(sink, patience, about_drops, broken)?;
        Ok(Self { decky, clock, writer, artifacts, emitted: AtomicU64::new(0) })
    }

    /// Writes a report about no connection, such as `startup`.
    pub async fn announce(&self, service: &'static str, report: Report) -> Written {
        self.emit(service, &[], &AtomicU64::new(0), report).await
    }

    /// Writes a report of `service` with `ident` before its fields. `stored` counts the connection's artifacts.
    pub(crate) async fn emit(
        &self,
        service: &'static str,
        ident: &[(&'static str, String)],
        stored: &AtomicU64,
        report: Report,
    ) -> Written {
        let line = self.line(service, ident, stored, report).await;
        self.emitted.fetch_add(1, Ordering::Relaxed);
        self.writer.write(line).await
    }

    /// Keeps bytes as an artifact, within the limits of the connection that `stored` counts.
    pub(crate) async fn store(&self, stored: &AtomicU64, name: &str, bytes: &[u8]) -> Option<Stored> {
        let artifacts = self.artifacts.clone()?;
        if !artifacts.reserve(stored, bytes.len() as u64) {
            return None;
        }
        let (at, name, bytes) = (self.clock.now(), name.to_owned(), bytes.to_vec());
        match tokio::task::spawn_blocking(move || artifacts.write(at, &name, &bytes)).await {
            Ok(Ok(kept)) => Some(kept),
            Ok(Err(error)) => {
                eprintln!("decoy: cannot write an artifact ({error}); check space and rights of the folder");
                None
            }
            Err(_) => None,
        }
    }

    /// Lines handed to the writer so far.
    pub fn emitted(&self) -> u64 {
        self.emitted.load(Ordering::Relaxed)
    }

    /// Lines lost since the last confession.
    pub fn dropped(&self) -> u64 {
        self.writer.dropped()
    }
}
