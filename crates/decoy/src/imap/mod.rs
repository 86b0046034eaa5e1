//! The imap service: Dovecot with the mail of this machine's people.
//!
//! This file joins the socket to the pure parts: `wire` finds commands, `session` answers them from `world`. Each
//! command is reported before it is answered. TLS is not spoken here and not advertised.

pub mod auth;
pub mod boxes;
pub mod changes;
pub mod corpus;
pub mod describe;
pub mod fetch;
pub mod login;
pub mod mailbox;
pub mod messages;
pub mod part;
pub mod persona;
pub mod search;
pub mod session;
pub mod spool;
pub mod topics;
pub mod wire;
pub mod world;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use decnet_core::Account;
use decnet_logline::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::{
    auth::Ticks,
    session::{Fact, Session, Step},
    spool::Spool,
    wire::{Framed, Framer, canonical},
    world::{Planting, World},
};
use crate::{
    connection::Connection,
    service::{BuildError, Service, ServiceContext, SessionError},
    stream::Stream,
};

/// Bytes read at once.
const READ_SIZE: usize = 16 * 1024;
/// Bytes of a command's arguments that the line shows.
const ARGS_SHOWN: usize = 400;
/// How often an idling client is told of news.
const IDLE_TICK: Duration = Duration::from_secs(2);
/// Silence allowed after login (RFC 3501, 5.4 demands half an hour).
const LATE_IDLE: Duration = Duration::from_mins(30);
/// Rescan of the spool.
const RESCAN: Duration = Duration::from_secs(5);

/// The service.
pub struct Imap {
    world: Mutex<World>,
    ticks: Mutex<Ticks>,
    greeting: String,
    context: ServiceContext,
}

/// Makes the service.
pub fn build(context: &ServiceContext) -> Result<Arc<dyn Service>, BuildError> {
    let bad = |reason: String| BuildError { slug: "imap", reason };
    // The reference system's variable names are accepted beside ours.
    let setting = |names: [&str; 2]| {
        names
            .into_iter()
            .find_map(|name| context.settings.get(name))
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    };
    let named = setting(["email_seed", "IMAP_EMAIL_SEED"]).map(PathBuf::from);
    let is_named = named.is_some();
    let folder = named.or_else(|| context.root.as_ref().map(|root| root.join("var/spool/decnet-emails")));
    let every = match setting(["email_seed_rescan", "IMAP_EMAIL_SEED_RESCAN"]) {
        None => RESCAN,
        Some(text) => {
            text.parse().ok().filter(|seconds| *seconds <= 3600).map(Duration::from_secs).ok_or_else(
                || bad(format!("email_seed_rescan {text:?} is not a number of seconds up to 3600")),
            )?
        }
    };
    let planting = match setting(["email_seed_mode", "IMAP_EMAIL_SEED_MODE"]) {
        // A folder that the operator names is the mailbox. The decky's own spool fills little by little, and a mailbox
        // that shrinks to one message on the day of the first delivery would give it away: there mail is added.
        None if is_named => Planting::Replace,
        Some("replace") => Planting::Replace,
        None | Some("add") => Planting::Add,
        Some(other) => return Err(bad(format!("email_seed_mode {other:?} is neither add nor replace"))),
    };
    let greeting = match setting(["banner", "IMAP_BANNER"]) {
        None => persona::greeting(&context.persona.distro),
        Some(text) if text.len() <= 400 && text.bytes().all(|b| (0x20..0x7f).contains(&b)) => {
            if text.starts_with("* ") { text.to_owned() } else { format!("* OK {text}") }
        }
        Some(text) => return Err(bad(format!("banner {text:?} has to be one line of ASCII"))),
    };
    let spool = folder.map(|folder| Spool::new(folder, every));
    let mut people = context.persona.clone();
    if let Some(text) = setting(["users", "IMAP_USERS"]) {
        Arc::make_mut(&mut people).accounts = users(text, &context.persona.domain).map_err(bad)?;
    }
    let world = World::new(&context.host_seed, people, spool, planting);
    Ok(Arc::new(Imap {
        world: Mutex::new(world),
        ticks: Mutex::default(),
        greeting,
        context: context.clone(),
    }))
}

/// `login:password` pairs, separated by commas.
fn users(text: &str, domain: &str) -> Result<Vec<Account>, String> {
    text.split(',')
        .zip(1001..)
        .map(|(pair, uid)| match pair.split_once(':') {
            Some((login, password)) if !login.trim().is_empty() => {
                let login = login.trim();
                let mut letters = login.chars();
                let name = letters.next().map(|first| first.to_uppercase().chain(letters).collect());
                Ok(Account {
                    login: login.to_owned(),
                    full_name: name.unwrap_or_default(),
                    password: password.to_owned(),
                    uid,
                    email: format!("{login}@{domain}"),
                })
            }
            _ => Err(format!("users: {pair:?} is not login:password; separate pairs by commas")),
        })
        .collect()
}

#[async_trait::async_trait]
impl Service for Imap {
    fn slug(&self) -> &'static str {
        "imap"
    }

    async fn serve(&self, mut stream: Stream, conn: Arc<Connection>) -> Result<(), SessionError> {
        stream.write_all(format!("{}\r\n", self.greeting).as_bytes()).await?;
        let mut session = Session::default();
        let mut framer = Framer::default();
        let mut buffer: Vec<u8> = Vec::new();
        let mut piece = vec![0; READ_SIZE];
        loop {
            match framer.frame(&buffer, session.is_early()) {
                Framed::Command(length) => {
                    let command = canonical(buffer.get(..length).unwrap_or_default());
                    buffer.drain(..length);
                    // What a large message took is given back.
                    buffer.shrink_to(READ_SIZE);
                    framer.next();
                    let early = session.is_early();
                    let step = session.command(&mut self.lock(), &command, self.context.clock.now());
                    if early && !session.is_early() {
                        conn.set_idle(LATE_IDLE);
                    }
                    let close = step.close;
                    self.send(&mut stream, &conn, step).await?;
                    if close {
                        stream.shutdown().await?;
                        return Ok(());
                    }
                }
                Framed::Literal => {
                    stream.write_all(b"+ OK\r\n").await?;
                    framer.asked();
                }
                Framed::TooLong => {
                    return refuse(&mut stream, &conn, "Input buffer full, aborting", &buffer).await;
                }
                Framed::LiteralTooLarge => {
                    return refuse(&mut stream, &conn, "Literal size too large", &buffer).await;
                }
                Framed::Partial => {
                    let read = if session.is_idle() {
                        let Ok(read) = tokio::time::timeout(IDLE_TICK, stream.read(&mut piece)).await else {
                            let step = session.idle_tick(&mut self.lock(), self.context.clock.now());
                            self.send(&mut stream, &conn, step).await?;
                            continue;
                        };
                        read?
                    } else {
                        stream.read(&mut piece).await?
                    };
                    if read == 0 {
                        if !buffer.is_empty() {
                            let raw = buffer.get(..buffer.len().min(ARGS_SHOWN)).unwrap_or_default();
                            let report = conn.report("protocol_error").field("reason", "unfinished command");
                            conn.emit(report.bytes("raw", raw)).await;
                        }
                        return Ok(());
                    }
                    buffer.extend_from_slice(piece.get(..read).unwrap_or_default());
                }
            }
        }
    }
}

impl Imap {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports, waits, sends.
    async fn send(&self, stream: &mut Stream, conn: &Connection, step: Step) -> Result<(), SessionError> {
        for fact in step.facts {
            report(conn, fact).await;
        }
        if let Some(delay) = step.delay {
            tokio::time::sleep(delay).await;
        }
        if step.failed {
            let now = self.context.clock.now().timestamp_millis();
            let wait = self.ticks.lock().unwrap_or_else(PoisonError::into_inner).wait(now);
            tokio::time::sleep(wait).await;
        }
        if !step.out.is_empty() {
            stream.write_all(&step.out).await?;
            stream.flush().await?;
        }
        Ok(())
    }
}

async fn refuse(
    stream: &mut Stream,
    conn: &Connection,
    why: &'static str,
    input: &[u8],
) -> Result<(), SessionError> {
    let report = conn
        .report("protocol_error")
        .field("reason", why)
        .bytes("raw", input.get(..input.len().min(ARGS_SHOWN)).unwrap_or_default());
    conn.emit(report).await;
    stream.write_all(format!("* BYE {why}\r\n").as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}

async fn report(conn: &Connection, fact: Fact) {
    let report = match fact {
        Fact::Command { cmd, args, state } => {
            let report = conn.report("command").field("cmd", cmd).field("state", state);
            match args {
                Some(args) => {
                    report.bytes("args", args.get(..args.len().min(ARGS_SHOWN)).unwrap_or_default())
                }
                None => report,
            }
        }
        Fact::Auth { user, password, method, account } => {
            let secret = Secret::plaintext(String::from_utf8_lossy(&user), password);
            conn.report("auth")
                .field("method", method)
                .field("outcome", if account.is_some() { "success" } else { "failure" })
                .secret(secret)
        }
        Fact::Read { mailbox, uid, subject } => {
            conn.report("mail_read").field("mailbox", mailbox).field("uid", uid).field("subject", subject)
        }
        Fact::Appended { mailbox, raw } => {
            let report = conn.report("upload").field("mailbox", mailbox).field("size", raw.len());
            match conn.store("imap-append.eml", &raw).await {
                Some(stored) => report.field("stored_as", stored.stored_as).field("sha256", stored.sha256),
                None => report,
            }
        }
    };
    conn.emit(report).await;
}

#[cfg(test)]
mod tests;
