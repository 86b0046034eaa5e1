//! The imap service: Dovecot with the mail of this machine's people.
//!
//! This file joins the socket to the pure parts: `wire` finds commands, `session` answers them from `world`. Each
//! command is reported before it is answered. TLS is not spoken here and not advertised.

pub mod auth;
pub mod boxes;
pub mod changes;
pub mod describe;
pub mod esearch;
pub mod fetch;
pub mod listing;
pub mod login;
pub mod messages;
pub mod part;
pub mod persona;
pub mod reading;
pub mod search;
pub mod session;
pub mod thread;
pub mod wire;

use std::{sync::Arc, time::Duration};

use decnet_logline::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::{
    session::{Fact, Session, Step},
    wire::{Framed, Framer, canonical},
};
use crate::{
    connection::Connection,
    mail::{self, Store},
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

/// The service.
pub struct Imap {
    store: Arc<Store>,
    greeting: String,
    context: ServiceContext,
}

/// Makes the service.
pub fn build(context: &ServiceContext) -> Result<Arc<dyn Service>, BuildError> {
    let bad = |reason: String| BuildError { slug: "imap", reason };
    let greeting = match mail::banner(context, "IMAP").map_err(bad)? {
        None => persona::greeting(&context.persona.distro),
        Some(text) if text.starts_with("* ") => text.to_owned(),
        Some(text) => format!("* OK {text}"),
    };
    let store = context.mail.open(context, "IMAP").map_err(bad)?;
    Ok(Arc::new(Imap { store, greeting, context: context.clone() }))
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
                    let step = session.command(&mut self.store.world(), &command, self.context.clock.now());
                    if early && !session.is_early() {
                        conn.set_idle(LATE_IDLE);
                    }
                    let mut close = step.close;
                    self.send(&mut stream, &conn, step).await?;
                    loop {
                        let now = self.context.clock.now();
                        let Some(step) = session.go_on(&mut self.store.world(), now) else { break };
                        close |= step.close;
                        self.send(&mut stream, &conn, step).await?;
                    }
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
                            let step = session.idle_tick(&mut self.store.world(), self.context.clock.now());
                            let close = step.close;
                            self.send(&mut stream, &conn, step).await?;
                            if close {
                                stream.shutdown().await?;
                                return Ok(());
                            }
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
    /// Reports, waits, sends.
    async fn send(&self, stream: &mut Stream, conn: &Connection, step: Step) -> Result<(), SessionError> {
        for fact in step.facts {
            report(conn, fact).await;
        }
        if let Some(delay) = step.delay {
            tokio::time::sleep(delay).await;
        }
        if step.failed {
            tokio::time::sleep(self.store.wait(self.context.clock.now())).await;
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
