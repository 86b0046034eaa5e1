//! Durable consumers of the hub in memory.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};

use super::{MemoryHub, stream::Taken, wait_online};
use crate::{
    AckError, Durable, FetchError, StreamName,
    consumer::{AckHandle, RawDelivered, Verdict},
};

pub(crate) struct MemoryConsumer {
    hub: MemoryHub,
    changes: watch::Receiver<u64>,
    stream: StreamName,
    name: String,
}

impl MemoryConsumer {
    pub(super) fn open(hub: &MemoryHub, durable: &Durable) -> Self {
        Self {
            hub: hub.clone(),
            changes: hub.0.changes.subscribe(),
            stream: durable.stream(),
            name: durable.name().to_owned(),
        }
    }

    pub(crate) async fn fetch(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<RawDelivered>, FetchError> {
        let until = Instant::now() + wait;
        loop {
            if !wait_online(&self.hub, until).await {
                return Err(FetchError::Disconnected);
            }
            self.changes.mark_unchanged();
            let (taken, due) = self.take(max)?;
            if !taken.is_empty() {
                return Ok(taken.into_iter().map(|taken| self.delivered(taken)).collect());
            }
            let next = due.map_or(until, |due| due.min(until));
            // Both outcomes mean: look again.
            drop(tokio::time::timeout_at(next, self.changes.changed()).await);
            if Instant::now() >= until {
                return Ok(Vec::new());
            }
        }
    }

    fn take(&self, max: usize) -> Result<(Vec<Taken>, Option<Instant>), FetchError> {
        let mut state = self.hub.lock();
        state
            .streams
            .get_mut(&self.stream)
            .and_then(|stream| stream.take(&self.name, max))
            .ok_or_else(|| FetchError::NotProvisioned { stream: self.stream, durable: self.name.clone() })
    }

    fn delivered(&self, taken: Taken) -> RawDelivered {
        let (hub, stream, name) = (self.hub.clone(), self.stream, self.name.clone());
        let ack = AckHandle::Memory(MemoryAck { hub, stream, name, sequence: taken.sequence });
        RawDelivered {
            subject: taken.subject,
            origin: taken.origin,
            body: taken.body,
            delivery: taken.delivery,
            sequence: taken.sequence,
            ack,
        }
    }
}

pub(crate) struct MemoryAck {
    hub: MemoryHub,
    stream: StreamName,
    name: String,
    sequence: u64,
}

impl MemoryAck {
    pub(crate) fn give(&self, verdict: Verdict) -> Result<(), AckError> {
        if !self.hub.is_online() {
            return Err(AckError);
        }
        if let Some(stream) = self.hub.lock().streams.get_mut(&self.stream) {
            stream.judge(&self.name, self.sequence, verdict);
        }
        self.hub.changed();
        Ok(())
    }
}
