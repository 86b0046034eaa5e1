//! Whether a signed token still stands for a user: looked up per request through a 10 s cache that every write to a
//! user drops.
//!
//! Cache keys carry an epoch that grows with each write, so that a lookup begun before the write can never be read
//! after it, however late it ends.

use std::{sync::Arc, time::Duration};

use decnet_db::User;
use moka::future::Cache;
use tokio::sync::watch;
use uuid::Uuid;

use super::{Login, STREAM_TOKEN_SECONDS};
use crate::{
    app::App,
    problem::{Failure, Problem},
};

/// How long another process's write may go unnoticed.
const FRESH: Duration = Duration::from_secs(10);

/// Lookups of users and of revoked tokens.
pub struct Accounts {
    epoch: watch::Sender<u64>,
    users: Cache<(u64, Uuid), Option<Arc<User>>>,
    revoked: Cache<(u64, Uuid), bool>,
    used: Cache<Uuid, ()>,
}

impl Accounts {
    pub(crate) fn new() -> Self {
        let remembered = u64::try_from(STREAM_TOKEN_SECONDS).unwrap_or(60) + 5;
        Self {
            epoch: watch::Sender::new(0),
            users: Cache::builder().max_capacity(1_000).time_to_live(FRESH).build(),
            revoked: Cache::builder().max_capacity(10_000).time_to_live(FRESH).build(),
            used: Cache::builder()
                .max_capacity(100_000)
                .time_to_live(Duration::from_secs(remembered))
                .build(),
        }
    }

    /// Tells that users or revoked tokens were written.
    pub fn changed(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// Follows the writes: an open stream checks its user again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    /// True the first time only: a stream token opens one stream.
    pub(crate) async fn use_once(&self, jti: Uuid) -> bool {
        self.used.entry(jti).or_insert(()).await.is_fresh()
    }

    /// The user behind a login, if both still stand.
    pub async fn stands(&self, app: &App, uuid: Uuid, login: &Login) -> Result<Arc<User>, Failure> {
        if app.clock().now() >= login.expires_at() {
            return Err(Problem::unauthorized("the token has expired; log in again").into());
        }
        let epoch = *self.epoch.borrow();
        let look_up = async {
            let found = app.db().await?.users().by_uuid(uuid).await?;
            Ok::<_, Failure>(found.map(Arc::new))
        };
        // Boxed: the cache's futures are large, and every request holds one.
        let user = Box::pin(self.users.try_get_with((epoch, uuid), look_up)).await.map_err(shared)?;
        let gone = || Problem::unauthorized("the token is no longer valid; log in again");
        let user = user.ok_or_else(gone)?;
        if user.tokens_valid_from.is_some_and(|from| login.issued_at() <= from) {
            return Err(gone().into());
        }
        let look_up =
            async { Ok::<_, Failure>(app.db().await?.users().is_revoked(&login.jti.to_string()).await?) };
        if Box::pin(self.revoked.try_get_with((epoch, login.jti), look_up)).await.map_err(shared)? {
            return Err(gone().into());
        }
        Ok(user)
    }
}

/// The failure that several waiting requests got.
pub(crate) fn shared(failure: Arc<Failure>) -> Failure {
    Arc::unwrap_or_clone(failure)
}
