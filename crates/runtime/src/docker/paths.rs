//! Where the files of one decky are on the host. Paths only.
//!
//! `out` is the only folder that its front can write to beside the artifacts: nothing that the agent trusts lies in it.

use std::path::{Path, PathBuf};

use decnet_core::DeckyName;

use crate::{RuntimeError, output::Files, process::make_folder};

/// Folder of the outputs of removed deckies. No decky can have this name.
const REMOVED: &str = ".removed";

/// The folder of one decky, or of what is kept of a removed one.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) folder: PathBuf,
}

impl Paths {
    pub(super) fn of(base: &Path, decky: &DeckyName) -> Self {
        Self { folder: base.join(decky.as_str()) }
    }

    /// Makes what must be there before it is opened.
    pub(super) fn make(&self) -> Result<(), RuntimeError> {
        make_folder(&self.out())?;
        make_folder(&self.host())
    }

    /// What the front sees as `/out`.
    pub(super) fn out(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// The decoy's own report.
    pub(super) fn health(&self) -> PathBuf {
        self.out().join("health.json")
    }

    /// Folder of the host's own lines about it.
    pub(super) fn host(&self) -> PathBuf {
        self.folder.join("host")
    }

    /// The decoy's lines, which it writes, and what the agent knows of them, which it does not see.
    pub(super) fn decoy_output(&self) -> Files {
        Files { lines: self.out().join(crate::output::LINES), about: self.folder.join(crate::output::ABOUT) }
    }

    /// The host's own lines.
    pub(super) fn host_output(&self) -> Files {
        Files::within(&self.host())
    }

    /// What is to run.
    pub(super) fn deployment(&self) -> PathBuf {
        self.folder.join("deployment.json")
    }

    /// How far the capture of files in its shell has come.
    pub(super) fn captured(&self) -> PathBuf {
        self.folder.join("captured.json")
    }

    /// Its presence means that the decky is being removed.
    pub(super) fn removing(&self) -> PathBuf {
        self.folder.join("removing")
    }
}

/// The folder that holds the outputs of removed deckies.
pub(super) fn removed(base: &Path) -> PathBuf {
    base.join(REMOVED)
}
