//! Stands between the socket and russh: lets it believe that it exchanges identification strings itself, and
//! reads the client's first packet on its way for the fingerprint. The event is written before russh sees that
//! packet, so it is on record before anything is answered. After that, bytes pass untouched.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::hassh::{self, Reading};
use crate::{connection::Connection, stream::Stream};

/// The most that is held back while waiting for the client's first packet.
const HELD_MAX: usize = 40_000;

type Emitting = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Front {
    stream: Stream,
    conn: Arc<Connection>,
    /// Bytes of our identification that russh still has to "send".
    swallow: usize,
    /// What the client sent and russh has not seen; `passed` of it has been handed on.
    held: Vec<u8>,
    passed: usize,
    /// Where the first packet begins in `held`, until it is read.
    packet_at: Option<usize>,
    emitting: Option<Emitting>,
}

impl Front {
    /// `ours` bytes of identification were sent and `read` was received, `whole` of it the client's line.
    pub(super) fn new(
        stream: Stream,
        conn: Arc<Connection>,
        ours: usize,
        read: Vec<u8>,
        whole: usize,
    ) -> Self {
        let mut front = Self {
            stream,
            conn,
            swallow: ours,
            held: read,
            passed: 0,
            packet_at: Some(whole),
            emitting: None,
        };
        front.look();
        front
    }

    /// Reads the fingerprint if the first packet is complete.
    fn look(&mut self) {
        let Some(at) = self.packet_at else { return };
        match hassh::read(self.held.get(at..).unwrap_or_default()) {
            Reading::More if self.held.len() < HELD_MAX => return,
            Reading::More | Reading::Other => {}
            Reading::Offer(offer) => {
                let conn = self.conn.clone();
                let report = conn
                    .report("hassh")
                    .field("hassh", offer.hassh())
                    .field("kex", &offer.kex)
                    .field("ciphers", &offer.ciphers)
                    .field("macs", &offer.macs)
                    .field("compression", &offer.compression)
                    .field("host_key_algorithms", &offer.host_keys);
                self.emitting = Some(Box::pin(async move { conn.emit(report).await }));
            }
        }
        self.packet_at = None;
    }

    /// How much of what is held may pass: the client's line always, the first packet only once it is on record.
    fn may_pass(&self) -> usize {
        self.packet_at.unwrap_or(self.held.len())
    }
}

impl AsyncRead for Front {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if let Some(emitting) = &mut this.emitting {
                std::task::ready!(emitting.as_mut().poll(cx));
                this.emitting = None;
            }
            let ready = this.held.get(this.passed..this.may_pass()).unwrap_or_default();
            if !ready.is_empty() {
                let part = ready.get(..buf.remaining()).unwrap_or(ready);
                buf.put_slice(part);
                this.passed += part.len();
                if this.packet_at.is_none() && this.passed == this.held.len() {
                    this.held = Vec::new();
                    this.passed = 0;
                }
                return Poll::Ready(Ok(()));
            }
            if this.packet_at.is_none() {
                return Pin::new(&mut this.stream).poll_read(cx, buf);
            }
            let mut chunk = [0; 2048];
            let mut chunk = ReadBuf::new(&mut chunk);
            std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                // The end: let russh find what there is, then the end.
                this.packet_at = None;
                continue;
            }
            this.held.extend_from_slice(chunk.filled());
            this.look();
        }
    }
}

impl AsyncWrite for Front {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.swallow > 0 {
            let gone = this.swallow.min(buf.len());
            this.swallow -= gone;
            return Poll::Ready(Ok(gone));
        }
        Pin::new(&mut this.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
