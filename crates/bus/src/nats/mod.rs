//! The transport over a nats-server: one connection per program, made and remade in the background.
//!
//! `async-nats` reconnects and resubscribes by itself. What is added here: a status that says whether the server
//! is usable, nothing queued for a server that is away (a beat of ten minutes ago helps nobody), and failures
//! that surface at once instead of by timeout when the connection breaks.

mod connect;
mod consume;
mod link;
mod siem;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use async_nats::{
    Client, HeaderMap, RequestErrorKind,
    jetstream::{
        self, ErrorCode,
        context::{ContextBuilder, PublishErrorKind},
    },
};
use bytes::Bytes;
use futures_util::{StreamExt, stream::select_all};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, warn};

pub(crate) use self::consume::{NatsAck, NatsConsumer};
use crate::{
    BusConfig, BusStatus, ConnectError, Delivery, Durable, Origin, PublishError, RequestError, Stored,
    StreamName, TopicFilter, TopicKind,
    ring::RingSender,
    wire::{Incoming, Outgoing, header},
};

/// Patience for acknowledgements and for questions to JetStream.
const API_PATIENCE: Duration = Duration::from_secs(5);
/// How long a notification waits for its acknowledgement; within the caller's budget.
const ACK_PATIENCE: Duration = Duration::from_millis(200);
/// After an acknowledgement failed to come, how long `publish` does not wait for others.
const SILENCE: Duration = Duration::from_secs(5);
/// Acknowledgements that may be on their way at once.
const ACKS_IN_FLIGHT: usize = 4096;

#[derive(Debug)]
pub(crate) struct NatsLink {
    client: Client,
    jetstream: jetstream::Context,
    origin: Origin,
    status: watch::Receiver<BusStatus>,
    status_sender: Arc<watch::Sender<BusStatus>>,
    /// When an acknowledgement last failed to come.
    silent_since: Mutex<Option<Instant>>,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl NatsLink {
    pub(crate) async fn open(config: &BusConfig, origin: &Origin) -> Result<Self, ConnectError> {
        let address = connect::parse_url(&config.url)?;
        let nudge = Arc::new(Notify::new());
        let shut_out = Arc::new(AtomicBool::new(false));
        let options = connect::options(config, &address, origin, &nudge, &shut_out)?;
        // With `retry_on_initial_connect` this only parses and spawns.
        let client = options
            .connect(address)
            .await
            .map_err(|error| connect::bad_url(&config.url, &error.to_string()))?;
        let jetstream = ContextBuilder::new()
            .timeout(API_PATIENCE)
            .ack_timeout(API_PATIENCE)
            .max_ack_inflight(ACKS_IN_FLIGHT)
            .build(client.clone());
        let (sender, status) = watch::channel(BusStatus::Connecting);
        let (status_sender, stop) = (Arc::new(sender), CancellationToken::new());
        let signs = link::Signs { nudge, shut_out };
        tokio::spawn(link::watch_connection(client.clone(), signs, Arc::clone(&status_sender), stop.clone()));
        let guard = stop.clone().drop_guard();
        let origin = origin.clone();
        let silent_since = Mutex::new(None);
        Ok(Self { client, jetstream, origin, status, status_sender, silent_since, stop, _guard: guard })
    }

    pub(crate) fn status(&self) -> watch::Receiver<BusStatus> {
        self.status.clone()
    }

    pub(crate) const fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    fn headers(&self, message_id: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(id) = message_id {
            headers.insert(header::MESSAGE_ID, id);
        }
        headers.insert(header::WORKER, self.origin.worker.as_str());
        headers.insert(header::HOST, self.origin.host.as_str());
        headers.insert(header::INSTANCE, self.origin.instance.as_str());
        headers
    }

    pub(crate) async fn publish(
        &self,
        out: Outgoing,
        class: Delivery,
        patience: Duration,
    ) -> Result<(), PublishError> {
        link::connected(&self.status, Instant::now() + patience).await.ok_or(PublishError::Disconnected)?;
        // Where acknowledgements do not come (no stream, JetStream stuck), a notification still reaches those who
        // listen, and its caller does not wait for every one of them.
        let silent = *self.silent_since();
        let expects_ack =
            StreamName::of_class(class).is_some() && silent.is_none_or(|since| since.elapsed() >= SILENCE);
        if !expects_ack {
            let headers = self.headers(out.message_id.as_deref());
            return self
                .client
                .publish_with_headers(out.subject.clone(), headers, out.body.clone())
                .await
                .map_err(|error| self.refusal(&out, &error.to_string()));
        }
        let storing = async { self.send_acked(out).await?.stored().await.map(drop) };
        let outcome =
            tokio::time::timeout(ACK_PATIENCE, storing).await.unwrap_or(Err(PublishError::TimedOut));
        match &outcome {
            Ok(()) => *self.silent_since() = None,
            Err(PublishError::TimedOut) => *self.silent_since() = Some(Instant::now()),
            Err(_) => {}
        }
        outcome
    }

    fn silent_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn send_acked(&self, out: Outgoing) -> Result<NatsPending, PublishError> {
        let connects =
            link::connected(&self.status, Instant::now()).await.ok_or(PublishError::Disconnected)?;
        let message = jetstream::message::PublishMessage::build()
            .payload(out.body.clone())
            .headers(self.headers(out.message_id.as_deref()));
        let sending = self.jetstream.send_publish(out.subject.clone(), message);
        let lost = link::lost(self.status.clone(), connects);
        let acknowledgement = tokio::select! {
            sent = sending => sent.map_err(|error| self.refusal_of(&out, &error))?,
            () = lost => return Err(PublishError::Disconnected),
        };
        Ok(NatsPending { acknowledgement, status: self.status.clone(), connects, subject: out.subject })
    }

    fn refusal_of(&self, out: &Outgoing, error: &jetstream::context::PublishError) -> PublishError {
        match error.kind() {
            PublishErrorKind::TimedOut => PublishError::TimedOut,
            _ => self.refusal(out, &error.to_string()),
        }
    }

    fn refusal(&self, out: &Outgoing, reason: &str) -> PublishError {
        let (subject, size, max) = (out.subject.clone(), out.body.len(), self.client.max_payload());
        // The headers count too; half a KiB covers ours.
        if size + 512 > max {
            PublishError::TooLarge { subject, size, max }
        } else {
            PublishError::Refused { subject, reason: reason.to_owned() }
        }
    }

    pub(crate) async fn subscribe(
        &self,
        subjects: Vec<String>,
        group: Option<String>,
        sender: RingSender<Incoming>,
    ) {
        let mut parts = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let part = match group.clone() {
                Some(group) => self.client.queue_subscribe(subject, group).await,
                None => self.client.subscribe(subject).await,
            };
            match part {
                Ok(part) => parts.push(part),
                // Only a drained client refuses.
                Err(error) => {
                    debug!(%error, "subscription after the end of the bus");
                    return sender.end();
                }
            }
        }
        tokio::spawn(forward(parts, sender, self.status.clone()));
        self.round_trip().await;
    }

    /// Returns once the server has seen what was sent before, so that a subscription misses nothing which is
    /// published after it was made. Nobody listens to the subject: the server says so at once.
    async fn round_trip(&self) {
        if self.status.borrow().is_connected() {
            let question = self.client.request(self.client.new_inbox(), Bytes::new());
            drop(tokio::time::timeout(Duration::from_secs(1), question).await);
        }
    }

    pub(crate) async fn request(&self, out: Outgoing, patience: Duration) -> Result<Bytes, RequestError> {
        let topic = out.subject.clone();
        let until = Instant::now() + patience;
        let connects = link::connected(&self.status, until).await.ok_or(RequestError::Disconnected)?;
        let (size, max) = (out.body.len(), self.client.max_payload());
        let question = async_nats::Request::new()
            .payload(out.body)
            .headers(self.headers(None))
            .timeout(Some(until.saturating_duration_since(Instant::now())));
        let answer = tokio::select! {
            answer = self.client.send_request(out.subject, question) => answer,
            () = link::lost(self.status.clone(), connects) => return Err(RequestError::Disconnected),
        };
        answer.map(|message| message.payload).map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut => RequestError::TimedOut { topic },
            RequestErrorKind::NoResponders => RequestError::NoResponder { topic },
            RequestErrorKind::MaxPayloadExceeded => {
                let reason = format!("the question has {size} bytes, the limit is {max}");
                RequestError::BadMessage { topic, reason }
            }
            _ => RequestError::BadMessage { topic, reason: error.to_string() },
        })
    }

    pub(crate) async fn respond(&self, out: Outgoing) -> Result<(), PublishError> {
        let (subject, body) = (out.subject.clone(), out.body.clone());
        self.client.publish(subject, body).await.map_err(|error| self.refusal(&out, &error.to_string()))
    }

    pub(crate) async fn consumer(&self, durable: &Durable) -> NatsConsumer {
        NatsConsumer::open(self, durable).await
    }

    pub(crate) async fn last_health(&self) -> Vec<(String, Bytes)> {
        let mut found = Vec::new();
        if !self.status.borrow().is_connected() {
            return found;
        }
        let reading = async {
            let stream = self.jetstream.get_stream_no_info(StreamName::Health.as_str()).await.ok()?;
            for filter in TopicFilter::kinds(TopicKind::of_class(Delivery::Health)).subjects() {
                let mut next = 1;
                // One message per subject: walking by number reads each once.
                while let Ok(message) = stream.direct_get_next_for_subject(filter.as_str(), Some(next)).await
                {
                    next = message.sequence + 1;
                    found.push((message.subject.to_string(), message.payload));
                }
            }
            Some(())
        };
        if tokio::time::timeout(API_PATIENCE, reading).await.is_err() {
            warn!("reading the last beats took too long; the list is incomplete");
        }
        found
    }

    pub(crate) async fn drain(&self) {
        let leaving = async {
            if self.status.borrow().is_connected() {
                drop(self.client.flush().await);
            }
            drop(self.client.drain().await);
        };
        drop(tokio::time::timeout(Duration::from_secs(2), leaving).await);
        self.stop.cancel();
        self.status_sender.send_replace(BusStatus::Closed);
    }
}

/// A published message whose acknowledgement is on its way.
#[derive(Debug)]
pub(crate) struct NatsPending {
    acknowledgement: jetstream::context::PublishAckFuture,
    status: watch::Receiver<BusStatus>,
    connects: u64,
    subject: String,
}

impl NatsPending {
    pub(crate) async fn stored(self) -> Result<Stored, PublishError> {
        let subject = self.subject;
        let outcome = tokio::select! {
            biased;
            outcome = self.acknowledgement.into_future() => outcome,
            () = link::lost(self.status, self.connects) => return Err(PublishError::Disconnected),
        };
        match outcome {
            Ok(ack) => Ok(Stored { sequence: ack.sequence, duplicate: ack.duplicate }),
            Err(error) => Err(match error.kind() {
                PublishErrorKind::TimedOut => PublishError::TimedOut,
                PublishErrorKind::BrokenPipe => PublishError::Disconnected,
                PublishErrorKind::StreamNotFound => PublishError::NoStream { subject },
                _ if is_full(&error) => PublishError::StreamFull { subject },
                _ => PublishError::Refused { subject, reason: error.to_string() },
            }),
        }
    }
}

/// The server has one code for every failure to store, and its text tells which.
fn is_full(error: &jetstream::context::PublishError) -> bool {
    std::error::Error::source(error).and_then(|source| source.downcast_ref::<jetstream::Error>()).is_some_and(
        |source| {
            source.error_code() == ErrorCode::STREAM_STORE_FAILED && source.to_string().contains("maximum")
        },
    )
}

async fn forward(
    parts: Vec<async_nats::Subscriber>,
    sender: RingSender<Incoming>,
    status: watch::Receiver<BusStatus>,
) {
    let mut messages = select_all(parts);
    loop {
        let next = tokio::select! {
            next = messages.next() => next,
            () = sender.abandoned() => return,
        };
        let Some(message) = next else { return sender.end() };
        // A server that is too old is treated as absent.
        if !matches!(&*status.borrow(), BusStatus::Refused(_)) {
            let reply = message.reply.map(|reply| reply.to_string());
            let (subject, body) = (message.subject.to_string(), message.payload);
            sender.push(Incoming { subject, origin: origin_of(message.headers.as_ref()), body, reply });
        }
    }
}

pub(crate) fn origin_of(headers: Option<&HeaderMap>) -> Origin {
    let value = |name: &str| {
        headers
            .and_then(|headers| headers.get(name))
            .map(|value| value.as_str().to_owned())
            .unwrap_or_default()
    };
    Origin { worker: value(header::WORKER), host: value(header::HOST), instance: value(header::INSTANCE) }
}
