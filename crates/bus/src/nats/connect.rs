//! What the client is told when it is made: address, credentials, patience.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{ClientError, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use tokio::sync::Notify;
use tracing::{debug, error, warn};

use super::{API_PATIENCE, link};
use crate::{BusConfig, ConnectError, Origin};

pub(super) fn bad_url(url: &str, reason: &str) -> ConnectError {
    let shown = url.rsplit_once('@').map_or(url, |(_, host)| host).to_owned();
    ConnectError::BadUrl { url: shown, reason: reason.to_owned() }
}

pub(super) fn parse_url(url: &str) -> Result<ServerAddr, ConnectError> {
    url.parse::<ServerAddr>().map_err(|error| bad_url(url, &error.to_string()))
}

pub(super) fn options(
    config: &BusConfig,
    address: &ServerAddr,
    origin: &Origin,
    nudge: &Arc<Notify>,
    shut_out: &Arc<AtomicBool>,
) -> Result<ConnectOptions, ConnectError> {
    let (nudge, shut_out) = (Arc::clone(nudge), Arc::clone(shut_out));
    let mut options = ConnectOptions::new()
        .name(format!("{}@{}", origin.worker, origin.host))
        .no_echo()
        // No worker reads another's replies.
        .custom_inbox_prefix(format!("_INBOX_{}", origin.worker))
        .retry_on_initial_connect()
        .ignore_discovered_servers()
        .connection_timeout(Duration::from_secs(2))
        // A frozen server is noticed within half a minute.
        .ping_interval(Duration::from_secs(10))
        .request_timeout(Some(API_PATIENCE))
        .reconnect_delay_callback(link::reconnect_delay)
        .event_callback(move |event| {
            let nudge = Arc::clone(&nudge);
            if let Some(verdict) = is_shut_out(&event) {
                shut_out.store(verdict, Ordering::Relaxed);
            }
            async move {
                match event {
                    Event::ServerError(reason) => error!(%reason, "the broker complains"),
                    Event::SlowConsumer(_) => {
                        warn!("this program reads too slowly; messages are lost");
                    }
                    other => debug!(event = %other, "bus connection"),
                }
                nudge.notify_one();
            }
        });
    if let Some(path) = &config.nkey_file {
        let bad = |reason: String| ConnectError::BadKey { path: path.display().to_string(), reason };
        let seed = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        options = options.nkey(seed.trim().to_owned());
    }
    Ok(match (&config.token, address.username(), address.password()) {
        (Some(token), ..) => options.token(token.clone()),
        (None, Some(user), Some(password)) => options.user_and_password(user.to_owned(), password.to_owned()),
        (None, Some(token), None) => options.token(token.to_owned()),
        (None, None, _) => options,
    })
}

/// Whether this event says that the server does (not) let us in. The client tells it as text only.
fn is_shut_out(event: &Event) -> Option<bool> {
    match event {
        Event::Connected => Some(false),
        Event::ClientError(ClientError::Other(reason)) => {
            let kinds = [ConnectErrorKind::AuthorizationViolation, ConnectErrorKind::Authentication];
            Some(kinds.iter().any(|kind| kind.to_string() == *reason))
        }
        _ => None,
    }
}
