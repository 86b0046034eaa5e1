//! A receiver that writes down what it gets and answers as it is told.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Got {
    pub(crate) at: Instant,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) answered: u16,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// What the test called the event.
    pub(crate) fn name(&self) -> String {
        self.json()["payload"]["winner_uuid"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// An answer to give: status and `Retry-After`.
type Answer = (u16, Option<&'static str>);

#[derive(Default)]
struct Shared {
    got: Vec<Got>,
    /// The next answers; then `always`.
    next: VecDeque<Answer>,
    always: Option<u16>,
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::on(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) async fn on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let router = Router::new().fallback(take).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, task }
    }

    /// An address where nobody listens (yet).
    pub(crate) async fn nowhere() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next answers, before those that it always gives.
    pub(crate) fn next(&self, answers: &[Answer]) {
        self.shared.lock().unwrap().next.extend(answers);
    }

    /// What it answers from now on.
    pub(crate) fn always(&self, status: u16) {
        self.shared.lock().unwrap().always = Some(status);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.shared.lock().unwrap().got.clone()
    }

    /// The names of the events that it took.
    pub(crate) fn taken(&self) -> Vec<String> {
        self.got().iter().filter(|got| got.answered < 300).map(Got::name).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(shared): State<Arc<Mutex<Shared>>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut shared = shared.lock().unwrap();
    let always = shared.always.unwrap_or(200);
    let (status, after) = shared.next.pop_front().unwrap_or((always, None));
    shared.got.push(Got { at: Instant::now(), headers, body, answered: status });
    let status = StatusCode::from_u16(status).unwrap();
    match after {
        Some(after) => (status, [("retry-after", after)]).into_response(),
        None => status.into_response(),
    }
}
