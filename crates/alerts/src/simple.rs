//! Choices for people who do not want to write patterns.

use serde::{Deserialize, Serialize};

use crate::Pattern;

macro_rules! simple_events {
    ($($(#[doc = $doc:literal])+ $name:ident = [$($pattern:literal),+];)+) => {
        /// A choice that stands for patterns.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum SimpleEvent { $($(#[doc = $doc])+ $name,)+ }

        impl SimpleEvent {
            /// Every choice.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What it stands for.
            pub const fn patterns(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($pattern),+],)+ }
            }
        }
    };
}

simple_events! {
    /// Everything about attackers.
    AttackerDetail = ["attacker.>"];
    /// Deckies that come, go and change.
    DeckyStatus = ["decky.*.state", "decky.*.traffic"];
    /// The system itself. Beats and notices are not kept in the stream that subscriptions read, so on its own this choice
    /// has nothing to deliver, and is refused.
    SystemStatus = ["system.>"];
    /// Credentials that were tried, and tried again elsewhere.
    CredentialCapture = ["credential.>"];
    /// Planted tokens that somebody used.
    CanaryTrip = ["canary.*.triggered"];
    /// The same hands behind several addresses.
    IdentityStatus = ["identity.>"];
    /// Identities that work together.
    CampaignStatus = ["campaign.>"];
    /// Networks that change.
    TopologyStatus = ["topology.>"];
    /// Our own invented activity.
    LifeActivity = ["orchestrator.>"];
}

impl SimpleEvent {
    /// The choice of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.as_str() == name)
    }

    /// The names of all, for people.
    pub fn names() -> String {
        Self::ALL.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// What it stands for.
    pub fn expand(self) -> impl Iterator<Item = Pattern> {
        // The tests parse every one of them.
        self.patterns().iter().filter_map(|text| Pattern::parse(text).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_expands_to_good_patterns_and_has_one_name() {
        for event in SimpleEvent::ALL {
            assert_eq!(event.expand().count(), event.patterns().len());
            assert_eq!(SimpleEvent::parse(event.as_str()), Some(*event));
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
        }
        assert_eq!(SimpleEvent::DeckyStatus.patterns(), ["decky.*.state", "decky.*.traffic"]);
        assert_eq!(SimpleEvent::parse("attackerdetail"), None);
    }
}
