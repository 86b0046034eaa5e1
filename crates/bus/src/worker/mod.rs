//! The programs that speak on the bus, as the words of the subject table, and the one worker table (`table.rs`): registry,
//! start order, panel, units, users, target, polkit and broker permissions all come from it. No behaviour of any worker.

mod grant;
mod table;

use std::fmt;

pub use self::{
    grant::{Grant, Place, Stage, WorkerSpec},
    table::Worker,
};
use crate::Token;

/// Rows of the table.
const ROWS: usize = Worker::ALL.len();

impl Worker {
    /// The registry's allow list, in its order. A beat from any other name is dropped: a rogue publisher must
    /// not be able to add rows.
    pub const KNOWN: &'static [Self] = {
        const FOUND: ([Worker; ROWS], usize) = select(&[], false);
        FOUND.0.split_at(FOUND.1).0
    };

    /// Order of START ALL: broker, data plane, agent, reconciler, intelligence, clustering, output, life, the rest.
    pub const START_ORDER: &'static [Self] = {
        const FOUND: ([Worker; ROWS], usize) = select(Stage::ORDER, false);
        FOUND.0.split_at(FOUND.1).0
    };

    /// Workers that this release builds, in the registry's order. Only these get units, broker users and durable
    /// consumers: a consumer that nobody reads would only look like a worker that hangs.
    pub const BUILT: &'static [Self] = {
        const FOUND: ([Worker; ROWS], usize) = select(&[], true);
        FOUND.0.split_at(FOUND.1).0
    };

    /// The built ones in the order in which they start, the broker first.
    pub const BUILT_IN_START_ORDER: &'static [Self] = {
        const FOUND: ([Worker; ROWS], usize) = select(Stage::ORDER, true);
        FOUND.0.split_at(FOUND.1).0
    };

    /// Clients of the bus that are no workers: the one-shot that provisions, and the operator's tool.
    pub const CLIENTS: &'static [Self] = &[Self::Migrate, Self::Cli];

    /// Its name as a token of a subject.
    pub fn token(self) -> Token {
        Token::literal(self.as_str())
    }

    /// What runs as its unit: the broker's unit is called after the program.
    pub const fn unit_stem(self) -> &'static str {
        match self {
            Self::Bus => "nats",
            other => other.as_str(),
        }
    }

    /// Its systemd unit.
    pub fn unit(self) -> String {
        format!("decnet-{}.service", self.unit_stem())
    }

    /// Its binary, beside the operator's tool. The broker's is not ours.
    pub fn program(self) -> String {
        match self {
            Self::Bus => "nats-server".to_owned(),
            Self::Cli | Self::Migrate => "decnet".to_owned(),
            other => format!("decnet-{other}"),
        }
    }
}

/// Rows of the registry by stage (none given: in the table's order), and how many they are.
const fn select(stages: &[Stage], built_only: bool) -> ([Worker; ROWS], usize) {
    let mut found = [Worker::Cli; ROWS];
    let (mut count, mut stage) = (0, 0);
    loop {
        let mut row = 0;
        while row < ROWS {
            let worker = Worker::ALL[row];
            let spec = worker.spec();
            let here = stages.is_empty() || spec.stage as u8 == stages[stage] as u8;
            if here && !matches!(spec.stage, Stage::Client) && (spec.built || !built_only) {
                found[count] = worker;
                count += 1;
            }
            row += 1;
        }
        stage += 1;
        if stage >= stages.len() {
            return (found, count);
        }
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
        for worker in Worker::ALL {
            assert_eq!(Worker::parse(worker.as_str()), Some(*worker));
            assert_eq!(Token::parse(worker.as_str()).unwrap(), worker.token());
        }
        assert_eq!(Worker::parse("listener"), None);
    }

    #[test]
    fn the_registry_is_the_specs_list() {
        let names: Vec<_> = Worker::KNOWN.iter().map(|w| w.as_str()).collect();
        assert_eq!(
            names.join(" "),
            "api bus collector profiler sniffer prober mutator reconciler reuse-correlator enrich clusterer \
             campaign-clusterer webhook orchestrator agent forwarder updater canary"
        );
        assert!(Worker::CLIENTS.iter().all(|client| !Worker::KNOWN.contains(client)));
        assert_eq!(Worker::KNOWN.len() + Worker::CLIENTS.len(), Worker::ALL.len());
    }

    #[test]
    fn start_order_is_a_permutation_of_the_registry_and_keeps_the_promised_sequence() {
        let sorted = |list: &[Worker]| {
            let mut list = list.to_vec();
            list.sort();
            list
        };
        assert_eq!(sorted(Worker::KNOWN), sorted(Worker::START_ORDER));
        // The order of the log; what came later stands between (the agent before whoever asks it, canary with the output).
        let promised = "bus api collector profiler sniffer prober mutator reconciler reuse-correlator enrich clusterer \
                        campaign-clusterer webhook orchestrator";
        let ours: Vec<_> = Worker::START_ORDER
            .iter()
            .map(|w| w.as_str())
            .filter(|name| promised.split(' ').any(|n| n == *name))
            .collect();
        assert_eq!(ours.join(" "), promised);
        let place = |worker| Worker::START_ORDER.iter().position(|w| *w == worker);
        assert!(place(Worker::Agent) < place(Worker::Reconciler));
    }

    #[test]
    fn what_this_release_builds_starts_in_order() {
        let names: Vec<_> = Worker::BUILT_IN_START_ORDER.iter().map(|w| w.as_str()).collect();
        assert_eq!(names, ["bus", "api", "collector", "agent", "reconciler", "webhook", "orchestrator"]);
        assert_eq!(Worker::BUILT.len(), names.len());
    }

    #[test]
    fn only_the_agent_is_near_the_engine_and_only_it_may_administer() {
        for worker in Worker::ALL {
            let grant = worker.spec().grant;
            let mighty = grant.docker || grant.capabilities.contains(&"CAP_SYS_ADMIN");
            assert_eq!(mighty, *worker == Worker::Agent, "{worker}");
        }
    }
}
