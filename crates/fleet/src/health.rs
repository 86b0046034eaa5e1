//! The state vocabulary shared by fleet, shard and topology deckies, and how the states of a decky's services
//! make the state of the decky (spec 8.2).
//!
//! Where the service states come from (container list, health report) is the runtime's affair.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The state of one decky as it stands in tables, payloads and lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeckyState {
    /// Planned, not started yet.
    Pending,
    /// Every expected service runs.
    Running,
    /// Something of it exists and nothing of it runs.
    Failed,
    /// Nothing of it exists.
    TornDown,
    /// Some of it runs and some does not.
    Degraded,
    /// Being removed.
    TearingDown,
    /// Removing it did not succeed.
    TeardownFailed,
}

impl DeckyState {
    /// Every state, in the order of the specification.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Running,
        Self::Failed,
        Self::TornDown,
        Self::Degraded,
        Self::TearingDown,
        Self::TeardownFailed,
    ];

    /// The word in tables and payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::TornDown => "torn_down",
            Self::Degraded => "degraded",
            Self::TearingDown => "tearing_down",
            Self::TeardownFailed => "teardown_failed",
        }
    }
}

impl fmt::Display for DeckyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no decky state: it is one of pending, running, failed, torn_down, degraded, tearing_down, teardown_failed"
)]
pub struct UnknownState(String);

impl FromStr for DeckyState {
    type Err = UnknownState;
    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| UnknownState(text.chars().take(40).collect()))
    }
}

/// The state of one service of a decky: what a container list calls it, whoever reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// It listens (or its container runs).
    Running,
    /// It exists and has not come up yet.
    Starting,
    /// It exists and has ended.
    Exited,
    /// Nothing of it exists, or nothing was reported.
    Absent,
}

impl ServiceState {
    /// The word in payloads and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Exited => "exited",
            Self::Absent => "absent",
        }
    }
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The state of a decky from the states of its services. A service that is expected and not reported is absent;
/// one that is reported and not expected says nothing.
pub fn aggregate<S: AsRef<str>>(expected: &[S], states: &BTreeMap<String, ServiceState>) -> DeckyState {
    let state_of = |slug: &S| states.get(slug.as_ref()).copied().unwrap_or(ServiceState::Absent);
    let existing = expected.iter().filter(|s| state_of(s) != ServiceState::Absent).count();
    let running = expected.iter().filter(|s| state_of(s) == ServiceState::Running).count();
    match (existing, running) {
        (0, _) => DeckyState::TornDown,
        (_, 0) => DeckyState::Failed,
        (_, n) if n == expected.len() => DeckyState::Running,
        _ => DeckyState::Degraded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(pairs: &[(&str, ServiceState)]) -> BTreeMap<String, ServiceState> {
        pairs.iter().map(|(slug, state)| ((*slug).to_owned(), *state)).collect()
    }

    #[test]
    fn the_four_rows_of_the_table() {
        use ServiceState::{Exited, Running, Starting};
        let both = ["ssh", "http"];
        for (reported, state) in [
            (states(&[]), DeckyState::TornDown),
            (states(&[("redis", Running)]), DeckyState::TornDown),
            (states(&[("ssh", Running), ("http", Running)]), DeckyState::Running),
            (states(&[("ssh", Exited)]), DeckyState::Failed),
            (states(&[("ssh", Exited), ("http", Starting)]), DeckyState::Failed),
            (states(&[("ssh", Running), ("http", Exited)]), DeckyState::Degraded),
            (states(&[("ssh", Running)]), DeckyState::Degraded),
        ] {
            assert_eq!(aggregate(&both, &reported), state, "{reported:?}");
        }
    }

    /// A6: no slug is spelled differently on its way to the aggregate (the original lost `smtp_relay`).
    #[test]
    fn every_slug_reaches_running() {
        for service in crate::catalogue::services() {
            let reported = states(&[(service.slug, ServiceState::Running)]);
            assert_eq!(aggregate(&[service.slug], &reported), DeckyState::Running, "{}", service.slug);
        }
    }

    #[test]
    fn words_round_trip() {
        for state in DeckyState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        assert!("gone".parse::<DeckyState>().is_err());
    }
}
