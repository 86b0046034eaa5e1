//! What the transports exchange with the rest of the crate: subjects and bytes with their origin. No topic or
//! envelope is interpreted here.

use bytes::Bytes;

/// Header names.
pub(crate) mod header {
    /// Recognises a message that was sent twice.
    pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";
    /// Name of the sending worker.
    pub(crate) const WORKER: &str = "Decnet-Worker";
    /// Host of the sending worker.
    pub(crate) const HOST: &str = "Decnet-Host";
    /// One run of the sending worker.
    pub(crate) const INSTANCE: &str = "Decnet-Instance";
}

/// Who says he sent a message. Only for suppressing echoes; authority comes from the subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Name of the worker.
    pub worker: String,
    /// Its host.
    pub host: String,
    /// Its run.
    pub instance: String,
}

impl Origin {
    /// The same run of the same worker.
    pub(crate) fn is_same_run(&self, other: &Self) -> bool {
        !self.instance.is_empty() && self.instance == other.instance
    }

    /// The same worker, perhaps before its last restart.
    pub(crate) fn is_same_worker(&self, other: &Self) -> bool {
        !self.worker.is_empty() && self.worker == other.worker && self.host == other.host
    }
}

/// A message on its way out.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) subject: String,
    pub(crate) message_id: Option<String>,
    pub(crate) body: Bytes,
}

/// A message that came in.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) subject: String,
    pub(crate) origin: Origin,
    pub(crate) body: Bytes,
    pub(crate) reply: Option<String>,
}

/// What a stream says of a stored message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its number in the stream.
    pub sequence: u64,
    /// It was there already: the message id was seen within the window.
    pub duplicate: bool,
}
