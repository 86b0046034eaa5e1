//! What a handle tells about itself: the state of its connection, its counters, and messages on their way.

use std::sync::atomic::AtomicU64;

use crate::{ConnectError, PublishError, Stored, nats::NatsPending};

/// State of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusStatus {
    /// Not connected; trying.
    Connecting,
    /// Connected.
    Connected {
        /// Version of the server.
        version: String,
        /// How many times a connection was made, so that a watcher notices a short break.
        connects: u64,
    },
    /// Connected to a server that cannot be used. Treated as not connected.
    Refused(ConnectError),
    /// Switched off by configuration.
    Disabled,
    /// Drained.
    Closed,
}

impl BusStatus {
    /// Whether messages flow.
    pub const fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }
}

/// Counters of one handle, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages handed to the transport.
    pub published: AtomicU64,
    /// Messages that `publish` gave up.
    pub lost: AtomicU64,
    /// Messages that a slow subscriber of ours never saw.
    pub overrun: AtomicU64,
    /// Messages that could not be read.
    pub poison: AtomicU64,
}

/// A message that was sent and not yet acknowledged.
#[derive(Debug)]
#[must_use = "only `stored` tells whether the message is safe"]
pub struct Pending(PendingKind);

#[derive(Debug)]
enum PendingKind {
    Nats(NatsPending),
    Done(Stored),
}

impl Pending {
    pub(crate) const fn nats(pending: NatsPending) -> Self {
        Self(PendingKind::Nats(pending))
    }

    pub(crate) const fn done(stored: Stored) -> Self {
        Self(PendingKind::Done(stored))
    }

    /// Waits until the message is stored.
    pub async fn stored(self) -> Result<Stored, PublishError> {
        match self.0 {
            PendingKind::Nats(pending) => pending.stored().await,
            PendingKind::Done(stored) => Ok(stored),
        }
    }
}
