//! Why a call brought no answer. Every sentence says what to do; none repeats what was sent.

use std::{net::IpAddr, time::Duration};

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The address cannot be called by anyone.
    #[error("{reason}; give an address such as https://siem.example/hook")]
    BadUrl {
        /// What is wrong.
        reason: String,
    },
    /// The host is not public and was not allowed.
    #[error("{host} has the address {ip}, which is not public: add it to allow_cidrs if it is meant")]
    Closed {
        /// Which host.
        host: String,
        /// Which of its addresses.
        ip: IpAddr,
    },
    /// Plain http to an address that was not allowed for it.
    #[error("{host} ({ip}) may only be called with https: use https, or add the address to allow_cidrs")]
    NeedsTls {
        /// Which host.
        host: String,
        /// Which of its addresses.
        ip: IpAddr,
    },
    /// The name has no address.
    #[error(
        "the name {host} does not resolve ({reason}): check its spelling and the name servers of this machine"
    )]
    Unresolved {
        /// Which name.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// Nobody listens there.
    #[error(
        "no connection to {host} ({reason}): is the receiver running, and does a firewall let us through?"
    )]
    Connect {
        /// Which host.
        host: String,
        /// What the system said.
        reason: String,
    },
    /// The receiver's certificate is not trusted, or it speaks another protocol.
    #[error("no TLS with {host} ({reason}): check its certificate, and that this machine trusts its issuer")]
    Tls {
        /// Which host.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// It did not answer in time.
    #[error("{host} did not answer within {}", seconds(*.within))]
    TimedOut {
        /// Which host.
        host: String,
        /// Our patience.
        within: Duration,
    },
    /// What it answered is not HTTP, or the connection broke.
    #[error("{host} gave no HTTP answer ({reason})")]
    Protocol {
        /// Which host.
        host: String,
        /// What is wrong.
        reason: String,
    },
}

fn seconds(span: Duration) -> String {
    format!("{:.0} s", span.as_secs_f64())
}
