//! The hot path: one raw line of a decky. It travels bare, without an envelope, because there are thousands a
//! second and everything an envelope would say is in it.
//!
//! The line is evidence, so any bytes survive: text travels as `line`, everything else as base64 in `line_b64`.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use decnet_core::{DeckyName, HostId};
use serde::{Deserialize, Serialize, de::Error as _};

use crate::Topic;

/// Longest ingest record on the bus, in bytes. Bodies belong into the artifact folder.
pub const MAX_INGEST: usize = 256 * 1024;

/// One raw line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct IngestLine {
    /// Host that saw it.
    pub host: HostId,
    /// Decky that said it.
    pub decky: DeckyName,
    /// Stable id of the output it comes from.
    pub source: String,
    /// Byte offset of the line in that output.
    pub seq: u64,
    /// The line without its newline.
    pub line: Bytes,
}

impl IngestLine {
    /// Where it is published.
    pub fn topic(&self) -> Topic {
        Topic::Ingest { host: self.host.clone(), decky: self.decky.clone() }
    }

    /// Its `Nats-Msg-Id`, and the key that makes a redelivery harmless in the database.
    pub fn message_id(&self) -> String {
        format!("{}:{}:{}", self.host, self.source, self.seq)
    }

    /// The body of the message.
    pub fn to_body(&self) -> Result<Bytes, serde_json::Error> {
        serde_json::to_vec(self).map(Bytes::from)
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    host: HostId,
    decky: DeckyName,
    source: String,
    seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line_b64: Option<String>,
}

impl From<IngestLine> for Wire {
    fn from(from: IngestLine) -> Self {
        let (line, line_b64) = match std::str::from_utf8(&from.line) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(STANDARD.encode(&from.line))),
        };
        Self { host: from.host, decky: from.decky, source: from.source, seq: from.seq, line, line_b64 }
    }
}

impl TryFrom<Wire> for IngestLine {
    type Error = serde_json::Error;

    fn try_from(wire: Wire) -> Result<Self, serde_json::Error> {
        let line = match (wire.line, wire.line_b64) {
            (Some(text), None) => Bytes::from(text),
            (None, Some(text)) => Bytes::from(STANDARD.decode(text).map_err(serde_json::Error::custom)?),
            _ => return Err(serde_json::Error::custom("exactly one of `line` and `line_b64` is needed")),
        };
        Ok(Self { host: wire.host, decky: wire.decky, source: wire.source, seq: wire.seq, line })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_survive(line in proptest::collection::vec(any::<u8>(), 0..200), seq: u64) {
            let line = IngestLine {
                host: HostId::default(),
                decky: DeckyName::parse("web-01").unwrap(),
                source: "s".to_owned(),
                seq,
                line: line.into(),
            };
            let back: IngestLine = serde_json::from_slice(&line.to_body().unwrap()).unwrap();
            prop_assert_eq!(back, line);
        }
    }

    #[test]
    fn a_record_without_a_line_is_refused() {
        let body = br#"{"host":"local","decky":"web","source":"s","seq":1}"#;
        assert!(serde_json::from_slice::<IngestLine>(body).is_err());
    }
}
