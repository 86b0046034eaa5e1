//! Live messages: what is published while one listens. For work that must not be missed there are consumers.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use futures_util::Stream;
use tracing::warn;

use crate::{Counters, Envelope, Origin, Topic, ring::RingReader, wire::Incoming};

/// A message as its receiver sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Where it was published.
    pub topic: Topic,
    /// What was said.
    pub envelope: Envelope,
}

/// A stream of [`Received`]. Ends only when the bus is drained or switched off.
pub struct Subscription {
    reader: RingReader<Incoming>,
    own: Origin,
    counters: Arc<Counters>,
    reported: u64,
}

impl Subscription {
    pub(crate) fn new(reader: RingReader<Incoming>, own: Origin, counters: Arc<Counters>) -> Self {
        Self { reader, own, counters, reported: 0 }
    }

    /// Messages lost because we were slow.
    pub fn dropped(&self) -> u64 {
        self.reader.dropped()
    }

    /// The next message; `None` once the bus is drained or switched off.
    pub async fn recv(&mut self) -> Option<Received> {
        std::future::poll_fn(|context| self.poll_received(context)).await
    }

    fn poll_received(&mut self, context: &mut Context<'_>) -> Poll<Option<Received>> {
        loop {
            let Poll::Ready(next) = self.reader.poll_next(context) else { return Poll::Pending };
            let dropped = self.reader.dropped();
            if dropped > self.reported {
                self.counters.overrun.fetch_add(dropped - self.reported, Ordering::Relaxed);
                warn!(lost = dropped - self.reported, "a slow subscription lost its oldest messages");
                self.reported = dropped;
            }
            let Some(message) = next else { return Poll::Ready(None) };
            if message.origin.is_same_run(&self.own) {
                continue;
            }
            match read(&message) {
                Ok(received) => return Poll::Ready(Some(received)),
                Err(reason) => {
                    self.counters.poison.fetch_add(1, Ordering::Relaxed);
                    warn!(%reason, "unreadable message dropped");
                }
            }
        }
    }
}

fn read(message: &Incoming) -> Result<Received, String> {
    let topic = Topic::parse(&message.subject).map_err(|error| error.to_string())?;
    let envelope = Envelope::from_body(&topic, &message.body).map_err(|error| error.to_string())?;
    Ok(Received { topic, envelope })
}

impl Stream for Subscription {
    type Item = Received;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Received>> {
        self.get_mut().poll_received(context)
    }
}
