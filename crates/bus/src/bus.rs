//! The handle that workers hold: publish, subscribe, consume, request, serve. It turns topics and payloads into
//! subjects and bytes and leaves the rest to a transport: NATS, the hub in memory, or nothing at all.
//!
//! The bus only notifies, the database is the truth: `publish` never fails its caller and never keeps it longer
//! than [`PUBLISH_BUDGET`].

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::{
    BusConfig, BusIdentity, BusStatus, BusType, ConnectError, Consumer, Counters, Durable, Envelope, Origin,
    Pending, PublishError, RequestError, Requests, Stored, Subscription, Topic, TopicFilter,
    memory::{MemoryHub, MemoryLink},
    nats::NatsLink,
    payload::Payload,
    request,
    ring::ring,
    wire::Outgoing,
};

/// The longest time that [`Bus::publish`] keeps its caller.
pub const PUBLISH_BUDGET: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(crate) enum Link {
    Nats(Box<NatsLink>),
    Memory(MemoryLink),
    Off(watch::Sender<BusStatus>),
}

#[derive(Debug)]
struct Inner {
    identity: BusIdentity,
    origin: Origin,
    link: Link,
    counters: Arc<Counters>,
    /// A failure was reported and no connection was made since.
    complained: AtomicBool,
}

/// A worker's place on the bus. Clones are the same place.
#[derive(Debug, Clone)]
pub struct Bus(Arc<Inner>);

impl Bus {
    /// What the settings say: a server, the hub of this process, or nothing.
    pub async fn open(config: &BusConfig, identity: BusIdentity) -> Result<Self, ConnectError> {
        static HUB: OnceLock<MemoryHub> = OnceLock::new();
        match (config.enabled, config.r#type) {
            (false, _) => Ok(Self::null(identity)),
            (true, BusType::Fake) => Ok(Self::memory(HUB.get_or_init(MemoryHub::new), identity)),
            (true, BusType::Nats) => Self::nats(config, identity).await,
        }
    }

    /// A place on a nats-server. Returns at once and connects in the background, for as long as it takes.
    pub async fn nats(config: &BusConfig, identity: BusIdentity) -> Result<Self, ConnectError> {
        let origin = origin_of(&identity);
        let link = NatsLink::open(config, &origin).await?;
        Ok(Self::assemble(identity, origin, Link::Nats(Box::new(link))))
    }

    /// A place on a hub in memory.
    pub fn memory(hub: &MemoryHub, identity: BusIdentity) -> Self {
        let origin = origin_of(&identity);
        let link = Link::Memory(hub.link(origin.clone()));
        Self::assemble(identity, origin, link)
    }

    /// A place where publishes vanish and subscriptions end at once.
    pub fn null(identity: BusIdentity) -> Self {
        let origin = origin_of(&identity);
        Self::assemble(identity, origin, Link::Off(watch::Sender::new(BusStatus::Disabled)))
    }

    fn assemble(identity: BusIdentity, origin: Origin, link: Link) -> Self {
        let inner =
            Inner { identity, origin, link, counters: Arc::default(), complained: AtomicBool::new(false) };
        Self(Arc::new(inner))
    }

    /// Who we are here.
    pub fn identity(&self) -> &BusIdentity {
        &self.0.identity
    }

    /// Counters for metrics.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Whether the bus is switched on.
    pub fn is_enabled(&self) -> bool {
        !matches!(self.0.link, Link::Off(_))
    }

    /// Whether messages flow right now.
    pub fn is_connected(&self) -> bool {
        self.status().borrow().is_connected()
    }

    /// The state of the connection and its changes.
    pub fn status(&self) -> watch::Receiver<BusStatus> {
        match &self.0.link {
            Link::Nats(link) => link.status(),
            Link::Memory(link) => link.status(),
            Link::Off(status) => status.subscribe(),
        }
    }

    /// Waits until messages flow, for at most `patience`.
    pub async fn connected_within(&self, patience: Duration) -> bool {
        let mut status = self.status();
        let waiting = status.wait_for(BusStatus::is_connected);
        tokio::time::timeout(patience, waiting).await.is_ok_and(|seen| seen.is_ok())
    }

    /// Wraps a payload with our clock and ids, such as for an outbox row.
    pub fn envelope<P: Payload>(&self, topic: &Topic, payload: &P) -> Result<Envelope, PublishError> {
        if P::NAME != topic.spec().payload {
            let reason = format!("{} is not its payload, {} is", P::NAME, topic.spec().payload);
            return Err(PublishError::BadPayload { subject: topic.subject(), reason });
        }
        let identity = &self.0.identity;
        Envelope::new(topic, payload, &*identity.clock, &*identity.ids)
            .map_err(|source| bad_payload(topic, &source))
    }

    /// Tells whoever listens. Never fails and never keeps the caller longer than [`PUBLISH_BUDGET`]: what cannot
    /// be sent is counted and reported (the first time of an outage as a warning).
    pub async fn publish<P: Payload>(&self, topic: &Topic, payload: &P) {
        let sending = async {
            let envelope = self.envelope(topic, payload)?;
            let body = envelope.to_body().map_err(|source| bad_payload(topic, &source))?;
            let out = Outgoing { subject: topic.subject(), message_id: Some(envelope.id), body };
            // Once an outage is known, nobody waits for its end any more.
            let patience =
                if self.0.complained.load(Ordering::Relaxed) { Duration::ZERO } else { PUBLISH_BUDGET };
            match &self.0.link {
                Link::Nats(link) => link.publish(out, topic.class(), patience).await,
                Link::Memory(link) => link.publish(&out),
                Link::Off(_) => Ok(()),
            }
        };
        let outcome =
            tokio::time::timeout(PUBLISH_BUDGET, sending).await.unwrap_or(Err(PublishError::TimedOut));
        self.note(topic, outcome);
    }

    fn note(&self, topic: &Topic, outcome: Result<(), PublishError>) {
        let Err(error) = outcome else {
            self.0.complained.store(false, Ordering::Relaxed);
            self.0.counters.published.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.0.counters.lost.fetch_add(1, Ordering::Relaxed);
        let outage = matches!(error, PublishError::Disconnected | PublishError::TimedOut);
        if outage && self.0.complained.swap(true, Ordering::Relaxed) {
            debug!(topic = %topic, %error, "notification lost");
        } else {
            warn!(topic = %topic, %error, "notification lost; receivers look by themselves now and then");
        }
    }

    /// Publishes an envelope to the stream of its topic and waits until it is stored. A repeated `message_id` is
    /// stored once within the stream's window.
    pub async fn publish_acked(
        &self,
        topic: &Topic,
        message_id: &str,
        envelope: &Envelope,
    ) -> Result<Stored, PublishError> {
        let body = envelope.to_body().map_err(|source| bad_payload(topic, &source))?;
        self.send_acked(topic, message_id, body).await?.stored().await
    }

    /// Sends a body to the stream of its topic. The acknowledgement is awaited apart, so that many may be on
    /// their way: the ingest path.
    pub async fn send_acked(
        &self,
        topic: &Topic,
        message_id: &str,
        body: Bytes,
    ) -> Result<Pending, PublishError> {
        let out = Outgoing { subject: topic.subject(), message_id: Some(message_id.to_owned()), body };
        let pending = match &self.0.link {
            Link::Nats(link) => Pending::nats(link.send_acked(out).await?),
            Link::Memory(link) => Pending::done(link.store(&out)?),
            Link::Off(_) => return Err(PublishError::Disabled),
        };
        self.0.counters.published.fetch_add(1, Ordering::Relaxed);
        Ok(pending)
    }

    /// Listens. The subscription holds the newest 1024 messages, loses the oldest beyond that, never shows our
    /// own messages, and lives through the absence of the broker, also at the start.
    pub async fn subscribe(&self, filter: &TopicFilter) -> Subscription {
        let (sender, reader) = ring();
        match &self.0.link {
            Link::Nats(link) => link.subscribe(filter.subjects(), None, sender).await,
            Link::Memory(link) => link.subscribe(filter.subjects(), None, sender),
            Link::Off(_) => sender.end(),
        }
        Subscription::new(reader, self.0.origin.clone(), Arc::clone(&self.0.counters))
    }

    /// Answers requests. Several programs of one name share the work.
    pub async fn serve(&self, filter: &TopicFilter) -> Requests {
        let (sender, reader) = ring();
        let group = Some(self.0.identity.worker.to_string());
        match &self.0.link {
            Link::Nats(link) => link.subscribe(filter.subjects(), group, sender).await,
            Link::Memory(link) => link.subscribe(filter.subjects(), group, sender),
            Link::Off(_) => sender.end(),
        }
        Requests::new(reader, self.clone())
    }

    /// Asks whoever serves the topic.
    pub async fn request<Q: Serialize, R: DeserializeOwned>(
        &self,
        topic: &Topic,
        question: &Q,
        patience: Duration,
    ) -> Result<R, RequestError> {
        let bad = |reason: String| RequestError::BadMessage { topic: topic.subject(), reason };
        let body = serde_json::to_vec(question).map_err(|error| bad(error.to_string()))?;
        let out = Outgoing { subject: topic.subject(), message_id: None, body: body.into() };
        let answer = match &self.0.link {
            Link::Nats(link) => link.request(out, patience).await?,
            Link::Memory(link) => link.request(out, patience).await?,
            Link::Off(_) => return Err(RequestError::Disabled),
        };
        request::read_answer(topic, &answer)
    }

    pub(crate) async fn respond(&self, reply: String, body: Bytes) -> Result<(), PublishError> {
        let out = Outgoing { subject: reply, message_id: None, body };
        match &self.0.link {
            Link::Nats(link) => link.respond(out).await,
            Link::Memory(link) => link.respond(&out),
            Link::Off(_) => Err(PublishError::Disabled),
        }
    }

    /// Opens a durable consumer. It must have been provisioned; if it is not, fetching says so.
    pub async fn consume(&self, durable: Durable) -> Consumer {
        let (origin, counters) = (self.0.origin.clone(), Arc::clone(&self.0.counters));
        Consumer::open(&self.0.link, durable, origin, counters).await
    }

    /// The last beat of each worker, so that the registry survives a restart of the API. Empty while the broker
    /// is away.
    pub async fn last_health(&self) -> Vec<(Topic, Envelope)> {
        let messages = match &self.0.link {
            Link::Nats(link) => link.last_health().await,
            Link::Memory(link) => link.last_health(),
            Link::Off(_) => Vec::new(),
        };
        messages
            .into_iter()
            .filter_map(|(subject, body)| {
                let topic = Topic::parse(&subject).ok()?;
                let envelope = Envelope::from_body(&topic, &body).ok()?;
                Some((topic, envelope))
            })
            .collect()
    }

    /// Sends what is on its way and leaves the bus, within two seconds.
    pub async fn drain(&self) {
        match &self.0.link {
            Link::Nats(link) => link.drain().await,
            Link::Memory(link) => link.close(),
            Link::Off(_) => {}
        }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.0.link
    }
}

fn origin_of(identity: &BusIdentity) -> Origin {
    Origin {
        worker: identity.worker.to_string(),
        host: identity.host.to_string(),
        instance: identity.ids.next_id().simple().to_string(),
    }
}

fn bad_payload(topic: &Topic, source: &serde_json::Error) -> PublishError {
    PublishError::BadPayload { subject: topic.subject(), reason: source.to_string() }
}
