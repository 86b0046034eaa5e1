//! The bounded queue between the transport and one subscriber: it never blocks the sender and drops the oldest
//! entry when the reader is slow. (tokio's broadcast channel has the same rule, but takes its memory in advance
//! and tells of the loss only when the reader comes back.)

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio_util::sync::CancellationToken;

/// Entries that wait for one subscriber.
pub const CAPACITY: usize = 1024;

struct State<T> {
    entries: VecDeque<T>,
    dropped: u64,
    ended: bool,
    reader: Option<Waker>,
}

/// The sending side. Clones feed the same reader.
pub(crate) struct RingSender<T> {
    state: Arc<Mutex<State<T>>>,
    gone: CancellationToken,
}

impl<T> Clone for RingSender<T> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), gone: self.gone.clone() }
    }
}

/// The one reader. Dropping it tells the senders.
pub(crate) struct RingReader<T> {
    state: Arc<Mutex<State<T>>>,
    gone: CancellationToken,
}

pub(crate) fn ring<T>() -> (RingSender<T>, RingReader<T>) {
    let state =
        Arc::new(Mutex::new(State { entries: VecDeque::new(), dropped: 0, ended: false, reader: None }));
    let gone = CancellationToken::new();
    (RingSender { state: Arc::clone(&state), gone: gone.clone() }, RingReader { state, gone })
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> RingSender<T> {
    /// Adds an entry; returns how many were dropped so far if this one pushed another out.
    pub(crate) fn push(&self, entry: T) -> Option<u64> {
        let mut state = lock(&self.state);
        if state.ended || self.gone.is_cancelled() {
            return None;
        }
        let full = state.entries.len() >= CAPACITY;
        if full {
            state.entries.pop_front();
            state.dropped += 1;
        }
        state.entries.push_back(entry);
        let (dropped, waker) = (state.dropped, state.reader.take());
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        full.then_some(dropped)
    }

    /// Nothing more will come.
    pub(crate) fn end(&self) {
        let mut state = lock(&self.state);
        state.ended = true;
        if let Some(waker) = state.reader.take() {
            waker.wake();
        }
    }

    /// Whether the reader is gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.gone.is_cancelled()
    }

    /// Completes when the reader is gone.
    pub(crate) async fn abandoned(&self) {
        self.gone.cancelled().await;
    }
}

impl<T> RingReader<T> {
    pub(crate) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = lock(&self.state);
        match state.entries.pop_front() {
            Some(entry) => Poll::Ready(Some(entry)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Entries lost because the reader was slow.
    pub(crate) fn dropped(&self) -> u64 {
        lock(&self.state).dropped
    }
}

impl<T> Drop for RingReader<T> {
    fn drop(&mut self) {
        self.gone.cancel();
        lock(&self.state).entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_full_ring_loses_the_oldest_and_counts() {
        let (sender, reader) = ring();
        let mut reported = 0;
        for n in 0..CAPACITY + 3 {
            reported = sender.push(n).unwrap_or(reported);
        }
        assert_eq!((reported, reader.dropped()), (3, 3));
        assert_eq!(poll_fn(|cx| reader.poll_next(cx)).await, Some(3));
        sender.end();
        let mut last = None;
        while let Some(n) = poll_fn(|cx| reader.poll_next(cx)).await {
            last = Some(n);
        }
        assert_eq!(last, Some(CAPACITY + 2));
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken_and_a_dropped_one_is_noticed() {
        let (sender, reader) = ring();
        let waiting = tokio::spawn(async move { (poll_fn(|cx| reader.poll_next(cx)).await, reader) });
        tokio::task::yield_now().await;
        sender.push(7);
        let (seen, reader) = waiting.await.unwrap();
        assert_eq!(seen, Some(7));
        drop(reader);
        sender.abandoned().await;
        assert!(sender.is_abandoned());
    }
}
