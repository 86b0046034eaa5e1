//! What a batch brought to light, for whoever turns it into events. Built inside the transaction, after it is certain
//! which lines are new; the database's answer, not a process's memory, says what is a first sighting.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Session;

/// Everything that may deserve an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestFacts {
    /// Attackers whose row was made by this batch, in order of appearance.
    pub new_attackers: Vec<NewAttacker>,
    /// Sessions whose row was made by this batch, as they are after it.
    pub sessions_started: Vec<Session>,
    /// Sessions that ended in this batch, as they are after it.
    pub sessions_ended: Vec<Session>,
    /// Secrets tried in this batch, one entry for each distinct one.
    pub credentials: Vec<CapturedCredential>,
}

/// An address seen for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttacker {
    /// Row id.
    pub uuid: Uuid,
    /// Source address.
    pub attacker_ip: IpAddr,
    /// Host of the decky it touched first.
    pub host_uuid: String,
    /// Decky it touched first.
    pub decky: String,
    /// Service it touched first.
    pub service: String,
    /// Event type of its first line.
    pub event_type: String,
    /// Time of its first line.
    pub first_seen: DateTime<Utc>,
}

/// A secret tried, without the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedCredential {
    /// Row id.
    pub id: Uuid,
    /// The row was made by this batch.
    pub first_sighting: bool,
    /// Attempts in this batch.
    pub attempts: u64,
    /// Attacker's row.
    pub attacker_uuid: Uuid,
    /// Source address.
    pub attacker_ip: IpAddr,
    /// Host of the decky.
    pub host_uuid: String,
    /// Decky.
    pub decky: String,
    /// Service.
    pub service: String,
    /// User name, if any.
    pub principal: Option<String>,
    /// Kind of secret.
    pub secret_kind: String,
    /// SHA-256 of the whole secret.
    pub secret_sha256: String,
    /// Latest attempt.
    pub last_seen: DateTime<Utc>,
}
