//! The front's side of a session in the shell container: carries it, records it, and writes down each command before
//! its effect is shown. Which protocol brought the client here is behind [`Client`].
//!
//! A session ends with what the shell says, or when the client goes; both ways `session_recorded` is written.

mod commands;
mod events;
mod sftp;
mod transcript;
mod typing;

use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use decnet_core::{SessionMark, ShellLink};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::transcript::Transcripts;
use self::{commands::Commands, events::Events, transcript::Transcript};
use crate::{
    connection::Connection,
    shell::frame::{
        DATA_MAX, Decoder, Echo, Exit, Frame, FrameError, HEAD, Hello, OwnFile, Run, Start, Tag, Window,
        push, push_json,
    },
};

/// How long the shell container may take to answer; it may just be starting.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(100);
/// Bytes of clients' input that all sessions may hold.
pub(crate) const HELD_MAX: usize = 16 << 20;

/// What a client does while its session runs.
pub(crate) enum Act {
    /// Sends bytes, which hold a part of the room for all.
    Input(Vec<u8>, Held),
    /// Sends no more.
    InputEnd,
    /// Has another window.
    Resize(Window),
    /// Sends a signal (its name without `SIG`).
    Signal(String),
}

/// Room for input, given back when the program has it.
pub(crate) struct Held {
    _room: OwnedSemaphorePermit,
    of: Arc<AtomicUsize>,
    bytes: usize,
}

impl Held {
    /// `bytes` of the room, also counted as this session's.
    pub(crate) fn new(room: OwnedSemaphorePermit, of: Arc<AtomicUsize>, bytes: usize) -> Self {
        of.fetch_add(bytes, Ordering::Relaxed);
        Self { _room: room, of, bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Where a session's output goes. An error means that the client is gone.
#[async_trait::async_trait]
pub(crate) trait Client: Send + Sync {
    /// It runs (`Ok`) or is refused.
    async fn started(&self, runs: bool) -> Result<(), Gone>;
    /// What the program or the terminal shows.
    async fn output(&self, bytes: Vec<u8>) -> Result<(), Gone>;
    /// Standard error.
    async fn errors(&self, bytes: Vec<u8>) -> Result<(), Gone>;
    /// No more output.
    async fn output_end(&self) -> Result<(), Gone>;
    /// How it ended.
    async fn exited(&self, exit: Exit) -> Result<(), Gone>;
    /// All is said.
    async fn close(&self);
}

/// The client is gone.
#[derive(Debug)]
pub(crate) struct Gone;

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the shell container does not answer ({0})")]
    Silent(io::Error),
    #[error("the link to the shell container broke ({0})")]
    Broke(io::Error),
    #[error("the shell container sent {0}")]
    Frame(#[from] FrameError),
    #[error("the shell container refused: {0}")]
    Refused(String),
    #[error("cannot write what to run ({0})")]
    Form(#[from] serde_json::Error),
}

/// What a front needs for all its sessions.
pub(crate) struct Shells {
    pub(crate) link: ShellLink,
    pub(crate) transcripts: Transcripts,
    pub(crate) room: Arc<Semaphore>,
    /// What the server's own files in the container say.
    pub(crate) own_files: Vec<OwnFile>,
}

/// A session to be carried.
pub(crate) struct Session<C> {
    pub(crate) conn: Arc<Connection>,
    pub(crate) shells: Arc<Shells>,
    pub(crate) mark: SessionMark,
    pub(crate) start: Start,
    pub(crate) client: C,
    pub(crate) acts: mpsc::UnboundedReceiver<Act>,
}

/// What both directions of a session write to.
struct Recorder {
    transcript: Option<Mutex<Transcript>>,
    queue: Option<transcript::Queue>,
}

impl Recorder {
    async fn record(&self, event: impl FnOnce(&mut Transcript) -> transcript::Lines) {
        let (Some(transcript), Some(queue)) = (&self.transcript, &self.queue) else { return };
        let lines = event(&mut transcript.lock().unwrap_or_else(PoisonError::into_inner));
        lines.send(queue).await;
    }
}

impl<C: Client> Session<C> {
    /// Carries it to its end.
    pub(crate) async fn carry(self, gone: &CancellationToken) -> Result<(), LinkError> {
        let began = Instant::now();
        let called = tokio::select! {
            called = call(&self.shells.link, &self.mark, &self.start) => called,
            () = gone.cancelled() => return Ok(()),
        };
        let stream = match called {
            Ok(stream) => stream,
            Err(error) => {
                let _ = self.client.started(false).await;
                return Err(error);
            }
        };
        let events = Events::new(self.conn.clone(), &self.mark);
        let mut recorder = Recorder { transcript: None, queue: None };
        let window = self.start.terminal.as_ref().map(|terminal| terminal.window);
        if let (Some(window), Some(terminal)) = (window, &self.start.terminal) {
            let env = serde_json::json!({"TERM": terminal.term, "SHELL": "/bin/bash"});
            let service = self.conn.service();
            match self.shells.transcripts.begin(service, &self.mark.sid, window, env).await {
                Ok(transcript) => {
                    recorder.queue = Some(transcript.queue());
                    recorder.transcript = Some(Mutex::new(transcript));
                }
                Err(skip) => events.skipped(skip.reason()).await,
            }
        }
        let (read, write) = stream.into_split();
        let plain = match &self.start.run {
            _ if window.is_some() => Plain::Terminal,
            Run::Shell => Plain::Lines,
            Run::Subsystem(name) if name == "sftp" => Plain::Sftp,
            _ => Plain::Bytes,
        };
        let mut commands = window.map(Commands::new);
        let resized = Mutex::new(None);
        let outcome = {
            let inward = inward(self.acts, write, &events, &recorder, plain, &resized);
            let outward = outward(read, &self.client, &events, &recorder, commands.as_mut(), &resized);
            tokio::select! {
                outcome = outward => outcome,
                () = inward => Ok(()),
                () = gone.cancelled() => Ok(()),
            }
        };
        if let Some(commands) = &mut commands {
            events.lines(commands.finish(), false).await;
        }
        if let Some(transcript) = recorder.transcript {
            let transcript = transcript.into_inner().unwrap_or_else(PoisonError::into_inner);
            let (bytes, truncated) = transcript.end().await;
            events.recorded(began.elapsed(), bytes, truncated).await;
        }
        if outcome.is_ok() {
            self.client.close().await;
        }
        outcome
    }
}

/// Calls the shell container, and says who calls and what to run.
async fn call(link: &ShellLink, mark: &SessionMark, start: &Start) -> Result<UnixStream, LinkError> {
    let mut first = Vec::new();
    push_json(&mut first, Tag::Hello, &Hello { key: link.key.clone(), mark: mark.clone() })?;
    push_json(&mut first, Tag::Start, start)?;
    let name = [b"\0", link.socket.as_bytes()].concat();
    let deadline = Instant::now() + PATIENCE;
    let mut stream = loop {
        let error = match timeout_at(deadline, UnixStream::connect(OsStr::from_bytes(&name))).await {
            Ok(Ok(stream)) => break stream,
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        if Instant::now() + RETRY >= deadline {
            return Err(LinkError::Silent(error));
        }
        sleep(RETRY).await;
    };
    stream.write_all(&first).await.map_err(LinkError::Broke)?;
    Ok(stream)
}

/// What a client's input is read for on its way.
enum Plain {
    /// The recorder sees it when it reaches the terminal.
    Terminal,
    /// Commands for a shell without a terminal.
    Lines,
    /// Requests for files.
    Sftp,
    /// Nothing.
    Bytes,
}

/// From the client to the shell. Returns when either is gone.
async fn inward(
    mut acts: mpsc::UnboundedReceiver<Act>,
    mut link: OwnedWriteHalf,
    events: &Events,
    recorder: &Recorder,
    plain: Plain,
    resized: &Mutex<Option<Window>>,
) {
    let mut sftp = sftp::Reader::default();
    let mut lines = events::Splitter::default();
    while let Some(act) = acts.recv().await {
        let mut frames = Vec::new();
        let held = match act {
            Act::Input(bytes, held) => {
                match plain {
                    Plain::Terminal => recorder.record(|transcript| transcript.input(&bytes)).await,
                    Plain::Lines => {
                        for line in lines.push(&bytes) {
                            events.command(&line, "", true).await;
                        }
                    }
                    Plain::Sftp => events.requests(sftp.push(&bytes)).await,
                    Plain::Bytes => {}
                }
                for part in bytes.chunks(DATA_MAX - HEAD) {
                    push(&mut frames, Tag::Input, &[part]);
                }
                Some(held)
            }
            Act::InputEnd => {
                if let Some(line) = lines.rest() {
                    events.command(&line, "", true).await;
                }
                push(&mut frames, Tag::InputEnd, &[]);
                None
            }
            Act::Resize(window) => {
                recorder.record(|transcript| transcript.resize(window)).await;
                *resized.lock().unwrap_or_else(PoisonError::into_inner) = Some(window);
                let _ = push_json(&mut frames, Tag::Resize, &window);
                None
            }
            Act::Signal(name) => {
                events.signal(&name).await;
                push(&mut frames, Tag::Signal, &[name.as_bytes()]);
                None
            }
        };
        if link.write_all(&frames).await.is_err() {
            // The shell side is gone; the other direction says how.
            std::future::pending::<()>().await;
        }
        drop(held);
    }
}

/// From the shell to the client. Returns when all is said.
async fn outward<C: Client>(
    mut link: OwnedReadHalf,
    client: &C,
    events: &Events,
    recorder: &Recorder,
    mut commands: Option<&mut Commands>,
    resized: &Mutex<Option<Window>>,
) -> Result<(), LinkError> {
    let mut decoder = Decoder::default();
    let mut bytes = vec![0; DATA_MAX];
    let (mut started, mut ended, mut exited) = (false, false, false);
    loop {
        while let Some(Frame { tag, body }) = decoder.take()? {
            let answered = match tag {
                Tag::Started => {
                    started = true;
                    client.started(true).await
                }
                Tag::Refused => {
                    let _ = client.started(false).await;
                    return Err(LinkError::Refused(String::from_utf8_lossy(&body).into_owned()));
                }
                Tag::Typed => {
                    if let (Some(commands), Some((flags, typed))) = (&mut commands, body.split_first()) {
                        events.lines(commands.typed(Echo::of(*flags), typed), true).await;
                    }
                    Ok(())
                }
                Tag::Output => {
                    let window = resized.lock().unwrap_or_else(PoisonError::into_inner).take();
                    if let Some(commands) = &mut commands {
                        if let Some(window) = window {
                            commands.resize(window);
                        }
                        // On record before the newline is shown, and so before any effect is.
                        events.lines(commands.shown(&body), true).await;
                    }
                    recorder.record(|transcript| transcript.output(&body)).await;
                    client.output(body).await
                }
                Tag::Errors => client.errors(body).await,
                Tag::OutputEnd => {
                    ended = true;
                    client.output_end().await
                }
                Tag::Exited => {
                    exited = true;
                    client.exited(serde_json::from_slice(&body)?).await
                }
                // Ours to say.
                Tag::Hello | Tag::Start | Tag::Input | Tag::InputEnd | Tag::Resize | Tag::Signal => Ok(()),
            };
            if answered.is_err() || (ended && exited) {
                return Ok(());
            }
        }
        let n = link.read(&mut bytes).await.map_err(LinkError::Broke)?;
        if n == 0 {
            if !started {
                let _ = client.started(false).await;
            }
            return Err(LinkError::Broke(io::ErrorKind::UnexpectedEof.into()));
        }
        decoder.push(bytes.get(..n).unwrap_or_default());
    }
}
