//! Payloads of the `attacker`, `credential` and `canary` families.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// First sighting of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttackerObserved {
    /// Source address.
    pub attacker_ip: IpAddr,
    /// Decky that saw it.
    pub decky: String,
    /// Service that saw it.
    pub service: String,
    /// What it did first.
    pub event_type: String,
    /// When.
    pub first_seen: DateTime<Utc>,
}

/// An attacker's row was scored anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttackerScored {
    /// Source address.
    pub attacker_ip: IpAddr,
    /// Events so far.
    pub event_count: u64,
    /// Distinct services.
    pub service_count: u64,
    /// Distinct deckies.
    pub decky_count: u64,
    /// Artifacts of value.
    #[serde(default)]
    pub bounty_count: u64,
    /// Credentials it tried.
    #[serde(default)]
    pub credential_count: u64,
    /// Whether it went from decky to decky.
    #[serde(default)]
    pub is_traversal: bool,
}

/// An active probe of an address succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttackerFingerprinted {
    /// Probed address.
    pub attacker_ip: IpAddr,
    /// Probed port.
    pub port: u16,
    /// What the probe found.
    #[serde(flatten)]
    pub probe: Fingerprint,
}

/// Result of one kind of probe; told apart by its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fingerprint {
    /// TLS server.
    Jarm {
        /// The JARM hash.
        jarm_hash: String,
    },
    /// SSH server.
    Hassh {
        /// Hash of the server's algorithms.
        hassh_server: String,
        /// Its identification line.
        ssh_banner: String,
    },
    /// TCP stack.
    Tcpfp {
        /// Hash of the stack's answer.
        tcpfp_hash: String,
        /// Time to live seen.
        ttl: u8,
        /// Maximum segment size offered.
        mss: u16,
    },
}

/// A session began or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttackerSession {
    /// Row id of the session.
    pub session_id: String,
    /// Source address.
    pub attacker_ip: IpAddr,
    /// Decky.
    pub decky: String,
    /// Service.
    pub service: String,
    /// Beginning.
    pub started_at: DateTime<Utc>,
    /// End; only once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// Commands seen.
    #[serde(default)]
    pub command_count: u64,
}

/// Threat intelligence about an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttackerIntel {
    /// Row id of the attacker.
    pub attacker_uuid: String,
    /// Address.
    pub attacker_ip: IpAddr,
    /// The providers' opinions folded into one.
    pub aggregate_verdict: String,
    /// Who answered.
    #[serde(default)]
    pub providers: Vec<String>,
}

/// A credential was captured; the secret appears only as its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialCaptured {
    /// Hex SHA-256 of the secret.
    pub secret_sha256: String,
    /// `password`, `publickey`, ...
    pub secret_kind: String,
    /// Source address.
    pub attacker_ip: IpAddr,
    /// Decky.
    pub decky: String,
    /// Service.
    pub service: String,
}

/// One secret in several places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialReuse {
    /// Row id of the finding.
    pub id: String,
    /// Kind of secret.
    pub secret_kind: String,
    /// Number of (decky, service) targets.
    pub target_count: u64,
    /// Attackers that used it.
    #[serde(default)]
    pub attacker_uuids: Vec<String>,
    /// Their addresses.
    #[serde(default)]
    pub attacker_ips: Vec<IpAddr>,
    /// Deckies.
    #[serde(default)]
    pub deckies: Vec<String>,
    /// Services.
    #[serde(default)]
    pub services: Vec<String>,
}

/// A token lies on a decky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryPlaced {
    /// Row id of the token.
    pub token_id: String,
    /// Where.
    pub decky_name: String,
    /// Path on the decky.
    pub placement_path: String,
    /// How an operator's file was instrumented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrumenter: Option<String>,
    /// What made the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
}

/// Somebody used a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryTriggered {
    /// Row id of the token.
    pub token_id: String,
    /// Row id of the trigger.
    pub trigger_id: String,
    /// Decky the token lay on.
    pub decky_name: String,
    /// Who called.
    pub src_ip: IpAddr,
    /// HTTP user agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// HTTP path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_path: Option<String>,
    /// DNS name asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_qname: Option<String>,
}

/// A token was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryRevoked {
    /// Row id of the token.
    pub token_id: String,
    /// Decky it lay on.
    pub decky_name: String,
    /// Path on the decky.
    pub placement_path: String,
}
