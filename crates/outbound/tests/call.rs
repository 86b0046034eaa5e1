//! The client against real listeners: where it goes, where it refuses to go, and what it bears.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use decnet_outbound::{CallError, Client, Guard, MAX_BODY, Options, Resolve, Trust};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};
use url::Url;

/// A name server that gives each of its answers once, and the last one for ever.
struct Fickle {
    answers: Mutex<VecDeque<IpAddr>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Resolve for Fickle {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().copied() };
        Ok(answer.into_iter().collect())
    }
}

fn fickle(answers: &[&str]) -> Arc<Fickle> {
    let answers = answers.iter().map(|ip| ip.parse().unwrap()).collect();
    Arc::new(Fickle { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
}

/// A receiver that gives the same answer to every request.
struct Receiver {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn start(ip: &str, port: u16, answer: &str, closes: bool) -> Self {
        let listener = TcpListener::bind((ip, port)).await.unwrap();
        let (connections, heads) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            connections: connections.clone(),
            heads: heads.clone(),
        };
        let answer = answer.to_owned();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(talk(stream, answer.clone(), heads.clone(), closes));
            }
        });
        receiver
    }

    fn url(&self, host: &str) -> Url {
        format!("http://{host}:{}/hook?a=1", self.address.port()).parse().unwrap()
    }
}

/// Reads requests (their bodies have two bytes) and answers each.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answer: String,
    heads: Arc<Mutex<Vec<String>>>,
    closes: bool,
) {
    let mut seen = Vec::new();
    loop {
        let mut byte = [0; 1024];
        match stream.read(&mut byte).await {
            Ok(0) | Err(_) => return,
            Ok(count) => seen.extend_from_slice(&byte[..count]),
        }
        if seen.ends_with(b"\r\n\r\n{}") {
            heads.lock().unwrap().push(String::from_utf8(std::mem::take(&mut seen)).unwrap());
            if stream.write_all(answer.as_bytes()).await.is_err() || closes {
                return;
            }
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn trust() -> Trust {
    Trust::only([]).unwrap()
}

fn client(allow: &[&str], resolver: Option<Arc<dyn Resolve>>) -> Client {
    let guard = Guard::new(allow.iter().map(|net| net.parse().unwrap()).collect());
    let mut options =
        Options { guard, timeout: Duration::from_secs(5), ..Options::new("decnet-test/1", trust()) };
    if let Some(resolver) = resolver {
        options.resolver = resolver;
    }
    Client::new(options)
}

async fn post(client: &Client, url: &Url) -> Result<decnet_outbound::Response, CallError> {
    client.post(url, &[("x-one", "1".to_owned())], Bytes::from_static(b"{}")).await
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_before_anything_is_sent() {
    let receiver = Receiver::start("127.0.0.1", 0, OK, false).await;
    let open = client(&[], None);
    for host in
        ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f.1", "127.1"]
    {
        let error = post(&open, &receiver.url(host)).await.unwrap_err();
        assert!(matches!(error, CallError::Closed { .. }), "{host}: {error}");
    }
    // What was allowed by hand is one range, not a door.
    let narrow = client(&["127.0.0.2/32"], None);
    assert!(matches!(post(&narrow, &receiver.url("127.0.0.1")).await, Err(CallError::Closed { .. })));
    let file: Url = "ftp://127.0.0.1/x".parse().unwrap();
    assert!(matches!(post(&narrow, &file).await, Err(CallError::BadUrl { .. })));
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_answer_changes_nothing() {
    let meant = Receiver::start("127.0.0.2", 0, OK, true).await;
    let secret = Receiver::start("127.0.0.1", meant.address.port(), OK, true).await;
    let names = fickle(&["127.0.0.2", "127.0.0.1"]);
    let client = client(&["127.0.0.2/32"], Some(names.clone()));
    let url = meant.url("siem.example");
    assert_eq!(post(&client, &url).await.unwrap().status, 200);
    assert_eq!(names.asked.load(Ordering::SeqCst), 1, "resolved once, connected to what was checked");
    let error = post(&client, &url).await.unwrap_err();
    assert!(matches!(error, CallError::Closed { ip, .. } if ip.to_string() == "127.0.0.1"), "{error}");
    assert_eq!(secret.connections.load(Ordering::SeqCst), 0);
    let head = meant.heads.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.starts_with("post /hook?a=1 http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: siem.example:{}\r\n", meant.address.port())), "{head}");
    assert!(head.contains("user-agent: decnet-test/1\r\n") && head.contains("x-one: 1\r\n"), "{head}");
}

#[tokio::test]
async fn redirects_are_answers_and_are_not_followed() {
    let aim = Receiver::start("127.0.0.1", 0, OK, false).await;
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        aim.url("127.0.0.1")
    );
    let receiver = Receiver::start("127.0.0.1", 0, &answer, false).await;
    let answer = post(&client(&["127.0.0.0/8"], None), &receiver.url("127.0.0.1")).await.unwrap();
    assert_eq!((answer.status, aim.connections.load(Ordering::SeqCst)), (307, 0));
}

#[tokio::test]
async fn connections_are_kept_and_remade_when_the_receiver_closed_them() {
    let receiver = Receiver::start("127.0.0.1", 0, OK, false).await;
    let polite = client(&["127.0.0.0/8"], None);
    for _ in 0..5 {
        assert_eq!(post(&polite, &receiver.url("127.0.0.1")).await.unwrap().body.as_ref(), b"ok");
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 1);
    let rude = Receiver::start("127.0.0.1", 0, OK, true).await;
    for _ in 0..20 {
        assert_eq!(post(&polite, &rude.url("127.0.0.1")).await.unwrap().status, 200);
    }
    assert_eq!(rude.heads.lock().unwrap().len(), 20, "each call arrived once");
}

#[tokio::test]
async fn silence_floods_and_nonsense_are_bounded() {
    let allow = ["127.0.0.0/8"];
    let quick = |timeout: u64| {
        let guard = Guard::new(allow.iter().map(|net| net.parse().unwrap()).collect());
        let timeout = Duration::from_millis(timeout);
        Client::new(Options { guard, timeout, ..Options::new("t", trust()) })
    };
    let silent = Receiver::start("127.0.0.1", 0, "", false).await;
    assert!(matches!(post(&quick(200), &silent.url("127.0.0.1")).await, Err(CallError::TimedOut { .. })));

    let flood = format!("HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n{}", "x".repeat(4 * MAX_BODY));
    let flood = Receiver::start("127.0.0.1", 0, &flood, false).await;
    assert_eq!(post(&quick(5000), &flood.url("127.0.0.1")).await.unwrap().body.len(), MAX_BODY);

    // The head says that it was taken; that the body never ends is the receiver's affair.
    let trickle =
        Receiver::start("127.0.0.1", 0, "HTTP/1.1 202 Accepted\r\ncontent-length: 10\r\n\r\nx", false).await;
    assert_eq!(post(&quick(300), &trickle.url("127.0.0.1")).await.unwrap().status, 202);

    let nonsense = Receiver::start("127.0.0.1", 0, "SSH-2.0-x\r\n\r\n", false).await;
    assert!(matches!(post(&quick(5000), &nonsense.url("127.0.0.1")).await, Err(CallError::Protocol { .. })));
    let huge = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    let huge = Receiver::start("127.0.0.1", 0, &huge, false).await;
    assert!(matches!(post(&quick(5000), &huge.url("127.0.0.1")).await, Err(CallError::Protocol { .. })));

    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gone: Url = format!("http://{gone}/").parse().unwrap();
    assert!(matches!(post(&quick(5000), &gone).await, Err(CallError::Connect { .. })));
    let line = quick(5000).post(&gone, &[("x", "a\r\nb: c".to_owned())], Bytes::new()).await;
    assert!(matches!(line, Err(CallError::BadUrl { .. })), "a value cannot become a header");
}

#[tokio::test]
async fn the_certificate_is_checked_against_the_name_that_was_typed() {
    let issued = rcgen::generate_simple_self_signed(vec!["siem.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let names = Arc::new(Mutex::new(Vec::new()));
    let (seen, heads) = (names.clone(), Arc::new(Mutex::new(Vec::new())));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                seen.lock().unwrap().push(stream.get_ref().1.server_name().map(str::to_owned));
                tokio::spawn(talk(stream, OK.to_owned(), heads.clone(), false));
            }
        }
    });
    let with = |trust: Trust| {
        let guard = Guard::new(vec!["127.0.0.1/32".parse().unwrap()]);
        Client::new(Options { guard, resolver: fickle(&["127.0.0.1"]), ..Options::new("t", trust) })
    };
    let trusting = || Trust::only([issued.cert.der().to_vec()]).unwrap();
    let url = |host: &str| format!("https://{host}:{port}/").parse::<Url>().unwrap();
    assert_eq!(post(&with(trusting()), &url("siem.example")).await.unwrap().status, 200);
    assert_eq!(*names.lock().unwrap(), [Some("siem.example".to_owned())], "SNI is the name, not the address");
    assert!(matches!(post(&with(trusting()), &url("other.example")).await, Err(CallError::Tls { .. })));
    assert!(matches!(post(&with(trust()), &url("siem.example")).await, Err(CallError::Tls { .. })));
    Trust::system().unwrap();
}
