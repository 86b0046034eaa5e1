//! Where the files of one decky are. Paths only, and making the folders.

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use decnet_core::DeckyName;

use crate::{RuntimeError, error::io_error};

/// Folder of the outputs of removed deckies. No decky can have this name.
const REMOVED: &str = ".removed";

/// The folder of one decky.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn of(base: &Path, decky: &DeckyName) -> Self {
        Self { path: base.join(decky.as_str()) }
    }

    /// Makes it with its parts.
    pub(crate) fn make(&self) -> Result<(), RuntimeError> {
        make(&self.path)?;
        make(&self.root())?;
        make(&self.staging())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The plan that is to run, with where it was placed.
    pub(crate) fn deployment(&self) -> PathBuf {
        self.path.join("deployment.json")
    }

    /// The decoy's document.
    pub(crate) fn config(&self) -> PathBuf {
        self.path.join("config.json")
    }

    /// The process that runs.
    pub(crate) fn process(&self) -> PathBuf {
        self.path.join("process.json")
    }

    /// The decoy's own report.
    pub(crate) fn health(&self) -> PathBuf {
        self.path.join("health.json")
    }

    /// What the decoy complains about.
    pub(crate) fn stderr(&self) -> PathBuf {
        self.path.join("stderr.log")
    }

    /// What stands for `/` of the decky.
    pub(crate) fn root(&self) -> PathBuf {
        self.path.join("root")
    }

    /// Files on their way into the root.
    pub(crate) fn staging(&self) -> PathBuf {
        self.path.join("staging")
    }

    /// Which root this is: another one was made anew.
    pub(crate) fn incarnation(&self) -> PathBuf {
        self.path.join("incarnation.json")
    }

    /// Owners that the file system does not hold.
    pub(crate) fn owners(&self) -> PathBuf {
        self.path.join("owners.json")
    }

    /// Its presence means that the decky is being removed.
    pub(crate) fn removing(&self) -> PathBuf {
        self.path.join("removing")
    }
}

/// The folder that holds the outputs of removed deckies.
pub(crate) fn removed(base: &Path) -> PathBuf {
    base.join(REMOVED)
}

/// Makes `path` (and what is above it) for the agent's eyes only.
pub(crate) fn make(path: &Path) -> Result<(), RuntimeError> {
    make_with(path, 0o700)
}

/// Makes a folder of evidence: the group may read it as far as the process's umask lets it. Where the folder above hands
/// its group on (setgid, as installed), that is the group of the workers, and the API shows what is in here.
pub(crate) fn make_evidence(path: &Path) -> Result<(), RuntimeError> {
    make_with(path, 0o750)
}

/// The folders of a runtime, made if need be and by their true paths, and the lock that keeps a second agent out of the first.
/// Decoys are found, and the engine mounts, by these paths, so they must be the same for every agent.
pub(crate) fn claim(folder: &Path, artifacts: &Path) -> Result<(PathBuf, PathBuf, File), RuntimeError> {
    make(folder)?;
    make_evidence(artifacts)?;
    let base = folder.canonicalize().map_err(io_error("find", folder))?;
    let artifacts = artifacts.canonicalize().map_err(io_error("find", artifacts))?;
    let path = base.join(".lock");
    let lock = File::options().write(true).create(true).truncate(false).open(&path);
    let lock = lock.map_err(io_error("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok((base, artifacts, lock)),
        Err(std::fs::TryLockError::WouldBlock) => Err(RuntimeError::Locked(base)),
        Err(std::fs::TryLockError::Error(error)) => Err(io_error("lock", path)(error)),
    }
}

fn make_with(path: &Path, mode: u32) -> Result<(), RuntimeError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(mode);
    builder.create(path).map_err(io_error("make", path))
}

/// Deletes `path`; it is no mistake if it is not there.
pub(crate) fn delete(path: &Path) -> Result<(), RuntimeError> {
    let outcome = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("delete", path)(error)),
        _ => Ok(()),
    }
}
