//! One client's conversation as russh tells it: every act becomes an event before it is answered.
//!
//! Sessions are carried to the shell container ([`super::carried`]). Without one, whoever logs in finds an account whose
//! shell is `nologin`, and gets exactly what such an account gives. Nothing is ever run here.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use decnet_core::{IdSource, secret};
use decnet_logline::Secret;
use russh::{
    Channel, ChannelId, ChannelOpenFailure, Disconnect, MethodSet, Pty, Sig,
    keys::HashAlg,
    server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session},
};

use super::{
    auth::{Offer, Rules, Ruling, Tries},
    carried::{Ask, Carried},
    party::{Failure, Link, Party},
};
use crate::{
    connection::Connection,
    report::Report,
    session::Shells,
    shell::frame::{Run, Terminal, Window},
};

/// `MaxSessions` of OpenSSH.
const SESSIONS_MAX: usize = 10;
/// Environment that Debian's configuration takes: `AcceptEnv LANG LC_*`.
const ENV_TAKEN: &[&str] = &["LANG", "LC_"];
/// How many events of one kind a client may cause with one channel request each (`env` above all).
const REQUESTS_MAX: u32 = 500;
/// How long a client that was told to go may take.
const PARTING: Duration = Duration::from_secs(2);
/// Room for a client's input on one channel.
const WINDOW: u32 = 2 << 20;
/// And while it is not read: russh gives no more than this at a time, but asks again.
const WINDOW_FULL: u32 = 2;
/// What the shell of such an account says.
const NOLOGIN: &str = "This account is currently not available.";

pub(super) struct Conversation {
    conn: Arc<Connection>,
    rules: Arc<Rules>,
    methods: MethodSet,
    shells: Option<Arc<Shells>>,
    ids: Arc<dyn IdSource>,
    link: Arc<Link>,
    tries: Tries,
    /// Who has logged in.
    user: String,
    sessions: HashMap<ChannelId, Carried>,
    requests: u32,
}

impl Conversation {
    pub(super) fn new(party: Party) -> Self {
        let Party { conn, rules, methods, shells, ids, link } = party;
        Self {
            conn,
            rules,
            methods,
            shells,
            ids,
            link,
            tries: Tries::default(),
            user: String::new(),
            sessions: HashMap::new(),
            requests: 0,
        }
    }

    /// A report about a session; it has a name of its own where it can be recorded.
    fn about(&self, channel: ChannelId, kind: &'static str) -> Report {
        let sid = self.sessions.get(&channel).filter(|_| self.shells.is_some()).map(|session| &session.sid);
        self.conn.report(kind).opt("sid", sid)
    }

    /// Runs something in the shell container, or lets the account's `nologin` answer.
    async fn run(&mut self, channel: ChannelId, run: Run, session: &mut Session) -> Result<(), Failure> {
        let Some(shells) = self.shells.clone() else { return self.not_available(channel, session) };
        let waits = matches!(run, Run::Subsystem(_));
        let ask = Ask {
            conn: self.conn.clone(),
            shells,
            link: self.link.clone(),
            handle: session.handle(),
            channel,
            user: self.user.clone(),
        };
        let runs = match self.sessions.get_mut(&channel) {
            Some(carried) if !carried.runs() => carried.begin(ask, run),
            // One program a channel.
            _ => {
                session.channel_failure(channel)?;
                return Ok(());
            }
        };
        // Like the real server, which knows of a subsystem before it answers and of a failing shell only later.
        if !waits || runs.await.unwrap_or(false) {
            session.channel_success(channel)?;
        } else {
            session.channel_failure(channel)?;
        }
        Ok(())
    }

    fn rule(&mut self, user: &str, offer: Offer<'_>) -> Ruling {
        let chance = [(); 3].map(|()| f64::from(u32::from_be_bytes(secret::entropy())) / 4_294_967_296.0);
        self.tries.rule(&self.rules, user, offer, chance)
    }

    /// Answers a try that is on record.
    async fn answer(&mut self, user: &str, ruling: Ruling) -> Auth {
        tokio::time::sleep(ruling.delay).await;
        if ruling.accepted {
            user.clone_into(&mut self.user);
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
        let terminal = self.sessions.get(&channel).is_some_and(|session| session.terminal.is_some());
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
        Ok(self.answer(user, ruling).await)
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
        Ok(self.answer(user, ruling).await)
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
        Ok(self.answer(user, ruling).await)
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
        Ok(self.answer(user, ruling).await)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        self.sessions.retain(|_, session| !session.ended());
        if self.sessions.len() >= SESSIONS_MAX {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        }
        self.sessions.insert(channel.id(), Carried::new(self.ids.next_id().to_string()));
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Failure> {
        if let Some(session) = self.sessions.remove(&channel) {
            session.closed();
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Failure> {
        if let Some(session) = self.sessions.get(&channel) {
            session.input_end();
        }
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Failure> {
        match self.sessions.get(&channel) {
            Some(session) => session.input(data).await.map_err(|_full| Failure::Unread),
            None => Ok(()),
        }
    }

    fn adjust_window(&mut self, channel: ChannelId, _current: u32) -> u32 {
        let full = self.sessions.get(&channel).is_some_and(Carried::is_full);
        if full { WINDOW_FULL } else { WINDOW }
    }

    async fn signal(
        &mut self,
        channel: ChannelId,
        signal: Sig,
        _session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        if let Some(session) = self.sessions.get(&channel) {
            session.signal(&signal);
        }
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
        pixel_width: u32,
        pixel_height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        let terminal = Terminal {
            term: term.chars().take(256).collect(),
            window: Window { cols: columns, rows, width: pixel_width, height: pixel_height },
            modes: modes.iter().take(130).map(|(mode, value)| (*mode as u8, *value)).collect(),
        };
        let modes: Vec<_> =
            modes.iter().take(130).map(|(mode, value)| (format!("{mode:?}"), *value)).collect();
        let report = self
            .about(channel, "pty")
            .bytes("term", term.as_bytes())
            .field("cols", columns)
            .field("rows", rows)
            .json("modes", &modes);
        self.conn.emit(report).await;
        if let Some(session) = self.sessions.get_mut(&channel) {
            session.terminal = Some(terminal);
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
        let report =
            self.about(channel, "env").bytes("name", name.as_bytes()).bytes("value", value.as_bytes());
        self.conn.emit(report).await;
        if ENV_TAKEN.iter().any(|taken| name == *taken || (taken.ends_with('_') && name.starts_with(taken))) {
            if let Some(carried) = self.sessions.get_mut(&channel) {
                carried.env(name, value);
            }
            session.channel_success(channel)?;
        } else {
            session.channel_failure(channel)?;
        }
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Failure> {
        self.count()?;
        self.conn.emit(self.about(channel, "shell")).await;
        self.run(channel, Run::Shell, session).await
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        // `exec` is the request, `command` what the account wanted to run: one each, however it came.
        self.conn.emit(self.about(channel, "exec").bytes("request", data)).await;
        self.conn.emit(self.about(channel, "command").bytes("command", data)).await;
        self.run(channel, Run::Exec(STANDARD.encode(data)), session).await
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Failure> {
        self.count()?;
        self.conn.emit(self.about(channel, "subsystem").bytes("name", name.as_bytes())).await;
        if self.shells.is_some() {
            return self.run(channel, Run::Subsystem(name.to_owned()), session).await;
        }
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
        columns: u32,
        rows: u32,
        pixel_width: u32,
        pixel_height: u32,
        session: &mut Session,
    ) -> Result<(), Failure> {
        let window = Window { cols: columns, rows, width: pixel_width, height: pixel_height };
        match self.sessions.get_mut(&channel) {
            // Dragging a window's corner sends hundreds of these.
            Some(carried) if carried.runs() => carried.resize(window),
            _ => self.count()?,
        }
        session.channel_success(channel)?;
        Ok(())
    }
}
