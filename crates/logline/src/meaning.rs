//! What a record means: who did it, whether it is an interaction, and the secret in it.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::record::{Record, Severity};

/// How much an event says about an intruder's interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventClass {
    /// The intruder used the service.
    Interaction,
    /// The decoy speaks of itself or of broken input.
    Noise,
    /// The service was touched.
    Scan,
}

/// The class of an event type.
pub fn class_of(event_type: &str) -> EventClass {
    match event_type {
        "command" | "exec" | "query" | "input" | "shell_input" | "execute" | "run" | "sql_query"
        | "redis_command" | "ldap_search" | "mail_from" | "rcpt_to" | "rcpt_denied" | "message_accepted"
        | "file_captured" | "file_skipped" | "egress_blocked" | "upload" | "download_attempt" | "retr"
        | "publish" | "subscribe" | "session_recorded" | "mail_read" | "rce_attempt" => {
            EventClass::Interaction
        }
        "startup" | "shutdown" | "config_error" | "parse_error" | "unknown_packet" | "unknown_opcode"
        | "unknown_command" | "protocol_error" | "error" | "events_dropped" => EventClass::Noise,
        _ => EventClass::Scan,
    }
}

/// Names under which decoys of the past logged the intruder's address, best first.
const ADDRESS_FIELDS: [&str; 7] =
    ["src_ip", "src", "client_ip", "remote_ip", "remote_addr", "target_ip", "ip"];

/// Helpers of the reference system whose address stood in the message (`... src=203.0.113.9 ...`). No decoy of ours
/// is among them: the message of any other service is never searched, as its text may be the intruder's.
const ADDRESS_IN_MESSAGE: [&str; 2] = ["auth-helper", "bash"];

/// The intruder's address.
pub fn attacker_ip(record: &Record) -> Option<IpAddr> {
    let of_fields = ADDRESS_FIELDS.iter().find_map(|name| record.fields.get(name)?.parse().ok());
    of_fields.or_else(|| {
        let msg = record.msg.as_deref()?;
        if !ADDRESS_IN_MESSAGE.contains(&record.app_name.as_str()) {
            return None;
        }
        ADDRESS_FIELDS.iter().find_map(|name| {
            msg.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        })
    })
}

/// A credential as the record carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CapturedSecret {
    /// Whose.
    pub principal: Option<String>,
    /// Field `secret_kind`, `plaintext` when absent.
    pub kind: String,
    /// Lower-case hexadecimal SHA-256 of the exact bytes.
    pub sha256: String,
    /// Number of bytes.
    pub len: usize,
    /// Base64 of the bytes.
    pub b64: String,
    /// Readable form, everything outside 0x20..0x7E replaced by `?`.
    pub printable: Option<String>,
    /// What the decoy answered, such as `success` or `failure`.
    pub outcome: Option<String>,
}

/// The credential in a record: present when there is a valid `secret_b64`.
pub fn captured_secret(record: &Record) -> Option<CapturedSecret> {
    let fields = &record.fields;
    let b64 = fields.get("secret_b64")?;
    let bytes = STANDARD.decode(b64).ok()?;
    let text = |name| fields.get(name).filter(|v| !v.is_empty()).map(str::to_owned);
    Some(CapturedSecret {
        principal: text("principal").or_else(|| text("username")),
        kind: text("secret_kind").unwrap_or_else(|| "plaintext".to_owned()),
        sha256: hex::encode(Sha256::digest(&bytes)),
        len: bytes.len(),
        b64: b64.to_owned(),
        printable: text("secret_printable"),
        outcome: text("outcome"),
    })
}

/// A record read for a program: the output of `decnet lab lines --json`.
#[derive(Debug, Clone, Serialize)]
pub struct TypedEvent {
    /// When, UTC.
    pub timestamp: DateTime<Utc>,
    /// Which decky.
    pub decky: String,
    /// Which service.
    pub service: String,
    /// What happened.
    pub event_type: String,
    /// Its class.
    pub class: EventClass,
    /// Its severity.
    pub severity: Severity,
    /// Who did it.
    pub attacker_ip: Option<IpAddr>,
    /// The secret in it.
    pub credential: Option<CapturedSecret>,
    /// All fields.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Free text.
    pub msg: Option<String>,
}

impl From<&Record> for TypedEvent {
    fn from(record: &Record) -> Self {
        Self {
            timestamp: record.timestamp,
            decky: record.hostname.clone(),
            service: record.app_name.clone(),
            event_type: record.msgid.clone(),
            class: class_of(&record.msgid),
            severity: record.severity,
            attacker_ip: attacker_ip(record),
            credential: captured_secret(record),
            fields: record.fields.to_json(),
            msg: record.msg.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Secret, SecretKind, scan};

    fn record(event: Event) -> Record {
        let line = event.into_record(DateTime::UNIX_EPOCH, "web-01").encode();
        scan(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_password_with_every_byte_survives() {
        let password: Vec<u8> = (0..=255).collect();
        let read = captured_secret(&record(
            Event::new("ssh", "auth_attempt").secret(&Secret::plaintext("ro\"ot]", password.clone())),
        ))
        .unwrap();
        assert_eq!(read.principal.as_deref(), Some("ro\"ot]"));
        assert_eq!(read.sha256, hex::encode(Sha256::digest(&password)));
        assert_eq!(read.len, 256);
    }

    #[test]
    fn an_absent_principal_stays_absent() {
        let secret = Secret { principal: None, kind: SecretKind::SnmpCommunity, bytes: b"public".to_vec() };
        let read = captured_secret(&record(Event::new("snmp", "get_request").secret(&secret))).unwrap();
        assert_eq!((read.principal, read.kind.as_str()), (None, "snmp_community"));
    }

    #[test]
    fn the_address_is_never_taken_from_an_intruders_text() {
        let forged = record(Event::new("http", "request").msg("src=198.51.100.1"));
        assert_eq!(attacker_ip(&forged), None);
        let historic = record(Event::new("bash", "-").msg("CMD uid=0 user=root src=203.0.113.5 cmd=id"));
        assert_eq!(attacker_ip(&historic), "203.0.113.5".parse().ok());
        let odd = record(
            Event::new("http", "request").field("src_ip", "unknown").field("client_ip", "2001:db8::1"),
        );
        assert_eq!(attacker_ip(&odd), "2001:db8::1".parse().ok());
    }
}
