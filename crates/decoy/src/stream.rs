//! The byte stream that a service reads and writes: counts bytes, enforces silence and age limits, and can be
//! closed from outside. Knows no protocol.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Why the framework ended a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cut {
    /// It did not.
    Not = 0,
    /// Nothing was received or sent for too long.
    Idle = 1,
    /// The connection reached its age limit.
    Lifetime = 2,
    /// The decoy is shutting down.
    Shutdown = 3,
}

/// What is counted of one stream, shared with its connection.
#[derive(Debug)]
pub struct Meter {
    received: AtomicU64,
    sent: AtomicU64,
    idle_ms: AtomicU64,
    lifetime_ms: AtomicU64,
    cut: AtomicU8,
}

impl Meter {
    pub(crate) fn new(idle: Duration) -> Arc<Self> {
        let meter = Self {
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            idle_ms: AtomicU64::new(0),
            lifetime_ms: AtomicU64::new(0),
            cut: AtomicU8::new(Cut::Not as u8),
        };
        meter.set_idle(idle);
        Arc::new(meter)
    }

    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Why the framework ended the stream, if it did.
    pub fn cut(&self) -> Cut {
        match self.cut.load(Ordering::Relaxed) {
            1 => Cut::Idle,
            2 => Cut::Lifetime,
            3 => Cut::Shutdown,
            _ => Cut::Not,
        }
    }

    pub(crate) fn set_idle(&self, idle: Duration) {
        self.idle_ms.store(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn set_lifetime(&self, lifetime: Duration) {
        self.lifetime_ms.store(u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn lifetime(&self) -> Duration {
        Duration::from_millis(self.lifetime_ms.load(Ordering::Relaxed))
    }

    fn cut_because(&self, why: Cut) -> io::Error {
        // The first reason stands: what follows is its consequence.
        let _ = self.cut.compare_exchange(Cut::Not as u8, why as u8, Ordering::Relaxed, Ordering::Relaxed);
        io::Error::new(io::ErrorKind::TimedOut, "closed by the decoy's limits")
    }
}

/// What a stream can run over.
pub trait Transport: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Transport for T {}

/// One connection's bytes.
pub struct Stream {
    inner: Box<dyn Transport>,
    meter: Arc<Meter>,
    active: Instant,
    began: Instant,
    timer: Pin<Box<Sleep>>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Stream {
    pub(crate) fn new(
        inner: impl Transport + 'static,
        meter: Arc<Meter>,
        lifetime: Duration,
        stop: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        let end = now + lifetime;
        meter.set_lifetime(lifetime);
        let timer = Box::pin(tokio::time::sleep_until(end.min(now + meter.idle())));
        Self {
            inner: Box::new(inner),
            meter,
            active: now,
            began: now,
            timer,
            stopped: Box::pin(stop.cancelled_owned()),
        }
    }

    /// A service may have given it longer.
    fn end(&self) -> Instant {
        self.began + self.meter.lifetime()
    }

    /// Ready with an error when the stream has to end now.
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.meter.cut_because(Cut::Shutdown));
        }
        loop {
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if now >= self.end() {
                return Poll::Ready(self.meter.cut_because(Cut::Lifetime));
            }
            let quiet_until = self.active + self.meter.idle();
            if now >= quiet_until {
                return Poll::Ready(self.meter.cut_because(Cut::Idle));
            }
            // Bytes have moved since the timer was set: one timer per connection, re-armed lazily.
            let next = self.end().min(quiet_until);
            self.timer.as_mut().reset(next);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let now = Instant::now();
                if now >= this.end() {
                    return Poll::Ready(Err(this.meter.cut_because(Cut::Lifetime)));
                }
                this.active = now;
                this.meter.received.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.poll_limits(cx).map(Err),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_write(cx, buf) {
            Poll::Ready(Ok(written)) => {
                this.active = Instant::now();
                this.meter.sent.fetch_add(written as u64, Ordering::Relaxed);
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.poll_limits(cx).map(Err),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const IDLE: Duration = Duration::from_mins(1);
    const LIFETIME: Duration = Duration::from_hours(1);

    fn pair() -> (DuplexStream, Stream, Arc<Meter>, CancellationToken) {
        let (client, server) = duplex(64);
        let (meter, stop) = (Meter::new(IDLE), CancellationToken::new());
        let stream = Stream::new(server, meter.clone(), LIFETIME, stop.clone());
        (client, stream, meter, stop)
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_stream_and_every_byte_puts_it_off() {
        let (mut client, mut stream, meter, _stop) = pair();
        let began = Instant::now();
        let mut byte = [0];
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(59)).await;
            client.write_all(b"x").await.unwrap();
            stream.read_exact(&mut byte).await.unwrap();
        }
        let error = stream.read_exact(&mut byte).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(meter.cut(), Cut::Idle);
        assert_eq!(began.elapsed().as_secs(), 3 * 59 + 60);
        assert_eq!((meter.received(), meter.sent()), (3, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_trickles_for_ever_is_ended_by_age() {
        let (mut client, mut stream, meter, _stop) = pair();
        let trickle = tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(30)).await;
            }
        });
        let began = Instant::now();
        let mut sink = Vec::new();
        stream.read_to_end(&mut sink).await.unwrap_err();
        assert_eq!(meter.cut(), Cut::Lifetime);
        assert_eq!(began.elapsed(), LIFETIME);
        drop(stream);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_ended_too() {
        let (client, mut stream, meter, _stop) = pair();
        let error = stream.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(meter.cut(), Cut::Idle);
        assert_eq!(meter.sent(), 64);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_can_be_ended_from_outside_and_idle_can_change() {
        let (client, mut stream, meter, stop) = pair();
        meter.set_idle(LIFETIME);
        let began = Instant::now();
        let reading = tokio::spawn(async move { stream.read_u8().await });
        tokio::time::sleep(IDLE * 2).await;
        stop.cancel();
        assert!(reading.await.unwrap().is_err());
        assert_eq!(meter.cut(), Cut::Shutdown);
        assert_eq!(began.elapsed(), IDLE * 2);
        drop(client);
    }
}
