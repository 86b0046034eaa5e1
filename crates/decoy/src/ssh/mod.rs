//! SSH: takes logins, never runs anything itself.
//!
//! russh speaks the protocol; this module decides what a machine of this persona would say, and writes down what
//! the client does. Where the decky has a shell container, sessions are carried there ([`crate::session`]); elsewhere
//! every account's shell is `nologin`.

mod auth;
mod carried;
mod front;
mod handler;
mod hassh;
mod hostkeys;
mod ident;
mod own_files;
mod party;
mod release;
mod shown;

use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use decnet_core::IdSource;
use russh::{Limits, SshId, server::Config};
use tokio::{
    io::AsyncWriteExt,
    runtime::Runtime,
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

use self::{
    auth::Rules,
    front::Front,
    handler::Conversation,
    ident::Exchange,
    party::{Failure, Link, Party},
    release::Server,
};
use crate::{
    connection::Connection,
    service::{BuildError, Service, ServiceContext, SessionError},
    session::{HELD_MAX, Shells, Transcripts},
    stream::Stream,
};

/// Silence that a logged-in client may keep where there is nothing to do; OpenSSH itself would wait for ever.
const IDLE_LOGGED_IN: Duration = Duration::from_mins(15);
/// Silence and age of a connection with a shell: OpenSSH has no limit, and an intruder who leaves a session open comes back.
const SHELL_LIFETIME: Duration = Duration::from_hours(72);
/// How long sessions may take to be recorded when their connection is gone.
const SESSIONS_END: Duration = Duration::from_secs(3);
/// Bytes of a client's first line that are reported.
const LINE_SHOWN: usize = 512;

/// What the SSH client of a distribution's machine of this name calls itself.
pub(crate) fn client_of(distro: &str, name: &str) -> &'static str {
    release::client(distro, name)
}

/// Makes the service.
pub fn build(context: &ServiceContext) -> Result<Arc<dyn Service>, BuildError> {
    let mut server = Server::of(&context.persona, &context.seed);
    if let Some(release) = context.settings.get("release") {
        server.say(release).map_err(|reason| BuildError { slug: "ssh", reason })?;
    }
    let keys = hostkeys::derive(&context.seed.child("hostkeys"))
        .map_err(|error| BuildError { slug: "ssh", reason: format!("cannot make host keys ({error})") })?;
    let shells = match context.shell.clone() {
        Some(link) => Some(Arc::new(Shells {
            link,
            transcripts: Transcripts::new(context.artifacts.as_deref(), context.clock.clone()),
            room: Arc::new(Semaphore::new(HELD_MAX)),
            own_files: own_files::of(&keys, &server, &context.persona.hostname).map_err(|error| {
                BuildError { slug: "ssh", reason: format!("cannot write host keys as text ({error})") }
            })?,
        })),
        None => None,
    };
    let config = Config {
        server_id: SshId::Standard(Cow::Owned(server.ident.clone())),
        methods: server.methods.clone(),
        keys,
        preferred: server.preferred(),
        // Our own rules wait and count the way OpenSSH does.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: 0,
        // The framework's stream ends silent connections.
        inactivity_timeout: None,
        // OpenSSH: a key exchange after 1 GiB or (for most ciphers) more; never by time.
        limits: Limits { rekey_time_limit: Duration::from_hours(24), ..Limits::default() },
        window_size: 2 << 20,
        maximum_packet_size: 32 << 10,
        channel_buffer_size: 4,
        event_buffer_size: 4,
        ..Config::default()
    };
    let rules = Rules::new(context.persona.accounts.clone(), server.guide.max_tries, &context.seed);
    let (rules, ids) = (Arc::new(rules), context.ids.clone());
    let host = Arc::new(Host { server, config: Arc::new(config), rules, shells, ids });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .thread_name("ssh")
        .thread_stack_size(512 << 10)
        .enable_all()
        .build()
        .map_err(|error| BuildError { slug: "ssh", reason: format!("cannot start a thread ({error})") })?;
    Ok(Arc::new(Ssh { host, runtime: Some(runtime) }))
}

struct Ssh {
    host: Arc<Host>,
    /// A thread of its own: a key exchange in an 8192-bit group takes half a second of computing, and a client may
    /// ask for it as often as it likes. That must not be felt by the other services.
    runtime: Option<Runtime>,
}

impl Drop for Ssh {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not waiting: this may run on one of the other runtime's threads.
            runtime.shutdown_background();
        }
    }
}

#[async_trait::async_trait]
impl Service for Ssh {
    fn slug(&self) -> &'static str {
        "ssh"
    }

    fn idle(&self) -> Duration {
        // The grace time ends it before; a server that cut earlier would be none.
        self.host.server.guide.grace + Duration::from_secs(1)
    }

    async fn serve(&self, stream: Stream, conn: Arc<Connection>) -> Result<(), SessionError> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        match runtime.spawn(self.host.clone().serve(stream, conn)).await {
            Ok(outcome) => outcome,
            // The framework reports a panic as what it is.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => Ok(()),
            },
        }
    }
}

struct Host {
    server: Server,
    config: Arc<Config>,
    rules: Arc<Rules>,
    shells: Option<Arc<Shells>>,
    ids: Arc<dyn IdSource>,
}

impl Host {
    async fn serve(self: Arc<Self>, mut stream: Stream, conn: Arc<Connection>) -> Result<(), SessionError> {
        let grace = Instant::now() + self.server.guide.grace;
        let Ok(exchange) = timeout_at(grace, ident::exchange(&mut stream, &self.server.ident)).await else {
            conn.end_as("login_grace");
            return Ok(());
        };
        let (read, text, whole) = match exchange? {
            Exchange::Ident { read, text, whole } => (read, text, whole),
            Exchange::Wrong { read, answer } => {
                report_line(&conn, &read, "invalid").await;
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await?;
                return Ok(());
            }
            Exchange::Gone { read } => {
                if !read.is_empty() {
                    report_line(&conn, &read, "unfinished").await;
                }
                return Ok(());
            }
        };
        let banner = read.get(..text).unwrap_or_default();
        conn.emit(conn.report("client_banner").bytes("client_banner", banner)).await;
        let ours = self.server.ident.len() + 2;
        let front = Front::new(stream, conn.clone(), ours, read, whole);
        self.converse(front, conn, grace).await
    }

    async fn converse(
        &self,
        front: Front,
        conn: Arc<Connection>,
        grace: Instant,
    ) -> Result<(), SessionError> {
        let link = Arc::new(Link::default());
        let outcome = self.converse_with(front, &conn, grace, &link).await;
        // Their client is gone or goes now; what they have seen is still to be written down.
        link.gone.cancel();
        link.sessions.close();
        if timeout(SESSIONS_END, link.sessions.wait()).await.is_err() {
            conn.emit(conn.report("error").field("reason", "sessions are still being recorded")).await;
        }
        outcome
    }

    async fn converse_with(
        &self,
        front: Front,
        conn: &Arc<Connection>,
        grace: Instant,
        link: &Arc<Link>,
    ) -> Result<(), SessionError> {
        let conversation = Conversation::new(Party {
            conn: conn.clone(),
            rules: self.rules.clone(),
            methods: self.server.methods.clone(),
            shells: self.shells.clone(),
            ids: self.ids.clone(),
            link: link.clone(),
        });
        let start = russh::server::run_stream(self.config.clone(), front, conversation);
        let Ok(running) = timeout_at(grace, start).await else {
            conn.end_as("login_grace");
            return Ok(());
        };
        let mut running = match running {
            Ok(running) => running,
            Err(error) => return outcome(error),
        };
        // Nobody else sets it.
        let _ = link.handle.set(running.handle());
        tokio::select! {
            ended = &mut running => return ended.or_else(outcome),
            () = tokio::time::sleep_until(grace), if !link.logged_in.load(Ordering::Relaxed) => {}
            () = link.login.notified() => {}
        }
        if !link.logged_in.load(Ordering::Relaxed) {
            conn.end_as("login_grace");
            return Ok(());
        }
        if self.shells.is_some() {
            conn.set_idle(SHELL_LIFETIME);
            conn.set_lifetime(SHELL_LIFETIME);
        } else {
            conn.set_idle(IDLE_LOGGED_IN);
        }
        tokio::select! {
            ended = running => ended.or_else(outcome),
            () = link.dead.cancelled() => {
                conn.end_as("shell_lost");
                Ok(())
            }
        }
    }
}

/// What is worth an `error` line: a client that breaks the protocol. One that goes away is none.
fn outcome(error: Failure) -> Result<(), SessionError> {
    use russh::Error;
    match error {
        Failure::Russh(Error::IO(error)) => Err(SessionError::Io(error)),
        Failure::Russh(
            Error::Disconnect | Error::HUP | Error::ConnectionTimeout | Error::InactivityTimeout,
        ) => Ok(()),
        Failure::Russh(Error::NoCommonAlgo { kind, .. }) => {
            Err(SessionError::protocol(format!("no common algorithm: {kind:?}")))
        }
        // russh's texts name states, not bytes.
        Failure::Russh(error) => Err(SessionError::protocol(error.to_string())),
        Failure::Flood | Failure::Unread => Err(SessionError::protocol(error.to_string())),
    }
}

async fn report_line(conn: &Connection, read: &[u8], state: &'static str) {
    let shown = read.get(..LINE_SHOWN).unwrap_or(read);
    conn.emit(conn.report("client_banner").bytes("client_banner", shown).field("state", state)).await;
}
