//! The rows of the worker table, in the order of the registry. To add a worker, add a row here and its binary; start order,
//! panel, unit, user, target, polkit rule and broker permissions follow by themselves.

use super::{Grant, Place, Stage, WorkerSpec};

macro_rules! workers {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident $text:literal: $built:ident, $stage:ident, $place:ident, $database:ident, $grant:expr;
    )*) => {
        /// A program on the bus.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Worker { $($(#[doc = $doc])+ $name,)* }

        impl Worker {
            /// Every row.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its row.
            pub const fn spec(self) -> &'static WorkerSpec {
                match self {
                    $(Self::$name => {
                        const SPEC: WorkerSpec = WorkerSpec {
                            name: $text,
                            doc: concat!($($doc),+),
                            built: workers!(@built $built),
                            stage: Stage::$stage,
                            place: Place::$place,
                            database: workers!(@database $database),
                            grant: $grant,
                        };
                        &SPEC
                    })*
                }
            }

            /// Its name as it stands in subjects, unit names and the registry.
            pub const fn as_str(self) -> &'static str {
                self.spec().name
            }

            /// The worker of that name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
    (@built built) => { true };
    (@built later) => { false };
    (@database database) => { true };
    (@database none) => { false };
}

const PLAIN: Grant = Grant::PLAIN;

/// Raw sockets on the LAN.
const RAW: Grant =
    Grant { capabilities: &["CAP_NET_RAW"], families: &["AF_PACKET", "AF_NETLINK"], egress: true, ..PLAIN };

/// The agent makes links, enters the network namespaces of containers to load rules there and their mount namespaces to take
/// engine files away, marks their file systems with fanotify, looks into `/proc` of their processes, and puts files with
/// owners of the decky's choosing. The engine's socket alone would already make it root; the list says what it uses.
const AGENT: Grant = Grant {
    docker: true,
    capabilities: &[
        "CAP_SYS_ADMIN",
        "CAP_NET_ADMIN",
        "CAP_NET_RAW",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_PTRACE",
        "CAP_SYS_CHROOT",
        "CAP_DAC_OVERRIDE",
        "CAP_DAC_READ_SEARCH",
        "CAP_CHOWN",
        "CAP_FOWNER",
        "CAP_KILL",
    ],
    families: &["AF_NETLINK", "AF_PACKET"],
    egress: true,
    fleet_secret: true,
    memory_mib: 1024,
    ..PLAIN
};

const API: Grant = Grant {
    fleet_secret: true,
    token_key: true,
    webhook_key: true,
    artifacts: true,
    state_file: true,
    memory_mib: 512,
    ..PLAIN
};

workers! {
    /// HTTP API and dashboard.
    Api "api": built, Data, Master, database, API;
    /// The broker itself.
    Bus "bus": built, Broker, Hosts, none, Grant { memory_mib: 1024, ..PLAIN };
    /// Ingest lines to database rows.
    Collector "collector": built, Data, Master, database, Grant { fleet_secret: true, memory_mib: 512, ..PLAIN };
    /// Sessions, behaviour, scores.
    Profiler "profiler": later, Data, Master, database, PLAIN;
    /// Passive fingerprints.
    Sniffer "sniffer": later, Data, Hosts, none, RAW;
    /// Active fingerprints.
    Prober "prober": later, Data, Master, database, RAW;
    /// Changes of running deckies and topologies.
    Mutator "mutator": later, Fleet, Master, database, PLAIN;
    /// Plan against reality.
    Reconciler "reconciler": built, Fleet, Master, database, Grant { state_file: true, ..PLAIN };
    /// Credentials used in more than one place.
    ReuseCorrelator "reuse-correlator": later, Intelligence, Master, database, PLAIN;
    /// Threat intelligence about addresses.
    Enrich "enrich": later, Intelligence, Master, database, Grant { egress: true, ..PLAIN };
    /// Observations to identities.
    Clusterer "clusterer": later, Clustering, Master, database, PLAIN;
    /// Identities to campaigns.
    CampaignClusterer "campaign-clusterer": later, Clustering, Master, database, PLAIN;
    /// Signed webhooks.
    Webhook "webhook": built, Output, Master, database, Grant { egress: true, webhook_key: true, ..PLAIN };
    /// Life on the deckies.
    Orchestrator "orchestrator": built, Life, Master, database, Grant { fleet_secret: true, ..PLAIN };
    /// The one process of a host that touches its container engine.
    Agent "agent": built, Agent, Hosts, database, AGENT;
    /// Shipping between hosts.
    Forwarder "forwarder": later, Rest, Hosts, none, Grant { egress: true, ..PLAIN };
    /// Software updates of hosts.
    Updater "updater": later, Rest, Hosts, none, Grant { egress: true, ..PLAIN };
    /// Token callbacks.
    Canary "canary": later, Output, Hosts, database,
        Grant { capabilities: &["CAP_NET_BIND_SERVICE"], egress: true, ..PLAIN };
    /// The one-shot that brings database and broker up to this version, with a key of its own.
    Migrate "migrate": built, Client, Master, database, PLAIN;
    /// The operator's command line: a client of the bus, not a worker of the registry.
    Cli "cli": built, Client, Master, database, PLAIN;
}
