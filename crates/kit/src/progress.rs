//! Readiness and the watchdog of the service manager, fed by the worker's own loop.
//!
//! There is deliberately no timer task here: a ping means that the loop itself came by, so a frozen loop is restarted.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use decnet_core::Clock;
use sd_notify::NotifyState;
use tokio::time::Instant;

/// The service manager's side of the talk: systemd's notification socket, or nothing.
#[derive(Debug)]
pub struct Notifier {
    watchdog: Option<Duration>,
    last_ping: Mutex<Option<Instant>>,
}

impl Notifier {
    /// What the environment offers (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`).
    pub fn process() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled(), last_ping: Mutex::default() }
    }

    /// Nobody to talk to.
    pub fn silent() -> Self {
        Self { watchdog: None, last_ping: Mutex::default() }
    }

    /// The worker is up; `status` is one line for `systemctl status`.
    pub fn ready(&self, status: &str) {
        Self::send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, status: &str) {
        Self::send(&[NotifyState::Status(status)]);
    }

    /// The worker is on its way down.
    pub fn stopping(&self) {
        Self::send(&[NotifyState::Stopping]);
    }

    /// How often a waiting loop must come by; `None` without a watchdog.
    fn pulse(&self) -> Option<Duration> {
        self.watchdog.map(|w| (w / 3).max(Duration::from_millis(1)))
    }

    fn ping(&self) {
        let Some(watchdog) = self.watchdog else { return };
        // A busy loop comes by thousands of times a second; the manager need not hear each of them.
        let apart = (watchdog / 8).min(Duration::from_secs(1));
        let mut last = self.last_ping.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|at| at.elapsed() >= apart) {
            *last = Some(Instant::now());
            Self::send(&[NotifyState::Watchdog]);
        }
    }

    fn send(state: &[NotifyState<'_>]) {
        if let Err(e) = sd_notify::notify(state) {
            tracing::debug!(error = %e, "cannot talk to the service manager");
        }
    }
}

/// The loop's report of itself. Clones report for the same worker.
#[derive(Clone)]
pub struct Progress(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    notifier: Notifier,
    /// Microseconds since the epoch; `i64::MIN` before the first.
    last: AtomicI64,
    /// Work waiting; negative = the worker did not say.
    queue: AtomicI64,
}

impl Progress {
    /// Progress stamped by `clock`, told to `notifier`.
    pub fn new(clock: Arc<dyn Clock>, notifier: Notifier) -> Self {
        Self(Arc::new(Inner { clock, notifier, last: AtomicI64::new(i64::MIN), queue: AtomicI64::new(-1) }))
    }

    /// The loop finished a piece of real work: call it after each pass or batch. Feeds the watchdog.
    pub fn made(&self) {
        self.0.last.store(self.0.clock.now().timestamp_micros(), Ordering::Relaxed);
        self.0.notifier.ping();
    }

    /// Waits for `work` to arrive, feeding the watchdog meanwhile from this very task: a loop that waits is not a loop that
    /// hangs. Wrap only waits for new work in it, never the work itself.
    pub async fn idle<F: Future>(&self, work: F) -> F::Output {
        self.0.notifier.ping();
        let Some(pulse) = self.0.notifier.pulse() else { return work.await };
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                arrived = &mut work => return arrived,
                () = tokio::time::sleep(pulse) => self.0.notifier.ping(),
            }
        }
    }

    /// Tells how much work is waiting, for the heartbeat.
    pub fn queue_depth(&self, depth: u64) {
        self.0.queue.store(i64::try_from(depth).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// When work was last finished.
    pub fn last(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.0.last.load(Ordering::Relaxed))
    }

    /// How much work is waiting, if the worker said.
    pub fn depth(&self) -> Option<u64> {
        u64::try_from(self.0.queue.load(Ordering::Relaxed)).ok()
    }

    pub(crate) fn notifier(&self) -> &Notifier {
        &self.0.notifier
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::ManualClock;

    use super::*;

    #[test]
    fn progress_is_stamped_by_the_clock_it_was_given() {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH + chrono::TimeDelta::days(3));
        let progress = Progress::new(Arc::new(clock.clone()), Notifier::silent());
        assert_eq!((progress.last(), progress.depth()), (None, None));
        progress.made();
        progress.queue_depth(4);
        assert_eq!((progress.last(), progress.depth()), (Some(clock.now()), Some(4)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_loop_keeps_pinging_from_its_own_task() {
        let notifier = Notifier { watchdog: Some(Duration::from_mins(1)), last_ping: Mutex::default() };
        let progress = Progress::new(Arc::new(decnet_core::SystemClock), notifier);
        let start = Instant::now();
        progress.idle(tokio::time::sleep(Duration::from_mins(5))).await;
        assert_eq!(start.elapsed(), Duration::from_mins(5));
        let last = progress.notifier().last_ping.lock().unwrap().unwrap();
        assert!(last.elapsed() <= Duration::from_secs(20), "{:?}", last.elapsed());
        assert_eq!(progress.last(), None, "waiting is not progress");
    }
}
