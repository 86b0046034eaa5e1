//! A line in the making: what a service wants to say about its connection, with every value still as raw bytes.
//!
//! Values stay raw until the line is written, so that one too large for a line reaches the artifact folder
//! byte for byte. Turning it into a line is the business of `connection` and `output`.

use std::fmt::Display;

use decnet_logline::{Secret, Severity};
use serde::Serialize;

/// What a service reports. Made by [`crate::Connection::report`], finished by [`crate::Connection::emit`].
#[derive(Debug)]
pub struct Report {
    pub(crate) event_type: &'static str,
    pub(crate) severity: Severity,
    pub(crate) fields: Vec<(&'static str, Vec<u8>)>,
    pub(crate) secret: Option<Secret>,
    pub(crate) msg: Option<String>,
}

impl Report {
    pub(crate) fn new(event_type: &'static str) -> Self {
        Self { event_type, severity: Severity::Info, fields: Vec::new(), secret: None, msg: None }
    }

    /// Another severity than informational.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// A value as text.
    #[must_use]
    pub fn field(self, key: &'static str, value: impl Display) -> Self {
        self.bytes(key, value.to_string().as_bytes())
    }

    /// A value that may be missing: a missing one is left out.
    #[must_use]
    pub fn opt(self, key: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.field(key, value),
            None => self,
        }
    }

    /// Captured bytes. Controls become visible text in the line; an artifact keeps them exactly.
    #[must_use]
    pub fn bytes(mut self, key: &'static str, value: &[u8]) -> Self {
        self.fields.push((key, value.to_vec()));
        self
    }

    /// A list or object as JSON text.
    #[must_use]
    pub fn json(self, key: &'static str, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => self.bytes(key, &json),
            // Only a map with non-text keys fails, and none is passed here.
            Err(error) => self.field(key, format_args!("unprintable: {error}")),
        }
    }

    /// A captured secret: its presence makes the line a credential.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Free text after the fields.
    #[must_use]
    pub fn msg(mut self, msg: impl Into<String>) -> Self {
        self.msg = Some(msg.into());
        self
    }
}
