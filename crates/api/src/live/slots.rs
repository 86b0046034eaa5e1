//! How many streams one user may hold open. A slot is taken before the response exists, so that one too many is a real
//! 429, and is given back when the stream is dropped.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// A place for one stream.
pub type Slot = OwnedSemaphorePermit;

/// Slots by user.
pub struct Slots {
    per_user: usize,
    users: Mutex<HashMap<Uuid, Arc<Semaphore>>>,
}

impl Slots {
    pub(crate) fn new(per_user: usize) -> Self {
        Self { per_user, users: Mutex::default() }
    }

    /// Takes a slot of this user; `None` if all are taken.
    pub fn take(&self, user: Uuid) -> Option<Slot> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.retain(|_, slots| slots.available_permits() < self.per_user);
        let slots = users.entry(user).or_insert_with(|| Arc::new(Semaphore::new(self.per_user)));
        Arc::clone(slots).try_acquire_owned().ok()
    }

    /// Streams that are open.
    pub fn open(&self) -> usize {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.values().map(|slots| self.per_user - slots.available_permits()).sum()
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::{IdSource, SystemIds};

    use super::*;

    #[test]
    fn users_do_not_share_slots_and_a_dropped_one_is_free_again() {
        let slots = Slots::new(2);
        let (ann, bob) = (SystemIds.next_id(), SystemIds.next_id());
        let held: Vec<_> = (0..2).map(|_| slots.take(ann).unwrap()).collect();
        assert!(slots.take(ann).is_none());
        let other = slots.take(bob).unwrap();
        assert_eq!(slots.open(), 3);
        drop((held, other));
        assert!(slots.take(ann).is_some());
        assert_eq!(slots.users.lock().unwrap().len(), 1, "idle users are forgotten");
    }
}
