//! The client: one call at a time on each connection, connections kept a while for the next call to the same place.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    body::Incoming,
    client::conn::http1::SendRequest,
    header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
};
use tokio::time::Instant;
use url::{Position, Url};

use crate::{CallError, Guard, Resolve, SystemResolver, Trust, connect::Origin};

/// How long a call may take in all.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read.
pub const MAX_BODY: usize = 64 * 1024;
/// How long a body may take once its head is there, unless [`Options::body_patience`] says otherwise.
const BODY_PATIENCE: Duration = Duration::from_secs(2);
/// How long a connection without a call is kept: also the longest that an old answer of a name server is lived by.
const KEEP_IDLE: Duration = Duration::from_secs(30);
/// Most connections that are kept.
const MOST_IDLE: usize = 8;

/// How a client behaves.
#[derive(Clone)]
pub struct Options {
    /// What we call ourselves.
    pub user_agent: String,
    /// What may be called.
    pub guard: Guard,
    /// How long a call may take in all.
    pub timeout: Duration,
    /// How long a body may take once its head is there; longer for receivers whose answer matters (a language model's).
    pub body_patience: Duration,
    /// Whose certificates are trusted.
    pub trust: Trust,
    /// Who knows addresses.
    pub resolver: Arc<dyn Resolve>,
}

impl Options {
    /// The public Internet, ten seconds, the machine's resolver.
    pub fn new(user_agent: impl Into<String>, trust: Trust) -> Self {
        Self {
            user_agent: user_agent.into(),
            guard: Guard::default(),
            timeout: TIMEOUT,
            body_patience: BODY_PATIENCE,
            trust,
            resolver: Arc::new(SystemResolver),
        }
    }
}

pub(crate) type Parts = Options;

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its headers.
    headers: HeaderMap,
    /// The beginning of its body; a receiver's words, so hostile until proven otherwise.
    pub body: Bytes,
}

impl Response {
    /// A header as text, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

struct Idle {
    origin: Origin,
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

/// The client. It keeps its own connections, so that one client's trouble is not another's.
pub struct Client {
    parts: Parts,
    idle: Mutex<Vec<Idle>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("guard", &self.parts.guard).finish_non_exhaustive()
    }
}

impl Client {
    /// A client.
    pub fn new(options: Options) -> Self {
        Self { parts: options, idle: Mutex::default() }
    }

    /// Posts a body and reads the answer, whatever its status: redirects are answers like others.
    pub async fn post(
        &self,
        url: &Url,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Response, CallError> {
        let origin = Origin::of(url)?;
        let call = self.call(&origin, url, headers, body);
        let (sender, response) =
            tokio::time::timeout(self.parts.timeout, call).await.unwrap_or_else(|_| {
                Err(CallError::TimedOut { host: origin.host.clone(), within: self.parts.timeout })
            })?;
        Ok(self.read(&origin, sender, response).await)
    }

    async fn call(
        &self,
        origin: &Origin,
        url: &Url,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<(SendRequest<Full<Bytes>>, hyper::Response<Incoming>), CallError> {
        let mut request = self.request(url, headers, body)?;
        while let Some(mut sender) = self.take_idle(origin) {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((sender, response)),
                // The receiver closed it before it saw anything of this call, so it may be made again.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(origin.protocol(&failed.into_error())),
                },
            }
        }
        let mut sender = origin.connect(&self.parts).await?;
        let response = sender.send_request(request).await.map_err(|error| origin.protocol(&error))?;
        Ok((sender, response))
    }

    fn request(
        &self,
        url: &Url,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, CallError> {
        let bad = |reason: String| CallError::BadUrl { reason };
        let target = &url[Position::BeforePath..Position::AfterQuery];
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let mut request = Request::post(target)
            .header(HOST, host)
            .header(USER_AGENT, &self.parts.user_agent)
            .header(CONTENT_LENGTH, body.len())
            .body(Full::new(body))
            .map_err(|error| bad(error.to_string()))?;
        for (name, value) in headers {
            let name: HeaderName = name.parse().map_err(|_| bad(format!("{name:?} is no header")))?;
            let value = HeaderValue::from_str(value)
                .map_err(|_| bad(format!("the value of header {name} cannot be sent")))?;
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    /// The answer is known by its head. A body that breaks off or does not end only costs the connection.
    async fn read(
        &self,
        origin: &Origin,
        sender: SendRequest<Full<Bytes>>,
        response: hyper::Response<Incoming>,
    ) -> Response {
        let (head, mut incoming) = response.into_parts();
        let mut body = BytesMut::new();
        // A receiver that trickles its body must not turn a delivered event into one that timed out.
        let reading = async {
            while let Some(frame) = incoming.frame().await {
                let Ok(frame) = frame else { return false };
                let Some(data) = frame.data_ref() else { continue };
                let room = MAX_BODY - body.len();
                body.extend_from_slice(data.get(..room).unwrap_or(data));
                if data.len() > room {
                    return false;
                }
            }
            true
        };
        let patience = self.parts.timeout.min(self.parts.body_patience);
        if tokio::time::timeout(patience, reading).await.unwrap_or(false) {
            self.keep_idle(origin, sender);
        }
        Response { status: head.status.as_u16(), headers: head.headers, body: body.freeze() }
    }

    fn take_idle(&self, origin: &Origin) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| kept.since.elapsed() < KEEP_IDLE && !kept.sender.is_closed());
        let at = idle.iter().rposition(|kept| kept.origin == *origin)?;
        Some(idle.swap_remove(at).sender)
    }

    fn keep_idle(&self, origin: &Origin, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE && !sender.is_closed() {
            idle.push(Idle { origin: origin.clone(), sender, since: Instant::now() });
        }
    }
}
