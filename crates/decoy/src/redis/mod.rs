//! The redis service: the release that the distribution ships, reachable from outside, with a keyspace worth reading.
//!
//! This file joins sockets, reports and the shared server; requests, replies and commands know nothing of either.
//! What clients change lives in memory, is shared by all connections of the decky and dies with the process.

pub mod admin;
pub mod bait;
pub mod call;
pub mod client;
pub mod collections;
pub mod config;
pub mod danger;
pub mod glob;
pub mod info;
pub mod keys;
pub mod load;
pub mod release;
pub mod reply;
pub mod request;
pub mod script;
pub mod shared;
pub mod sorted;
pub mod store;
pub mod strings;
pub mod table;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use decnet_logline::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::{
    bait::Bait,
    call::Fact,
    config::Config,
    info::Facts,
    reply::Reply,
    request::Parsed,
    shared::{Client, Executed, Role, Session, Shared, Stats, execute},
    store::Store,
};
use crate::{
    connection::Connection,
    service::{BuildError, Service, ServiceContext, SessionError},
    stream::Stream,
};

/// Arguments of a command that the line shows.
const ARGS_SHOWN: usize = 8;
/// Bytes of an argument that the line shows; a longer one goes to the artifact folder as a whole.
const ARG_SHOWN: usize = 512;
/// Bytes read at once.
const READ_SIZE: usize = 16 * 1024;
/// Replies are sent once this much has gathered.
const WRITE_SIZE: usize = 64 * 1024;

/// The service.
pub struct Redis {
    shared: Mutex<Shared>,
    context: ServiceContext,
}

/// Makes the service.
pub fn build(context: &ServiceContext) -> Result<Arc<dyn Service>, BuildError> {
    Ok(Arc::new(Redis { shared: Mutex::new(server(context)?), context: context.clone() }))
}

/// The server of a decky.
fn server(context: &ServiceContext) -> Result<Shared, BuildError> {
    let setting = |key: &str| context.settings.get(key).map(String::as_str).filter(|text| !text.is_empty());
    let seed = &context.seed;
    let now = context.clock.now().timestamp_millis();
    let release = release::of_distro(&context.persona.distro, seed);
    let release = match setting("version") {
        None => release,
        Some(text) => release.in_version(text).ok_or_else(|| BuildError {
            slug: "redis",
            reason: format!("version {text:?} is no version; write it like 7.0.15"),
        })?,
    };
    let permissive = match setting("protected_configs") {
        None => seed.child("permissive").chance(0.5),
        Some("yes") => false,
        Some("no") => true,
        Some(other) => {
            return Err(BuildError {
                slug: "redis",
                reason: format!("protected_configs {other:?} is neither yes nor no"),
            });
        }
    };
    // The server came up a little after the machine.
    let delay = i64::try_from(seed.child("delay").range(4..=40)).unwrap_or(4) * 1000;
    let started = (context.booted().timestamp_millis() + delay).min(now);
    let homes: Vec<String> = context
        .persona
        .accounts
        .iter()
        .flat_map(|account| [format!("/home/{}", account.login), format!("/home/{}/.ssh", account.login)])
        .collect();
    let port = 6379;
    let mut store = Store::new(seed.child("dictionary").bytes());
    let bait = Bait::plant(seed, &context.persona, &mut store, now);
    store.dirty = 0;
    let mut facts = Facts::new(seed, &context.persona.kernel, port, started, context.booted().timestamp());
    if let Some(build) = release.build {
        build.clone_into(&mut facts.build_id);
    }
    facts.loaded = store.size(0).0;
    if let Some(os) = setting("os_string") {
        // One line: it stands in INFO.
        facts.os = os.chars().filter(|c| !c.is_control()).take(200).collect();
    }
    let mut clients = BTreeMap::new();
    for (at, (name, source)) in Bait::connections(seed).into_iter().enumerate() {
        let since = started + 2000 + i64::try_from(at).unwrap_or(0) * 700;
        let client = Client {
            addr: format!("127.0.0.1:{source}"),
            laddr: format!("127.0.0.1:{port}"),
            since: since.min(now),
            active: now,
            name,
            db: 0,
            command: "get".to_owned(),
            resp: 2,
            lib: Default::default(),
            resident: true,
        };
        clients.insert(3 + at as u64 * 2, client);
    }
    let uptime = u64::try_from((now - started) / 1000).unwrap_or(0);
    let next_id = 12 + facts.load.total(load::Counter::Connections, uptime);
    Ok(Shared {
        config: Config::new(&release, port, setting("password"), permissive, &homes),
        release,
        store,
        clients,
        next_id,
        role: Role::Master,
        stats: Stats::default(),
        scripts: BTreeMap::new(),
        bait,
        facts,
        saved_at: started,
    })
}

#[async_trait::async_trait]
impl Service for Redis {
    fn slug(&self) -> &'static str {
        "redis"
    }

    /// Upstream never closes an idle client; scanners come back after minutes.
    fn idle(&self) -> std::time::Duration {
        std::time::Duration::from_mins(5)
    }

    async fn serve(&self, stream: Stream, conn: Arc<Connection>) -> Result<(), SessionError> {
        let mut session = self.admit(&conn);
        let result = self.converse(stream, &conn, &mut session).await;
        self.lock().clients.remove(&session.id);
        result
    }
}

impl Redis {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.context.clock.now().timestamp_millis()
    }

    fn admit(&self, conn: &Connection) -> Session {
        let now = self.now();
        let mut shared = self.lock();
        let id = shared.next_id;
        shared.next_id += 1;
        shared.stats.connections += 1;
        let client = Client {
            addr: format!("{}:{}", conn.src_ip(), conn.src_port()),
            laddr: format!("{}:{}", conn.dst_ip(), conn.dst_port()),
            since: now,
            active: now,
            name: String::new(),
            db: 0,
            command: "NULL".to_owned(),
            resp: 2,
            lib: Default::default(),
            resident: false,
        };
        shared.clients.insert(id, client);
        Session { id, authenticated: shared.config.get("requirepass").is_empty(), ..Session::default() }
    }

    async fn converse(
        &self,
        mut stream: Stream,
        conn: &Connection,
        session: &mut Session,
    ) -> Result<(), SessionError> {
        let mut buffer: Vec<u8> = Vec::new();
        let mut out: Vec<u8> = Vec::new();
        let mut piece = vec![0; READ_SIZE];
        let modern = self.lock().release.since(700);
        let most = if modern { request::COUNT_MAX } else { request::COUNT_MAX_OLD };
        loop {
            let mut used = 0;
            loop {
                match request::parse(buffer.get(used..).unwrap_or_default(), !session.authenticated, most) {
                    Parsed::Partial => break,
                    Parsed::Request(args, length) => {
                        used += length;
                        if !args.is_empty() {
                            let silent = self.request(conn, session, &args, &mut out).await;
                            // Upstream frees such a client before it writes anything.
                            if silent && session.closing {
                                out.clear();
                            }
                        }
                    }
                    Parsed::Broken(text) => {
                        let bad = buffer.get(used..).unwrap_or_default();
                        let report = conn
                            .report("protocol_error")
                            .field("reason", &text)
                            .bytes("raw", bad.get(..bad.len().min(ARG_SHOWN)).unwrap_or_default());
                        conn.emit(report).await;
                        out.extend(Reply::Error(text).encode(false));
                        session.closing = true;
                    }
                }
                if session.closing || out.len() >= WRITE_SIZE {
                    break;
                }
            }
            buffer.drain(..used);
            // What a large value took is given back.
            buffer.shrink_to(READ_SIZE);
            if !out.is_empty() {
                self.lock().stats.bytes_out += out.len() as u64;
                stream.write_all(&out).await?;
                stream.flush().await?;
                out.clear();
            }
            if session.closing {
                stream.shutdown().await?;
                return Ok(());
            }
            // Whole requests that are still in the buffer come before more input.
            if !matches!(request::parse(&buffer, !session.authenticated, most), Parsed::Partial) {
                continue;
            }
            let read = match stream.read(&mut piece).await {
                Ok(read) if read > 0 => read,
                ended => {
                    unfinished(conn, &buffer).await;
                    return ended.map(|_| ()).map_err(Into::into);
                }
            };
            self.lock().stats.bytes_in += read as u64;
            buffer.extend_from_slice(piece.get(..read).unwrap_or_default());
        }
    }

    /// Executes one request; its reports are written before its reply leaves.
    /// Answers a request; true when it got no reply.
    async fn request(
        &self,
        conn: &Connection,
        session: &mut Session,
        args: &[Vec<u8>],
        out: &mut Vec<u8>,
    ) -> bool {
        let Executed { reply, facts } = execute(&mut self.lock(), session, args, self.now());
        report_command(conn, args, reply.as_ref()).await;
        for fact in facts {
            report_fact(conn, fact).await;
        }
        let Some(reply) = reply else { return true };
        out.extend(reply.encode(session.resp3));
        false
    }
}

async fn report_command(conn: &Connection, args: &[Vec<u8>], reply: Option<&Reply>) {
    let name = args
        .first()
        .map(|name| {
            String::from_utf8_lossy(name.get(..name.len().min(64)).unwrap_or_default()).to_uppercase()
        })
        .unwrap_or_default();
    let shown: Vec<String> = args
        .iter()
        .skip(1)
        .take(ARGS_SHOWN)
        .map(|arg| {
            String::from_utf8_lossy(arg.get(..arg.len().min(ARG_SHOWN)).unwrap_or_default()).into_owned()
        })
        .collect();
    let error = match reply {
        Some(Reply::Error(text)) => Some(text.as_str()),
        _ => None,
    };
    let mut report = conn
        .report("command")
        .field("cmd", name)
        .json("args", &shown)
        .field("arg_count", args.len() - 1)
        .opt("error", error);
    let long: Vec<&Vec<u8>> = args.iter().skip(1).filter(|arg| arg.len() > ARG_SHOWN).collect();
    if let Some(longest) = long.iter().max_by_key(|arg| arg.len())
        && let Some(stored) = conn.store("redis-argument", longest).await
    {
        report = report
            .field("arg_stored_as", stored.stored_as)
            .field("arg_size", stored.size)
            .field("arg_sha256", stored.sha256);
    }
    conn.emit(report).await;
}

/// What came of a request that never became one, such as the hello of another protocol.
async fn unfinished(conn: &Connection, input: &[u8]) {
    if !input.is_empty() {
        let report = conn
            .report("protocol_error")
            .field("reason", "unfinished request")
            .bytes("raw", input.get(..input.len().min(ARG_SHOWN)).unwrap_or_default());
        conn.emit(report).await;
    }
}

async fn report_fact(conn: &Connection, fact: Fact) {
    let report = match fact {
        Fact::Auth { user, password, success } => {
            let user = user.map(|name| String::from_utf8_lossy(&name).into_owned());
            let secret =
                Secret { principal: user, kind: decnet_logline::SecretKind::Plaintext, bytes: password };
            conn.report("auth").field("outcome", if success { "success" } else { "failure" }).secret(secret)
        }
        Fact::Rce { technique, detail } => conn
            .report("rce_attempt")
            .severity(decnet_logline::Severity::Warning)
            .field("technique", technique)
            .field("detail", detail),
        Fact::Dump { path, bytes } => {
            let report = conn.report("file_captured").field("path", path).field("size", bytes.len());
            match conn.store("redis-dump", &bytes).await {
                Some(stored) => report.field("stored_as", stored.stored_as).field("sha256", stored.sha256),
                None => report,
            }
        }
    };
    conn.emit(report).await;
}

#[cfg(test)]
pub mod tests;
