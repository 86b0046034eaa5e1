//! One watched container: its fanotify group, and the thread that reads it.
//!
//! A process may be gone when its report is read. Where it was written from is then told by the mount (an engine's own, or
//! the container's), and who it was by what was seen when it was started, which is reported too.
//!
//! Whenever it has read everything that there was, it says so to the journal. Where it cannot say so (when it starts over a
//! container that runs, or after an overflow) it has the container swept first.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::SyncSender,
    },
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::{Clock, DeckyName};
use nix::{
    errno::Errno,
    fcntl::AT_FDCWD,
    sys::fanotify::{EventFFlags, Fanotify, FanotifyEvent, InitFlags, MarkFlags, MaskFlags},
};
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fs::{AtFlags, StatxFlags, statx},
    process::{Pid, PidfdFlags, pidfd_open, setpriority_process},
};

use super::{
    Before, CaptureError, CaptureOptions, Lines,
    journal::{Gap, Journal},
    keep::{self, Item},
    mounts::{self, Mark},
    process,
    session::{Attribution, Culprit, Session, Sessions},
    sweep::{End, sweep},
    tell::Writer,
};

/// Of the reading thread, which runs for as long as its container.
const STACK: usize = 512 * 1024;
/// It goes first: a process that is gone when its report is read tells less.
const PRIORITY: i32 = -10;
/// Programs started that are remembered.
const MOST_STARTED: usize = 4096;
/// How often the journal is told how far this has come, and for how long it is not if nothing happens.
const PACE: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_mins(1);
/// How far the system's stamps of files may lag behind its clock.
const TICK: TimeDelta = TimeDelta::milliseconds(20);
/// Of a sweep, which goes as deep as its folders.
const SWEEP_STACK: usize = 2 << 20;
/// A running watch. Ends when it is dropped, or with its container.
#[derive(Debug)]
pub(super) struct Watch {
    pid: u32,
    stop: Arc<OwnedFd>,
    stopped: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(
        pid: u32,
        decky: &DeckyName,
        lines: Lines,
        options: &CaptureOptions,
        (journal, before): (Arc<Journal>, Before),
    ) -> Result<Self, CaptureError> {
        let failed = |what| {
            let decky = decky.clone();
            move |source| CaptureError::Kernel { decky, what, source }
        };
        let gone = || CaptureError::Gone(pid, decky.clone());
        // Held from here on, so that the number stays this process's.
        let init = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
        let init = pidfd_open(init, PidfdFlags::empty()).map_err(|_| gone())?;
        let sessions = Sessions::of(pid).ok_or_else(gone)?;
        let process = process::identity(pid).ok_or_else(gone)?;
        let group = Fanotify::init(
            InitFlags::FAN_CLASS_NOTIF | InitFlags::FAN_CLOEXEC | InitFlags::FAN_NONBLOCK,
            // Reading must not show in the times of a file, and opening one must never wait: it may be a pipe.
            EventFFlags::O_RDONLY
                | EventFFlags::O_NONBLOCK
                | EventFFlags::O_LARGEFILE
                | EventFFlags::O_CLOEXEC
                | EventFFlags::O_NOATIME,
        )
        .map_err(|errno| failed("fanotify_init")(errno.into()))?;
        let mounts = mounts::of(pid).ok_or_else(gone)?;
        for mark in &mounts.marks {
            let (flags, path) = match mark {
                Mark::FileSystem(path) => (MarkFlags::FAN_MARK_FILESYSTEM, path),
                Mark::Mount(path) => (MarkFlags::FAN_MARK_MOUNT, path),
            };
            let mask = MaskFlags::FAN_CLOSE_WRITE | MaskFlags::FAN_OPEN_EXEC;
            group
                .mark(MarkFlags::FAN_MARK_ADD | flags, mask, AT_FDCWD, Some(path))
                .map_err(|errno| failed("fanotify_mark")(errno.into()))?;
        }
        let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(|errno| failed("eventfd")(errno.into()))?;
        let stop = Arc::new(stop);
        let keeper = keep::start(decky, lines, options, Arc::clone(&journal), process)
            .map_err(failed("making its folder of artifacts"))?;
        let clock = Arc::clone(&options.clock);
        // All that happens from here on is reported.
        let now = clock.now();
        let gap = journal.begin(process, before == Before::Nothing, now);
        let stopped = Arc::new(AtomicBool::new(false));
        let mut reader = Reader {
            decky: decky.clone(),
            keeper,
            mounts: mounts.ids,
            init: pid,
            sessions,
            started: HashMap::new(),
            servers: HashMap::new(),
            checked: Instant::now(),
            clock,
            seen: gap.as_ref().map_or(now, |gap| gap.since),
            told: Instant::now(),
            present: Vec::new(),
            is_new: false,
            is_whole: true,
            sweeper: None,
            stopped: Arc::clone(&stopped),
        };
        if let Some(gap) = gap {
            reader.sweep(gap, now);
        }
        let stopping = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("capture".to_owned())
            .stack_size(STACK)
            .spawn(move || reader.run(&group, &stopping, &init))
            .map_err(failed("starting a thread"))?;
        Ok(Self { pid, stop, stopped, thread })
    }

    pub(super) fn is_of(&self, pid: u32) -> bool {
        self.pid == pid && self.is_running()
    }

    pub(super) fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread, which reads what is there and ends. Fails only for a counter that is full.
        let _ = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
    }
}

/// What was seen of a program as it was started.
#[derive(Debug, Clone)]
struct Started {
    writer: Writer,
    culprit: Culprit,
}

struct Reader {
    decky: DeckyName,
    keeper: SyncSender<Item>,
    /// Ids of the container's mounts.
    mounts: HashSet<u64>,
    init: u32,
    sessions: Sessions,
    started: HashMap<i32, Started>,
    /// Processes that were seen to start the shell server's program, and when they were last there.
    servers: HashMap<i32, Instant>,
    checked: Instant,
    clock: Arc<dyn Clock>,
    /// Everything that was closed before is handed over.
    seen: DateTime<Utc>,
    /// When the journal was last told so.
    told: Instant,
    /// Who was there then.
    present: Vec<Session>,
    /// Something was reported since.
    is_new: bool,
    /// Nothing was missed since.
    is_whole: bool,
    sweeper: Option<thread::JoinHandle<()>>,
    stopped: Arc<AtomicBool>,
}

impl Reader {
    fn run(mut self, group: &Fanotify, stop: &OwnedFd, init: &OwnedFd) {
        // Without the right to it, it reads as fast as others do.
        let _ = setpriority_process(None, PRIORITY);
        loop {
            let ended = match Self::wait(group.as_fd(), stop.as_fd(), init.as_fd()) {
                Ok(ended) => ended,
                Err(error) => {
                    tracing::error!(decky = %self.decky, %error, "files that intruders leave are no longer watched");
                    return;
                }
            };
            // What is closed from here on may come in the next round.
            let moment = self.clock.now();
            let mut is_read = true;
            loop {
                match group.read_events() {
                    Ok(events) if events.is_empty() => break,
                    Ok(events) => {
                        self.is_new = true;
                        for event in &events {
                            self.handle(event);
                        }
                    }
                    Err(Errno::EAGAIN) => break,
                    Err(Errno::EINTR) => {}
                    // One report's file could not be opened (descriptors ran out): it is lost, the others are not.
                    Err(errno) => {
                        self.unseen("unreadable");
                        tracing::warn!(decky = %self.decky, %errno, "a captured file could not be opened");
                        is_read = false;
                        break;
                    }
                }
            }
            self.come_to(moment, is_read, ended);
            if ended {
                return;
            }
        }
    }

    /// Waits for something to do. True if it is the last.
    fn wait(group: BorrowedFd<'_>, stop: BorrowedFd<'_>, init: BorrowedFd<'_>) -> io::Result<bool> {
        let mut fds = [group, stop, init].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let pace = Timespec { tv_sec: PACE.as_secs().cast_signed(), tv_nsec: 0 };
        match poll(&mut fds, Some(&pace)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(fds.iter().skip(1).any(|fd| !fd.revents().is_empty()))
    }

    /// All that was closed before `moment` was read, unless something was missed.
    fn come_to(&mut self, moment: DateTime<Utc>, is_read: bool, is_last: bool) {
        let now = Instant::now();
        if now.saturating_duration_since(self.checked) >= PACE {
            self.checked = now;
            // Numbers of processes come back: one that is gone for long is no longer known.
            self.servers.retain(|pid, there| {
                if u32::try_from(*pid).is_ok_and(|pid| self.sessions.is_ours(pid)) {
                    *there = now;
                }
                now.saturating_duration_since(*there) < 2 * PACE
            });
        }
        // Who is there is told at once: whoever looks for what he leaves may find him gone.
        let is_same = !self.is_new || self.sessions.live() == self.present;
        let due = match (is_same, self.is_new) {
            (false, _) => Duration::ZERO,
            (true, true) => PACE,
            (true, false) => IDLE,
        };
        if !is_read || (!is_last && self.is_whole && now.saturating_duration_since(self.told) < due) {
            return;
        }
        if self.sweeper.as_ref().is_some_and(|sweeper| !sweeper.is_finished()) {
            return;
        }
        self.sweeper = None;
        if !self.is_whole && !is_last {
            self.is_whole = true;
            let sessions = self.sessions.live().to_vec();
            // The round may have begun long before what was missed in it.
            let until = self.clock.now();
            self.sweep(Gap { since: self.seen, sessions }, until);
            return;
        }
        // At its end with something missed: the next watch sweeps.
        if self.is_whole {
            let sessions = self.sessions.live().to_vec();
            self.seen = moment - TICK;
            self.told = now;
            self.is_new = false;
            self.present.clone_from(&sessions);
            self.hand_on(Item::Seen { moment: self.seen, sessions });
        }
    }

    /// Has files looked for that were closed while nobody looked.
    fn sweep(&mut self, gap: Gap, until: DateTime<Utc>) {
        let (decky, keeper, init) = (self.decky.clone(), self.keeper.clone(), self.init);
        let stopped = Arc::clone(&self.stopped);
        let work = move || {
            let Some(mut sessions) = Sessions::of(init) else { return };
            let mut count = 0_u32;
            let swept = sweep(init, gap.since, until, &mut |file, path| {
                count += 1;
                let culprit = sessions.only_with(&gap.sessions);
                !stopped.load(Ordering::Relaxed)
                    && keeper.send(Item::Recovered { file, path, culprit }).is_ok()
            });
            tracing::info!(%decky, since = %gap.since, count, "looked for files that were left while nobody watched");
            if swept.as_ref().ok() != Some(&End::Whole) {
                tracing::warn!(%decky, ?swept, "not all files of a shell were looked at");
                let culprit = sessions.only_with(&gap.sessions);
                let _ = keeper.send(Item::Unseen { reason: "sweep", culprit });
            }
        };
        let thread = thread::Builder::new().name("capture-sweep".to_owned()).stack_size(SWEEP_STACK);
        match thread.spawn(work) {
            Ok(sweeper) => self.sweeper = Some(sweeper),
            Err(error) => {
                self.unseen("sweep");
                tracing::error!(decky = %self.decky, %error, "files that were left while nobody watched are not looked for");
            }
        }
    }

    fn handle(&mut self, event: &FanotifyEvent) {
        let mask = event.mask();
        if mask.contains(MaskFlags::FAN_Q_OVERFLOW) {
            self.unseen("overflow");
            self.is_whole = false;
        }
        let Some(fd) = event.fd() else { return };
        if mask.contains(MaskFlags::FAN_OPEN_EXEC) {
            self.note_start(fd, event.pid());
        }
        if mask.contains(MaskFlags::FAN_CLOSE_WRITE) {
            self.closed(fd, event.pid());
        }
    }

    /// Remembers who starts a program: it may be gone when its files are closed.
    fn note_start(&mut self, fd: BorrowedFd<'_>, pid: i32) {
        // In the order in which it happened, also if it is gone by now: it runs this from here on.
        let program = process::program(self.init);
        if program.is_some() && program == process::file(fd) {
            self.servers.insert(pid, Instant::now());
        } else {
            self.servers.remove(&pid);
        }
        let Some((path, _)) = path_of(fd) else { return };
        let Ok(number) = u32::try_from(pid) else { return };
        if process::namespace(number, "pid") != Some(self.sessions.pids()) {
            return;
        }
        let Some(session) = self.sessions.above(number) else { return };
        let numbers = process::numbers(number);
        let name = path.file_name().map(|name| name.as_bytes().iter().copied().take(15).collect());
        let writer = Writer { pid: numbers.map(|n| n.inner), uid: numbers.map(|n| n.uid), name, gone: true };
        let culprit = Culprit { session: Some(session), attribution: Attribution::PidChain };
        if self.started.len() >= MOST_STARTED {
            self.started.clear();
        }
        self.started.insert(pid, Started { writer, culprit });
    }

    fn closed(&mut self, fd: BorrowedFd<'_>, pid: i32) {
        let Some((writer, culprit)) = self.writer(fd, pid) else { return };
        let (Some((path, deleted)), Ok(owned)) = (path_of(fd), fd.try_clone_to_owned()) else { return };
        self.hand_on(Item::Closed { file: File::from(owned), path, deleted, writer, culprit });
    }

    /// Who wrote; `None` if we did.
    fn writer(&mut self, fd: BorrowedFd<'_>, pid: i32) -> Option<(Writer, Culprit)> {
        let number = u32::try_from(pid).ok()?;
        match process::namespace(number, "pid") {
            Some(pids) if pids == self.sessions.pids() => {
                // The shell server keeps its books, in a session as well. The program that becomes the intruder's is
                // another one by then, and what he starts is, too.
                let has_ended = || process::program(number).is_none();
                if self.sessions.is_ours(number) || (self.servers.contains_key(&pid) && has_ended()) {
                    return None;
                }
                let numbers = process::numbers(number);
                let writer = Writer {
                    pid: numbers.map(|n| n.inner),
                    uid: numbers.map(|n| n.uid),
                    name: process::name(number),
                    gone: false,
                };
                let mut culprit = self.sessions.culprit(number);
                // It may have ended while it was looked at.
                if culprit.attribution != Attribution::PidChain
                    && let Some(started) = self.started.get(&pid)
                {
                    culprit = started.culprit.clone();
                }
                Some((writer, culprit))
            }
            Some(_) => None,
            None if self.servers.contains_key(&pid) || !self.is_container_mount(fd) => None,
            None => Some(match self.started.get(&pid) {
                Some(started) => (started.writer.clone(), started.culprit.clone()),
                None => (Writer { gone: true, ..Writer::default() }, self.sessions.only()),
            }),
        }
    }

    /// Whether the file was opened through one of the container's own mounts.
    fn is_container_mount(&mut self, fd: BorrowedFd<'_>) -> bool {
        let Ok(stat) = statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) else { return true };
        if stat.stx_mask & StatxFlags::MNT_ID.bits() == 0 || self.mounts.contains(&stat.stx_mnt_id) {
            return true;
        }
        // A mount that was made since; who is gone by now takes them along.
        if let Some(mounts) = mounts::of(self.init) {
            self.mounts = mounts.ids;
        }
        self.mounts.contains(&stat.stx_mnt_id)
    }

    /// A line about files that were not looked at.
    fn unseen(&mut self, reason: &'static str) {
        let culprit = self.sessions.only();
        self.hand_on(Item::Unseen { reason, culprit });
    }

    fn hand_on(&self, item: Item) {
        if self.keeper.send(item).is_err() {
            tracing::error!(decky = %self.decky, "a file that an intruder left is lost: its keeper has failed");
        }
    }
}

/// The path that a descriptor was opened at, in its own tree, and whether it is deleted.
fn path_of(fd: BorrowedFd<'_>) -> Option<(PathBuf, bool)> {
    const DELETED: &[u8] = b" (deleted)";
    let path = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
    // A living file may end in that, too.
    let links = rustix::fs::fstat(fd).ok()?.st_nlink;
    match path.as_os_str().as_bytes().strip_suffix(DELETED) {
        Some(bare) if links == 0 => Some((PathBuf::from(OsString::from_vec(bare.to_vec())), true)),
        _ => Some((path, links == 0)),
    }
}
