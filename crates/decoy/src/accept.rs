//! From an accepted socket to the `disconnect` line: limits, panics and how a conversation ended.
//!
//! Knows no protocol, and nothing of how a decky starts or stops.

use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use decnet_core::{Clock, IdSource};
use decnet_logline::Severity;
use futures_util::FutureExt;
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admission::{Admission, Pass, Verdict},
    connection::Connection,
    listener,
    output::Output,
    report::Report,
    service::{LIFETIME, Service, SessionError},
    stream::{Cut, Meter, Stream},
};

/// What a conversation may take beyond the age limit of its stream.
const OVERTIME: Duration = Duration::from_secs(30);

/// One service as it runs.
pub(crate) struct Running {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) open: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) errors: AtomicU64,
}

pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) output: Arc<Output>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// Accepts until shutdown; a bug in the loop itself restarts it.
pub(crate) async fn keep_accepting(shared: Arc<Shared>, running: Arc<Running>, socket: TcpListener) {
    let mut pause = Duration::from_millis(100);
    loop {
        let accepting = AssertUnwindSafe(accept_all(&shared, &running, &socket)).catch_unwind();
        tokio::select! {
            () = shared.stop.cancelled() => return,
            _ = accepting => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

async fn accept_all(shared: &Arc<Shared>, running: &Arc<Running>, socket: &TcpListener) {
    loop {
        let (tcp, peer) = listener::accept(socket, |error| {
            running.errors.fetch_add(1, Ordering::Relaxed);
            eprintln!("decoy: {} cannot accept ({error}); trying again", running.service.slug());
        })
        .await;
        match shared.admission.ask(peer.ip(), Instant::now()) {
            Verdict::Admitted(pass) => {
                running.accepted.fetch_add(1, Ordering::Relaxed);
                running.open.fetch_add(1, Ordering::Relaxed);
                shared.tasks.spawn(hold(shared.clone(), running.clone(), tcp, peer, pass));
            }
            Verdict::Refused { report } => {
                running.refused.fetch_add(1, Ordering::Relaxed);
                drop(tcp);
                if let Some(count) = report {
                    let report = Report::new("connection_refused")
                        .severity(Severity::Warning)
                        .field("src_ip", peer.ip().to_canonical())
                        .field("src_port", peer.port())
                        .field("refused", count)
                        .field("reason", "connection limit");
                    shared.output.announce(running.service.slug(), report).await;
                }
            }
        }
    }
}

/// Counts a connection as open until it is dropped, whatever happens in between.
struct Open<'a>(&'a Running);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Elapsed;

/// The stream enforces its own end while it is read; this is for a service that does not read. A service may give its
/// connection longer while it runs.
async fn bounded<T>(
    conversation: impl Future<Output = T>,
    began: Instant,
    meter: &Meter,
) -> Result<T, Elapsed> {
    let mut conversation = std::pin::pin!(conversation);
    loop {
        let bound = began + meter.lifetime() + OVERTIME;
        if let Ok(outcome) = tokio::time::timeout_at(bound, &mut conversation).await {
            return Ok(outcome);
        }
        if Instant::now() >= began + meter.lifetime() + OVERTIME {
            return Err(Elapsed);
        }
    }
}

/// One connection from `connect` to `disconnect`.
async fn hold(shared: Arc<Shared>, running: Arc<Running>, tcp: TcpStream, peer: SocketAddr, pass: Pass) {
    let _open = Open(&running);
    let _pass = pass;
    let Ok(local) = tcp.local_addr() else { return };
    // Answers are small; without this they wait for the client's acknowledgement.
    let _ = tcp.set_nodelay(true);
    let service = &running.service;
    let meter = Meter::new(service.idle());
    let conn = Arc::new(Connection::new(
        shared.ids.next_id(),
        service.slug(),
        peer,
        local,
        meter.clone(),
        shared.output.clone(),
    ));
    let began = Instant::now();
    conn.emit(conn.report("connect")).await;
    // As a server of its age does: a client that vanished without a word is noticed in the end.
    let _ = rustix::net::sockopt::set_socket_keepalive(&tcp, true);
    let stop = shared.stop.child_token();
    let stream = Stream::new(tcp, meter.clone(), LIFETIME, stop.clone());
    let conversation = AssertUnwindSafe(service.serve(stream, conn.clone())).catch_unwind();
    let outcome = bounded(conversation, began, &meter).await;
    let cut = meter.cut();
    // Whatever the service left running with the stream ends now: nothing that this brings is why the connection ended.
    stop.cancel();
    let mut reason = match cut {
        Cut::Not => conn.end_reason().unwrap_or("closed"),
        Cut::Idle => "idle",
        Cut::Lifetime => "lifetime",
        Cut::Shutdown => "shutdown",
    };
    let problem = match outcome {
        Ok(Ok(Ok(()) | Err(SessionError::Io(_)))) => None,
        Ok(Ok(Err(SessionError::Protocol(why)))) => Some(why),
        Ok(Err(_panic)) => Some("internal error".to_owned()),
        Err(Elapsed) => {
            reason = "lifetime";
            None
        }
    };
    if let Some(why) = problem {
        running.errors.fetch_add(1, Ordering::Relaxed);
        reason = "error";
        conn.emit(conn.report("error").severity(Severity::Warning).field("reason", why)).await;
    }
    let report = conn
        .report("disconnect")
        .field("duration_s", format_args!("{:.3}", began.elapsed().as_secs_f64()))
        .field("bytes_in", meter.received())
        .field("bytes_out", meter.sent())
        .field("reason", reason);
    conn.emit(report).await;
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Mutex};

    use decnet_core::{DeckyName, SystemClock, SystemIds};
    use decnet_logline::{Record, scan};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::output::PATIENCE;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Does what its client's first byte says.
    struct Moody;

    #[async_trait::async_trait]
    impl Service for Moody {
        fn slug(&self) -> &'static str {
            "moody"
        }

        async fn serve(&self, mut stream: Stream, _conn: Arc<Connection>) -> Result<(), SessionError> {
            match stream.read_u8().await? {
                b'p' => panic!("as asked"),
                b'e' => Err(SessionError::protocol("as asked")),
                _ => Ok(stream.write_all(b"ok").await?),
            }
        }
    }

    async fn talk(addr: SocketAddr, word: &[u8]) -> Vec<u8> {
        let mut client = TcpStream::connect(addr).await.unwrap();
        client.write_all(word).await.unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn a_panic_or_a_broken_protocol_closes_only_its_own_connection() {
        let lines = Lines::default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let decky = DeckyName::parse("web-01").unwrap();
        let output =
            Output::start(decky, clock.clone(), lines.clone(), None, PATIENCE, CancellationToken::new());
        let shared = Arc::new(Shared {
            clock,
            ids: Arc::new(SystemIds),
            output: Arc::new(output.unwrap()),
            admission: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let socket = listener::bind("moody", [127, 0, 0, 1].into(), 0).unwrap();
        let addr = socket.local_addr().unwrap();
        let running = Arc::new(Running {
            service: Arc::new(Moody),
            addresses: vec![addr],
            open: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        });
        shared.tasks.spawn(keep_accepting(shared.clone(), running.clone(), socket));
        let mut patient = TcpStream::connect(addr).await.unwrap();
        assert!(talk(addr, b"p").await.is_empty());
        assert!(talk(addr, b"e").await.is_empty());
        assert_eq!(talk(addr, b"x").await, b"ok");
        patient.write_all(b"x").await.unwrap();
        let mut answer = [0; 2];
        patient.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"ok");
        shared.stop.cancel();
        shared.tasks.close();
        shared.tasks.wait().await;
        let records: Vec<Record> = lines
            .0
            .lock()
            .unwrap()
            .clone()
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| scan(l).unwrap())
            .collect();
        let errors: Vec<_> = records.iter().filter(|r| r.msgid == "error").collect();
        let reasons: Vec<_> = errors.iter().filter_map(|r| r.fields.get("reason")).collect();
        assert_eq!(reasons, ["internal error", "as asked"]);
        assert!(errors.iter().all(|r| r.severity == Severity::Warning));
        assert_eq!(records.iter().filter(|r| r.msgid == "disconnect").count(), 4);
        assert_eq!(running.errors.load(Ordering::Relaxed), 2);
        assert_eq!(running.open.load(Ordering::Relaxed), 0);
        assert_eq!(shared.admission.open(), 0);
    }
}
