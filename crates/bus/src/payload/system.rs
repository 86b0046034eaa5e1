//! Payloads of the `system` and `notice` families.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A worker's beat. All but the first two fields are optional, and anything else a worker adds is kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who.
    pub worker: String,
    /// When, in epoch seconds.
    pub ts: f64,
    /// Version of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Process id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Seconds since its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_s: Option<f64>,
    /// Resident memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// Work that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_depth: Option<u64>,
    /// When it last got something done, in epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_progress_ts: Option<f64>,
    /// Errors of the last five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors_5m: Option<u64>,
    /// What the worker adds.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// An order to a worker. Unknown actions are ignored by the receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// `stop`.
    pub action: String,
    /// Who asked.
    pub requested_by: String,
    /// When, in epoch seconds.
    pub ts: f64,
}

/// A line was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectorLine {
    /// Decky.
    pub decky: String,
    /// Service.
    pub service: String,
    /// Kind of event.
    pub event_type: String,
    /// Source address, where there is one.
    #[serde(default)]
    pub attacker_ip: Option<IpAddr>,
    /// Time of the line.
    pub timestamp: DateTime<Utc>,
}

/// A batch is in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestCommitted {
    /// Who committed.
    pub component: String,
    /// Rows of the batch.
    pub flushed: u64,
    /// Highest log row id of the batch.
    pub position: i64,
}
