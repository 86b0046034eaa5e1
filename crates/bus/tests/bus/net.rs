//! A broker for a test: a nats-server on a free port, or the hub in memory.

use std::{future::Future, path::PathBuf, time::Duration};

use decnet_bus::{
    Bus, BusIdentity, Delivered, Durable, MemoryHub, Provisioning, Worker, provision_with,
    server::{Server, ServerConfig},
};
use decnet_core::HostId;
use tempfile::TempDir;

/// How long anything may take before a test calls it a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) enum Net {
    Memory(MemoryHub),
    Nats { server: Box<Server>, _folder: TempDir },
}

impl Net {
    pub(crate) fn memory() -> Self {
        Self::Memory(MemoryHub::new())
    }

    pub(crate) async fn nats() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(config(&folder)).await.unwrap();
        Self::Nats { server: Box::new(server), _folder: folder }
    }

    /// A connected program.
    pub(crate) async fn bus(&self, worker: Worker) -> Bus {
        let identity = BusIdentity::local(worker);
        let bus = match self {
            Self::Memory(hub) => Bus::memory(hub, identity),
            Self::Nats { server, .. } => Bus::nats(&server.bus_config(), identity).await.unwrap(),
        };
        assert!(bus.connected_within(PATIENCE).await, "no connection");
        bus
    }

    /// Provisions for `hosts` with a short patience for acknowledgements.
    pub(crate) async fn provision(&self, hosts: &[HostId], ack_wait: Duration) {
        let mut wish = Provisioning::for_hosts(hosts);
        wish.durables = wish.durables.into_iter().map(|durable| durable.with_ack_wait(ack_wait)).collect();
        provision_with(&self.bus(Worker::Cli).await, &wish).await.unwrap();
    }

    /// Takes the broker away, without warning.
    pub(crate) async fn down(&mut self) {
        match self {
            Self::Memory(hub) => hub.set_online(false),
            Self::Nats { server, .. } => server.kill().await,
        }
    }

    /// Brings it back.
    pub(crate) async fn up(&mut self) {
        match self {
            Self::Memory(hub) => hub.set_online(true),
            Self::Nats { server, .. } => server.restart().await.unwrap(),
        }
    }
}

pub(crate) fn config(folder: &TempDir) -> ServerConfig {
    ServerConfig { binary: Some(binary()), ..ServerConfig::new(folder.path().join("bus")) }
}

/// The server that `cargo xtask setup` installed, or the one that the environment names.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("DECNET_NATS_SERVER").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/bin/nats-server")),
        PathBuf::from,
    )
}

/// Waits until `check` holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(reason: &str, mut check: impl FnMut() -> F) {
    let waiting = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {reason}");
}

/// Fetches until `count` messages are there.
pub(crate) async fn fetch(bus: &Bus, durable: Durable, count: usize) -> Vec<Delivered> {
    let mut consumer = bus.consume(durable).await;
    let mut all = Vec::new();
    let fetching = async {
        while all.len() < count {
            all.extend(consumer.fetch(count - all.len(), Duration::from_secs(1)).await.unwrap());
        }
    };
    let done = tokio::time::timeout(PATIENCE, fetching).await;
    assert!(done.is_ok(), "only {} of {count} messages came", all.len());
    all
}
