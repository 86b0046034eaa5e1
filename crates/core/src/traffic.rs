//! How the fleet's own traffic is told from an intruder's.
//!
//! Deckies talk to each other so that the network looks alive, and the decoy at the far end logs these
//! connections like any other. Each of ours leaves from a source port that only the holder of the traffic key can
//! predict: HMAC-SHA256 over (source, destination, destination port, minute) gives a few candidates. The
//! collector recomputes them; a match makes the line "life", anything else is an intruder, also when it comes
//! from a decky's own address. Nothing on the wire or in the decoy tells the two apart.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Seed;

/// Ports tried per minute: enough to step around one that is in use, few enough that an intruder on a decky
/// hits one by chance about once in 1,600 connections (6 ports x 3 minutes of 28,232).
const CANDIDATES: usize = 6;
/// The ephemeral range of Linux, `net.ipv4.ip_local_port_range` by default.
const FIRST_PORT: u16 = 32_768;
const PORTS: u16 = 28_232;

/// The fleet's keyed source ports.
#[derive(Debug, Clone)]
pub struct SourcePorts(Seed);

impl SourcePorts {
    /// The ports of the fleet with this root node.
    pub fn of_fleet(root: &Seed) -> Self {
        Self(root.child("traffic"))
    }

    /// Source ports to try for a connection that starts at `at`, in order.
    pub fn candidates(&self, from: IpAddr, to: IpAddr, to_port: u16, at: DateTime<Utc>) -> [u16; CANDIDATES] {
        self.of_minute(from, to, to_port, at.timestamp().div_euclid(60))
    }

    /// Whether a connection seen at `at` with this source port is one of ours. The minute before and the one
    /// after count too, since line and clock may lie on either side of a full minute.
    pub fn is_ours(&self, from: (IpAddr, u16), to: (IpAddr, u16), at: DateTime<Utc>) -> bool {
        let minute = at.timestamp().div_euclid(60);
        (minute - 1..=minute + 1).any(|m| self.of_minute(from.0, to.0, to.1, m).contains(&from.1))
    }

    fn of_minute(&self, from: IpAddr, to: IpAddr, to_port: u16, minute: i64) -> [u16; CANDIDATES] {
        let key: [u8; 32] = self.0.bytes();
        let mut out = [0; CANDIDATES];
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return out };
        mac.update(format!("{from}>{to}:{to_port}@{minute}").as_bytes());
        let digest = mac.finalize().into_bytes();
        for (port, pair) in out.iter_mut().zip(digest.as_chunks::<2>().0) {
            *port = FIRST_PORT + u16::from_be_bytes(*pair) % PORTS;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FleetSecret;

    #[test]
    fn ours_are_recognised_around_the_minute_and_others_are_not() {
        let ports = SourcePorts::of_fleet(&FleetSecret::from_number(1).seed());
        let strangers = SourcePorts::of_fleet(&FleetSecret::from_number(2).seed());
        let (a, b): (IpAddr, IpAddr) = ("127.77.0.1".parse().unwrap(), "127.77.0.2".parse().unwrap());
        let at = DateTime::from_timestamp(1_767_225_659, 0).unwrap();
        for port in ports.candidates(a, b, 22, at) {
            assert!(port >= FIRST_PORT);
            assert!(ports.is_ours((a, port), (b, 22), at));
            assert!(ports.is_ours((a, port), (b, 22), at + chrono::TimeDelta::seconds(59)));
            assert!(!ports.is_ours((a, port), (b, 22), at + chrono::TimeDelta::seconds(300)));
        }
        let hits = (0..2000u16).filter(|i| strangers.is_ours((a, FIRST_PORT + i * 14), (b, 22), at)).count();
        assert!(hits < 20, "{hits} of 2000 foreign ports pass");
    }
}
