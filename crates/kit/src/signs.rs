//! Small facts about this process and its link to the broker, for the heartbeat, the relay and the readiness line.
//!
//! Reads `/proc` and the bus client's own state; measures nothing by itself.

use decnet_bus::{Bus, BusStatus};
use tokio::sync::watch;

/// Resident memory of this process, where the system tells.
pub(crate) fn resident_bytes() -> Option<u64> {
    resident_from(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident_from(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Watches the link to the broker.
pub(crate) struct Link {
    status: watch::Receiver<BusStatus>,
    /// Number of the connection that is up; `None` while it is down.
    up: Option<u64>,
}

impl Link {
    pub(crate) fn new(bus: &Bus) -> Self {
        let mut status = bus.status();
        let up = connection(&status.borrow_and_update());
        Self { status, up }
    }

    /// Whether the link was up when last looked at.
    pub(crate) fn is_up(&self) -> bool {
        self.up.is_some()
    }

    /// Why the broker cannot be used, if it answered with that.
    pub(crate) fn refusal(&self) -> Option<String> {
        match &*self.status.borrow() {
            BusStatus::Refused(error) => Some(error.to_string()),
            _ => None,
        }
    }

    /// Waits for a new connection. Never ends where there is no broker.
    pub(crate) async fn came_up(&mut self) {
        while !self.changed().await {}
    }

    /// Waits for the next change; whether the link is up now. A break too short to be seen counts as coming up.
    pub(crate) async fn changed(&mut self) -> bool {
        loop {
            if self.status.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            let up = connection(&self.status.borrow_and_update());
            if up != self.up {
                self.up = up;
                return up.is_some();
            }
        }
    }
}

fn connection(status: &BusStatus) -> Option<u64> {
    match status {
        BusStatus::Connected { connects, .. } => Some(*connects),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_page() {
        assert_eq!(resident_from("Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t1\n"), Some(1234 * 1024));
        assert_eq!(resident_from("Name:\tx\n"), None);
        assert!(resident_bytes().is_some_and(|b| b > 100_000));
    }
}
