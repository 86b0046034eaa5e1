//! The programs that speak on the bus, as the words of the subject table: who produces, who consumes, which
//! names the worker registry knows and in which order they are started. It holds no behaviour of any worker.

use std::fmt;

use crate::Token;

macro_rules! workers {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal;)*) => {
        /// A program on the bus.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Worker { $($(#[doc = $doc])* $name,)* }

        impl Worker {
            /// Its name as it stands in subjects, unit names and the registry.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The worker of that name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

workers! {
    /// HTTP API and dashboard.
    Api = "api";
    /// The broker itself.
    Bus = "bus";
    /// Ingest lines to database rows.
    Collector = "collector";
    /// Sessions, behaviour, scores.
    Profiler = "profiler";
    /// Passive fingerprints.
    Sniffer = "sniffer";
    /// Active fingerprints.
    Prober = "prober";
    /// Changes of running deckies and topologies.
    Mutator = "mutator";
    /// Plan against reality.
    Reconciler = "reconciler";
    /// Credentials used in more than one place.
    ReuseCorrelator = "reuse-correlator";
    /// Threat intelligence about addresses.
    Enrich = "enrich";
    /// Observations to identities.
    Clusterer = "clusterer";
    /// Identities to campaigns.
    CampaignClusterer = "campaign-clusterer";
    /// Signed webhooks.
    Webhook = "webhook";
    /// Life on the deckies.
    Orchestrator = "orchestrator";
    /// The one process of a host that touches its container engine.
    Agent = "agent";
    /// Shipping between hosts.
    Forwarder = "forwarder";
    /// Software updates of hosts.
    Updater = "updater";
    /// Token callbacks.
    Canary = "canary";
    /// The operator's command line: a client of the bus, not a worker of the registry.
    Cli = "cli";
}

impl Worker {
    /// The registry's allow list, in its order. A beat from any other name is dropped: a rogue publisher must
    /// not be able to add rows.
    pub const KNOWN: &'static [Self] = &[
        Self::Api,
        Self::Bus,
        Self::Collector,
        Self::Profiler,
        Self::Sniffer,
        Self::Prober,
        Self::Mutator,
        Self::Reconciler,
        Self::ReuseCorrelator,
        Self::Enrich,
        Self::Clusterer,
        Self::CampaignClusterer,
        Self::Webhook,
        Self::Orchestrator,
        Self::Agent,
        Self::Forwarder,
        Self::Updater,
        Self::Canary,
    ];

    /// Order of START ALL: data plane, reconciler, intelligence, clustering, output, orchestrator, the rest.
    pub const START_ORDER: &'static [Self] = &[
        Self::Bus,
        Self::Api,
        Self::Collector,
        Self::Profiler,
        Self::Sniffer,
        Self::Prober,
        Self::Mutator,
        Self::Reconciler,
        Self::ReuseCorrelator,
        Self::Enrich,
        Self::Clusterer,
        Self::CampaignClusterer,
        Self::Webhook,
        Self::Orchestrator,
        Self::Agent,
        Self::Forwarder,
        Self::Updater,
        Self::Canary,
    ];

    /// Workers that this release builds. Only these get durable consumers: one that nobody reads would only
    /// look like a worker that hangs.
    pub const BUILT: &'static [Self] = &[
        Self::Api,
        Self::Bus,
        Self::Collector,
        Self::Reconciler,
        Self::Webhook,
        Self::Orchestrator,
        Self::Agent,
    ];

    /// Its name as a token of a subject.
    pub fn token(self) -> Token {
        Token::literal(self.as_str())
    }
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_are_tokens() {
        for worker in Worker::KNOWN.iter().chain([&Worker::Cli]) {
            assert_eq!(Worker::parse(worker.as_str()), Some(*worker));
            assert_eq!(Token::parse(worker.as_str()).unwrap(), worker.token());
        }
        assert_eq!(Worker::parse("listener"), None);
    }

    #[test]
    fn start_order_is_a_permutation_of_the_registry() {
        let sorted = |list: &[Worker]| {
            let mut list = list.to_vec();
            list.sort();
            list
        };
        assert_eq!(sorted(Worker::KNOWN), sorted(Worker::START_ORDER));
    }
}
