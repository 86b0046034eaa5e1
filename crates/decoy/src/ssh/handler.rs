//! One client's conversation as russh tells it: every act becomes an event before it is answered.
//!
//! Whoever logs in finds an account whose shell is `nologin`, and gets exactly what such an account gives.
//! Nothing is ever run here.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use decnet_core::secret;
use decnet_logline::Secret;
use russh::{
    Channel, ChannelId, ChannelOpenFailure, Disconnect, MethodSet, Pty,
    keys::HashAlg,
    server::{Auth, ChannelOpenHandle, Handle, Handler, Msg, PublicKeyOffer, Response, Session},
};
use tokio::sync::{Notify, SetOnce};

use super::auth::{Offer, Rules, Ruling, Tries};
use crate::connection::Connection;

/// `MaxSessions` of OpenSSH.
const SESSIONS_MAX: usize = 10;
/// Environment that Debian's configuration takes: `AcceptEnv LANG LC_*`.
const ENV_TAKEN: &[&str] = &["LANG", "LC_"];
/// How many events of one kind a client may cause with one channel request each (`env` above all).
const REQUESTS_MAX: u32 = 500;
/// How long a client that was told to go may take.
const PARTING: Duration = Duration::from_secs(2);
/// What the shell of such an account says.
const NOLOGIN: &str = "This account is currently not available.";

/// What russh ends a session with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Russh(#[from] russh::Error),
    #[error("too many channel requests")]
    Flood,
}

/// What a conversation and its owner share.
#[derive(Default)]
pub(super) struct Link {
    /// To tell the client something out of turn.
    pub(super) handle: SetOnce<Handle>,
    pub(super) logged_in: AtomicBool,
    pub(super) login: Notify,
}

pub(super) struct Conversation {
    conn: Arc<Connection>,
    rules: Arc<Rules>,
    methods: MethodSet,
    link: Arc<Link>,
    tries: Tries,
    /// Open sessions, and whether each has a terminal.
    sessions: HashMap<ChannelId, bool>,
    requests: u32,
}

impl Conversation {
    pub(super) fn new(conn: Arc<Connection>, rules: Arc<Rules>, methods: MethodSet, link: Arc<Link>) -> Self {
        Self { conn, rules, methods, link, tries: Tries::default(), sessions: HashMap::new(), requests: 0 }
    }

    fn rule(&mut self, user: &str, offer: Offer<'_>) -> Ruling {
        let chance = [(); 3].map(|()| f64::from(u32::from_be_bytes(secret::entropy())) / 4_294_967_296.0);
        self.tries.rule(&self.rules, user, offer, chance)
    }

    /// Answers a try that is on record.
    async fn answer(&mut self, ruling: Ruling) -> Auth {
        tokio::time::sleep(ruling.delay).await;
        if ruling.accepted {
            self.link.logged_in.store(true, Ordering::Relaxed);
            self.link.login.notify_one();
            return Auth::Accept;
        }
        if let Some(text) = ruling.hang_up {
            let handle = self.link.handle.wait().await;
            // The session is over either way.
            let _ = handle.disconnect(Disconnect::ProtocolError, text, String::new()).await;
            self.conn.set_idle(PARTING);
        }
        Auth::Reject { proceed_with_methods: Some(self.methods.clone()), partial_success: false }
    }

    fn count(&mut self) -> Result<(), Failure> {
        self.requests += 1;
        if self.requests > REQUESTS_MAX { Err(Failure::Flood) } else { Ok(()) }
    }

    /// What the account's shell does with whatever it is given.
    fn not_available(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Failure> {
        let terminal = self.sessions.get(&channel).copied().unwrap_or(false);
        session.channel_success(channel)?;
        // The order of OpenSSH: without a terminal the end of the output comes before the status.
        if terminal {
            session.data(channel, format!("{NOLOGIN}\r\n").into_bytes())?;
            session.exit_status_request(channel, 1)?;
            session.eof(channel)?;
        } else {
            session.data(channel, format!("{NOLOGIN}\n").into_bytes())?;
            session.eof(channel)?;
            session.exit_status_request(channel, 1)?;
        }
        session.close(channel)?;
        self.sessions.remove(&channel);
        Ok(())
    }

    async fn forward(&self, kind: &'static str, host: &str, port: u32, extra: Option<String>) {
        let report = self
            .conn
            .report("channel_forward")
            .field("kind", kind)
            .bytes("target_host", host.as_bytes())
            .field("target_port", port)
            .opt("originator", extra)
            .field("outcome", "refused");
        self.conn.emit(report).await;
    }
}

impl Handler for Conversation {
    type Error = Failure;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Failure> {
        let ruling = self.rule(user, Offer::None);
        let report = self
            .conn
            .report("auth_attempt")
            .field("method", "none")
            .bytes("username", user.as_bytes())
            .field("outcome", "failure");
        self.conn.emit(report).await;
        Ok(self.answer(ruling).await)
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Failure> {
        let ruling = self.rule(user, Offer::Password(password));
        let report = self
            .conn
            .report("auth_attempt")
            .field("method", "password")
            .field("outcome", if ruling.accepted { "success" } else { "failure" })
            .secret(Secret::plaintext(user, password));
        self.conn.emit(report).await;
        Ok(self.answer(ruling).await)
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Failure> {
        let ruling = self.rule(user, Offer::PublicKey);
        let report = self
            .conn
            .report("auth_attempt")
            .field("method", "publickey")
            .bytes("username", user.as_bytes())
            .field("outcome", "failure")
            .field("key_type", offer.public_key.algorithm())
            .field("key_algorithm", offer.algorithm)
            .field("key_sha256", offer.public_key.fingerprint(HashAlg::Sha256));
        self.conn.emit(report).await;
        Ok(self.answer(ruling).await)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        submethods: &str,
        _response: Option<Response<'a>>,
    ) -> Result<Auth, Failure> {
        // Where it is listed at all (a server without PAM), there is no device behind it: refused without a prompt.
        let ruling = self.rule(user, Offer::KeyboardInteractive);
        let report = self
            .conn
            .report("auth_attempt")
            .field("method", "keyboard-interactive")
            .bytes("username", user.as_bytes())
            .field("outcome", "failure")
            .opt("submethods", Some(submethods).filter(|text| !text.is_empty()));
        self.conn.emit(report).await;
        Ok(self.answer(ruling).await)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        if self.sessions.len() >= SESSIONS_MAX {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        }
        self.sessions.insert(channel.id(), false);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Failure> {
        self.sessions.remove(&channel);
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        host: &str,
        port: u32,
        from: &str,
        from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        self.forward("direct-tcpip", host, port, Some(format!("{from}:{from_port}"))).await;
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        self.forward("direct-streamlocal", path, 0, None).await;
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        host: &str,
        port: &mut u32,
        _session: &mut Session,
    ) -> Result<bool, Failure> {
        self.count()?;
        self.forward("tcpip-forward", host, *port, None).await;
        Ok(false)
    }

    async fn streamlocal_forward(&mut self, path: &str, _session: &mut Session) -> Result<bool, Failure> {
        self.count()?;
        self.forward("streamlocal-forward", path, 0, None).await;
        Ok(false)
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _pixel_width: u32,
        _pixel_height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        let modes: Vec<_> =
            modes.iter().take(130).map(|(mode, value)| (format!("{mode:?}"), *value)).collect();
        let report = self
            .conn
            .report("pty")
            .bytes("term", term.as_bytes())
            .field("cols", columns)
            .field("rows", rows)
            .json("modes", &modes);
        self.conn.emit(report).await;
        if let Some(terminal) = self.sessions.get_mut(&channel) {
            *terminal = true;
        }
        session.channel_success(channel)?;
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        let report = self.conn.report("env").bytes("name", name.as_bytes()).bytes("value", value.as_bytes());
        self.conn.emit(report).await;
        if ENV_TAKEN.iter().any(|taken| name == *taken || (taken.ends_with('_') && name.starts_with(taken))) {
            session.channel_success(channel)?;
        } else {
            session.channel_failure(channel)?;
        }
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Failure> {
        self.count()?;
        self.conn.emit(self.conn.report("shell")).await;
        self.not_available(channel, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        // `exec` is the request, `command` what the account wanted to run: one each, however it came.
        self.conn.emit(self.conn.report("exec").bytes("request", data)).await;
        self.conn.emit(self.conn.report("command").bytes("command", data)).await;
        self.not_available(channel, session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        self.conn.emit(self.conn.report("subsystem").bytes("name", name.as_bytes())).await;
        // The account's shell runs the subsystem too; one that is not configured is refused before that.
        if name == "sftp" {
            return self.not_available(channel, session);
        }
        session.channel_failure(channel)?;
        Ok(())
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single: bool,
        _protocol: &str,
        _cookie: &str,
        screen: u32,
        session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        self.forward("x11", "", screen, None).await;
        session.channel_failure(channel)?;
        Ok(())
    }

    async fn agent_request(&mut self, _channel: ChannelId, _session: &mut Session) -> Result<bool, Failure> {
        self.count()?;
        self.forward("agent", "", 0, None).await;
        Ok(false)
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        _columns: u32,
        _rows: u32,
        _pixel_width: u32,
        _pixel_height: u32,
        session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        session.channel_success(channel)?;
        Ok(())
    }
}
