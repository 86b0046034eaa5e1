//! The fleet's own connections, told by their keyed source ports, at the cost of one look-up a line.
//!
//! Lines of one connection share what the ports are derived from, so the ports of recent endpoints are remembered. Which
//! ports those are is `decnet_core::traffic`'s business.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::traffic::SourcePorts;

/// Endpoints remembered; a flood from more addresses only costs the derivation.
const REMEMBERED: usize = 1024;

/// Source, destination, its port, and the minute.
type Endpoints = (IpAddr, IpAddr, u16, i64);

/// Recognises the fleet's own connections.
#[derive(Debug)]
pub(crate) struct OwnTraffic {
    ports: SourcePorts,
    recent: Mutex<HashMap<Endpoints, Vec<u16>>>,
}

impl OwnTraffic {
    pub(crate) fn new(ports: SourcePorts) -> Self {
        Self { ports, recent: Mutex::default() }
    }

    /// The same answer as [`SourcePorts::is_ours`].
    pub(crate) fn is_ours(&self, from: (IpAddr, u16), to: (IpAddr, u16), at: DateTime<Utc>) -> bool {
        let endpoints = (from.0, to.0, to.1, at.timestamp().div_euclid(60));
        // A map is whole after each of its calls, whatever became of the caller.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= REMEMBERED && !recent.contains_key(&endpoints) {
            recent.clear();
        }
        let ports = recent.entry(endpoints).or_insert_with(|| {
            [-1, 0, 1]
                .into_iter()
                .filter_map(|minute| at.checked_add_signed(TimeDelta::minutes(minute)))
                .flat_map(|at| self.ports.candidates(from.0, to.0, to.1, at))
                .collect()
        });
        ports.contains(&from.1)
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;

    #[test]
    fn the_memory_changes_no_answer() {
        let ports = SourcePorts::of_fleet(&FleetSecret::from_number(1).seed());
        let own = OwnTraffic::new(ports.clone());
        let start = DateTime::from_timestamp(1_767_225_659, 0).unwrap();
        let to = ("127.77.0.2".parse().unwrap(), 22);
        let mut ours = 0;
        // More endpoints than are remembered, each asked for again after others.
        for round in 0..2 {
            for n in 0..1500_u16 {
                let [hi, lo] = n.to_be_bytes();
                let from = IpAddr::from([127, 77, hi + 1, lo]);
                let at = start + TimeDelta::seconds(i64::from(n % 150));
                let [keyed, ..] = ports.candidates(from, to.0, to.1, at - TimeDelta::minutes(n.into()));
                for port in [keyed, 40_000 + n] {
                    let expected = ports.is_ours((from, port), to, at);
                    ours += u32::from(expected);
                    assert_eq!(own.is_ours((from, port), to, at), expected, "{round} {from} {port}");
                }
            }
        }
        assert!(ours >= 4, "{ours}");
        assert!(own.recent.lock().unwrap().len() <= REMEMBERED);
    }
}
