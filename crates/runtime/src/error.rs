//! What can go wrong when a decky is run. Every sentence says what to do.

use std::{io, net::SocketAddr, path::PathBuf};

use decnet_core::DeckyName;

/// Why a runtime did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No such decky here.
    #[error("there is no decky {0} on this host: `decnet status` lists them")]
    UnknownDecky(DeckyName),
    /// No such output here.
    #[error("there is no output {0} on this host: it was shipped and deleted")]
    UnknownOutput(String),
    /// The decoy cannot be started.
    #[error(
        "the decoy {path} cannot be started ({reason}): build it with `cargo build -p decnet-decoy`, or name it with --decoy"
    )]
    NoDecoy {
        /// The binary.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Neither the standard ports nor the offset ones are free.
    #[error(
        "decky {decky} can have neither its standard ports ({standard}) nor those {offset} above ({shifted}): stop what holds them, or choose another --port-offset"
    )]
    Ports {
        /// Which decky.
        decky: DeckyName,
        /// The offset.
        offset: u16,
        /// Why not the standard ports.
        standard: String,
        /// Why not the others.
        shifted: String,
    },
    /// The plan asks for what this runtime cannot do.
    #[error("decky {decky}: the process runtime {what}: use --runtime docker")]
    Unsupported {
        /// Which decky.
        decky: DeckyName,
        /// What it cannot do.
        what: String,
    },
    /// A path that does not stay within the decky.
    #[error("path {path:?} is refused: {reason}; give an absolute path that stays within the decky")]
    BadPath {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody answered.
    #[error("no connection from decky {from} to {to} ({reason}): is the service there running?")]
    Probe {
        /// Who connected.
        from: DeckyName,
        /// To whom.
        to: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// Another agent has the folder.
    #[error("{0} is in use by another agent: stop it, or give each its own state folder")]
    Locked(PathBuf),
    /// A process does not end.
    #[error(
        "process {pid} of decky {decky} does not end, even by SIGKILL: it hangs in the kernel; look at /proc/{pid}/stack"
    )]
    Undead {
        /// Which decky.
        decky: DeckyName,
        /// Its process.
        pid: u32,
    },
    /// The system refused.
    #[error("cannot {what} {path} ({source}): check its owner, its mode and the free space")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The container engine does not answer.
    #[error(
        "the container engine does not answer at {socket} ({reason}): start it with `systemctl start docker`, or use --runtime process"
    )]
    NoEngine {
        /// Its socket.
        socket: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The container engine refused.
    #[error("{}cannot {what}: the container engine says {reason:?}; `docker info` and its log (`journalctl -u docker`) tell more", about(decky.as_ref()))]
    Engine {
        /// Which decky it was for.
        decky: Option<DeckyName>,
        /// What was tried.
        what: String,
        /// What the engine said.
        reason: String,
    },
    /// This host cannot run what is asked for, and a whole sentence says why and what to do.
    #[error("{}{why}", about(decky.as_ref()))]
    Unfit {
        /// Which decky is to blame, if one is.
        decky: Option<DeckyName>,
        /// The sentence.
        why: String,
    },
    /// A decky runs and cannot be watched over, so it may not.
    #[error("decky {decky} cannot be watched over: {reason}")]
    Unwatched {
        /// Which decky.
        decky: DeckyName,
        /// What its containment or its capture said.
        reason: String,
    },
    /// Something went wrong with one decky.
    #[error("decky {decky}: {source}")]
    With {
        /// Which.
        decky: DeckyName,
        /// What.
        source: Box<RuntimeError>,
    },
    /// Its files are reached while it runs.
    #[error(
        "container {container} does not run, so its files cannot be reached: `decnet status` tells why, and `decnet deploy` brings it up"
    )]
    Down {
        /// Which container.
        container: String,
    },
    /// A part of this program panicked.
    #[error("a part of the runtime failed ({0}): this is a mistake in the program, please report it")]
    Internal(String),
}

impl RuntimeError {
    /// Whether trying the same again is pointless.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::UnknownDecky(_)
            | Self::UnknownOutput(_)
            | Self::NoDecoy { .. }
            | Self::Unsupported { .. }
            | Self::BadPath { .. }
            | Self::Unfit { .. }
            | Self::Locked(_) => true,
            Self::With { source, .. } => source.is_permanent(),
            Self::Engine { reason, .. } => {
                let reason = reason.to_lowercase();
                PERMANENT.iter().any(|text| reason.contains(text))
            }
            Self::NoEngine { .. }
            | Self::Unwatched { .. }
            | Self::Ports { .. }
            | Self::Probe { .. }
            | Self::Down { .. }
            | Self::Undead { .. }
            | Self::Io { .. }
            | Self::Internal(_) => false,
        }
    }
}

/// What the engine says when trying again cannot help (spec 6.2), and about a name that is taken.
const PERMANENT: [&str; 7] = [
    "manifest unknown",
    "manifest for",
    "not found",
    "no such image",
    "pull access denied",
    "repository does not exist",
    "is already in use by container",
];

/// Whom a sentence is about.
fn about(decky: Option<&DeckyName>) -> String {
    decky.map(|name| format!("decky {name}: ")).unwrap_or_default()
}

impl RuntimeError {
    /// The same, about this decky where it names none yet.
    pub(crate) fn of(self, name: &DeckyName) -> Self {
        match self {
            Self::Engine { decky: None, what, reason } => {
                Self::Engine { decky: Some(name.clone()), what, reason }
            }
            Self::Unfit { decky: None, why } => Self::Unfit { decky: Some(name.clone()), why },
            Self::Io { .. } | Self::NoDecoy { .. } | Self::Down { .. } | Self::Internal(_) => {
                Self::With { decky: name.clone(), source: Box::new(self) }
            }
            other => other,
        }
    }
}

/// Adds what was tried, and on which path.
pub(crate) fn io_error(
    what: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> RuntimeError {
    let path = path.into();
    move |source| RuntimeError::Io { what, path, source }
}

/// Runs file work on a thread where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RuntimeError> + Send + 'static,
) -> Result<T, RuntimeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(RuntimeError::Internal(error.to_string())),
    }
}
