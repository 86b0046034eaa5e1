//! A connection from one decky to another, as a colleague's machine would make it: from its own address, reading the
//! greeting and hanging up. It says nothing, so a service that waits for the client to speak gives no greeting.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::AsyncReadExt,
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::Probe;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long to wait for the greeting.
const GREETING: Duration = Duration::from_secs(3);
/// Longest greeting that is kept: an SSH identification has at most 255 bytes (RFC 4253, 4.2).
const MAX_GREETING: usize = 512;

/// Connects from `from` to `to` by the first of `ports` that can be had.
pub(super) async fn probe(from: IpAddr, to: SocketAddr, ports: &[u16]) -> io::Result<Probe> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no source port was given");
    for port in ports {
        match timeout(CONNECT, connect(SocketAddr::new(from, *port), to)).await {
            Ok(Ok(mut stream)) => {
                let banner = greeting(&mut stream).await;
                return Ok(Probe { to, src_port: *port, banner });
            }
            // Somebody has this very port: the next one will do. Anything else would meet it as well.
            Ok(Err(error)) if is_taken(&error) => last = error,
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    Err(last)
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}

async fn connect(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The same port may have been used against another decky a moment ago.
    socket.set_reuseaddr(true)?;
    socket.bind(from)?;
    socket.connect(to).await
}

/// The first line, or what comes of it in time.
async fn greeting(stream: &mut TcpStream) -> Bytes {
    let mut bytes = vec![0; MAX_GREETING];
    let mut len = 0;
    let reading = async {
        while let Some(rest) = bytes.get_mut(len..).filter(|rest| !rest.is_empty()) {
            match stream.read(rest).await {
                Ok(count) if count > 0 => len += count,
                _ => break,
            }
            if bytes.get(..len).is_some_and(|read| read.contains(&b'\n')) {
                break;
            }
        }
    };
    // Silence is an answer too.
    let _ = timeout(GREETING, reading).await;
    bytes.truncate(len);
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    bytes.truncate(end);
    while bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    bytes.into()
}
