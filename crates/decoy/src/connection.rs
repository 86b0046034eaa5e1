//! One client's connection as its service sees it: who it is, and how to report what it does.
//!
//! [`Connection::emit`] returns only after the line was written (evidence before answer): reply to the client
//! after it, and a killed decoy loses nothing that was answered. No protocol and no socket lives here.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use uuid::Uuid;

use crate::{
    output::{Output, Stored},
    report::Report,
    stream::Meter,
};

/// Identity and reporting of one connection.
pub struct Connection {
    id: Uuid,
    service: &'static str,
    peer: SocketAddr,
    local: SocketAddr,
    seq: AtomicU64,
    stored: AtomicU64,
    end: OnceLock<&'static str>,
    meter: Arc<Meter>,
    output: Arc<Output>,
}

impl Connection {
    pub(crate) fn new(
        id: Uuid,
        service: &'static str,
        peer: SocketAddr,
        local: SocketAddr,
        meter: Arc<Meter>,
        output: Arc<Output>,
    ) -> Self {
        let plain = |addr: SocketAddr| SocketAddr::new(addr.ip().to_canonical(), addr.port());
        Self {
            id,
            service,
            peer: plain(peer),
            local: plain(local),
            seq: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            end: OnceLock::new(),
            meter,
            output,
        }
    }

    /// Unique id of this connection.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Slug of the service.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// The client's address.
    pub fn src_ip(&self) -> IpAddr {
        self.peer.ip()
    }

    /// The client's port.
    pub fn src_port(&self) -> u16 {
        self.peer.port()
    }

    /// The decky's own address that was connected to.
    pub fn dst_ip(&self) -> IpAddr {
        self.local.ip()
    }

    /// The port that was connected to.
    pub fn dst_port(&self) -> u16 {
        self.local.port()
    }

    /// Bytes moved so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Changes after how much silence the connection is closed.
    pub fn set_idle(&self, idle: Duration) {
        self.meter.set_idle(idle);
    }

    /// Changes at what age the connection is closed.
    pub fn set_lifetime(&self, lifetime: Duration) {
        self.meter.set_lifetime(lifetime);
    }

    /// Names why this connection ends, for its `disconnect` line (`closed` otherwise). The first name stands.
    pub fn end_as(&self, reason: &'static str) {
        let _ = self.end.set(reason);
    }

    pub(crate) fn end_reason(&self) -> Option<&'static str> {
        self.end.get().copied()
    }

    /// Starts a report of this event type, such as `auth_attempt`.
    pub fn report(&self, event_type: &'static str) -> Report {
        Report::new(event_type)
    }

    /// Writes the report as one line with `src_ip src_port dst_ip dst_port conn_id seq`, and returns once it is written.
    /// Never fails: a line that cannot be written in time is counted and reported later as `events_dropped`.
    pub async fn emit(&self, report: Report) {
        let seq = self.seq.fetch_add(1, Ordering::Relaxed);
        let ident = [
            ("src_ip", self.peer.ip().to_string()),
            ("src_port", self.peer.port().to_string()),
            ("dst_ip", self.local.ip().to_string()),
            ("dst_port", self.local.port().to_string()),
            ("conn_id", self.id.to_string()),
            ("seq", seq.to_string()),
        ];
        self.output.emit(self.service, &ident, &self.stored, report).await;
    }

    /// Keeps bytes in the artifact folder as `<UTC>_<sha12>_<name>`; `None` when there is no folder or a limit
    /// is reached. The name is cleaned.
    pub async fn store(&self, name: &str, bytes: &[u8]) -> Option<Stored> {
        self.output.store(&self.stored, name, bytes).await
    }
}
