//! A session's first stage, with process 1's rights: looks the account up, decides what runs, opens the terminal, keeps
//! the books. For an ordinary account it stays behind as `sshd: <user> [priv]`; for root it becomes the next stage.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use decnet_core::{Clock, SessionMark, SystemClock, shell::SESSION_VARIABLE};
use rustix::{
    fs::{Gid, Mode, Uid, fchmod, fchown},
    process::setsid,
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt},
    termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};
use serde::{Deserialize, Serialize};

use super::{
    During, MYSELF, StageError,
    account::{Account, default_env, group_id, subsystem},
    close_off,
    frame::{self, BODY_MAX, HEAD, Run, Start, Tag, Terminal, Window},
    hand_over,
    login::Plan,
    modes, null, own_files,
    records::{self, Entry},
    session_program, welcome,
};

/// How long the front may take to say what to run.
const PATIENCE: Duration = Duration::from_secs(10);
/// Search paths of Debian's server.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/games";
const ROOTS_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the next stage is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) plan: Plan,
    /// Its entry in the books, which root's stage closes itself.
    pub(super) entry: Option<Entry>,
    pub(super) books: bool,
}

/// A terminal before anybody uses it.
struct Pty {
    master: OwnedFd,
    /// Kept open until the next stage has its own.
    slave: OwnedFd,
    /// `pts/0`.
    line: String,
}

pub(super) fn run() -> Result<ExitCode, StageError> {
    close_off(session_program())?;
    // As the real one, which shows as the leader of a session.
    setsid().during("cannot begin a session")?;
    let mark = std::env::var(SESSION_VARIABLE).unwrap_or_default();
    let mark: SessionMark =
        serde_json::from_str(&mark).map_err(|error| StageError::Form("the mark", error))?;
    let link = rustix::stdio::stdin().try_clone_to_owned().during("cannot use the link")?;
    let mut link = UnixStream::from(link);
    link.set_read_timeout(Some(PATIENCE)).during("cannot use the link")?;
    let start = read_start(&mut link)?;
    link.set_read_timeout(None).during("cannot use the link")?;
    match prepare(&mark, &start) {
        Ok((session, pty)) => go_on(link, &mark, &session, pty),
        Err(why) => {
            let mut bytes = Vec::new();
            frame::push(&mut bytes, Tag::Refused, &[why.as_bytes()]);
            link.write_all(&bytes).during("cannot answer")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Reads one frame and not a byte more.
fn read_start(link: &mut UnixStream) -> Result<Start, StageError> {
    let mut head = [0; HEAD];
    link.read_exact(&mut head).during("cannot read what to run")?;
    let (Tag::Start, len) =
        frame::head(head, BODY_MAX).map_err(|error| StageError::Other(error.to_string()))?
    else {
        return Err(StageError::Other("the front says something else than what to run".to_owned()));
    };
    let mut body = vec![0; len];
    link.read_exact(&mut body).during("cannot read what to run")?;
    serde_json::from_slice(&body).map_err(|error| StageError::Form("what to run", error))
}

fn prepare(mark: &SessionMark, start: &Start) -> Result<(Session, Option<Pty>), String> {
    own_files::write(&start.own_files);
    let account = Account::find(&mark.user).ok_or_else(|| "no such account in the container".to_owned())?;
    let (own_name, args) = arguments(&account, &start.run)?;
    // As pam_loginuid does: `last` takes a session without it for a ghost. A kernel without it has no such file.
    let _ = std::fs::write("/proc/self/loginuid", account.uid.to_string());
    let pty = match &start.terminal {
        Some(terminal) => Some(open(terminal, &account).map_err(|error| format!("no terminal: {error}"))?),
        None => None,
    };
    let entry = pty.as_ref().map(|pty| Entry {
        line: pty.line.clone(),
        user: account.name.clone(),
        uid: account.uid,
        pid: i32::try_from(std::process::id()).unwrap_or(0),
        from: mark.src_ip,
    });
    let last = entry.as_ref().and_then(|entry| records::login(entry, SystemClock.now()));
    let greets = pty.is_some() && start.run == Run::Shell;
    let plan = Plan {
        uid: account.uid,
        gid: account.gid,
        groups: account.groups.clone(),
        home: account.home.clone(),
        program: account.shell.clone(),
        own_name,
        args,
        env: environment(mark, start, &account, pty.as_ref()),
        terminal: pty.is_some(),
        greeting: if greets { welcome::text(&account, last.as_ref()) } else { String::new() },
    };
    Ok((Session { plan, entry, books: account.uid == 0 }, pty))
}

fn arguments(account: &Account, run: &Run) -> Result<(String, Vec<String>), String> {
    let shell = account.shell_name();
    let command = match run {
        Run::Shell => return Ok((format!("-{shell}"), Vec::new())),
        Run::Exec(command) => command.clone(),
        Run::Subsystem(name) => {
            let command = subsystem(name).ok_or_else(|| "no such subsystem".to_owned())?;
            STANDARD.encode(command)
        }
    };
    Ok((shell.to_owned(), vec![STANDARD.encode("-c"), command]))
}

fn environment(
    mark: &SessionMark,
    start: &Start,
    account: &Account,
    pty: Option<&Pty>,
) -> BTreeMap<String, String> {
    let mut env = default_env();
    // What the client may send comes before what the server sets.
    env.extend(start.env.iter().cloned());
    let path = if account.uid == 0 { ROOTS_PATH } else { PATH };
    env.entry("PATH".to_owned()).or_insert_with(|| path.to_owned());
    let (from, port, to, at) = (mark.src_ip, mark.src_port, start.dst_ip, mark.dst_port);
    let home = account.home.to_string_lossy().into_owned();
    let mut set = |key: &str, value: String| {
        env.insert(key.to_owned(), value);
    };
    set("USER", account.name.clone());
    set("LOGNAME", account.name.clone());
    set("HOME", home);
    set("SHELL", account.shell.clone());
    if std::path::Path::new("/etc/pam.d/sshd").exists() {
        set("MOTD_SHOWN", "pam".to_owned());
    }
    set("SSH_CLIENT", format!("{from} {port} {at}"));
    set("SSH_CONNECTION", format!("{from} {port} {to} {at}"));
    if let (Some(pty), Some(terminal)) = (pty, &start.terminal) {
        set("SSH_TTY", format!("/dev/{}", pty.line));
        set("TERM", terminal.term.clone());
    }
    // The system refuses a whole environment for one NUL.
    env.retain(|key, value| !key.is_empty() && !key.contains(['\0', '=']) && !value.contains('\0'));
    env
}

fn open(terminal: &Terminal, account: &Account) -> Result<Pty, io::Error> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?.into_string().map_err(io::Error::other)?;
    let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    // As the server does: nobody but `write` and `wall` may write to it.
    let group = group_id("tty");
    fchown(&slave, Some(Uid::from_raw(account.uid)), Some(Gid::from_raw(group.unwrap_or(account.gid))))?;
    fchmod(&slave, Mode::from_raw_mode(if group.is_some() { 0o620 } else { 0o622 }))?;
    let mut termios = tcgetattr(&slave)?;
    modes::apply(&mut termios, &terminal.modes);
    tcsetattr(&slave, OptionalActions::Now, &termios)?;
    resize(&master, terminal.window)?;
    let line = name.strip_prefix("/dev/").unwrap_or(&name).to_owned();
    Ok(Pty { master, slave, line })
}

/// Tells a terminal its size.
pub(super) fn resize(terminal: &OwnedFd, window: Window) -> io::Result<()> {
    let short = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    let size = Winsize {
        ws_row: short(window.rows),
        ws_col: short(window.cols),
        ws_xpixel: short(window.width),
        ws_ypixel: short(window.height),
    };
    Ok(tcsetwinsize(terminal, size)?)
}

/// Starts the next stage: standard input is the link, standard output the terminal, standard error what it is told.
fn go_on(
    link: UnixStream,
    mark: &SessionMark,
    session: &Session,
    pty: Option<Pty>,
) -> Result<ExitCode, StageError> {
    let line = pty.as_ref().map_or("notty", |pty| pty.line.as_str());
    let mut next = Command::new(MYSELF);
    next.arg0(format!("{}: {}@{line}", session_program(), mark.user));
    next.stdin(Stdio::from(OwnedFd::from(link))).stderr(Stdio::from(hand_over(session)?));
    // Our own input is the link too; the client must see its end when the next stage ends.
    rustix::stdio::dup2_stdin(null()?).during("cannot let go of the link")?;
    let kept = if let Some(Pty { master, slave, .. }) = pty {
        next.stdout(Stdio::from(master));
        Some(slave)
    } else {
        next.stdout(Stdio::from(null()?));
        None
    };
    if session.books {
        // Nothing may hang up the terminal before the next stage has opened its other side; it inherits no copy.
        let error = next.exec();
        drop(kept);
        return Err(StageError::Io("cannot go on", error));
    }
    let mut child = next.spawn().during("cannot go on")?;
    // With our copies gone, the end of the next stage is the end of link and terminal.
    drop((next, kept));
    let _ = child.wait();
    if let Some(entry) = &session.entry {
        records::logout(entry, SystemClock.now());
    }
    Ok(ExitCode::SUCCESS)
}

/// What the stage before handed over, from the standard error.
pub(super) fn handed() -> Result<Session, StageError> {
    let file = rustix::stdio::stderr().try_clone_to_owned().during("cannot read what was handed over")?;
    let session = super::take_over(File::from(file));
    rustix::stdio::dup2_stderr(null()?).during("cannot let go of what was handed over")?;
    session
}
