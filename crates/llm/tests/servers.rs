//! The backends against real servers that answer well, badly, slowly, for ever, or not at all.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by failing"
)]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use decnet_llm::{Backend, LlmError, MAX_ANSWER, Settings, open};
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};

/// Longer than any of these tests.
const LONG: Duration = Duration::from_mins(1);
/// What a test waits for an event that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a server behaves.
#[derive(Clone)]
enum Way {
    Says(u16, String),
    Redirects(String),
    Hangs,
    HangsInBody,
    NeverEnds,
}

/// A request as it arrived: path, bearer, body.
type Seen = (String, Option<String>, Value);

struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    asked: Arc<Notify>,
    open: Arc<AtomicUsize>,
    closed: Arc<Notify>,
}

impl Server {
    async fn start(way: Way) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            asked: Arc::default(),
            open: Arc::default(),
            closed: Arc::default(),
        };
        let (seen, asked) = (Arc::clone(&server.seen), Arc::clone(&server.asked));
        let (open, closed) = (Arc::clone(&server.open), Arc::clone(&server.closed));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, asked, way) = (Arc::clone(&seen), Arc::clone(&asked), way.clone());
                let (open, closed) = (Arc::clone(&open), Arc::clone(&closed));
                open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        answer(request, way.clone(), Arc::clone(&seen), Arc::clone(&asked))
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                    open.fetch_sub(1, Ordering::SeqCst);
                    closed.notify_one();
                });
            }
        });
        server
    }

    fn settings(&self, backend: &str, timeout: Duration) -> Settings {
        Settings {
            backend: backend.to_owned(),
            base_url: Some(format!("http://{}/v1", self.address)),
            model: Some("small".to_owned()),
            timeout,
            api_key: Some("sk-secret-7".to_owned()),
            fake_output: None,
        }
    }

    fn backend(&self, backend: &str, timeout: Duration) -> Arc<dyn Backend> {
        open(&self.settings(backend, timeout), None).unwrap().unwrap()
    }
}

async fn answer(
    request: Request<Incoming>,
    way: Way,
    seen: Arc<Mutex<Vec<Seen>>>,
    asked: Arc<Notify>,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let path = request.uri().path().to_owned();
    let bearer = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let body =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    seen.lock().unwrap().push((path, bearer, serde_json::from_slice(&body).unwrap_or_default()));
    asked.notify_one();
    let whole = |text: String| Full::new(Bytes::from(text)).boxed_unsync();
    let chunk = Bytes::from_static(&[b' '; 1024]);
    let response = match way {
        Way::Says(status, text) => Response::builder().status(status).body(whole(text)),
        Way::Redirects(to) => {
            Response::builder().status(307).header("location", to).body(whole(String::new()))
        }
        Way::Hangs => std::future::pending().await,
        Way::HangsInBody => {
            let first = stream::once(async { Ok(Frame::data(Bytes::from_static(b"{\"response\":\"be"))) });
            Response::builder().body(StreamBody::new(first.chain(stream::pending())).boxed_unsync())
        }
        Way::NeverEnds => {
            let endless = stream::repeat_with(move || Ok(Frame::data(chunk.clone())));
            Response::builder().body(StreamBody::new(endless).boxed_unsync())
        }
    };
    Ok(response.unwrap())
}

fn ollama(text: &str) -> Way {
    Way::Says(
        200,
        json!({ "model": "small", "response": text, "done": true, "context": [1, 2, 3] }).to_string(),
    )
}

fn openai(text: &Value) -> Way {
    Way::Says(
        200,
        json!({ "choices": [{ "message": { "role": "assistant", "content": text } }] }).to_string(),
    )
}

#[tokio::test]
async fn each_protocol_asks_and_reads_as_its_servers_do() {
    let server = Server::start(ollama(" ask Jens\n")).await;
    let backend = server.backend("ollama", LONG);
    assert_eq!((backend.kind(), backend.model()), ("ollama", "small"));
    assert_eq!(backend.generate("write \"it\"").await.as_deref(), Ok(" ask Jens\n"));
    let (path, bearer, question) = server.seen.lock().unwrap()[0].clone();
    assert_eq!((path.as_str(), bearer.as_deref()), ("/v1/api/generate", Some("Bearer sk-secret-7")));
    assert_eq!(
        (&question["model"], &question["prompt"], &question["stream"]),
        (&json!("small"), &json!("write \"it\""), &json!(false))
    );

    let server = Server::start(openai(&json!("ask Jens"))).await;
    let backend = server.backend("openai", LONG);
    assert_eq!(backend.kind(), "openai");
    assert_eq!(backend.generate("write").await.as_deref(), Ok("ask Jens"));
    let (path, bearer, question) = server.seen.lock().unwrap()[0].clone();
    assert_eq!((path.as_str(), bearer.as_deref()), ("/v1/chat/completions", Some("Bearer sk-secret-7")));
    assert_eq!(question["messages"], json!([{ "role": "user", "content": "write" }]));

    let mut without = server.settings("openai", LONG);
    without.api_key = None;
    open(&without, None).unwrap().unwrap().generate("write").await.unwrap();
    assert_eq!(server.seen.lock().unwrap()[1].1, None);
}

#[tokio::test]
async fn nothing_said_is_blank() {
    for (backend, way) in [
        ("ollama", ollama(" \n")),
        ("ollama", Way::Says(200, String::new())),
        ("openai", openai(&json!(""))),
        ("openai", openai(&Value::Null)),
        ("openai", Way::Says(200, "  \n".to_owned())),
    ] {
        let server = Server::start(way).await;
        assert_eq!(server.backend(backend, LONG).generate("write").await, Err(LlmError::Blank), "{backend}");
    }
}

#[tokio::test]
async fn rubbish_and_errors_are_one_clean_line() {
    let long = json!({ "response": "a".repeat(MAX_ANSWER) }).to_string();
    let leaky =
        json!({ "error": { "message": format!("bad key sk-secret-7\n\u{1b}[2J{}", "x".repeat(900)) } });
    for (way, says) in [
        (Way::Says(500, "<html>\u{1b}oops".to_owned()), "status 500"),
        (
            Way::Says(404, json!({ "error": "model 'small' not found" }).to_string()),
            "status 404: model 'small' not found",
        ),
        (Way::Says(401, leaky.to_string()), "status 401: bad key ***"),
        (Way::Says(200, "\u{0}\u{1}{{{".to_owned()), "no JSON"),
        (Way::Says(200, "[1, 2]".to_owned()), ""),
        (Way::Says(200, json!({ "response": 7, "choices": [] }).to_string()), ""),
        (Way::Says(200, "null".to_owned()), ""),
        (Way::Says(200, long), "longer than 64 KiB"),
        (Way::NeverEnds, "longer than 64 KiB"),
    ] {
        for backend in ["ollama", "openai"] {
            let server = Server::start(way.clone()).await;
            let result = server.backend(backend, LONG).generate("write").await;
            let Err(LlmError::Backend(words)) = result else { panic!("{says}: {result:?}") };
            assert!(words.contains(says), "{words}");
            assert!(words.chars().count() <= 160 && !words.chars().any(char::is_control), "{words:?}");
            assert!(!words.contains("sk-secret"), "{words}");
        }
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = Server::start(ollama("from elsewhere")).await;
    let server = Server::start(Way::Redirects(format!("http://{}/api/generate", other.address))).await;
    let result = server.backend("ollama", LONG).generate("write").await;
    assert!(matches!(&result, Err(LlmError::Backend(words)) if words.contains("status 307")), "{result:?}");
    assert!(other.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn slow_is_a_timeout_and_absent_is_an_error() {
    let short = Duration::from_millis(300);
    for way in [Way::Hangs, Way::HangsInBody] {
        let server = Server::start(way).await;
        assert_eq!(server.backend("ollama", short).generate("write").await, Err(LlmError::Timeout(short)));
        gone(&server).await;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Settings {
        base_url: Some(format!("http://{free}")),
        ..Server::start(Way::Hangs).await.settings("ollama", LONG)
    };
    let result = open(&nobody, None).unwrap().unwrap().generate("write").await;
    assert!(matches!(result, Err(LlmError::Backend(_))), "{result:?}");
}

/// Waits until the server has seen all its connections end.
async fn gone(server: &Server) {
    tokio::time::timeout(PATIENCE, async {
        while server.open.load(Ordering::SeqCst) > 0 {
            server.closed.notified().await;
        }
    })
    .await
    .expect("a call that is over leaves its connection open");
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection() {
    for way in [Way::Hangs, Way::HangsInBody] {
        let server = Server::start(way).await;
        let backend = server.backend("ollama", LONG);
        let call = tokio::spawn(async move { backend.generate("write").await });
        tokio::time::timeout(PATIENCE, server.asked.notified()).await.expect("the call arrives");
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        gone(&server).await;
    }
}

#[tokio::test]
async fn plain_http_leads_to_no_stranger() {
    let settings = Settings {
        base_url: Some("http://localhost:1".to_owned()),
        ..Server::start(Way::Hangs).await.settings("ollama", LONG)
    };
    let result = open(&settings, None).unwrap().unwrap().generate("write").await;
    assert!(
        matches!(&result, Err(LlmError::Backend(words)) if words.contains("no connection")),
        "a name of this machine's may be called: {result:?}"
    );
}
