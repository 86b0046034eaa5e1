//! Payloads of the `topology`, `decky` and `orchestrator` families.

use chrono::{DateTime, Utc};
use decnet_core::{DeckyId, HostId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A change of a topology, at any stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopologyMutation {
    /// Row id of the change.
    pub mutation_id: String,
    /// Kind of change.
    pub op: String,
    /// Its arguments, while it waits or is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Map<String, Value>>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A topology's state changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopologyStatus {
    /// The state now.
    pub state: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A decky's state changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeckyState {
    /// Its host.
    pub host_uuid: HostId,
    /// Its name.
    pub name: String,
    /// The state now.
    pub state: String,
    /// `inserted`, `deleted` or `state_changed`.
    pub transition: String,
    /// Where the decky comes from: `fleet`.
    pub source: String,
    /// The state before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_state: Option<String>,
}

impl DeckyState {
    /// That a decky of a fleet went from `previous` to `state`; `transition` is the word for it.
    pub fn of_fleet(decky: &DeckyId, state: &str, transition: &str, previous: Option<&str>) -> Self {
        Self {
            host_uuid: decky.host.clone(),
            name: decky.name.to_string(),
            state: state.to_owned(),
            transition: transition.to_owned(),
            source: "fleet".to_owned(),
            previous_state: previous.map(str::to_owned),
        }
    }
}

/// What the sniffer saw; `kind` becomes the envelope's `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeckyTraffic {
    /// `tls_session`, `tcp_flow_timing`, `tcp_syn_fingerprint` or `ssh_client_banner`.
    pub kind: String,
    /// The fields of the event.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// A decky got other services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeckyMutation {
    /// The decky.
    pub decky: String,
    /// Services before.
    #[serde(default)]
    pub old_services: Vec<String>,
    /// Services now.
    #[serde(default)]
    pub new_services: Vec<String>,
    /// What caused it.
    pub trigger: String,
    /// Who caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// One invented action between deckies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrchestratorAction {
    /// `traffic` or `file`.
    pub kind: String,
    /// Protocol or means.
    pub protocol: String,
    /// What was done, such as `file:edit`; becomes the envelope's `type`.
    pub action: String,
    /// Who acted.
    #[serde(default)]
    pub src_decky_uuid: Option<String>,
    /// On whom.
    pub dst_decky_uuid: String,
    /// Whether it worked.
    pub success: bool,
    /// Details.
    #[serde(default)]
    pub payload: Map<String, Value>,
    /// When.
    pub ts: DateTime<Utc>,
}

/// A file that life planted was changed or removed by somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTampered {
    /// Where.
    pub decky_uuid: String,
    /// Which; the path is ours.
    pub path: String,
    /// Its content class.
    pub content_class: String,
    /// Whose file it is; `None` for the machine's.
    #[serde(default)]
    pub persona: Option<String>,
    /// SHA-256 (hex) of what was planted.
    pub expected_sha256: String,
    /// SHA-256 (hex) of what is there; `None` if it is gone.
    #[serde(default)]
    pub found_sha256: Option<String>,
    /// When it was seen.
    pub ts: DateTime<Utc>,
}

/// A mail was delivered to a mail decky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrchestratorEmail {
    /// Always `email`.
    pub kind: String,
    /// The decky that holds the mailbox.
    pub mail_decky_uuid: String,
    /// Thread.
    pub thread_id: String,
    /// `Message-ID`.
    pub message_id: String,
    /// `In-Reply-To`.
    #[serde(default)]
    pub in_reply_to: Option<String>,
    /// From.
    pub sender_email: String,
    /// To.
    pub recipient_email: String,
    /// Subject line.
    pub subject: String,
    /// Language of the text.
    pub language: String,
    /// Whether it was delivered.
    pub success: bool,
    /// When.
    pub ts: DateTime<Utc>,
}
