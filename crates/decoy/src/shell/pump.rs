//! A session's second stage: starts the intruder's shell and carries bytes between it and the front, with bounded
//! buffers both ways: who does not read stops who writes. Runs as the account, as the real server's does.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, ExitCode, Stdio},
};

use decnet_core::{Clock, SystemClock};
use nix::{
    sys::{
        signal::{SigSet, Signal, killpg},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::Pid,
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{fcntl_setfd, ioctl_fionbio},
    process::{DumpableBehavior, Gid, Uid, WaitOptions, set_dumpable_behavior, waitpid},
    pty::{OpenptFlags, ioctl_tiocgptpeer},
    termios::{LocalModes, tcgetattr},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use super::{
    During, LOGIN_VARIABLE, MYSELF, StageError, close_off,
    frame::{self, DATA_MAX, Decoder, Echo, Exit, Frame, Tag, Window},
    null, records,
    session::{Session, handed, resize},
    session_program,
};

/// Bytes that are held in each direction.
const HELD_MAX: usize = 64 << 10;

/// Signals that a client may send, by RFC 4254.
const SIGNALS: &[(&str, Signal)] = &[
    ("ABRT", Signal::SIGABRT),
    ("ALRM", Signal::SIGALRM),
    ("FPE", Signal::SIGFPE),
    ("HUP", Signal::SIGHUP),
    ("ILL", Signal::SIGILL),
    ("INT", Signal::SIGINT),
    ("KILL", Signal::SIGKILL),
    ("PIPE", Signal::SIGPIPE),
    ("QUIT", Signal::SIGQUIT),
    ("SEGV", Signal::SIGSEGV),
    ("TERM", Signal::SIGTERM),
    ("USR1", Signal::SIGUSR1),
    ("USR2", Signal::SIGUSR2),
];

pub(super) fn run() -> Result<ExitCode, StageError> {
    close_off(session_program())?;
    let session = handed()?;
    let link = rustix::stdio::stdin().try_clone_to_owned().during("cannot use the link")?;
    rustix::stdio::dup2_stdin(null()?).during("cannot let go of the link")?;
    let master = if session.plan.terminal {
        let master = rustix::stdio::stdout().try_clone_to_owned().during("cannot use the terminal")?;
        rustix::stdio::dup2_stdout(null()?).during("cannot let go of the terminal")?;
        Some(master)
    } else {
        None
    };
    let mut chld = SigSet::empty();
    chld.add(Signal::SIGCHLD);
    chld.thread_block().during("cannot block signals")?;
    let signals = SignalFd::with_flags(&chld, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .during("cannot receive signals")?;
    let (child, ends) = begin(&session, master)?;
    become_account(&session)?;
    let link = UnixStream::from(link);
    link.set_nonblocking(true).during("cannot use the link")?;
    let mut pump = Pump {
        link,
        signals,
        child: Pid::from_raw(child.id().cast_signed()),
        ends,
        decoder: Decoder::default(),
        out: Vec::new(),
        input: Vec::new(),
        input_ended: false,
        output_ended: false,
        exited: false,
    };
    frame::push(&mut pump.out, Tag::Started, &[]);
    let outcome = pump.carry();
    // The terminal goes with it, and whoever still runs on it hears that.
    drop(pump);
    if session.books
        && let Some(entry) = &session.entry
    {
        records::logout(entry, SystemClock.now());
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Our ends of the program's input and output.
struct Ends {
    /// Its input; the same as `output` with a terminal.
    input: Option<File>,
    output: Option<File>,
    errors: Option<File>,
    terminal: Option<OwnedFd>,
}

/// Starts the stage that becomes the program.
fn begin(session: &Session, master: Option<OwnedFd>) -> Result<(Child, Ends), StageError> {
    let own = std::env::args().next().unwrap_or_default();
    let mut next = Command::new(MYSELF);
    next.arg0(own).env_clear().env(LOGIN_VARIABLE, "1").stdin(Stdio::piped());
    let what = "cannot open the terminal";
    if let Some(master) = &master {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = ioctl_tiocgptpeer(master, flags).during(what)?;
        next.stderr(Stdio::from(slave.try_clone().during(what)?)).stdout(Stdio::from(slave));
    } else {
        next.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let mut child = next.spawn().during("cannot start the program")?;
    // Our copies of the terminal's other side are in it.
    drop(next);
    let plan = session.plan.encode()?;
    let mut stdin = child.stdin.take().map(|pipe| File::from(OwnedFd::from(pipe)));
    if let Some(stdin) = &mut stdin {
        stdin.write_all(&plan).during("cannot hand over")?;
    }
    let ends = match master {
        Some(master) => Ends {
            input: Some(File::from(master.try_clone().during(what)?)),
            output: Some(File::from(master.try_clone().during(what)?)),
            errors: None,
            terminal: Some(master),
        },
        None => Ends {
            input: stdin,
            output: child.stdout.take().map(|pipe| File::from(OwnedFd::from(pipe))),
            errors: child.stderr.take().map(|pipe| File::from(OwnedFd::from(pipe))),
            terminal: None,
        },
    };
    for end in [&ends.input, &ends.output, &ends.errors].into_iter().flatten() {
        ioctl_fionbio(end, true).during("cannot use the program's input and output")?;
        fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC).during("cannot use the program's input and output")?;
    }
    Ok((child, ends))
}

/// From here on this process is the account's, as the real one is. Root's keeps its rights: they protect it from the
/// root that it has started.
fn become_account(session: &Session) -> Result<(), StageError> {
    let plan = &session.plan;
    if plan.uid == 0 {
        return Ok(());
    }
    let groups: Vec<_> = plan.groups.iter().map(|id| Gid::from_raw(*id)).collect();
    let (uid, gid) = (Uid::from_raw(plan.uid), Gid::from_raw(plan.gid));
    set_thread_groups(&groups).during("cannot set the groups")?;
    set_thread_res_gid(gid, gid, gid).during("cannot set the group")?;
    set_thread_res_uid(uid, uid, uid).during("cannot set the user")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).during("cannot close the process to others")
}

struct Pump {
    link: UnixStream,
    signals: SignalFd,
    child: Pid,
    ends: Ends,
    decoder: Decoder,
    /// To the front.
    out: Vec<u8>,
    /// To the program.
    input: Vec<u8>,
    input_ended: bool,
    output_ended: bool,
    exited: bool,
}

/// Which of the descriptors are ready.
#[derive(Default)]
struct Ready {
    link: bool,
    output: bool,
    errors: bool,
}

impl Pump {
    /// Until the program is gone and all is said, or the front is.
    fn carry(&mut self) -> Result<(), StageError> {
        loop {
            let ready = self.wait()?;
            if ready.link && !self.hear()? {
                return Ok(());
            }
            if ready.output {
                self.read_output();
            }
            if ready.errors {
                self.read_errors();
            }
            if !self.input.is_empty() || (self.input_ended && self.ends.input.is_some()) {
                self.write_input();
            }
            self.look_after_child()?;
            if !self.out.is_empty() {
                match self.send() {
                    Ok(()) => {}
                    // The front is gone.
                    Err(_) => return Ok(()),
                }
            }
            if self.exited && self.output_ended && self.out.is_empty() {
                return Ok(());
            }
        }
    }

    fn wait(&self) -> Result<Ready, StageError> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        let mut link = PollFlags::empty();
        if self.input.len() < HELD_MAX {
            link |= PollFlags::IN;
        }
        if !self.out.is_empty() {
            link |= PollFlags::OUT;
        }
        fds.push(PollFd::new(&self.link, link));
        let room = self.out.len() < HELD_MAX;
        let ends = [
            self.ends.input.as_ref().filter(|_| !self.input.is_empty()).map(|end| (end, PollFlags::OUT)),
            self.ends.output.as_ref().filter(|_| room).map(|end| (end, PollFlags::IN)),
            self.ends.errors.as_ref().filter(|_| room).map(|end| (end, PollFlags::IN)),
        ];
        fds.extend(ends.iter().flatten().map(|(end, flags)| PollFd::new(*end, *flags)));
        while let Err(error) = poll(&mut fds, None) {
            if error != rustix::io::Errno::INTR {
                return Err(StageError::Io("cannot wait", error.into()));
            }
        }
        let mut states = fds.iter().skip(1).map(PollFd::revents);
        let link = states.next().unwrap_or_else(PollFlags::empty);
        let mut of = |end: &Option<_>| end.is_some() && states.next().is_some_and(|state| !state.is_empty());
        // Its turn in the list; whether it takes anything is found out by writing.
        of(&ends[0]);
        Ok(Ready {
            link: link.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
            output: of(&ends[1]),
            errors: of(&ends[2]),
        })
    }

    /// Takes frames of the front; false when it is gone.
    fn hear(&mut self) -> Result<bool, StageError> {
        let mut bytes = [0; DATA_MAX];
        match self.link.read(&mut bytes) {
            Ok(0) => return Ok(false),
            Ok(n) => self.decoder.push(bytes.get(..n).unwrap_or_default()),
            Err(error) if again(&error) => {}
            Err(_) => return Ok(false),
        }
        while let Some(frame) = self.decoder.take().map_err(|error| StageError::Other(error.to_string()))? {
            self.obey(&frame);
        }
        Ok(true)
    }

    fn obey(&mut self, frame: &Frame) {
        match frame.tag {
            Tag::Input if !self.input_ended => self.input.extend_from_slice(&frame.body),
            // With a terminal the end of the client's input means nothing, as with the real server.
            Tag::InputEnd => self.input_ended = self.ends.terminal.is_none(),
            Tag::Resize => {
                if let (Some(terminal), Ok(window)) =
                    (&self.ends.terminal, serde_json::from_slice::<Window>(&frame.body))
                {
                    // A terminal that is gone has no size.
                    let _ = resize(terminal, window);
                }
            }
            Tag::Signal if !self.exited => {
                let name = String::from_utf8_lossy(&frame.body);
                if let Some((_, signal)) = SIGNALS.iter().find(|(known, _)| *known == name) {
                    // It leads its own group. What has become another user's is not ours to signal.
                    let _ = killpg(self.child, *signal);
                }
            }
            _ => {}
        }
    }

    /// Gives the program what the client sent, and tells the front what has reached a terminal.
    fn write_input(&mut self) {
        if self.ends.terminal.is_some() && !self.input.is_empty() {
            // What was shown before these keys goes before them, so that the front sees things in their order.
            while self.out.len() < 2 * HELD_MAX
                && let Some(end) = &mut self.ends.output
                && read(end, &mut self.out, Tag::Output) == Outcome::Read
            {}
        }
        while !self.input.is_empty() {
            let Some(end) = &mut self.ends.input else {
                self.input.clear();
                break;
            };
            let part = self.input.get(..DATA_MAX - 1).unwrap_or(&self.input);
            let echo = match &self.ends.terminal {
                Some(terminal) => tcgetattr(terminal).ok().map(|termios| Echo {
                    shown: termios.local_modes.contains(LocalModes::ECHO),
                    lines: termios.local_modes.contains(LocalModes::ICANON),
                }),
                None => None,
            };
            match end.write(part) {
                Ok(n) => {
                    let typed: Vec<u8> = self.input.drain(..n).collect();
                    if let Some(echo) = echo {
                        frame::push(&mut self.out, Tag::Typed, &[&[echo.byte()], &typed]);
                    }
                }
                Err(error) if again(&error) => return,
                Err(_) => {
                    // Nobody reads it any more.
                    self.ends.input = None;
                }
            }
        }
        if self.input_ended {
            self.ends.input = None;
        }
    }

    fn read_output(&mut self) {
        if let Some(end) = &mut self.ends.output
            && read(end, &mut self.out, Tag::Output) == Outcome::Ended
        {
            self.ends.output = None;
        }
        self.note_end();
    }

    fn read_errors(&mut self) {
        if let Some(end) = &mut self.ends.errors
            && read(end, &mut self.out, Tag::Errors) == Outcome::Ended
        {
            self.ends.errors = None;
        }
        self.note_end();
    }

    fn note_end(&mut self) {
        if self.ends.output.is_none() && self.ends.errors.is_none() && !self.output_ended {
            self.output_ended = true;
            frame::push(&mut self.out, Tag::OutputEnd, &[]);
        }
    }

    /// Takes the program's end. A terminal is closed then, whoever else may still use it.
    fn look_after_child(&mut self) -> Result<(), StageError> {
        while self.signals.read_signal().during("cannot receive signals")?.is_some() {}
        if self.exited {
            return Ok(());
        }
        let ended = waitpid(rustix::process::Pid::from_raw(self.child.as_raw()), WaitOptions::NOHANG);
        let Ok(Some((_, status))) = ended else { return Ok(()) };
        self.exited = true;
        if self.ends.terminal.is_some() {
            // What it has written is still there.
            while let Some(end) = &mut self.ends.output {
                match read(end, &mut self.out, Tag::Output) {
                    Outcome::Read if self.out.len() < 16 * HELD_MAX => {}
                    _ => self.ends.output = None,
                }
            }
        }
        let exit = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Exit::Status(code.cast_unsigned()),
            (None, signal) => {
                let known = SIGNALS.iter().find(|(_, known)| signal == Some(*known as i32));
                Exit::Signal(known.map_or("SIG@openssh.com", |(name, _)| name).to_owned(), false)
            }
        };
        frame::push_json(&mut self.out, Tag::Exited, &exit)
            .map_err(|error| StageError::Form("the end", error))?;
        self.note_end();
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            match self.link.write(&self.out) {
                Ok(n) => drop(self.out.drain(..n)),
                Err(error) if again(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // A burst must not pin its peak in memory.
        self.out.shrink_to(DATA_MAX);
        Ok(())
    }
}

#[derive(PartialEq, Eq)]
enum Outcome {
    Read,
    Nothing,
    Ended,
}

/// Reads once into a frame.
fn read(end: &mut File, out: &mut Vec<u8>, tag: Tag) -> Outcome {
    let mut bytes = [0; DATA_MAX];
    match end.read(&mut bytes) {
        Ok(0) => Outcome::Ended,
        Ok(n) => {
            frame::push(out, tag, &[bytes.get(..n).unwrap_or_default()]);
            Outcome::Read
        }
        Err(error) if again(&error) => Outcome::Nothing,
        // A terminal without anybody on its other side.
        Err(_) => Outcome::Ended,
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
