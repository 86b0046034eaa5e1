//! The pop3 service: Dovecot again, with the same accounts and the same INBOX as its IMAP.
//!
//! This file joins the socket to the pure part, `session`. Each command is reported before it is answered. TLS is not
//! spoken here and not advertised.

mod login;
pub mod session;

use std::{sync::Arc, time::Duration};

use decnet_logline::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::session::{Fact, Session, Step};
use crate::{
    connection::Connection,
    mail::{self, Store},
    service::{BuildError, Service, ServiceContext, SessionError},
    stream::Stream,
};

/// Bytes read at once.
const READ_SIZE: usize = 4 * 1024;
/// Bytes of a line.
const LINE_MAX: usize = 8 * 1024;
/// Bytes of a command's arguments that the line shows.
const ARGS_SHOWN: usize = 400;
/// Silence allowed after login (RFC 1939, 3 demands ten minutes).
const LATE_IDLE: Duration = Duration::from_mins(10);

/// The service.
pub struct Pop3 {
    store: Arc<Store>,
    greeting: String,
    context: ServiceContext,
}

/// Makes the service.
pub fn build(context: &ServiceContext) -> Result<Arc<dyn Service>, BuildError> {
    let bad = |reason: String| BuildError { slug: "pop3", reason };
    let greeting = match mail::banner(context, "POP3").map_err(bad)? {
        None => session::greeting(&context.persona.distro),
        Some(text) if text.starts_with("+OK") => text.to_owned(),
        Some(text) => format!("+OK {text}"),
    };
    let store = context.mail.open(context, "POP3").map_err(bad)?;
    Ok(Arc::new(Pop3 { store, greeting, context: context.clone() }))
}

#[async_trait::async_trait]
impl Service for Pop3 {
    fn slug(&self) -> &'static str {
        "pop3"
    }

    async fn serve(&self, mut stream: Stream, conn: Arc<Connection>) -> Result<(), SessionError> {
        stream.write_all(format!("{}\r\n", self.greeting).as_bytes()).await?;
        let mut session = Session::default();
        let mut buffer: Vec<u8> = Vec::new();
        let mut piece = vec![0; READ_SIZE];
        loop {
            while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                let early = session.is_early();
                let step = session.line(&mut self.store.world(), &line, self.context.clock.now());
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
            // What a burst of commands took is given back.
            buffer.shrink_to(READ_SIZE);
            let full = buffer.len() >= LINE_MAX;
            let read = if full { 0 } else { stream.read(&mut piece).await? };
            if read == 0 {
                if !buffer.is_empty() {
                    let raw = buffer.get(..buffer.len().min(ARGS_SHOWN)).unwrap_or_default();
                    let reason = if full { "line too long" } else { "unfinished command" };
                    conn.emit(conn.report("protocol_error").field("reason", reason).bytes("raw", raw)).await;
                }
                // Dovecot says nothing when its buffer is full.
                return Ok(());
            }
            buffer.extend_from_slice(piece.get(..read).unwrap_or_default());
        }
    }
}

impl Pop3 {
    /// Reports, waits, sends.
    async fn send(&self, stream: &mut Stream, conn: &Connection, step: Step) -> Result<(), SessionError> {
        for fact in step.facts {
            report(conn, fact).await;
        }
        if let Some(delay) = step.delay {
            tokio::time::sleep(delay).await;
            tokio::time::sleep(self.store.wait(self.context.clock.now())).await;
        }
        if !step.out.is_empty() {
            stream.write_all(&step.out).await?;
            stream.flush().await?;
        }
        Ok(())
    }
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
        Fact::Retrieved { number, uid, subject } => {
            conn.report("retr").field("message_num", number).field("uid", uid).field("subject", subject)
        }
        Fact::Deleted { number, uid } => conn.report("delete").field("message_num", number).field("uid", uid),
    };
    conn.emit(report).await;
}

#[cfg(test)]
mod tests;
