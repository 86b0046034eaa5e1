//! `probe-banner`: connects as one decky to another, reads its greeting and says goodbye. This is the fleet's own
//! traffic; the caller chooses the source port so that it is recognised as such. A service where the client speaks first
//! sees what it sees of a monitor that only tries whether the port is open.
//!
//! Takes addresses only: names are never resolved here.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout_at},
};

/// Longest greeting that is read.
const GREETING_MAX: usize = 1024;
/// All of it takes at most this long.
const PATIENCE: Duration = Duration::from_secs(8);
/// A service that is not known to greet has this long to do so.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
/// Services that speak first: ftp, ssh, telnet, smtp (and submission), pop3, imap, mysql, vnc.
const GREETS: [u16; 9] = [21, 22, 23, 25, 110, 143, 587, 3306, 5900];
/// Services where the client speaks first: http and https, ldap, smb, their usual other ports, redis.
const SILENT: [u16; 8] = [80, 389, 443, 445, 6379, 8080, 8443, 9200];
/// What we call ourselves to an SSH server, so that it does not log a silent client.
const SSH_CLIENT: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n";

/// The first line that the service says, and the port that we came from. Nothing where it was reached and said nothing.
pub async fn probe(
    to: SocketAddr,
    from: Option<IpAddr>,
    source_port: Option<u16>,
) -> io::Result<(Vec<u8>, u16)> {
    let deadline = Instant::now() + PATIENCE;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
    let mut stream = timeout_at(deadline, connect(to, from, source_port)).await.map_err(late)??;
    let port = stream.local_addr()?.port();
    let mut greeting = Vec::new();
    let until = match to.port() {
        port if GREETS.contains(&port) => deadline,
        port if SILENT.contains(&port) => Instant::now(),
        _ => deadline.min(Instant::now() + SHORT_PATIENCE),
    };
    // One that says nothing was reached all the same.
    if let Ok(read) = timeout_at(until, read_line(&mut stream, &mut greeting)).await {
        read?;
    }
    if greeting.starts_with(b"SSH-") {
        timeout_at(deadline, stream.write_all(SSH_CLIENT)).await.map_err(late)??;
    }
    // The other side may already be gone; the greeting is what was asked for.
    let _ = timeout_at(deadline, stream.shutdown()).await;
    Ok((greeting, port))
}

async fn connect(to: SocketAddr, from: Option<IpAddr>, source_port: Option<u16>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if from.is_some() || source_port.is_some() {
        let any = if to.is_ipv4() { IpAddr::from([0, 0, 0, 0]) } else { IpAddr::from([0u16; 8]) };
        // A keyed source port may still be in TIME_WAIT from an earlier visit.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(from.unwrap_or(any), source_port.unwrap_or(0)))?;
    }
    socket.connect(to).await
}

async fn read_line(stream: &mut TcpStream, line: &mut Vec<u8>) -> io::Result<()> {
    let mut byte = [0];
    while line.len() < GREETING_MAX {
        // One byte a read: what follows the line belongs to nobody and stays in the socket.
        if stream.read(&mut byte).await? == 0 || byte == *b"\n" {
            break;
        }
        line.extend_from_slice(&byte);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(())
}
