//! Whether the connection is usable. The client's events are only nudges (it drops them when they pile up); what
//! counts is its state and its number of connections, looked at on every nudge and twice a second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{Client, connection::State};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{BusStatus, ConnectError, server::Version};

/// Longest pause between two attempts: a broker that appears is found within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// At once, then 50 ms, 100 ms, ... up to [`LONGEST_PAUSE`].
pub(super) fn reconnect_delay(attempts: usize) -> Duration {
    match attempts {
        0 | 1 => Duration::ZERO,
        n => {
            let doublings = u32::try_from(n - 2).unwrap_or(u32::MAX).min(10);
            (Duration::from_millis(50) * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
        }
    }
}

/// What the client's events say.
pub(super) struct Signs {
    /// Something happened.
    pub(super) nudge: Arc<Notify>,
    /// The server turned us away at the last attempt.
    pub(super) shut_out: Arc<AtomicBool>,
}

pub(super) async fn watch_connection(
    client: Client,
    signs: Signs,
    status: Arc<watch::Sender<BusStatus>>,
    stop: CancellationToken,
) {
    let mut judged = 0;
    loop {
        let connects = client.statistics().connects.load(Ordering::Relaxed);
        if client.connection_state() != State::Connected {
            judged = 0;
            if signs.shut_out.load(Ordering::Relaxed) {
                let away = BusStatus::Refused(ConnectError::NotAllowed);
                if status.send_if_modified(|status| replace(status, away)) {
                    error!("{}", ConnectError::NotAllowed);
                }
            } else if status.send_if_modified(|status| replace(status, BusStatus::Connecting)) {
                warn!("the broker is away; reconnecting in the background");
            }
        } else if judged != connects
            // The client tells its server's version only after the state: a flush passes through the same loop,
            // so afterwards the version is this connection's.
            && tokio::time::timeout(Duration::from_secs(2), client.flush()).await.is_ok_and(|flushed| flushed.is_ok())
            && client.connection_state() == State::Connected
            && client.statistics().connects.load(Ordering::Relaxed) == connects
        {
            judged = connects;
            let verdict = judge(&client.server_info().version, connects);
            match &verdict {
                BusStatus::Refused(reason) => error!("{reason}"),
                BusStatus::Connected { version, .. } => info!(%version, connects, "the broker is connected"),
                _ => {}
            }
            status.send_replace(verdict);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = signs.nudge.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

fn replace(status: &mut BusStatus, new: BusStatus) -> bool {
    let changed = *status != new;
    *status = new;
    changed
}

fn judge(version: &str, connects: u64) -> BusStatus {
    if Version::parse(version).is_some_and(Version::is_supported) {
        BusStatus::Connected { version: version.to_owned(), connects }
    } else {
        BusStatus::Refused(ConnectError::ServerTooOld { version: version.to_owned() })
    }
}

/// The number of the present connection, waiting for one until `until`.
pub(super) async fn connected(status: &watch::Receiver<BusStatus>, until: Instant) -> Option<u64> {
    let number = |status: &BusStatus| match status {
        BusStatus::Connected { connects, .. } => Some(*connects),
        _ => None,
    };
    if let Some(connects) = number(&status.borrow()) {
        return Some(connects);
    }
    let mut status = status.clone();
    let waiting = status.wait_for(BusStatus::is_connected);
    let seen = tokio::time::timeout_at(until, waiting).await.ok()?.ok()?;
    number(&seen)
}

/// Completes when the connection of that number is gone.
pub(super) async fn lost(mut status: watch::Receiver<BusStatus>, connects: u64) {
    let gone = |status: &BusStatus| !matches!(status, BusStatus::Connected { connects: present, .. } if *present == connects);
    // An error means that the sender is gone, and with it the connection.
    drop(status.wait_for(gone).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_odd_servers_are_refused() {
        for version in ["2.9.10", "v2.9.25", "1.4.1", "", "nonsense"] {
            let BusStatus::Refused(reason) = judge(version, 1) else { panic!("{version} was taken") };
            assert!(reason.to_string().contains("2.10"), "{reason}");
        }
        for version in ["2.10.0", "2.10.29", "2.15.1", "2.12.0-beta.1", "3.0.0"] {
            assert!(judge(version, 1).is_connected(), "{version} was refused");
        }
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let pauses: Vec<_> = (0..60).map(reconnect_delay).collect();
        assert!(pauses.is_sorted());
        assert_eq!(pauses[1], Duration::ZERO);
        assert_eq!(pauses[59], LONGEST_PAUSE);
        assert_eq!(reconnect_delay(usize::MAX), LONGEST_PAUSE);
    }
}
