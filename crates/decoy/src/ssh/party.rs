//! What a conversation is given, what it shares with its owner, and how it fails. No behaviour.

use std::sync::{Arc, atomic::AtomicBool};

use decnet_core::IdSource;
use russh::{MethodSet, server::Handle};
use tokio::sync::{Notify, SetOnce};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::auth::Rules;
use crate::{connection::Connection, session::Shells};

/// What russh ends a session with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Russh(#[from] russh::Error),
    #[error("too many channel requests")]
    Flood,
    #[error("more input than is read")]
    Unread,
}

/// What a conversation and its owner share.
#[derive(Default)]
pub(super) struct Link {
    /// To tell the client something out of turn.
    pub(super) handle: SetOnce<Handle>,
    pub(super) logged_in: AtomicBool,
    pub(super) login: Notify,
    /// Sessions in the shell container.
    pub(super) sessions: TaskTracker,
    /// The client is gone.
    pub(super) gone: CancellationToken,
    /// The shell container is: the connection ends without a word.
    pub(super) dead: CancellationToken,
}

/// What a conversation is given.
pub(super) struct Party {
    pub(super) conn: Arc<Connection>,
    pub(super) rules: Arc<Rules>,
    pub(super) methods: MethodSet,
    pub(super) shells: Option<Arc<Shells>>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) link: Arc<Link>,
}
