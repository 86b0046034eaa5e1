//! Listening sockets of one service: bound once with a clear message, accepting for ever.
//!
//! Running out of file descriptors makes the loop wait and try again; it never ends because of a client.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Longest pause between attempts when accepting fails.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Connections that the kernel holds for us.
const BACKLOG: u32 = 256;

/// Why a service cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Standard port plus base is not a port.
    #[error("service {slug}: port {port} + base {base} is above 65535; choose a smaller --port-base")]
    Range {
        /// The service.
        slug: &'static str,
        /// Its standard port.
        port: u16,
        /// What was to be added.
        base: u16,
    },
    /// The system refused.
    #[error("service {slug}: cannot listen on {addr} ({source}); {advice}")]
    Refused {
        /// The service.
        slug: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
}

/// The port to use for a standard port.
pub fn port(slug: &'static str, standard: u16, base: u16) -> Result<u16, BindError> {
    standard.checked_add(base).ok_or(BindError::Range { slug, port: standard, base })
}

/// Binds one address.
pub fn bind(slug: &'static str, ip: IpAddr, port: u16) -> Result<TcpListener, BindError> {
    let addr = SocketAddr::new(ip, port);
    open(addr).map_err(|source| {
        let advice = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "another program has this port: stop it, or choose another --port-base or --bind"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address: add it to an interface or choose another --bind"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need the NET_BIND_SERVICE capability: grant it or choose a --port-base"
            }
            _ => "check --bind and --port-base",
        };
        BindError::Refused { slug, addr, source, advice }
    })
}

fn open(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if addr.is_ipv6() {
        // `::` and `0.0.0.0` are bound as two sockets; without this the second bind would fail.
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// The next connection, however long the system has trouble giving one. `trouble` is told about each failure.
pub async fn accept(listener: &TcpListener, mut trouble: impl FnMut(&io::Error)) -> (TcpStream, SocketAddr) {
    let mut pause = Duration::from_millis(5);
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client was gone before we looked.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                trouble(&error);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(BACKOFF_MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_one_sentence_with_what_to_do() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let message = bind("ssh", "127.0.0.1".parse().unwrap(), port).unwrap_err().to_string();
        assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
        assert!(message.contains("choose another --port-base"), "{message}");
    }

    #[test]
    fn a_base_beyond_the_ports_is_refused() {
        assert_eq!(port("ssh", 22, 20_000).unwrap(), 20_022);
        assert!(port("redis", 6379, 60_000).is_err());
    }

    #[tokio::test]
    async fn both_families_share_a_port() {
        let Ok(v6) = bind("ssh", "::1".parse().unwrap(), 0) else {
            eprintln!("skipped: this machine has no IPv6");
            return;
        };
        let port = v6.local_addr().unwrap().port();
        bind("ssh", "127.0.0.1".parse().unwrap(), port).unwrap();
    }
}
