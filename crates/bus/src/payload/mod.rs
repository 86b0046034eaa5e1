//! What travels in the envelopes: one struct per topic (pairs that say the same share one).
//!
//! Readers are lenient: unknown fields are ignored, and fields that a producer may not know are `Option` or have
//! a default. No payload carries a secret or captured text beyond what the table of the specification names.

mod agent;
mod attacker;
mod fleet;
mod grouping;
mod ingest;
mod system;
mod webhook;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use self::{agent::*, attacker::*, fleet::*, grouping::*, ingest::*, system::*, webhook::*};

/// A struct of this module.
pub trait Payload: Serialize + DeserializeOwned + Send + Sync {
    /// Its name; the subject table compares it with the topic's row.
    const NAME: &'static str;

    /// The envelope's `type`: tells apart variants that share a topic. Mostly empty.
    #[expect(clippy::unnecessary_literal_bound, reason = "some payloads answer from their fields")]
    fn discriminator(&self) -> &str {
        ""
    }
}

macro_rules! payloads {
    ($($name:ident),* $(,)?) => { $(impl Payload for $name { const NAME: &'static str = stringify!($name); })* };
}

payloads!(
    AttackerObserved,
    AttackerScored,
    AttackerSession,
    AttackerIntel,
    CredentialCaptured,
    CredentialReuse,
    CanaryPlaced,
    CanaryTriggered,
    CanaryRevoked,
    IdentityFormed,
    IdentityObservationLinked,
    Merged,
    Unmerged,
    CampaignAssigned,
    CampaignFormed,
    TopologyMutation,
    TopologyStatus,
    DeckyState,
    DeckyMutation,
    FileTampered,
    OrchestratorEmail,
    Heartbeat,
    Control,
    IngestLine,
    DeployCommand,
    TeardownCommand,
    InspectRequest,
    HostRequest,
    SurveyRequest,
    PutFilesRequest,
    TidyFilesRequest,
    ReadFileRequest,
    ProbeRequest,
    WebhookTestRequest,
    CollectorLine,
    Empty,
    OperationNotice,
);

impl Payload for AttackerFingerprinted {
    const NAME: &'static str = "AttackerFingerprinted";
    fn discriminator(&self) -> &str {
        match self.probe {
            Fingerprint::Jarm { .. } => "jarm",
            Fingerprint::Hassh { .. } => "hassh",
            Fingerprint::Tcpfp { .. } => "tcpfp",
        }
    }
}

impl Payload for DeckyTraffic {
    const NAME: &'static str = "DeckyTraffic";
    fn discriminator(&self) -> &str {
        &self.kind
    }
}

impl Payload for OrchestratorAction {
    const NAME: &'static str = "OrchestratorAction";
    fn discriminator(&self) -> &str {
        &self.action
    }
}

impl Payload for IngestCommitted {
    const NAME: &'static str = "IngestCommitted";
    fn discriminator(&self) -> &'static str {
        "batch_committed"
    }
}

/// A notice that says all by its topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}
