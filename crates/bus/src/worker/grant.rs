//! What a row of the worker table says: the words in which a worker's needs on its host are told. How a service manager
//! or a broker grants them is not decided here.

/// When a worker starts, as a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Everything needs the broker.
    Broker,
    /// The way of the lines.
    Data,
    /// The hands on the host's deckies.
    Agent,
    /// Plan against reality.
    Fleet,
    /// What is known of an address.
    Intelligence,
    /// Who belongs together.
    Clustering,
    /// The way out.
    Output,
    /// Life on the deckies.
    Life,
    /// Housekeeping between hosts.
    Rest,
    /// No worker: never started with the others and no row of the registry.
    Client,
}

impl Stage {
    /// The stages of workers, first to last.
    pub const ORDER: &'static [Self] = &[
        Self::Broker,
        Self::Data,
        Self::Agent,
        Self::Fleet,
        Self::Intelligence,
        Self::Clustering,
        Self::Output,
        Self::Life,
        Self::Rest,
    ];
}

/// Where a worker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Once, beside the database.
    Master,
    /// On every host with deckies, the master among them. It speaks only of its own host.
    Hosts,
}

/// What the host must grant a worker. Everything else is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a right of its own")]
pub struct Grant {
    /// The container engine's socket: as good as root.
    pub docker: bool,
    /// Capabilities, as the kernel names them.
    pub capabilities: &'static [&'static str],
    /// Address families besides Unix and Internet sockets.
    pub families: &'static [&'static str],
    /// Connections beyond loopback.
    pub egress: bool,
    /// The fleet secret: the root of every per-decky variation.
    pub fleet_secret: bool,
    /// The key that signs access tokens.
    pub token_key: bool,
    /// The key that seals the secrets of webhooks in the database.
    pub webhook_key: bool,
    /// Files that intruders left: read.
    pub artifacts: bool,
    /// The fleet's state file: read.
    pub state_file: bool,
    /// The most memory it may take, in MiB.
    pub memory_mib: u32,
}

impl Grant {
    /// Loopback, its own folder, nothing else.
    pub const PLAIN: Self = Self {
        docker: false,
        capabilities: &[],
        families: &[],
        egress: false,
        fleet_secret: false,
        token_key: false,
        webhook_key: false,
        artifacts: false,
        state_file: false,
        memory_mib: 256,
    };

    /// Nothing that a plain worker has not: such a unit can be shut in completely.
    pub const fn is_plain(&self) -> bool {
        !self.docker && !self.egress && self.capabilities.is_empty() && self.families.is_empty()
    }
}

/// A row of the worker table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSpec {
    /// Its name as it stands in subjects, unit names and the registry.
    pub name: &'static str,
    /// What it does, as one line.
    pub doc: &'static str,
    /// Whether this release builds it.
    pub built: bool,
    /// When it starts.
    pub stage: Stage,
    /// Where it runs.
    pub place: Place,
    /// Whether it uses the database.
    pub database: bool,
    /// What its host must grant.
    pub grant: Grant,
}
