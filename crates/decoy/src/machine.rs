//! What the kernel says of the machine that we run on. Where accounts have a shell, an intruder reads it there, and the
//! services beside it must not say otherwise: one host, one story. Without a shell the persona's inventions stand.

use chrono::{DateTime, Utc};
use decnet_core::HostPersona;

/// The kernel's own facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    /// `uname -r`.
    pub(crate) kernel: String,
    /// When it booted; `None` where the kernel does not tell.
    pub(crate) booted: Option<DateTime<Utc>>,
}

impl Machine {
    /// This machine.
    pub(crate) fn read() -> Self {
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        Self { kernel, booted: boot_time(&stat) }
    }

    /// The persona as a shell on this machine would show it.
    pub(crate) fn shown_as(&self, persona: HostPersona) -> HostPersona {
        HostPersona { kernel: self.kernel.clone(), ..persona }
    }
}

/// `btime` of `/proc/stat` (proc(5)), in seconds since the epoch.
fn boot_time(stat: &str) -> Option<DateTime<Utc>> {
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    DateTime::from_timestamp(seconds, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_time_is_read_where_there_is_one() {
        assert_eq!(boot_time("cpu 1 2\nbtime 1767225600\nprocesses 7\n").unwrap().timestamp(), 1_767_225_600);
        assert_eq!(boot_time("btime soon\n"), None);
        assert_eq!(boot_time(""), None);
        let machine = Machine::read();
        assert!(!machine.kernel.is_empty() && machine.booted.is_some());
    }
}
