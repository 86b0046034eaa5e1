//! Files and folders of an installation, with owners and modes.

use decnet_bus::Worker;

use crate::{ETC, KEYS, PERSONAS, STATE, user_of};

/// Who besides root may use a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The mode says it all.
    Root,
    /// All workers.
    Workers,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledFile {
    /// Where, from the root.
    pub path: String,
    /// What.
    pub text: String,
    /// Its mode.
    pub mode: u32,
    /// Its group; the owner is root.
    pub group: Group,
    /// Left alone where it exists: the operator's own.
    pub keep: bool,
}

impl InstalledFile {
    /// A file that everyone may read.
    pub fn public(path: impl Into<String>, text: String) -> Self {
        Self { path: path.into(), text, mode: 0o644, group: Group::Root, keep: false }
    }
}

/// A folder to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledFolder {
    /// Where, from the root.
    pub path: String,
    /// Its mode.
    pub mode: u32,
    /// Its owner.
    pub owner: String,
    /// Its group.
    pub group: Group,
    /// Why it is so.
    pub why: &'static str,
}

/// The folders that more than one program uses. Each worker's own folder below [`STATE`] is made by systemd.
pub fn folders() -> Vec<InstalledFolder> {
    let folder = |path: &str, mode, owner: &str, group, why| InstalledFolder {
        path: path.to_owned(),
        mode,
        owner: owner.to_owned(),
        group,
        why,
    };
    vec![
        folder(crate::BIN, 0o755, "root", Group::Root, "binaries"),
        folder(ETC, 0o755, "root", Group::Root, "settings"),
        folder(KEYS, 0o755, "root", Group::Root, "keys (0400 each) and the broker's configuration"),
        folder(
            STATE,
            0o750,
            "root",
            Group::Workers,
            "the fleet's state file; the agent writes, workers read",
        ),
        // SQLite makes its -wal and -shm files beside the database, with its mode; the group is the folder's.
        folder(
            &format!("{STATE}/database"),
            0o2770,
            "root",
            Group::Workers,
            "one SQLite file for all workers",
        ),
        folder(
            &format!("{STATE}/artifacts"),
            0o2750,
            "root",
            Group::Workers,
            "captured files; the API reads",
        ),
        folder(
            PERSONAS,
            0o2755,
            &user_of(Worker::Api),
            Group::Workers,
            "the pool of personas; the API writes, the orchestrator reads",
        ),
        folder(&format!("{STATE}/deckies"), 0o700, "root", Group::Workers, "the process runtime's deckies"),
        folder(&format!("{STATE}/images"), 0o755, "root", Group::Root, "root file systems for shells"),
    ]
}
