//! One session channel: what its client has asked for so far, and the way to its session once that runs.
//!
//! Input is queued here so that a program that does not read never stops the connection's other channels; the client's
//! window and a room for all sessions bound the queue.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use decnet_core::SessionMark;
use decnet_logline::Severity;
use russh::{ChannelId, Sig, server::Handle};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

use super::{
    party::Link,
    shown::{Shown, name},
};
use crate::{
    connection::Connection,
    session::{Act, Held, LinkError, Session, Shells},
    shell::frame::{Run, Start, Terminal, Window},
};

/// Bytes of environment that a client may send.
const ENV_MAX: usize = 32 << 10;
/// Bytes that wait for the program before the client's window closes.
const FULL: usize = 256 << 10;
/// How long a client is stopped when all sessions together hold too much.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a session is begun with.
pub(super) struct Ask {
    pub(super) conn: Arc<Connection>,
    pub(super) shells: Arc<Shells>,
    pub(super) link: Arc<Link>,
    pub(super) handle: Handle,
    pub(super) channel: ChannelId,
    pub(super) user: String,
}

/// Nothing was read for too long.
pub(super) struct Full;

pub(super) struct Carried {
    pub(super) sid: String,
    pub(super) terminal: Option<Terminal>,
    env: Vec<(String, String)>,
    running: Option<Running>,
}

struct Running {
    acts: mpsc::UnboundedSender<Act>,
    room: Arc<Semaphore>,
    /// What of it this channel holds.
    held: Arc<AtomicUsize>,
    closed: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl Carried {
    pub(super) fn new(sid: String) -> Self {
        Self { sid, terminal: None, env: Vec::new(), running: None }
    }

    /// Whether the session is over and its channel closed from our side, which russh tells nobody.
    pub(super) fn ended(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.ended.load(Ordering::Relaxed))
    }

    pub(super) fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Environment for what will run.
    pub(super) fn env(&mut self, name: &str, value: &str) {
        let held: usize = self.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        if held + name.len() + value.len() <= ENV_MAX {
            self.env.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Begins the session. What is returned says whether it runs.
    pub(super) fn begin(&mut self, ask: Ask, run: Run) -> oneshot::Receiver<bool> {
        let Ask { conn, shells, link, handle, channel, user } = ask;
        let (acts, received) = mpsc::unbounded_channel();
        let (asked, runs) = oneshot::channel();
        let closed = Arc::new(AtomicBool::new(false));
        let waits = matches!(run, Run::Subsystem(_));
        let client = Shown {
            handle,
            channel,
            link: link.clone(),
            asked: Mutex::new(waits.then_some(asked)),
            closed: closed.clone(),
        };
        let mark = SessionMark {
            conn_id: conn.id().to_string(),
            sid: self.sid.clone(),
            src_ip: conn.src_ip(),
            src_port: conn.src_port(),
            dst_port: conn.dst_port(),
            user,
        };
        let start = Start {
            terminal: self.terminal.clone(),
            env: self.env.clone(),
            run,
            dst_ip: conn.dst_ip(),
            own_files: shells.own_files.clone(),
        };
        let session =
            Session { conn: conn.clone(), shells: shells.clone(), mark, start, client, acts: received };
        let (sid, gone) = (self.sid.clone(), link.clone());
        let ended = Arc::new(AtomicBool::new(false));
        let over = ended.clone();
        link.sessions.spawn(async move {
            if let Err(error) = session.carry(&gone.gone).await {
                let report = conn.report("shell_error").severity(Severity::Warning).field("sid", sid);
                conn.emit(report.field("reason", &error)).await;
                if !matches!(error, LinkError::Refused(_)) || !waits {
                    // As when the server's process dies.
                    gone.dead.cancel();
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        let room = shells.room.clone();
        self.running = Some(Running { acts, room, held: Arc::default(), closed, ended });
        runs
    }

    pub(super) async fn input(&self, bytes: &[u8]) -> Result<(), Full> {
        let Some(running) = &self.running else { return Ok(()) };
        let wanted = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let room = timeout(PATIENCE, running.room.clone().acquire_many_owned(wanted)).await;
        let Ok(Ok(room)) = room else { return Err(Full) };
        let held = Held::new(room, running.held.clone(), bytes.len());
        // A session that has ended takes nothing more.
        let _ = running.acts.send(Act::Input(bytes.to_vec(), held));
        Ok(())
    }

    /// Whether the client should wait before it sends more.
    pub(super) fn is_full(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.held.load(Ordering::Relaxed) > FULL)
    }

    fn act(&self, act: Act) {
        if let Some(running) = &self.running {
            let _ = running.acts.send(act);
        }
    }

    pub(super) fn input_end(&self) {
        self.act(Act::InputEnd);
    }

    pub(super) fn resize(&mut self, window: Window) {
        self.act(Act::Resize(window));
    }

    pub(super) fn signal(&self, signal: &Sig) {
        self.act(Act::Signal(name(signal).chars().take(64).collect()));
    }

    /// The client has closed the channel.
    pub(super) fn closed(&self) {
        if let Some(running) = &self.running {
            running.closed.store(true, Ordering::Relaxed);
        }
    }
}
