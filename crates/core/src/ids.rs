//! Row and connection ids as a parameter: UUID version 7 (RFC 9562), so that they sort by time of creation.

use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use rand_chacha::ChaCha20Rng;
use uuid::Uuid;

use crate::{Clock, Seed};

/// A source of fresh ids.
pub trait IdSource: Send + Sync {
    /// A fresh UUID v7.
    fn next_id(&self) -> Uuid;
}

impl<I: IdSource + ?Sized> IdSource for Arc<I> {
    fn next_id(&self) -> Uuid {
        (**self).next_id()
    }
}

/// Ids from the machine's clock and randomness; monotonic within one process.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "the one place that makes ids from the machine")]
    fn next_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// Ids from a clock and a seed: the same seed and clock give the same ids.
pub struct SeededIds<C> {
    clock: C,
    rng: Mutex<ChaCha20Rng>,
}

impl<C: Clock> SeededIds<C> {
    /// Ids drawn from `seed`, stamped by `clock`.
    pub fn new(clock: C, seed: &Seed) -> Self {
        Self { clock, rng: Mutex::new(seed.rng()) }
    }
}

impl<C: Clock> IdSource for SeededIds<C> {
    fn next_id(&self) -> Uuid {
        let mut random = [0u8; 10];
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut random);
        let millis = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FleetSecret, ManualClock};

    #[test]
    fn seeded_ids_repeat_for_one_seed_and_differ_within_it() {
        let seed = FleetSecret::from_bytes([7; 32]).seed().child("ids");
        let clock = ManualClock::at(chrono::DateTime::UNIX_EPOCH);
        let (a, b) = (SeededIds::new(clock.clone(), &seed), SeededIds::new(clock, &seed));
        let (first, second) = (a.next_id(), a.next_id());
        assert_eq!(first, b.next_id());
        assert_ne!(first, second);
        assert_eq!(first.get_version_num(), 7);
    }

    #[test]
    fn system_ids_sort_by_creation() {
        let ids: Vec<_> = (0..100).map(|_| SystemIds.next_id()).collect();
        assert!(ids.is_sorted());
    }
}
