//! Delays between tries: exponential with jitter, without end, reset by success.
//!
//! Sleeping and giving up are the caller's: some must listen for a stop meanwhile.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// An endless row of growing, jittered delays.
#[derive(Debug)]
pub struct Backoff {
    shape: ExponentialBuilder,
    delays: ExponentialBackoff,
    most: Duration,
}

impl Backoff {
    /// Delays from about `first`, doubling up to `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        let shape = ExponentialBuilder::new()
            .with_min_delay(first)
            .with_max_delay(most)
            .without_max_times()
            .with_jitter();
        Self { shape, delays: shape.build(), most }
    }

    /// The next delay; never above `most`.
    pub fn delay(&mut self) -> Duration {
        self.delays.next().map_or(self.most, |d| d.min(self.most))
    }

    /// Starts over: the last try succeeded.
    pub fn reset(&mut self) {
        self.delays = self.shape.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_bound_never_end_and_differ() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = Backoff::new(first, most);
        let delays: Vec<_> = (0..200).map(|_| backoff.delay()).collect();
        assert!(delays[0] >= first && delays[0] < first * 2, "{:?}", delays[0]);
        assert!(delays.iter().all(|d| *d <= most));
        assert_eq!(delays[199], most);
        backoff.reset();
        assert!(backoff.delay() < first * 2);
        let firsts: std::collections::BTreeSet<_> =
            (0..50).map(|_| Backoff::new(first, most).delay()).collect();
        assert!(firsts.len() > 40, "jitter is missing");
    }
}
