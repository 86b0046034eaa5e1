//! One stream of the hub in memory: messages in order, message ids within the window, and per durable consumer
//! the position, what is unacknowledged, and when it is due again.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    Durable, Origin, PublishError, SiemPosition, Stored, StreamName, StreamSpec, WhenFull, consumer::Verdict,
    topic::covers, wire::Outgoing,
};

pub(super) struct MemoryStream {
    spec: StreamSpec,
    last: u64,
    bytes: u64,
    messages: BTreeMap<u64, Message>,
    ids: HashMap<String, (u64, Instant)>,
    consumers: HashMap<String, Position>,
}

struct Message {
    subject: String,
    origin: Origin,
    body: Bytes,
    at: Instant,
}

struct Position {
    durable: Durable,
    filters: Vec<String>,
    /// Everything up to here was delivered at least once.
    seen: u64,
    unacked: BTreeMap<u64, Unacked>,
}

struct Unacked {
    delivery: u64,
    due: Instant,
}

/// A message as handed to a consumer.
pub(super) struct Taken {
    pub(super) sequence: u64,
    pub(super) subject: String,
    pub(super) origin: Origin,
    pub(super) body: Bytes,
    pub(super) delivery: u64,
}

impl MemoryStream {
    pub(super) fn new(spec: StreamSpec) -> Self {
        let (messages, ids, consumers) = (BTreeMap::new(), HashMap::new(), HashMap::new());
        Self { spec, last: 0, bytes: 0, messages, ids, consumers }
    }

    pub(super) fn configure(&mut self, spec: StreamSpec) {
        self.spec = spec;
    }

    pub(super) const fn name(&self) -> StreamName {
        self.spec.name
    }

    pub(super) const fn source(&self) -> Option<StreamName> {
        self.spec.source
    }

    pub(super) fn keeps(&self, subject: &str) -> bool {
        self.spec.subjects.iter().any(|filter| covers(filter, subject))
    }

    pub(super) fn forget_ids(&mut self) {
        self.ids.clear();
    }

    pub(super) fn messages(&self) -> Vec<(String, Bytes)> {
        self.messages.values().map(|message| (message.subject.clone(), message.body.clone())).collect()
    }

    pub(super) fn add(&mut self, durable: Durable) {
        let filters = durable.filter().subjects();
        let (seen, unacked) = self
            .consumers
            .remove(durable.name())
            .map_or_else(|| (0, BTreeMap::new()), |position| (position.seen, position.unacked));
        let name = durable.name().to_owned();
        self.consumers.insert(name, Position { durable, filters, seen, unacked });
    }

    /// Adds or changes a consumer; a new one begins with the next message.
    pub(super) fn add_at_end(&mut self, durable: Durable) -> SiemPosition {
        let (name, last) = (durable.name().to_owned(), self.last);
        let is_new = !self.consumers.contains_key(&name);
        self.add(durable);
        let Some(position) = self.consumers.get_mut(&name) else { return SiemPosition::default() };
        if is_new {
            position.seen = last;
        }
        let unseen = self.messages.range(position.seen + 1..);
        let wanted =
            unseen.filter(|(_, message)| position.filters.iter().any(|f| covers(f, &message.subject)));
        SiemPosition {
            settled: position.unacked.keys().next().map_or(position.seen, |first| first - 1),
            waiting: wanted.count() as u64 + position.unacked.len() as u64,
        }
    }

    pub(super) fn remove_consumer(&mut self, name: &str) {
        self.consumers.remove(name);
    }

    pub(super) fn consumer_names(&self) -> Vec<String> {
        self.consumers.keys().cloned().collect()
    }

    pub(super) fn store(&mut self, out: &Outgoing, origin: &Origin) -> Result<Stored, PublishError> {
        let now = Instant::now();
        let (window, max_age) = (self.spec.duplicate_window, self.spec.max_age);
        self.ids.retain(|_, (_, at)| now.duration_since(*at) < window);
        let aged: Vec<u64> = self
            .messages
            .iter()
            .take_while(|(_, message)| now.duration_since(message.at) >= max_age)
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in aged {
            self.remove(sequence);
        }

        if let Some((sequence, _)) = out.message_id.as_ref().and_then(|id| self.ids.get(id)) {
            return Ok(Stored { sequence: *sequence, duplicate: true });
        }
        let size = out.body.len() as u64;
        if self.spec.max_per_subject.is_some() {
            let old = self.messages.iter().find(|(_, message)| message.subject == out.subject);
            if let Some(sequence) = old.map(|(sequence, _)| *sequence) {
                self.remove(sequence);
            }
        }
        while self.bytes + size > self.spec.max_bytes {
            match (self.spec.when_full, self.messages.keys().next().copied()) {
                (WhenFull::DropOldest, Some(oldest)) => self.remove(oldest),
                _ => return Err(PublishError::StreamFull { subject: out.subject.clone() }),
            }
        }
        self.last += 1;
        self.bytes += size;
        if let Some(id) = &out.message_id {
            self.ids.insert(id.clone(), (self.last, now));
        }
        let (subject, body) = (out.subject.clone(), out.body.clone());
        self.messages.insert(self.last, Message { subject, origin: origin.clone(), body, at: now });
        Ok(Stored { sequence: self.last, duplicate: false })
    }

    fn remove(&mut self, sequence: u64) {
        if let Some(message) = self.messages.remove(&sequence) {
            self.bytes -= message.body.len() as u64;
        }
    }

    /// Up to `max` messages for a consumer, those due again first; beside them, when the next one is due.
    /// `None`: there is no such consumer.
    pub(super) fn take(&mut self, name: &str, max: usize) -> Option<(Vec<Taken>, Option<Instant>)> {
        let now = Instant::now();
        let position = self.consumers.get_mut(name)?;
        let (ack_wait, room) = (position.durable.ack_wait(), position.durable.max_ack_pending() as usize);
        let mut taken = Vec::new();
        position.unacked.retain(|sequence, _| self.messages.contains_key(sequence));
        for (sequence, unacked) in
            position.unacked.iter_mut().filter(|(_, unacked)| unacked.due <= now).take(max)
        {
            unacked.delivery += 1;
            unacked.due = now + ack_wait;
            if let Some(message) = self.messages.get(sequence) {
                taken.push(message.taken(*sequence, unacked.delivery));
            }
        }
        for (sequence, message) in self.messages.range(position.seen + 1..) {
            if taken.len() >= max || position.unacked.len() >= room {
                break;
            }
            position.seen = *sequence;
            if position.filters.iter().any(|filter| covers(filter, &message.subject)) {
                position.unacked.insert(*sequence, Unacked { delivery: 1, due: now + ack_wait });
                taken.push(message.taken(*sequence, 1));
            }
        }
        let due = position.unacked.values().map(|unacked| unacked.due).min();
        Some((taken, due))
    }

    pub(super) fn judge(&mut self, name: &str, sequence: u64, verdict: Verdict) {
        let Some(position) = self.consumers.get_mut(name) else { return };
        let now = Instant::now();
        let ack_wait = position.durable.ack_wait();
        let later = |delay: Duration| now + delay;
        match verdict {
            Verdict::Ack | Verdict::Term => {
                let was_pending = position.unacked.remove(&sequence).is_some();
                if was_pending && self.spec.work_queue {
                    self.remove(sequence);
                }
            }
            Verdict::Nak(delay) => {
                if let Some(unacked) = position.unacked.get_mut(&sequence) {
                    unacked.due = later(delay);
                }
            }
            Verdict::Progress => {
                if let Some(unacked) = position.unacked.get_mut(&sequence) {
                    unacked.due = later(ack_wait);
                }
            }
        }
    }
}

impl Message {
    fn taken(&self, sequence: u64, delivery: u64) -> Taken {
        let (subject, origin, body) = (self.subject.clone(), self.origin.clone(), self.body.clone());
        Taken { sequence, subject, origin, body, delivery }
    }
}
