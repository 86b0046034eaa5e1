//! What the collector hands over: lines with the facts derived from them, and lines that could not be read.

use std::net::IpAddr;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who caused a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Someone from outside.
    Attacker,
    /// Our own life injection, recognised by its source port.
    Life,
    /// The decoy itself (startup, shutdown).
    System,
}

impl Origin {
    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attacker => "attacker",
            Self::Life => "life",
            Self::System => "system",
        }
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "attacker" => Ok(Self::Attacker),
            "life" => Ok(Self::Life),
            "system" => Ok(Self::System),
            other => Err(format!("origin {other:?} is none of attacker, life, system")),
        }
    }
}

/// One captured line. Text beyond the limits of [`crate::bounds`] is cut.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLog {
    /// Host that runs the decky (`local` or a uuid). With `source` and `seq`: the identity of the line.
    pub host_uuid: String,
    /// Stable id of the file or stream the line came from.
    pub source: String,
    /// Position of the line in `source`.
    pub seq: u64,
    /// When the decoy wrote it.
    pub timestamp: DateTime<Utc>,
    /// Decky name.
    pub decky: String,
    /// Service slug.
    pub service: String,
    /// Event type (the line's MSGID).
    pub event_type: String,
    /// Where the peer came from; stored in canonical form, `Unknown` when absent.
    pub attacker_ip: Option<IpAddr>,
    /// The peer's port.
    pub src_port: Option<u16>,
    /// Connection id, unique within a decky.
    pub conn_id: Option<String>,
    /// Who caused the line. Only [`Origin::Attacker`] makes attackers, sessions and credentials.
    pub origin: Origin,
    /// The line claims a name that is not its decky's; kept, but nothing is derived from it.
    pub forged: bool,
    /// The line as it was.
    pub raw_line: String,
    /// Its fields, in order.
    pub fields: Map<String, Value>,
    /// Its free text.
    pub msg: Option<String>,
    /// Trace of the request that carried it.
    pub trace_id: Option<String>,
    /// Span of the request that carried it.
    pub span_id: Option<String>,
    /// The event is an interaction (not a scan or noise): its service counts as interacted with.
    pub interaction: bool,
    /// A secret was captured.
    pub credential: Option<NewCredential>,
    /// The command that was typed, if the line carries one.
    pub command: Option<String>,
    /// What the line says about its session. A line without one (or without `conn_id`) belongs to no session.
    pub session: Option<SessionFacts>,
}

/// What one line says about the session it belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFacts {
    /// A login was tried.
    pub auth_attempt: bool,
    /// A login was let in.
    pub authenticated: bool,
    /// The connection ended with this line.
    pub ended: bool,
    /// Client banner, user agent or HASSH, when the line shows one; the first one stays.
    pub client: Option<String>,
}

/// A captured secret. The attacker, decky and service are the line's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// User name, if the protocol has one.
    pub principal: Option<String>,
    /// `plaintext`, `ntlmssp_v2`, …
    pub secret_kind: String,
    /// SHA-256 (hex) over the whole secret.
    pub secret_sha256: String,
    /// Length of the whole secret in bytes.
    pub secret_len: u64,
    /// Base64 of the secret, cut to the limit.
    pub secret_b64: Option<String>,
    /// Printable form, cut to the limit.
    pub secret_printable: Option<String>,
    /// What the decoy answered (`accepted`, `rejected`, …).
    pub outcome: Option<String>,
    /// The line's other fields; those of the first sighting stay.
    pub fields: Map<String, Value>,
}

/// The bytes of a line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "encoding", content = "raw", rename_all = "snake_case")]
pub enum RawLine {
    /// The line was UTF-8 (without NUL): its text.
    Text(String),
    /// Any other bytes, base64 encoded by the caller.
    Base64(String),
}

/// A line that could not be read, kept as evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedLine {
    /// Host the line came from.
    pub host_uuid: String,
    /// File or stream.
    pub source: String,
    /// Position in it.
    pub seq: u64,
    /// Decky that `source` belongs to.
    pub decky: String,
    /// The line, without loss up to the limit of a raw line.
    pub raw: RawLine,
    /// Why it could not be read.
    pub error: String,
    /// Where in the line.
    pub offset: u64,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
}

/// Lines to store in one transaction; up to about a thousand pay best.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IngestBatch {
    /// Readable lines.
    pub logs: Vec<NewLog>,
    /// Unreadable lines.
    pub rejected: Vec<RejectedLine>,
}

/// What a batch changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct IngestOutcome {
    /// Lines stored now.
    pub logs_inserted: u64,
    /// Lines that were there already; they changed nothing.
    pub logs_duplicate: u64,
    /// Unreadable lines stored now.
    pub rejected_inserted: u64,
    /// Unreadable lines that were there already.
    pub rejected_duplicate: u64,
    /// Attackers seen for the first time.
    pub new_attackers: u64,
    /// Sessions begun.
    pub sessions_started: u64,
    /// Sessions ended.
    pub sessions_ended: u64,
    /// Distinct secrets touched.
    pub credentials: u64,
    /// Events written into the outbox.
    pub outbox_rows: u64,
}
