//! The http service: a company's web site on the web server that its distribution ships.
//!
//! This file joins the socket to the pure parts: `head` and `body` read, `route` answers, `reply` writes. Each
//! request is reported before it is answered. HTTP/2 and TLS are not spoken here.

pub mod apps;
pub mod body;
pub mod compress;
pub mod creds;
pub mod errors;
pub mod evidence;
pub mod files;
pub mod head;
pub mod reply;
pub mod route;
pub mod server;
pub mod site;
pub mod target;
pub mod text;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::{
    apps::App,
    body::{Body, Framing, Progress},
    errors::About,
    evidence::{Seen, report},
    head::{Head, Parsed, Reject, Version},
    reply::{Reply, Wire, encode},
    route::{Asked, Options, Router, about},
    server::{Family, Server},
};
use crate::{
    connection::Connection,
    service::{BuildError, Service, ServiceContext, SessionError},
    stream::Stream,
};

/// Bytes read at once.
const READ_SIZE: usize = 16 * 1024;
/// nginx: `client_max_body_size`.
const NGINX_BODY: u64 = 1 << 20;
/// Apache: `KeepAliveTimeout`.
const APACHE_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Apache: `RequestReadTimeout header=20`.
const APACHE_HEADER: Duration = Duration::from_secs(20);

/// The service.
pub struct Http {
    router: Router,
    context: ServiceContext,
}

/// Makes the service.
pub fn build(context: &ServiceContext) -> Result<Arc<dyn Service>, BuildError> {
    let bad = |reason: String| BuildError { slug: "http", reason };
    let settings = &context.settings;
    let get = |key: &str| settings.get(key).map(String::as_str).filter(|text| !text.is_empty());
    let header = get("server_header");
    if header.is_some_and(|text| !server::is_header_text(text)) {
        return Err(bad("server_header must be 1 to 256 printable ASCII characters".to_owned()));
    }
    let response_code = match get("response_code") {
        None => None,
        Some(text) => Some(
            text.parse()
                .ok()
                .filter(|code| (200..=599).contains(code))
                .ok_or_else(|| bad(format!("response_code {text:?} is not a status from 200 to 599")))?,
        ),
    };
    let fake_app = match get("fake_app").filter(|name| *name != "site") {
        None => None,
        Some(name) => Some(App::parse(name).ok_or_else(|| {
            bad(format!("fake_app {name:?} is unknown; choose one of site, {}", App::NAMES))
        })?),
    };
    let files =
        get("files").map(Into::into).or_else(|| context.root.as_ref().map(|root| root.join("var/www/html")));
    let options = Options {
        response_code,
        custom_body: get("custom_body").map(str::to_owned),
        fake_app,
        extra_headers: get("extra_headers").map(extra_headers).transpose().map_err(bad)?.unwrap_or_default(),
        files,
    };
    let host = format!("{}.{}", context.persona.hostname, context.persona.domain);
    let server = Server::choose(&context.seed, &context.persona.distro, &host, header);
    let router = Router {
        server,
        persona: context.persona.clone(),
        seed: context.seed.clone(),
        options,
        site: Mutex::default(),
    };
    Ok(Arc::new(Http { router, context: context.clone() }))
}

/// A JSON object, or lines of `Name: value`.
fn extra_headers(text: &str) -> Result<Vec<(String, String)>, String> {
    let pairs: Vec<(String, String)> = match serde_json::from_str::<serde_json::Map<String, Value>>(text) {
        Ok(object) => object
            .into_iter()
            .map(|(name, value)| (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect(),
        Err(_) => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect(),
    };
    match pairs.iter().find(|(name, value)| {
        !server::is_header_text(name) || name.contains([':', ' ']) || !server::is_header_text(value)
    }) {
        Some((name, _)) => Err(format!(
            "extra_headers: {name:?} is not a header; give a JSON object or lines of `Name: value`"
        )),
        None => Ok(pairs),
    }
}

#[async_trait::async_trait]
impl Service for Http {
    fn slug(&self) -> &'static str {
        "http"
    }

    async fn serve(&self, stream: Stream, conn: Arc<Connection>) -> Result<(), SessionError> {
        Conversation { http: self, stream, conn, buffer: Vec::new(), served: 0 }.run().await
    }
}

/// One connection.
struct Conversation<'a> {
    http: &'a Http,
    stream: Stream,
    conn: Arc<Connection>,
    buffer: Vec<u8>,
    served: u32,
}

impl Conversation<'_> {
    fn server(&self) -> &Server {
        &self.http.router.server
    }

    async fn run(&mut self) -> Result<(), SessionError> {
        loop {
            let head = match head::parse(&self.buffer, self.server()) {
                Parsed::Partial => match self.read_head().await {
                    Ok(true) => continue,
                    ended => {
                        self.unfinished().await;
                        return ended.map(|_| ());
                    }
                },
                Parsed::Reject(reject, head) => return self.refuse(reject, head.as_deref()).await,
                Parsed::Head(head, used) => {
                    self.buffer.drain(..used);
                    self.buffer.shrink_to(READ_SIZE);
                    head
                }
            };
            self.served += 1;
            if !self.request(&head).await? {
                return self.linger().await;
            }
        }
    }

    /// Reads on while a head is incomplete; false at the end of the input.
    async fn read_head(&mut self) -> Result<bool, SessionError> {
        let apache = self.server().family == Family::Apache;
        let between = self.buffer.is_empty() && self.served > 0;
        self.conn.set_idle(if apache && between { APACHE_KEEP_ALIVE } else { crate::service::IDLE });
        let mut piece = vec![0; READ_SIZE];
        let read = if apache && !self.buffer.is_empty() {
            let Ok(read) = tokio::time::timeout(APACHE_HEADER, self.stream.read(&mut piece)).await else {
                let reply = Reply::error(self.server(), 408, &self.early()).closing();
                self.send(&reply, Version::V11, false, false).await?;
                return Ok(false);
            };
            read?
        } else {
            self.stream.read(&mut piece).await?
        };
        self.buffer.extend_from_slice(piece.get(..read).unwrap_or_default());
        Ok(read > 0)
    }

    /// Reports what came of a request that never became one: a slow client, a hello of another protocol.
    async fn unfinished(&mut self) {
        let input = std::mem::take(&mut self.buffer);
        if !input.iter().all(u8::is_ascii_whitespace) {
            let seen = Seen {
                head: None,
                path: None,
                query: None,
                body: &[],
                total: 0,
                captured: None,
                outcome: None,
            };
            report(&self.conn, &seen, 408, Some(&input)).await;
        }
    }

    fn early(&self) -> About<'static> {
        About { port: self.conn.dst_port(), ..About::default() }
    }

    /// Answers what is not a request.
    async fn refuse(&mut self, reject: Reject, head: Option<&Head>) -> Result<(), SessionError> {
        let nginx = self.server().family == Family::Nginx;
        let mut about = self.early();
        let status = match reject {
            Reject::Malformed => 400,
            Reject::UriTooLong => 414,
            Reject::FieldTooLarge => {
                about.detail = if nginx {
                    "Request Header Or Cookie Too Large"
                } else {
                    "Size of a request header field exceeds server limit."
                };
                400
            }
            Reject::TooManyFields => {
                about.detail = "The number of request header fields exceeds this server's limit.";
                400
            }
            Reject::Version => 505,
            Reject::TransferCoding => 501,
        };
        let reply = Reply::error(self.server(), status, &about).closing();
        let input = std::mem::take(&mut self.buffer);
        let seen = Seen { head, path: None, query: None, body: &[], total: 0, captured: None, outcome: None };
        report(&self.conn, &seen, status, Some(&input)).await;
        self.send(&reply, Version::V11, false, false).await?;
        self.linger().await
    }

    /// Answers one request; false when the connection ends with it.
    async fn request(&mut self, head: &Head) -> Result<bool, SessionError> {
        let (nginx, port) = (self.server().family == Family::Nginx, self.conn.dst_port());
        self.conn.set_idle(crate::service::IDLE);
        let framing = if head.get("transfer-encoding").is_some() {
            Framing::Chunked
        } else {
            head.text("content-length")
                .and_then(|text| text.parse().ok())
                .map_or(Framing::None, Framing::Length)
        };
        let mut body = Body::new(framing);
        let too_large = |length: u64| if nginx { length > NGINX_BODY } else { length > body::READ_MAX };
        let mut early = match framing {
            Framing::Length(length) if too_large(length) => Some(413),
            _ => None,
        };
        let expect = head.text("expect").filter(|_| head.version == Version::V11);
        if let (None, Some(expect)) = (early, expect) {
            if expect.eq_ignore_ascii_case("100-continue") {
                if (nginx || framing != Framing::None) && self.buffer.is_empty() {
                    self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                }
            } else if !nginx {
                early = Some(417);
            }
        }
        if early.is_none() {
            early = self.read_body(&mut body, nginx).await?;
        }
        let captured = (head.get("authorization").and_then(creds::of_authorization))
            .or_else(|| head.get("proxy-authorization").and_then(creds::of_authorization))
            .or_else(|| creds::of_body(head.text("content-type"), body.kept()))
            .or_else(|| {
                head.target
                    .split(|b| *b == b'?')
                    .nth(1)
                    .and_then(|query| creds::of_query(&String::from_utf8_lossy(query)))
            });
        let session = self.http.context.ids.next_id().simple().to_string();
        let session = session.get(6..).unwrap_or_default();
        let asked = Asked {
            head,
            body: body.kept(),
            captured: captured.as_ref(),
            port,
            now: self.http.context.clock.now(),
            session,
        };
        let mut routed = self.http.router.route(&asked);
        if let Some(status) = early {
            let about = About { expect: expect.unwrap_or_default(), ..about(head, port) };
            routed.reply = Reply::error(self.server(), status, &about).closing();
            routed.reply.unsized_body = !nginx && status != 417;
        }
        let left = self.server().max_requests.saturating_sub(self.served);
        let asked_keep_alive = head.has_token("connection", "keep-alive");
        let keeps = match head.version {
            Version::V11 => !head.has_token("connection", "close"),
            Version::V10 => asked_keep_alive,
            Version::V09 => false,
        };
        // Apache cannot know whether a client that announced a body and sent none will still send it.
        let unmet = !nginx && framing == Framing::None && head.version == Version::V11 && expect.is_some();
        routed.reply.close |= !keeps || left == 0 || unmet;
        let seen = Seen {
            head: Some(head),
            path: routed.path.as_deref(),
            query: routed.query.as_deref(),
            body: body.kept(),
            total: body.total(),
            captured: captured.as_ref(),
            outcome: routed.outcome,
        };
        report(&self.conn, &seen, routed.reply.status, None).await;
        self.send(&routed.reply, head.version, head.method == "HEAD", asked_keep_alive).await?;
        let ends = routed.reply.close
            || routed.reply.hang_up
            || head.version == Version::V09
            || (nginx && routed.reply.scripted && head.version < Version::V11);
        Ok(!ends)
    }

    /// Reads a body; a status when it has to be refused.
    async fn read_body(&mut self, body: &mut Body, nginx: bool) -> Result<Option<u16>, SessionError> {
        loop {
            let (used, progress) = body.feed(&self.buffer);
            self.buffer.drain(..used);
            match progress {
                Progress::Done => return Ok(None),
                Progress::Broken => return Ok(Some(400)),
                Progress::TooLarge => return Ok(Some(413)),
                Progress::More if nginx && body.total() > NGINX_BODY => return Ok(Some(413)),
                Progress::More => {}
            }
            let mut piece = vec![0; READ_SIZE];
            let read = self.stream.read(&mut piece).await?;
            if read == 0 {
                // What came is still evidence: it is reported, and the answer goes nowhere.
                return Ok(Some(400));
            }
            self.buffer.extend_from_slice(piece.get(..read).unwrap_or_default());
        }
    }

    async fn send(
        &mut self,
        reply: &Reply,
        version: Version,
        head_only: bool,
        asked_keep_alive: bool,
    ) -> Result<(), SessionError> {
        let wire = Wire {
            version,
            head_only,
            asked_keep_alive,
            left: self.server().max_requests.saturating_sub(self.served),
            now: self.http.context.clock.now(),
        };
        let bytes = encode(reply, &wire, self.server(), &self.http.router.options.extra_headers);
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Ends the connection so that the answer arrives: closing with unread input would reset it.
    async fn linger(&mut self) -> Result<(), SessionError> {
        const LINGER: Duration = Duration::from_secs(2);
        const READS: usize = 64;
        self.stream.shutdown().await?;
        let mut piece = vec![0; READ_SIZE];
        for _ in 0..READS {
            match tokio::time::timeout(LINGER, self.stream.read(&mut piece)).await {
                Ok(Ok(read)) if read > 0 => {}
                _ => break,
            }
        }
        Ok(())
    }
}
