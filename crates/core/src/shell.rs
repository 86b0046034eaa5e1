//! What the two containers of a decky with an interactive login, and the agent beside them, agree on.
//!
//! The front (which speaks SSH and owns the evidence) and the shell server (process 1 of the container where the
//! intruder is) share a network namespace and nothing else. They meet at an abstract Unix socket, whose name looks like
//! one that the kernel chose; only who holds the key is served. Types only: neither side's behaviour is here.

use std::{net::IpAddr, path::Path};

use serde::{Deserialize, Serialize};

use crate::{HostPersona, Seed};

/// Where a shell container's program and document are put before its first start; the program deletes both at once.
pub const SHELL_PROGRAM: &str = "/usr/sbin/.sshd";
/// Its document ([`ShellConfig`]).
pub const SHELL_DOCUMENT: &str = "/usr/sbin/.sshd.json";
/// The environment variable of a session's process that holds its [`SessionMark`]. Only that process, which runs our own
/// program, has it: the intruder's shell and its children do not.
pub const SESSION_VARIABLE: &str = "SESSION";

/// How the front reaches the shell server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShellLink {
    /// Name of the abstract socket, without its leading NUL.
    pub socket: String,
    /// What proves to the shell server that it is the front who calls.
    pub key: String,
}

impl ShellLink {
    /// The link of the decky with this node of the keyed tree.
    pub fn of(decky: &Seed) -> Self {
        let node = decky.child("shell/link");
        // Five hexadecimal digits are what autobind gives (unix(7)).
        let socket = format!("{:05x}", node.child("socket").u64() & 0xf_ffff);
        Self { socket, key: hex::encode(node.child("key").bytes::<32>()) }
    }
}

/// The document of a shell server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShellConfig {
    /// Where it is called.
    pub link: ShellLink,
    /// The machine that it belongs to.
    pub persona: HostPersona,
}

/// Whose session a process belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionMark {
    /// Id of the connection in the front's lines (`conn_id`).
    pub conn_id: String,
    /// Id of the session in the front's lines and of its transcript.
    pub sid: String,
    /// The intruder's address.
    pub src_ip: IpAddr,
    /// And port.
    pub src_port: u16,
    /// The port that was called.
    pub dst_port: u16,
    /// The account.
    pub user: String,
}

/// The name under which a captured file is kept: `<UTC>_<first 12 digits of its SHA-256>_<basename>`, the basename reduced
/// to `[A-Za-z0-9._-]` and 1 to 255 characters, so that nothing of an intruder's choice reaches a path.
pub fn stored_name(at: chrono::DateTime<chrono::Utc>, sha256_hex: &str, path: &Path) -> String {
    let base = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let safe: String = base
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' })
        .take(180)
        .collect();
    let safe = if safe.is_empty() { "unnamed".to_owned() } else { safe };
    format!("{}_{}_{safe}", at.format("%Y-%m-%dT%H-%M-%SZ"), sha256_hex.get(..12).unwrap_or(sha256_hex))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FleetSecret;

    #[test]
    fn a_link_belongs_to_one_decky_and_looks_chosen_by_the_kernel() {
        let seed = FleetSecret::from_number(1).seed();
        let (a, b) = (ShellLink::of(&seed.child("a")), ShellLink::of(&seed.child("b")));
        assert_ne!(a, b);
        assert_eq!(a, ShellLink::of(&seed.child("a")));
        assert!(a.socket.len() == 5 && a.key.len() == 64);
    }

    #[test]
    fn a_hostile_name_stays_one_harmless_component() {
        let at = chrono::DateTime::from_timestamp(1_767_225_659, 0).unwrap();
        let sha = "ab".repeat(32);
        for path in ["/tmp/../../etc/passwd", "/tmp/a b\n\u{1b}[31m;rm", "/tmp/..", "/", "/tmp/\u{202e}x"] {
            let name = stored_name(at, &sha, Path::new(path));
            assert!(name.starts_with("2026-01-01T00-00-59Z_abababababab_"), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{name}");
        }
        assert!(stored_name(at, &sha, Path::new(&"x".repeat(9000))).len() < 255);
    }
}
