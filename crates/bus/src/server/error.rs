//! Why there is no server, each in one sentence that says what to do.

use std::{io, path::PathBuf};

use super::{MIN_VERSION, Version};

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No binary.
    #[error(
        "nats-server is not installed: run `cargo xtask setup`, or name the binary in DECNET_NATS_SERVER"
    )]
    NotFound,
    /// Only an old binary.
    #[error(
        "{path} is nats-server {version}, which silently ignores consumer filters: run `cargo xtask setup`, or name {MIN_VERSION} or newer in DECNET_NATS_SERVER"
    )]
    TooOld {
        /// Which binary.
        path: PathBuf,
        /// Its version.
        version: Version,
    },
    /// Something that is no server.
    #[error("{path} cannot be used as nats-server ({reason}): name another binary in DECNET_NATS_SERVER")]
    NotRunnable {
        /// Which binary.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
    /// Somebody else listens there.
    #[error(
        "port {port} on 127.0.0.1 is taken{by}: stop that process, or choose another port for the broker"
    )]
    PortTaken {
        /// Which port.
        port: u16,
        /// What we know of the other process.
        by: String,
    },
    /// The folder cannot be used.
    #[error(
        "the broker's folder {path} cannot be used ({source}): make it writable for this user, or name another"
    )]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// A worker's key cannot be used.
    #[error(transparent)]
    Key(#[from] crate::KeyError),
    /// It ended while starting.
    #[error("nats-server ended at its start ({reason}): see {log}")]
    Died {
        /// Its last words.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// It does not listen.
    #[error("nats-server does not listen after 30 seconds: see {log}")]
    Silent {
        /// Its log.
        log: PathBuf,
    },
}
