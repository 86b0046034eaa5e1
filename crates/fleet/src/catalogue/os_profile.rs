//! Stack profiles: the kernel settings that make a network namespace answer like another system (spec 2.3).
//!
//! All ten are per network namespace, so only the container that owns it carries them. Packet rewriting beyond
//! that is the runtime's affair.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// The family whose stack a decky shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OsFamily {
    /// Linux; also what an unknown word falls back to.
    #[default]
    Linux,
    /// Windows.
    Windows,
    /// Windows Server 2019 and later.
    WindowsServer,
    /// The BSDs and macOS.
    Bsd,
    /// Printers, sensors, controllers.
    Embedded,
    /// Cisco IOS.
    Cisco,
}

impl OsFamily {
    /// Every family.
    pub const ALL: [Self; 6] =
        [Self::Linux, Self::Windows, Self::WindowsServer, Self::Bsd, Self::Embedded, Self::Cisco];

    /// The word in INIs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
            Self::WindowsServer => "windows_server",
            Self::Bsd => "bsd",
            Self::Embedded => "embedded",
            Self::Cisco => "cisco",
        }
    }

    /// The family that `word` names, in any case; `None` if it names none. Whatever begins with `win` is Windows, as the
    /// canary baseline has it too.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        let named = Self::ALL.into_iter().find(|f| f.as_str() == word);
        let windows = || match word.starts_with("win") {
            true if word.contains("server") => Some(Self::WindowsServer),
            true => Some(Self::Windows),
            false => None,
        };
        named.or_else(windows)
    }

    /// True for both families of Windows.
    pub fn is_windows(self) -> bool {
        matches!(self, Self::Windows | Self::WindowsServer)
    }
}

impl fmt::Display for OsFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const KEYS: [&str; 10] = [
    "net.ipv4.ip_default_ttl",
    "net.ipv4.tcp_syn_retries",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_window_scaling",
    "net.ipv4.tcp_sack",
    "net.ipv4.tcp_ecn",
    "net.ipv4.ip_no_pmtu_disc",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.icmp_ratelimit",
    "net.ipv4.icmp_ratemask",
];

/// The ten kernel settings of a family. Windows has `tcp_timestamps=1`, unlike the original's 0: without timestamps a
/// Windows persona reads as an ancient stack.
pub fn sysctls(family: OsFamily) -> BTreeMap<String, String> {
    let values = match family {
        OsFamily::Linux => [64, 6, 1, 1, 1, 2, 0, 60, 1000, 6168],
        OsFamily::Windows => [128, 2, 1, 1, 1, 0, 0, 30, 0, 0],
        OsFamily::WindowsServer => [128, 2, 1, 1, 1, 1, 0, 30, 0, 0],
        OsFamily::Bsd => [64, 6, 1, 1, 1, 0, 0, 60, 250, 6168],
        OsFamily::Embedded => [255, 3, 0, 0, 0, 0, 1, 15, 0, 0],
        OsFamily::Cisco => [255, 2, 0, 0, 0, 0, 1, 15, 0, 0],
    };
    KEYS.iter().zip(values).map(|(key, value)| ((*key).to_owned(), value.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_unknown_ones_do_not_match() {
        for family in OsFamily::ALL {
            assert_eq!(OsFamily::from_word(&family.as_str().to_uppercase()), Some(family));
        }
        assert_eq!(OsFamily::from_word("Windows 10"), Some(OsFamily::Windows));
        assert_eq!(OsFamily::from_word("beos"), None);
    }

    #[test]
    fn golden_table() {
        let rows: Vec<String> = KEYS
            .iter()
            .map(|key| {
                let cells: Vec<String> =
                    OsFamily::ALL.iter().map(|f| format!("{f}={}", sysctls(*f)[*key])).collect();
                format!("{key} {}", cells.join(" "))
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }
}
