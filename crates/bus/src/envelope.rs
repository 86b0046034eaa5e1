//! Envelope version 1: what wraps a payload on the bus, in webhooks and on SSE.
//!
//! The publisher's `id` and `ts` are kept (nobody restamps). On receipt the topic is taken from the transport,
//! never from the body: the subject is what the server's permissions guard.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use decnet_core::{Clock, IdSource};
use serde::{Deserialize, Serialize, de::Error as _};
use serde_json::{Map, Value};

use crate::{Topic, payload::Payload};

/// The version this crate writes and reads.
pub const VERSION: u8 = 1;

/// A wrapped payload. Missing fields get their defaults, unknown ones are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Version.
    #[serde(default = "version")]
    pub v: u8,
    /// 32 hex digits.
    #[serde(default)]
    pub id: String,
    /// Public name of the topic, or its subject where it has none.
    #[serde(default)]
    pub topic: String,
    /// Short discriminator, often empty.
    #[serde(default)]
    pub r#type: String,
    /// Epoch seconds.
    #[serde(default)]
    pub ts: f64,
    /// The payload object.
    #[serde(default)]
    pub payload: Value,
}

const fn version() -> u8 {
    VERSION
}

/// Why a body is not what its topic promises.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON, or JSON of another shape.
    #[error("the message on {topic} is no envelope: {source}")]
    Malformed {
        /// Where it came from.
        topic: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Another version.
    #[error("the message on {topic} has envelope version {found}, this program reads 1: update it")]
    Version {
        /// Where it came from.
        topic: String,
        /// Its version.
        found: u8,
    },
    /// The payload does not fit the topic.
    #[error("the payload on {topic} is no {expected}: {source}")]
    Payload {
        /// Where it came from.
        topic: String,
        /// What the table says.
        expected: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl Envelope {
    /// Wraps a payload, with a fresh id and the present time.
    pub fn new<P: Payload>(
        topic: &Topic,
        payload: &P,
        clock: &dyn Clock,
        ids: &dyn IdSource,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            v: VERSION,
            id: ids.next_id().simple().to_string(),
            topic: topic.label(),
            r#type: payload.discriminator().to_owned(),
            ts: epoch_seconds(clock.now()),
            payload: serde_json::to_value(payload)?,
        })
    }

    /// Reads a received body. The topic is the transport's.
    pub fn from_body(topic: &Topic, body: &[u8]) -> Result<Self, EnvelopeError> {
        let malformed = |source| EnvelopeError::Malformed { topic: topic.label(), source };
        let mut envelope: Self = serde_json::from_slice(body).map_err(malformed)?;
        // serde reads a struct from an array too.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(malformed(serde_json::Error::custom("it is no object")));
        }
        if envelope.v != VERSION {
            return Err(EnvelopeError::Version { topic: topic.label(), found: envelope.v });
        }
        envelope.topic = topic.label();
        if envelope.payload.is_null() {
            envelope.payload = Value::Object(Map::new());
        }
        Ok(envelope)
    }

    /// The body to send.
    pub fn to_body(&self) -> Result<Bytes, serde_json::Error> {
        serde_json::to_vec(self).map(Bytes::from)
    }

    /// The payload as its struct.
    pub fn decode<P: Payload>(&self) -> Result<P, EnvelopeError> {
        P::deserialize(&self.payload).map_err(|source| EnvelopeError::Payload {
            topic: self.topic.clone(),
            expected: P::NAME,
            source,
        })
    }
}

/// A time as the envelope's and the heartbeat's `ts`.
pub fn epoch_seconds(at: DateTime<Utc>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of this century fit into 53 bits")]
    let micros = at.timestamp_micros() as f64;
    micros / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use decnet_core::{ManualClock, SystemIds};

    use super::*;
    use crate::payload;

    #[test]
    fn the_topic_is_the_transports_and_gaps_are_filled() {
        let envelope = Envelope::from_body(
            &Topic::IdentityMerged,
            br#"{"topic":"credential.captured","payload":{"winner_uuid":"a","loser_uuid":"b","new":1},"more":2}"#,
        )
        .unwrap();
        assert_eq!((envelope.v, envelope.topic.as_str(), envelope.ts), (1, "identity.merged", 0.0));
        assert_eq!(envelope.decode::<payload::Merged>().unwrap().loser_uuid, "b");
        let bare = Envelope::from_body(&Topic::NoticeWebhookChanged, b"{}").unwrap();
        bare.decode::<payload::Empty>().unwrap();
    }

    #[test]
    fn a_body_of_another_shape_or_version_is_refused() {
        let topic = Topic::IdentityMerged;
        assert!(matches!(Envelope::from_body(&topic, b"[]"), Err(EnvelopeError::Malformed { .. })));
        assert!(matches!(Envelope::from_body(&topic, b"\xff"), Err(EnvelopeError::Malformed { .. })));
        assert!(matches!(
            Envelope::from_body(&topic, br#"{"v":2}"#),
            Err(EnvelopeError::Version { found: 2, .. })
        ));
        let odd = Envelope::from_body(&topic, br#"{"payload":{"winner_uuid":1}}"#).unwrap();
        assert!(matches!(
            odd.decode::<payload::Merged>(),
            Err(EnvelopeError::Payload { expected: "Merged", .. })
        ));
    }

    #[test]
    fn id_and_time_come_from_the_caller() {
        let clock = ManualClock::at(DateTime::from_timestamp_micros(1_767_225_600_250_000).unwrap());
        let envelope =
            Envelope::new(&Topic::NoticeWebhookChanged, &payload::Empty {}, &clock, &SystemIds).unwrap();
        assert!((envelope.ts - 1_767_225_600.25).abs() < 1e-6);
        assert_eq!(envelope.id.len(), 32);
        assert_eq!(envelope.topic, "system.webhook.subscriptions_changed");
        let body = envelope.to_body().unwrap();
        assert_eq!(Envelope::from_body(&Topic::NoticeWebhookChanged, &body).unwrap(), envelope);
    }
}
