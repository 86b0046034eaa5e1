//! What a protocol has to be to live in a decky: the [`Service`] trait, what it is built from and how it fails.
//!
//! The framework owns sockets, limits, `connect`/`disconnect` lines, panics and shutdown. A service owns one
//! conversation. It deliberately sees no listener and no other service.

use std::{collections::BTreeMap, io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use decnet_core::{Clock, DeckyName, HostPersona, IdSource, Seed, ShellLink};

use crate::{connection::Connection, mail::Stores, stream::Stream};

/// Bytes of input that a service may hold unparsed for one connection.
pub const READ_BUFFER_MAX: usize = 1 << 20;

/// Silence after which a connection is closed unless its service says otherwise.
pub const IDLE: Duration = Duration::from_mins(1);

/// Age at which every connection is closed.
pub const LIFETIME: Duration = Duration::from_hours(1);

/// Time between two boots of the pretended machine.
const REBOOTED_EVERY_S: i64 = 46 * 86_400;

/// One protocol of a decky.
#[async_trait::async_trait]
pub trait Service: Send + Sync {
    /// Slug of the catalogue and APP-NAME of its lines, such as `ssh`.
    fn slug(&self) -> &'static str;

    /// Silence after which the framework closes a connection ([`Connection::set_idle`] changes it later).
    fn idle(&self) -> Duration {
        IDLE
    }

    /// Holds one conversation until it ends. `connect` is already logged; the framework logs `disconnect`, and
    /// `error` when this returns [`SessionError::Protocol`] or panics.
    async fn serve(&self, stream: Stream, conn: Arc<Connection>) -> Result<(), SessionError>;
}

/// Why a conversation ended early.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The peer went away, was silent for too long, or reached the age limit. Nothing to report.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer broke the protocol. The text is logged: keep it free of raw bytes.
    #[error("{0}")]
    Protocol(String),
}

impl SessionError {
    /// A protocol error with this explanation.
    pub fn protocol(why: impl Into<String>) -> Self {
        Self::Protocol(why.into())
    }
}

/// Why a service cannot be built from its settings.
#[derive(Debug, thiserror::Error)]
#[error("service {slug}: {reason}")]
pub struct BuildError {
    /// The service.
    pub slug: &'static str,
    /// What is wrong and what to do.
    pub reason: String,
}

/// What a service is built from.
#[derive(Clone)]
pub struct ServiceContext {
    /// The decky: HOSTNAME of the log lines, never shown to an intruder.
    pub decky: DeckyName,
    /// The machine that all services pretend to be.
    pub persona: Arc<HostPersona>,
    /// Node of the keyed tree of the whole decky: choices that several services must agree on.
    pub host_seed: Seed,
    /// Node of this service: choices that are its own. Label each one (`seed.child("version")`).
    pub seed: Seed,
    /// The service's settings.
    pub settings: BTreeMap<String, String>,
    /// Where it listens.
    pub bind: Vec<IpAddr>,
    /// The folder that stands for `/` of the decky.
    pub root: Option<PathBuf>,
    /// Where captured files and recordings go.
    pub artifacts: Option<PathBuf>,
    /// The mail of the machine, which several services serve.
    pub mail: Stores,
    /// How to reach the container where logins end.
    pub shell: Option<ShellLink>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn IdSource>,
    /// When this process started.
    pub started: DateTime<Utc>,
    /// When the real machine booted, where an intruder's shell would tell him.
    pub boot: Option<DateTime<Utc>>,
}

impl ServiceContext {
    /// When the pretended machine booted.
    ///
    /// A function of persona and clock alone: were it counted from this process's start, a restart would set the
    /// uptime back while everything else stays, which no machine does. The machine reboots at the first start in a
    /// new period. Where accounts have a shell, it is the real machine's boot.
    pub fn booted(&self) -> DateTime<Utc> {
        if let Some(boot) = self.boot {
            return boot;
        }
        let phase = i64::try_from(self.persona.boot_offset_s).unwrap_or(0);
        let up = (self.started.timestamp() + phase).rem_euclid(REBOOTED_EVERY_S);
        DateTime::from_timestamp(self.started.timestamp() - up, 0).unwrap_or(self.started)
    }

    /// Seconds that the pretended machine has been up.
    pub fn uptime_s(&self) -> u64 {
        u64::try_from((self.clock.now() - self.booted()).num_seconds()).unwrap_or(0)
    }
}

/// How a service is made.
pub type Build = fn(&ServiceContext) -> Result<Arc<dyn Service>, BuildError>;
