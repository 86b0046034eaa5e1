//! The hub in memory: the same rules as the server (no echo, groups, streams with message ids, redelivery), in
//! one process and without a socket. For tests and `DECNET_BUS_TYPE=fake`; nothing survives the process.

mod consume;
mod stream;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};
use tracing::debug;

pub(crate) use self::consume::{MemoryAck, MemoryConsumer};
use self::stream::MemoryStream;
use crate::{
    BusStatus, Durable, Origin, ProvisionError, PublishError, RequestError, SiemPosition, Stored, StreamName,
    StreamSpec,
    ring::RingSender,
    topic::covers,
    wire::{Incoming, Outgoing},
};

/// The server's limit, kept here too so that a test meets it.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// A broker in memory. Clones are the same broker.
#[derive(Debug, Clone)]
pub struct MemoryHub(Arc<Hub>);

#[derive(Debug)]
struct Hub {
    state: Mutex<State>,
    /// Counts changes, so that a waiting fetch looks again.
    changes: watch::Sender<u64>,
    online: watch::Sender<BusStatus>,
    next_inbox: AtomicU64,
    connects: AtomicU64,
}

#[derive(Default)]
struct State {
    listeners: Vec<Listener>,
    streams: HashMap<StreamName, MemoryStream>,
    inboxes: HashMap<String, oneshot::Sender<Bytes>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("listeners", &self.listeners.len()).finish_non_exhaustive()
    }
}

struct Listener {
    subjects: Vec<String>,
    group: Option<String>,
    owner: Origin,
    sender: RingSender<Incoming>,
}

impl Default for MemoryHub {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryHub {
    /// A hub without streams, like a fresh server.
    pub fn new() -> Self {
        Self(Arc::new(Hub {
            state: Mutex::default(),
            changes: watch::Sender::new(0),
            online: watch::Sender::new(connected(1)),
            next_inbox: AtomicU64::new(0),
            connects: AtomicU64::new(1),
        }))
    }

    /// Takes the hub off the net or back, as if the broker were stopped and started.
    pub fn set_online(&self, online: bool) {
        let status = if online {
            connected(self.0.connects.fetch_add(1, Ordering::Relaxed) + 1)
        } else {
            BusStatus::Connecting
        };
        self.0.online.send_replace(status);
    }

    /// Forgets all remembered message ids, as if the duplicate windows had passed.
    pub fn expire_message_ids(&self) {
        for stream in self.lock().streams.values_mut() {
            stream.forget_ids();
        }
    }

    pub(crate) fn link(&self, origin: Origin) -> MemoryLink {
        MemoryLink { hub: self.clone(), origin }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_online(&self) -> bool {
        self.0.online.borrow().is_connected()
    }

    fn changed(&self) {
        self.0.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

fn connected(connects: u64) -> BusStatus {
    BusStatus::Connected { version: "memory".to_owned(), connects }
}

/// One program's place on the hub.
#[derive(Debug)]
pub(crate) struct MemoryLink {
    hub: MemoryHub,
    origin: Origin,
}

impl MemoryLink {
    pub(crate) fn status(&self) -> watch::Receiver<BusStatus> {
        self.hub.0.online.subscribe()
    }

    /// Delivers to live listeners; `false` when nobody listens.
    fn deliver(&self, state: &mut State, out: &Outgoing, reply: Option<&str>) -> bool {
        state.listeners.retain(|listener| !listener.sender.is_abandoned());
        let mut served: Vec<&str> = Vec::new();
        let mut heard = false;
        for listener in &state.listeners {
            if listener.owner.is_same_run(&self.origin)
                || !listener.subjects.iter().any(|filter| covers(filter, &out.subject))
            {
                continue;
            }
            if let Some(group) = &listener.group {
                if served.contains(&group.as_str()) {
                    continue;
                }
                served.push(group);
            }
            heard = true;
            listener.sender.push(Incoming {
                subject: out.subject.clone(),
                origin: self.origin.clone(),
                body: out.body.clone(),
                reply: reply.map(str::to_owned),
            });
        }
        heard
    }

    fn check(&self, out: &Outgoing) -> Result<(), PublishError> {
        if !self.hub.is_online() {
            return Err(PublishError::Disconnected);
        }
        if out.body.len() > MAX_PAYLOAD {
            let (subject, size) = (out.subject.clone(), out.body.len());
            return Err(PublishError::TooLarge { subject, size, max: MAX_PAYLOAD });
        }
        Ok(())
    }

    pub(crate) fn publish(&self, out: &Outgoing) -> Result<(), PublishError> {
        match self.store(out) {
            // A plain publish does not care whether anything keeps it.
            Ok(_) | Err(PublishError::NoStream { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn store(&self, out: &Outgoing) -> Result<Stored, PublishError> {
        self.check(out)?;
        let mut state = self.hub.lock();
        self.deliver(&mut state, out, None);
        let mut stored = Err(PublishError::NoStream { subject: out.subject.clone() });
        let mut copies = Vec::new();
        for stream in state.streams.values_mut() {
            if stream.keeps(&out.subject) {
                stored = stream.store(out, &self.origin);
                copies.push(stream.name());
            }
        }
        if stored.as_ref().is_ok_and(|stored| !stored.duplicate) {
            for stream in state.streams.values_mut() {
                if stream.source().is_some_and(|source| copies.contains(&source)) {
                    drop(stream.store(out, &self.origin));
                }
            }
        }
        drop(state);
        self.hub.changed();
        stored
    }

    pub(crate) fn subscribe(
        &self,
        subjects: Vec<String>,
        group: Option<String>,
        sender: RingSender<Incoming>,
    ) {
        let listener = Listener { subjects, group, owner: self.origin.clone(), sender };
        self.hub.lock().listeners.push(listener);
    }

    pub(crate) async fn request(&self, out: Outgoing, patience: Duration) -> Result<Bytes, RequestError> {
        let topic = out.subject.clone();
        let until = Instant::now() + patience;
        if !wait_online(&self.hub, until).await {
            return Err(RequestError::Disconnected);
        }
        if out.body.len() > MAX_PAYLOAD {
            let reason = format!("the question has {} bytes, the limit is {MAX_PAYLOAD}", out.body.len());
            return Err(RequestError::BadMessage { topic, reason });
        }
        let inbox = format!("_INBOX.{}", self.hub.0.next_inbox.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.hub.lock();
            if !self.deliver(&mut state, &out, Some(&inbox)) {
                return Err(RequestError::NoResponder { topic });
            }
            state.inboxes.insert(inbox.clone(), sender);
        }
        if let Ok(Ok(answer)) = tokio::time::timeout_at(until, receiver).await {
            return Ok(answer);
        }
        self.hub.lock().inboxes.remove(&inbox);
        Err(RequestError::TimedOut { topic })
    }

    pub(crate) fn respond(&self, out: &Outgoing) -> Result<(), PublishError> {
        self.check(out)?;
        let inbox = self.hub.lock().inboxes.remove(&out.subject);
        if inbox.is_none_or(|inbox| inbox.send(out.body.clone()).is_err()) {
            debug!("the asker is gone");
        }
        Ok(())
    }

    pub(crate) fn last_health(&self) -> Vec<(String, Bytes)> {
        let state = self.hub.lock();
        state.streams.get(&StreamName::Health).map(MemoryStream::messages).unwrap_or_default()
    }

    pub(crate) fn close(&self) {
        self.hub.lock().listeners.retain(|listener| {
            let own = listener.owner.is_same_run(&self.origin);
            if own {
                listener.sender.end();
            }
            !own
        });
    }

    pub(crate) fn provision(
        &self,
        streams: Vec<StreamSpec>,
        durables: Vec<Durable>,
    ) -> Result<(), ProvisionError> {
        if !self.hub.is_online() {
            return Err(ProvisionError::Disconnected);
        }
        let mut state = self.hub.lock();
        for spec in streams {
            match state.streams.get_mut(&spec.name) {
                Some(stream) => stream.configure(spec),
                None => drop(state.streams.insert(spec.name, MemoryStream::new(spec))),
            }
        }
        for durable in durables {
            if let Some(stream) = state.streams.get_mut(&durable.stream()) {
                stream.add(durable);
            }
        }
        drop(state);
        self.hub.changed();
        Ok(())
    }

    /// As on the server, except that a new consumer begins with the next message: the hub keeps no wall clock.
    pub(crate) fn put_siem(&self, durable: &Durable) -> Result<SiemPosition, ProvisionError> {
        self.with_siem(|stream| stream.add_at_end(durable.clone()))
    }

    pub(crate) fn remove_siem(&self, name: &str) -> Result<(), ProvisionError> {
        self.with_siem(|stream| stream.remove_consumer(name))
    }

    pub(crate) fn siem_names(&self) -> Result<Vec<String>, ProvisionError> {
        self.with_siem(|stream| stream.consumer_names())
    }

    fn with_siem<T>(&self, work: impl FnOnce(&mut MemoryStream) -> T) -> Result<T, ProvisionError> {
        if !self.hub.is_online() {
            return Err(ProvisionError::Disconnected);
        }
        let mut state = self.hub.lock();
        let stream = state.streams.get_mut(&StreamName::Siem).ok_or_else(|| ProvisionError::Refused {
            what: StreamName::Siem.as_str().to_owned(),
            reason: "there is no such stream".to_owned(),
        })?;
        let answer = work(stream);
        drop(state);
        self.hub.changed();
        Ok(answer)
    }

    pub(crate) fn consumer(&self, durable: &Durable) -> MemoryConsumer {
        MemoryConsumer::open(&self.hub, durable)
    }
}

async fn wait_online(hub: &MemoryHub, until: Instant) -> bool {
    let mut online = hub.0.online.subscribe();
    let waiting = online.wait_for(BusStatus::is_connected);
    tokio::time::timeout_at(until, waiting).await.is_ok_and(|seen| seen.is_ok())
}
