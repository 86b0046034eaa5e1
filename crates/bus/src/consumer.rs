//! Durable work: messages that stay on the server until they are acknowledged. Delivery is at least once, so
//! the receiver's effect must bear repetition.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tracing::warn;

use crate::{
    AckError, Counters, Durable, Envelope, EnvelopeError, FetchError, Origin, StreamName, Topic,
    bus::Link,
    memory::{MemoryAck, MemoryConsumer},
    nats::{NatsAck, NatsConsumer},
    payload::{IngestLine, Payload},
};

/// A consumer of this worker.
pub struct Consumer {
    source: Source,
    durable: Durable,
    own: Origin,
    counters: Arc<Counters>,
}

enum Source {
    Nats(Box<NatsConsumer>),
    Memory(MemoryConsumer),
    Off,
}

/// A message before its topic is known.
pub(crate) struct RawDelivered {
    pub(crate) subject: String,
    pub(crate) origin: Origin,
    pub(crate) body: Bytes,
    pub(crate) delivery: u64,
    pub(crate) sequence: u64,
    pub(crate) ack: AckHandle,
}

pub(crate) enum AckHandle {
    Nats(NatsAck),
    Memory(MemoryAck),
}

/// What becomes of a delivered message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Done with.
    Ack,
    /// Again, after a pause.
    Nak(Duration),
    /// Never again.
    Term,
    /// Still at it.
    Progress,
}

/// A message that waits for its verdict.
pub struct Delivered {
    /// Where it was published.
    pub topic: Topic,
    /// Its bytes.
    pub body: Bytes,
    /// How many times it has been delivered, counted from 1.
    pub delivery: u64,
    /// Its number in the stream: the same at every delivery.
    pub sequence: u64,
    ack: AckHandle,
}

impl Consumer {
    pub(crate) async fn open(link: &Link, durable: Durable, own: Origin, counters: Arc<Counters>) -> Self {
        let source = match link {
            Link::Nats(link) => Source::Nats(Box::new(link.consumer(&durable).await)),
            Link::Memory(link) => Source::Memory(link.consumer(&durable)),
            Link::Off(_) => Source::Off,
        };
        Self { source, durable, own, counters }
    }

    /// Which consumer this is.
    pub const fn durable(&self) -> &Durable {
        &self.durable
    }

    /// Takes what is there, up to `max`; where nothing is, waits up to `wait` for the first message. An empty
    /// answer means that nothing came. After an error the next fetch may succeed.
    ///
    /// Our own events do not come back (they are acknowledged silently), nor do messages on subjects that the
    /// table does not know (they are terminated and counted).
    pub async fn fetch(&mut self, max: usize, wait: Duration) -> Result<Vec<Delivered>, FetchError> {
        let raw = match &mut self.source {
            Source::Nats(consumer) => consumer.fetch(max, wait).await?,
            Source::Memory(consumer) => consumer.fetch(max, wait).await?,
            Source::Off => {
                tokio::time::sleep(wait).await;
                Vec::new()
            }
        };
        let mut delivered = Vec::with_capacity(raw.len());
        for message in raw {
            if self.durable.stream() == StreamName::Events && message.origin.is_same_worker(&self.own) {
                // A lost acknowledgement only brings it back to this very place.
                drop(message.ack.give(Verdict::Ack).await);
                continue;
            }
            match Topic::parse(&message.subject) {
                Ok(topic) => delivered.push(Delivered {
                    topic,
                    body: message.body,
                    delivery: message.delivery,
                    sequence: message.sequence,
                    ack: message.ack,
                }),
                Err(error) => {
                    self.counters.poison.fetch_add(1, Ordering::Relaxed);
                    warn!(%error, "message of an unknown topic terminated");
                    drop(message.ack.give(Verdict::Term).await);
                }
            }
        }
        Ok(delivered)
    }

    /// Counts and terminates a message that cannot be read; the consumer goes on.
    pub async fn reject(&self, message: &Delivered, reason: &(dyn fmt::Display + Sync)) {
        self.counters.poison.fetch_add(1, Ordering::Relaxed);
        warn!(topic = %message.topic.subject(), %reason, "unreadable message terminated");
        if let Err(error) = message.term().await {
            warn!(%error, "it may come again");
        }
    }
}

impl Delivered {
    /// The body as an envelope.
    pub fn envelope(&self) -> Result<Envelope, EnvelopeError> {
        Envelope::from_body(&self.topic, &self.body)
    }

    /// The payload inside the envelope.
    pub fn decode<P: Payload>(&self) -> Result<P, EnvelopeError> {
        self.envelope()?.decode()
    }

    /// The bare body of `INGEST`.
    pub fn ingest_line(&self) -> Result<IngestLine, EnvelopeError> {
        serde_json::from_slice(&self.body).map_err(|source| EnvelopeError::Payload {
            topic: self.topic.subject(),
            expected: IngestLine::NAME,
            source,
        })
    }

    /// Done: it does not come again.
    pub async fn ack(&self) -> Result<(), AckError> {
        self.ack.give(Verdict::Ack).await
    }

    /// Not now: it comes again after `delay`.
    pub async fn nak(&self, delay: Duration) -> Result<(), AckError> {
        self.ack.give(Verdict::Nak(delay)).await
    }

    /// Never: it cannot be handled and does not come again.
    pub async fn term(&self) -> Result<(), AckError> {
        self.ack.give(Verdict::Term).await
    }

    /// Still at work: the server's patience starts anew.
    pub async fn progress(&self) -> Result<(), AckError> {
        self.ack.give(Verdict::Progress).await
    }

    /// Acknowledges a whole batch, and stops at the first failure: the rest comes again.
    pub async fn ack_all(batch: &[Self]) -> Result<(), AckError> {
        for message in batch {
            message.ack().await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body may be captured bytes, which never go into a log.
        f.debug_struct("Delivered")
            .field("topic", &self.topic)
            .field("bytes", &self.body.len())
            .field("delivery", &self.delivery)
            .finish_non_exhaustive()
    }
}

impl AckHandle {
    async fn give(&self, verdict: Verdict) -> Result<(), AckError> {
        match self {
            Self::Nats(ack) => ack.give(verdict).await,
            Self::Memory(ack) => ack.give(verdict),
        }
    }
}
