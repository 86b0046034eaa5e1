//! Payloads of the `identity` and `campaign` families.

use serde::{Deserialize, Serialize};

/// A new identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityFormed {
    /// The identity.
    pub identity_uuid: String,
    /// What it was formed of.
    #[serde(default)]
    pub observation_uuids: Vec<String>,
}

/// An observation joined an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityObservationLinked {
    /// The identity.
    pub identity_uuid: String,
    /// The observation.
    pub observation_uuid: String,
}

/// Two groups are one; the winner is the smaller id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The id that remains.
    pub winner_uuid: String,
    /// The id that is gone.
    pub loser_uuid: String,
}

/// A merge was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmerged {
    /// The old loser's id, alive again.
    pub resurrected_uuid: String,
    /// The group that it leaves.
    pub former_winner_uuid: String,
}

/// An identity belongs to a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignAssigned {
    /// The identity.
    pub identity_uuid: String,
    /// Its campaign now.
    pub campaign_uuid: String,
    /// Its campaign before.
    #[serde(default)]
    pub prior_campaign_uuid: Option<String>,
}

/// A new campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignFormed {
    /// The campaign.
    pub campaign_uuid: String,
    /// What it was formed of.
    #[serde(default)]
    pub identity_uuids: Vec<String>,
}
