//! When a worker runs a pass: at start, on its timer, and soon after an event or a nudge, with bursts folded into one pass.
//!
//! The database is the truth and an event only says "look", so what an event carries is deliberately not handed on, and with
//! no broker the timer alone keeps the worker going. A worker's own events never arrive here: the bus client drops them.

use std::{pin::Pin, sync::Arc, time::Duration};

use decnet_bus::{Bus, Consumer, Delivered, Durable, Subscription, TopicFilter, Worker};
use futures_util::{
    FutureExt, Stream, StreamExt,
    stream::{self, SelectAll},
};
use tokio::{
    sync::Notify,
    time::{Instant, Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{progress::Progress, retry::Backoff};

/// Quiet time after an event before the pass begins.
const SETTLE: Duration = Duration::from_millis(50);
/// A burst that does not end is cut here: a pass begins while it still goes on.
const LONGEST_BURST: Duration = Duration::from_millis(500);

/// Events taken from a durable consumer at once, and how long one request waits for the first.
const FETCH: usize = 500;
const FETCH_WAIT: Duration = Duration::from_secs(20);
/// A source that is always ready must not hold the loop here for ever.
const MOST_DRAINED: usize = 10_000;

/// Why the worker woke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The first pass.
    Start,
    /// The timer.
    Timer,
    /// So many events, folded into this one pass.
    Events(usize),
    /// Something in this process asked.
    Nudge,
}

/// Asks for a pass from within the process. Any number of calls before the pass count as one.
#[derive(Debug, Clone, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// Asks for a pass.
    pub fn now(&self) {
        self.0.notify_one();
    }

    pub(crate) async fn asked(&self) {
        self.0.notified().await;
    }
}

/// The wake-ups of one loop: `while let Some(wake) = wakeups.next().await { pass().await; ctx.progress(); }`.
pub struct Wakeups {
    timer: Interval,
    events: SelectAll<Events>,
    nudge: Nudge,
    stop: CancellationToken,
    progress: Progress,
    started: bool,
    on_first: Option<Box<dyn FnOnce() + Send>>,
}

/// How many events came.
type Events = Pin<Box<dyn Stream<Item = usize> + Send>>;

impl Wakeups {
    /// Wakes every `interval`, until `stop`. The first wake comes at once.
    pub fn every(interval: Duration, progress: Progress, stop: CancellationToken) -> Self {
        let mut timer = tokio::time::interval_at(Instant::now() + interval, interval);
        // A pass longer than the interval must not be followed by a volley of overdue ones.
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let events = SelectAll::new();
        Self { timer, events, nudge: Nudge::default(), stop, progress, started: false, on_first: None }
    }

    /// Wakes on events of others that match `filter`, while they happen.
    #[must_use]
    pub async fn on(self, bus: &Bus, filter: &TopicFilter) -> Self {
        let subscription = bus.subscribe(filter).await;
        self.on_subscription(subscription)
    }

    /// Wakes on the events that the subject table wakes `worker` for, also on those that came while it was away. They are
    /// acknowledged before the pass: the pass looks at the database, and the timer repairs a pass that a crash swallowed.
    #[must_use]
    pub async fn on_wakes_of(self, bus: &Bus, worker: Worker) -> Self {
        match Durable::events(worker) {
            Some(durable) => {
                let consumer = bus.consume(durable).await;
                self.on_events(durable_events(consumer))
            }
            None => self,
        }
    }

    /// Wakes on what this subscription brings.
    #[must_use]
    pub fn on_subscription(self, subscription: Subscription) -> Self {
        self.on_stream(subscription)
    }

    /// Wakes on each item of any stream.
    #[must_use]
    pub fn on_stream<S>(self, stream: S) -> Self
    where
        S: Stream + Send + 'static,
    {
        self.on_events(stream.map(|_| 1))
    }

    fn on_events(mut self, events: impl Stream<Item = usize> + Send + 'static) -> Self {
        self.events.push(Box::pin(events));
        self
    }

    /// Runs once, when the loop first asks for work: by then the worker has subscribed to everything.
    #[must_use]
    pub(crate) fn at_first(mut self, tell: impl FnOnce() + Send + 'static) -> Self {
        self.on_first = Some(Box::new(tell));
        self
    }

    /// A handle that asks for a pass.
    pub fn nudge(&self) -> Nudge {
        self.nudge.clone()
    }

    /// Waits for the next reason to run a pass; `None` when the worker shall stop. Feeds the watchdog while it waits.
    pub async fn next(&mut self) -> Option<Wake> {
        if self.stop.is_cancelled() {
            return None;
        }
        if !self.started {
            self.started = true;
            if let Some(tell) = self.on_first.take() {
                tell();
            }
            return Some(Wake::Start);
        }
        let progress = self.progress.clone();
        progress.idle(self.reason()).await
    }

    async fn reason(&mut self) -> Option<Wake> {
        // An ended subscription (no bus) leaves the set, and an empty set must wait, not spin.
        let has_events = !self.events.is_empty();
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            Some(first) = self.events.next(), if has_events => self.burst(first).await,
            () = self.nudge.asked() => Some(Wake::Nudge),
            _ = self.timer.tick() => {
                // What already waits belongs to this pass as well.
                self.drain();
                Some(Wake::Timer)
            }
        }
    }

    /// Takes events until it has been quiet for a moment.
    async fn burst(&mut self, first: usize) -> Option<Wake> {
        let deadline = Instant::now() + LONGEST_BURST;
        let mut count = first + self.drain();
        while !self.events.is_empty() {
            let quiet = (Instant::now() + SETTLE).min(deadline);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep_until(quiet) => break,
                Some(more) = self.events.next() => count += more + self.drain(),
            }
        }
        Some(Wake::Events(count))
    }

    fn drain(&mut self) -> usize {
        let mut count = 0;
        while count < MOST_DRAINED {
            let Some(Some(more)) = self.events.next().now_or_never() else { break };
            count += more;
        }
        count
    }
}

/// What a durable consumer brings, acknowledged.
fn durable_events(consumer: Consumer) -> impl Stream<Item = usize> + Send {
    let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(15));
    stream::unfold((consumer, backoff), |(mut consumer, mut backoff)| async move {
        loop {
            match consumer.fetch(FETCH, FETCH_WAIT).await {
                Ok(batch) => {
                    backoff.reset();
                    if let Err(error) = Delivered::ack_all(&batch).await {
                        tracing::debug!(%error, "events that wake this worker may come again");
                    }
                    if !batch.is_empty() {
                        return Some((batch.len(), (consumer, backoff)));
                    }
                }
                Err(error) => {
                    let pause = backoff.delay();
                    tracing::debug!(%error, pause_s = pause.as_secs_f64(), "no events for now, the timer goes on");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;
    use crate::progress::Notifier;

    fn wakeups(interval: Duration, stop: &CancellationToken) -> Wakeups {
        let progress = Progress::new(Arc::new(decnet_core::SystemClock), Notifier::silent());
        Wakeups::every(interval, progress, stop.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_wake_is_at_once_then_the_timer_ticks() {
        let stop = CancellationToken::new();
        let mut wakeups = wakeups(Duration::from_mins(1), &stop);
        let start = Instant::now();
        assert_eq!(wakeups.next().await, Some(Wake::Start));
        assert_eq!(start.elapsed(), Duration::ZERO);
        for round in 1..=3u32 {
            assert_eq!(wakeups.next().await, Some(Wake::Timer));
            assert_eq!(start.elapsed(), Duration::from_mins(1) * round);
        }
        stop.cancel();
        assert_eq!(wakeups.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_one_pass_also_when_it_came_during_a_pass() {
        let stop = CancellationToken::new();
        let (send, receive) = mpsc::unbounded_channel();
        let mut wakeups =
            wakeups(Duration::from_mins(1), &stop).on_stream(UnboundedReceiverStream::new(receive));
        assert_eq!(wakeups.next().await, Some(Wake::Start));
        for _ in 0..500 {
            send.send(()).unwrap();
        }
        assert_eq!(wakeups.next().await, Some(Wake::Events(500)));
        let quiet = tokio::time::timeout(Duration::from_secs(59), wakeups.next()).await;
        assert!(quiet.is_err(), "{quiet:?}");
        assert_eq!(wakeups.next().await, Some(Wake::Timer));
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_without_end_does_not_keep_the_pass_waiting() {
        let stop = CancellationToken::new();
        let endless = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some(((), ()))
        });
        let mut wakeups = wakeups(Duration::from_hours(1), &stop).on_stream(endless);
        assert_eq!(wakeups.next().await, Some(Wake::Start));
        let start = Instant::now();
        assert!(matches!(wakeups.next().await, Some(Wake::Events(n)) if n > 10));
        assert!(start.elapsed() <= LONGEST_BURST + SETTLE, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_ended_subscription_leaves_the_timer_alone() {
        let stop = CancellationToken::new();
        let mut wakeups = wakeups(Duration::from_mins(1), &stop).on_stream(stream::empty::<()>());
        assert_eq!(wakeups.next().await, Some(Wake::Start));
        let start = Instant::now();
        assert_eq!(wakeups.next().await, Some(Wake::Timer));
        assert_eq!(start.elapsed(), Duration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn nudges_wake_and_fold() {
        let stop = CancellationToken::new();
        let mut wakeups = wakeups(Duration::from_mins(1), &stop);
        assert_eq!(wakeups.next().await, Some(Wake::Start));
        let nudge = wakeups.nudge();
        for _ in 0..10 {
            nudge.now();
        }
        assert_eq!(wakeups.next().await, Some(Wake::Nudge));
        assert_eq!(wakeups.next().await, Some(Wake::Timer));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stop.cancel();
        });
        assert_eq!(wakeups.next().await, None);
    }
}
