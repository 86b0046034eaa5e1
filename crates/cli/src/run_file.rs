//! What a running `decnet up` leaves for the other verbs: where its broker and API are. Readable by its owner only,
//! since it may hold a broker's token; of our own broker's keys it names the folder only.

use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The document `<state_dir>/up.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// The supervisor's process.
    pub(crate) pid: u32,
    /// The broker.
    pub(crate) nats_url: String,
    /// What a broker that is not ours asks of its clients.
    #[serde(default)]
    pub(crate) nats_token: Option<String>,
    /// The folder of the keys of our own broker.
    #[serde(default)]
    pub(crate) nats_keys: Option<PathBuf>,
    /// The API's base address.
    pub(crate) api: String,
}

impl RunFile {
    fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("up.json")
    }

    /// What a supervisor with this state folder wrote, if one did.
    pub(crate) fn read(state_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(state_dir)).ok()?).ok()
    }

    /// Writes it, replacing what was there.
    pub(crate) fn write(&self, state_dir: &Path) -> Result<()> {
        let path = Self::path(state_dir);
        let context = || format!("cannot write {}", path.display());
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(context);
            }
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(context)?;
        file.write_all(&serde_json::to_vec_pretty(self)?).with_context(context)
    }

    /// Removes it at the end of a run.
    pub(crate) fn remove(state_dir: &Path) {
        // A file left behind only points at a broker that does not answer.
        let _ = std::fs::remove_file(Self::path(state_dir));
    }
}
