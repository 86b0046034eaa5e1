//! Health of a running decky as a small file: what listens, how much is open, what went wrong.
//!
//! A file and not a port: whoever is inside the decky's network must not find one. Checking it makes no connection,
//! so it leaves no line that looks like an intruder.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::accept::{Running, Shared};

/// How often the file is written.
const EVERY: Duration = Duration::from_secs(5);
/// Age at which it no longer counts.
const STALE_S: i64 = 30;

/// The file's content.
#[derive(Debug, Serialize, Deserialize)]
pub struct Health {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// By which process.
    pub pid: u32,
    /// Connections now.
    pub open: usize,
    /// Lines written.
    pub lines: u64,
    /// Lines lost and not yet confessed in a line.
    pub events_dropped: u64,
    /// Each service.
    pub services: Vec<ServiceHealth>,
}

/// One service in the file.
#[derive(Debug, Serialize, Deserialize)]
pub struct ServiceHealth {
    /// Slug.
    pub slug: String,
    /// `addr:port` of its sockets.
    pub listening: Vec<String>,
    /// Connections now.
    pub open: u64,
    /// Connections so far.
    pub accepted: u64,
    /// Connections refused by the limits.
    pub refused: u64,
    /// Conversations that ended in an error.
    pub errors: u64,
}

pub(crate) async fn keep_writing(path: PathBuf, shared: &Arc<Shared>, services: &[Arc<Running>]) {
    let mut failing = false;
    loop {
        let written = write(&path, &snapshot(shared, services));
        if let Err(error) = &written
            && !failing
        {
            eprintln!("decoy: cannot write the health file {} ({error}); check its folder", path.display());
        }
        failing = written.is_err();
        tokio::time::sleep(EVERY).await;
    }
}

fn snapshot(shared: &Shared, services: &[Arc<Running>]) -> Health {
    Health {
        at: shared.clock.now(),
        pid: std::process::id(),
        open: shared.admission.open(),
        lines: shared.output.emitted(),
        events_dropped: shared.output.dropped(),
        services: services
            .iter()
            .map(|running| ServiceHealth {
                slug: running.service.slug().to_owned(),
                listening: running.addresses.iter().map(ToString::to_string).collect(),
                open: running.open.load(Ordering::Relaxed),
                accepted: running.accepted.load(Ordering::Relaxed),
                refused: running.refused.load(Ordering::Relaxed),
                errors: running.errors.load(Ordering::Relaxed),
            })
            .collect(),
    }
}

fn write(path: &Path, health: &Health) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    fs::write(&partial, serde_json::to_vec(health)?)?;
    fs::rename(&partial, path)
}

/// Reads the file and judges it at `now`: the content, or what is wrong.
pub fn check(path: &Path, now: DateTime<Utc>) -> Result<Health, String> {
    let text = fs::read(path).map_err(|error| {
        format!("no health file {} ({error}); is the decoy running with --health-file?", path.display())
    })?;
    let health: Health = serde_json::from_slice(&text)
        .map_err(|error| format!("health file {} is not ours ({error})", path.display()))?;
    let age = (now - health.at).num_seconds();
    if age > STALE_S {
        return Err(format!("the decoy has not reported for {age} s; restart it"));
    }
    if health.events_dropped > 0 {
        return Err(format!(
            "{} lines were lost: whatever takes them (a reader of stdout, a disk) is too slow",
            health.events_dropped
        ));
    }
    Ok(health)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn an_old_report_is_no_health() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("health.json");
        let at = DateTime::UNIX_EPOCH;
        let health = Health { at, pid: 1, open: 0, lines: 1, events_dropped: 0, services: Vec::new() };
        write(&path, &health).unwrap();
        assert!(check(&path, at + TimeDelta::seconds(STALE_S)).is_ok());
        let error = check(&path, at + TimeDelta::seconds(STALE_S + 1)).unwrap_err();
        assert!(error.contains("31 s"), "{error}");
        assert!(check(&folder.path().join("none"), at).is_err());
    }
}
