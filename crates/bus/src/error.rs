//! What can go wrong on the bus, one enum per family of operations. Every sentence says what to do.

use crate::{StreamName, server::MIN_VERSION};

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be used.
    #[error("DECNET_NATS_URL {url:?} is no broker address ({reason}): use nats://127.0.0.1:4222")]
    BadUrl {
        /// What was given, without credentials.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server ignores features that we rely on without saying so.
    #[error(
        "the broker is nats-server {version}, which silently ignores consumer filters: install {MIN_VERSION} or newer (`cargo xtask setup`) and restart it"
    )]
    ServerTooOld {
        /// Its version.
        version: String,
    },
    /// The server does not let us in. It is tried again: the server may be given other credentials.
    #[error(
        "the broker does not let us in: set DECNET_NATS_TOKEN (or DECNET_NATS_NKEY_FILE) to what it asks for"
    )]
    NotAllowed,
    /// The key file cannot be used.
    #[error(
        "the bus key {path} cannot be used ({reason}): create it with `decnet init`, owner root, mode 0400"
    )]
    BadKey {
        /// Which file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why a publish is not known to be stored.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// No connection, or it broke before the acknowledgement came. Send again with the same message id.
    #[error("the broker is not reachable; the message will be sent again once it is back")]
    Disconnected,
    /// No acknowledgement in time. Send again with the same message id.
    #[error("the broker did not acknowledge in time; the message will be sent again")]
    TimedOut,
    /// No stream keeps this subject.
    #[error("no stream keeps {subject}: provision the broker with `decnet migrate` (or `decnet up`)")]
    NoStream {
        /// Where it was published.
        subject: String,
    },
    /// The stream is full and refuses (INGEST, COMMANDS).
    #[error("the stream of {subject} is full: wait for its consumer, or free disk space of the broker")]
    StreamFull {
        /// Where it was published.
        subject: String,
    },
    /// The message is larger than the server takes.
    #[error(
        "a message of {size} bytes on {subject} exceeds the limit of {max}: keep the content in the artifact folder and send its digest"
    )]
    TooLarge {
        /// Where it was published.
        subject: String,
        /// Its size.
        size: usize,
        /// What the server takes.
        max: usize,
    },
    /// The payload cannot be written as JSON, or is not the one of the topic.
    #[error(
        "the payload for {subject} cannot be sent: {reason}; this is a mistake in the program, please report it"
    )]
    BadPayload {
        /// Where it was published.
        subject: String,
        /// What is wrong.
        reason: String,
    },
    /// The server said no for another reason.
    #[error("the broker refused a message on {subject}: {reason}; see the broker's log")]
    Refused {
        /// Where it was published.
        subject: String,
        /// Its words.
        reason: String,
    },
    /// The bus is switched off.
    #[error("the bus is switched off: set DECNET_BUS_ENABLED=true")]
    Disabled,
}

impl PublishError {
    /// Whether the same message may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Disconnected
                | Self::TimedOut
                | Self::NoStream { .. }
                | Self::StreamFull { .. }
                | Self::Refused { .. }
        )
    }
}

/// Why a fetch brought nothing. The next fetch may.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection, or it broke meanwhile. Unacknowledged messages come again.
    #[error("the broker is not reachable; fetching goes on once it is back")]
    Disconnected,
    /// Stream or consumer does not exist.
    #[error("consumer {durable} of stream {} does not exist: provision the broker with `decnet migrate` (or `decnet up`)", stream.as_str())]
    NotProvisioned {
        /// The stream.
        stream: StreamName,
        /// The consumer.
        durable: String,
    },
    /// The server said no for another reason.
    #[error("the broker refused to deliver to {durable}: {reason}; see the broker's log")]
    Refused {
        /// The consumer.
        durable: String,
        /// Its words.
        reason: String,
    },
}

/// An acknowledgement could not be sent: the message will be delivered again.
#[derive(Debug, thiserror::Error)]
#[error("the broker is not reachable; the message will be delivered again")]
pub struct AckError;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No connection.
    #[error("the broker is not reachable: is nats-server running?")]
    Disconnected,
    /// Nobody serves the topic.
    #[error("nobody answers {topic}: is the worker that serves it running? (`decnet status`)")]
    NoResponder {
        /// What was asked.
        topic: String,
    },
    /// No answer in time.
    #[error("no answer to {topic} in time: look at the log of the worker that serves it")]
    TimedOut {
        /// What was asked.
        topic: String,
    },
    /// The other side answered with an error.
    #[error("{0}")]
    Remote(String),
    /// Question or answer cannot be carried.
    #[error("{topic}: {reason}; do both sides run the same version?")]
    BadMessage {
        /// What was asked.
        topic: String,
        /// What is wrong.
        reason: String,
    },
    /// The bus is switched off.
    #[error("the bus is switched off: set DECNET_BUS_ENABLED=true")]
    Disabled,
}

/// Why the broker could not be brought to the table's state.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// No connection.
    #[error("the broker is not reachable: start nats-server, or use `decnet up`")]
    Disconnected,
    /// The connected server cannot be used.
    #[error(transparent)]
    Server(#[from] ConnectError),
    /// There is no room even for small streams.
    #[error(
        "the broker has too little storage for the streams (128 MiB are needed): free disk space, or raise max_file_store in its configuration"
    )]
    NoStorage,
    /// The server said no.
    #[error("the broker refused {what}: {reason}; is JetStream enabled, and may this key provision?")]
    Refused {
        /// Which stream or consumer.
        what: String,
        /// Its words.
        reason: String,
    },
    /// The bus is switched off.
    #[error("the bus is switched off: set DECNET_BUS_ENABLED=true")]
    Disabled,
}
