//! What a decoy says: an event built field by field, and the secret that an intruder handed over.

use std::fmt::Display;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    record::{Fields, Record, Severity},
    text::clean_bytes,
};

/// How a captured secret is to be read. Secrets are comparable only within one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it; challenge-response kinds also log their challenge")]
pub enum SecretKind {
    Plaintext,
    HttpBearer,
    HttpDigestMd5,
    SnmpCommunity,
    MysqlNativePassword,
    PostgresMd5Challenge,
    VncDesResponse,
    ScramSha1,
    ScramSha256,
    ScramUnknown,
    NtlmsspV1,
    NtlmsspV2,
}

impl SecretKind {
    /// The value of the field `secret_kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::HttpBearer => "http_bearer",
            Self::HttpDigestMd5 => "http_digest_md5",
            Self::SnmpCommunity => "snmp_community",
            Self::MysqlNativePassword => "mysql_native_password",
            Self::PostgresMd5Challenge => "postgres_md5_challenge",
            Self::VncDesResponse => "vnc_des_response",
            Self::ScramSha1 => "scram_sha1",
            Self::ScramSha256 => "scram_sha256",
            Self::ScramUnknown => "scram_unknown",
            Self::NtlmsspV1 => "ntlmssp_v1",
            Self::NtlmsspV2 => "ntlmssp_v2",
        }
    }
}

/// A secret as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Whose; absent for schemes without a name.
    pub principal: Option<String>,
    /// How to read the bytes.
    pub kind: SecretKind,
    /// The exact bytes.
    pub bytes: Vec<u8>,
}

impl Secret {
    /// A password in clear.
    pub fn plaintext(principal: impl Into<String>, password: impl Into<Vec<u8>>) -> Self {
        Self { principal: Some(principal.into()), kind: SecretKind::Plaintext, bytes: password.into() }
    }
}

/// An event on its way to becoming a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    service: String,
    kind: String,
    severity: Severity,
    fields: Fields,
    msg: Option<String>,
}

impl Event {
    /// An event of `service` (APP-NAME) with that type (MSGID).
    pub fn new(service: &str, kind: &str) -> Self {
        Self {
            service: service.to_owned(),
            kind: kind.to_owned(),
            severity: Severity::Info,
            fields: Fields::new(),
            msg: None,
        }
    }

    /// Sets the severity; info otherwise.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Display) -> Self {
        self.fields.push(name, &value.to_string());
        self
    }

    /// Adds a field if there is a value: an absent value is left out, never spelled.
    #[must_use]
    pub fn opt(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// Adds bytes as text; what is not UTF-8 is spelled out.
    #[must_use]
    pub fn bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.fields.push(name, &clean_bytes(value));
        self
    }

    /// Adds a list or an object as JSON text.
    #[must_use]
    pub fn json(self, name: &str, value: &impl Serialize) -> Self {
        // Only maps with keys that are no strings fail; such a field is left out.
        match serde_json::to_string(value) {
            Ok(text) => self.field(name, text),
            Err(_) => self,
        }
    }

    /// Adds a captured secret: `principal`, `username`, `secret_kind`, `secret_printable`, `secret_b64`.
    #[must_use]
    pub fn secret(self, secret: &Secret) -> Self {
        let printable: String = String::from_utf8_lossy(&secret.bytes)
            .chars()
            .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
            .collect();
        self.opt("principal", secret.principal.as_deref())
            .opt("username", secret.principal.as_deref())
            .field("secret_kind", secret.kind.as_str())
            .field("secret_printable", printable)
            .field("secret_b64", STANDARD.encode(&secret.bytes))
    }

    /// Sets the free text.
    #[must_use]
    pub fn msg(mut self, msg: impl Into<String>) -> Self {
        self.msg = Some(msg.into()).filter(|m| !m.is_empty());
        self
    }

    /// The service.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The event type.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The fields so far.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Replaces the fields, for a writer that moves large values elsewhere.
    #[must_use]
    pub fn with_fields(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }

    /// The record of this event on `decky` at `at`.
    pub fn into_record(self, at: DateTime<Utc>, decky: &str) -> Record {
        let mut record = Record::new(at, decky, &self.service, &self.kind);
        record.severity = self.severity;
        record.fields = self.fields;
        record.msg = self.msg.map(|m| crate::clean(&m).into_owned());
        record
    }
}
