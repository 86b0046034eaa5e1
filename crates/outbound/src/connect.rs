//! From an address as typed to a connection that speaks HTTP: resolve once, check, connect to exactly what was checked.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use url::{Host, Url};

use crate::{CallError, client::Parts};

/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 4;
/// How long one of several addresses may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// Most bytes of an answer's head.
const MAX_HEAD: usize = 64 * 1024;

/// Where a call goes: scheme, host and port. Connections are kept for one of these only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) is_tls: bool,
    pub(crate) host: String,
    /// Set where the host is an address itself.
    literal: Option<IpAddr>,
    port: u16,
}

impl Origin {
    pub(crate) fn of(url: &Url) -> Result<Self, CallError> {
        let bad = |reason: &str| CallError::BadUrl { reason: reason.to_owned() };
        let is_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(bad("only http and https are called")),
        };
        let (host, literal) = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => (name.to_owned(), None),
            Some(Host::Ipv4(ip)) => (ip.to_string(), Some(IpAddr::V4(ip))),
            Some(Host::Ipv6(ip)) => (ip.to_string(), Some(IpAddr::V6(ip))),
            _ => return Err(bad("the address names no host")),
        };
        let port = url.port_or_known_default().ok_or_else(|| bad("the address has no port"))?;
        Ok(Self { is_tls, host, literal, port })
    }

    /// Resolves, checks and connects.
    pub(crate) async fn connect(&self, parts: &Parts) -> Result<SendRequest<Full<Bytes>>, CallError> {
        let addresses = match self.literal {
            Some(ip) => vec![ip],
            None => parts.resolver.resolve(&self.host).await.map_err(|error| CallError::Unresolved {
                host: self.host.clone(),
                reason: error.to_string(),
            })?,
        };
        parts.guard.check(self.is_tls, &self.host, &addresses)?;
        let stream = self.dial(&addresses).await?;
        // Small bodies, one at a time: waiting to fill a packet only delays them.
        stream.set_nodelay(true).ok();
        if !self.is_tls {
            return self.handshake(stream).await;
        }
        let broken = |reason: String| CallError::Tls { host: self.host.clone(), reason };
        let name = ServerName::try_from(self.host.clone()).map_err(|error| broken(error.to_string()))?;
        let connector = TlsConnector::from(parts.trust.config());
        let stream = connector.connect(name, stream).await.map_err(|error| broken(error.to_string()))?;
        self.handshake(stream).await
    }

    async fn dial(&self, addresses: &[IpAddr]) -> Result<TcpStream, CallError> {
        let mut reason = String::new();
        let patience = if addresses.len() > 1 { CONNECT_PATIENCE } else { Duration::MAX };
        for ip in addresses.iter().take(MOST_ADDRESSES) {
            match tokio::time::timeout(patience, TcpStream::connect(SocketAddr::new(*ip, self.port))).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => reason = error.to_string(),
                Err(_) => "it does not answer".clone_into(&mut reason),
            }
        }
        Err(CallError::Connect { host: self.host.clone(), reason })
    }

    async fn handshake<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, CallError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.protocol(&error))?;
        // Ends when the sender is dropped; its errors reach the sender.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }

    pub(crate) fn protocol(&self, error: &dyn std::error::Error) -> CallError {
        // hyper's first words are general; the cause tells.
        let reason = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        CallError::Protocol { host: self.host.clone(), reason }
    }
}
