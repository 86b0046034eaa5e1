//! A connection from one decky to another, made by its decoy's program (`probe-banner`), so that it looks like what a machine
//! of this kind would do. Here: what the program is told, and what it says afterwards. Where it runs is the runtime's.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use decnet_fleet::DeckyPlan;
use futures_util::future::BoxFuture;

use crate::{PortChooser, Probe, RuntimeError};

/// Longest greeting that is kept: an SSH identification has at most 255 bytes (RFC 4253, 4.2).
pub(crate) const MAX_GREETING: usize = 512;
/// Most bytes that are read of what it complains about.
pub(crate) const MAX_COMPLAINT: usize = 4096;

/// What one run of the program brought.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) out: Vec<u8>,
    pub(crate) err: Vec<u8>,
    pub(crate) code: Option<i64>,
}

/// One connection to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Talk<'a> {
    /// Who connects.
    pub(crate) plan: &'a DeckyPlan,
    pub(crate) to: SocketAddr,
    pub(crate) protocol: Option<&'a str>,
}

impl Talk<'_> {
    /// Connects from the first port that can be had; `run` runs the decoy's program with these words.
    pub(crate) async fn hold<'a>(
        &self,
        ports: PortChooser<'_>,
        run: impl Fn(Vec<String>) -> BoxFuture<'a, Result<Ran, RuntimeError>> + Send + Sync,
    ) -> Result<Probe, RuntimeError> {
        let (own, to) = (self.plan.ip(), self.to);
        let mut last = "no source port was given".to_owned();
        for port in ports(own, to) {
            let ran = run(self.words(own, port)).await?;
            if ran.code == Some(0) {
                let src_port = source_port(&ran.err).unwrap_or(port);
                return Ok(Probe { to, src_port, banner: greeting(ran.out) });
            }
            decnet_logline::clean_bytes(&ran.err).trim().clone_into(&mut last);
            // Somebody has this very port: the next one will do. Anything else would meet it as well.
            if !is_taken(&last) {
                break;
            }
        }
        Err(RuntimeError::Probe { from: self.plan.name().clone(), to, reason: last })
    }

    fn words(&self, own: IpAddr, port: u16) -> Vec<String> {
        let persona = &self.plan.persona;
        let name = if persona.domain.is_empty() {
            persona.hostname.clone()
        } else {
            format!("{}.{}", persona.hostname, persona.domain)
        };
        let mut words = vec![
            "probe-banner".to_owned(),
            self.to.ip().to_string(),
            self.to.port().to_string(),
            format!("--from={own}"),
            format!("--source-port={port}"),
            format!("--name={name}"),
            format!("--distro={}", persona.distro),
        ];
        words.extend(self.protocol.map(|protocol| format!("--protocol={protocol}")));
        words
    }
}

fn is_taken(complaint: &str) -> bool {
    let complaint = complaint.to_lowercase();
    complaint.contains("address already in use")
        || complaint.contains("address in use")
        || complaint.contains("cannot assign requested address")
}

/// The port that it says it came from.
fn source_port(complaint: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(complaint);
    let at = text.find("source port ")?;
    let digits: String =
        text.get(at + "source port ".len()..)?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The first line.
fn greeting(mut out: Vec<u8>) -> Bytes {
    let end = out.iter().position(|byte| *byte == b'\n').unwrap_or(out.len());
    out.truncate(end);
    while out.last() == Some(&b'\r') {
        out.pop();
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_among_other_words() {
        assert_eq!(source_port(b"decoy: source port 40123\nmore"), Some(40123));
        assert_eq!(source_port(b"source port many"), None);
        assert_eq!(source_port(b"source port 99999"), None);
        assert_eq!(&greeting(b"SSH-2.0-OpenSSH_9.2p1\r\nrest".to_vec())[..], b"SSH-2.0-OpenSSH_9.2p1");
    }
}
