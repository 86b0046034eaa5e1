//! Short read caches with one flight per key: a hundred open dashboards cost the database one query.
//!
//! Lives are below the two seconds in which a captured line must be visible. Filtered reads are never cached.

use std::{hash::Hash, sync::Arc, time::Duration};

use moka::future::Cache;

use crate::{
    auth::shared,
    problem::Failure,
    routes::{
        credentials::CredentialPage, deckies::DeckyView, logs::HistogramBucket, stats::StatsView,
        users::UserView,
    },
};

const FRESH: Duration = Duration::from_secs(1);

/// One kind of answer.
pub(crate) struct Cached<K, V>(Cache<K, V>);

impl<K, V> Cached<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn new(capacity: u64) -> Self {
        Self(Cache::builder().max_capacity(capacity).time_to_live(FRESH).build())
    }

    /// The cached answer, or the one that `read` gives; failures are not kept.
    pub(crate) async fn get(
        &self,
        key: K,
        read: impl Future<Output = Result<V, Failure>>,
    ) -> Result<V, Failure> {
        // Boxed: the cache's futures are large.
        Box::pin(self.0.try_get_with(key, read)).await.map_err(shared)
    }
}

/// All of them.
pub(crate) struct ReadCaches {
    pub(crate) stats: Cached<(), StatsView>,
    pub(crate) histogram: Cached<(), Arc<Vec<HistogramBucket>>>,
    pub(crate) deckies: Cached<(), Arc<Vec<DeckyView>>>,
    /// The first default page, masked or not.
    pub(crate) credentials: Cached<bool, Arc<CredentialPage>>,
    /// Under the epoch of the accounts, so that a write shows at once.
    pub(crate) users: Cached<u64, Arc<Vec<UserView>>>,
    pub(crate) database: Cached<(), Option<Arc<str>>>,
}

impl ReadCaches {
    pub(crate) fn new() -> Self {
        Self {
            stats: Cached::new(1),
            histogram: Cached::new(1),
            deckies: Cached::new(1),
            credentials: Cached::new(2),
            users: Cached::new(4),
            database: Cached::new(1),
        }
    }
}
