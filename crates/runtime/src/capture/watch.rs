//! One watched container: its fanotify group, and the thread that reads it.
//!
//! A process may be gone when its report is read. Where it was written from is then told by the mount (an engine's own, or
//! the container's), and who it was by what was seen when it was started, which is reported too.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use decnet_core::{Clock, DeckyName};
use decnet_logline::Event;
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
    CaptureError, CaptureOptions, Lines,
    mounts::{self, Mark},
    process,
    session::{Attribution, Culprit, Sessions},
    store::{Kept, Skip, Store},
    tell::{self, Found, Writer},
};

/// Of the reading thread, which runs for as long as its container.
const STACK: usize = 512 * 1024;
/// It goes first: a process that is gone when its report is read tells less.
const PRIORITY: i32 = -10;
/// Programs started that are remembered.
const MOST_STARTED: usize = 4096;
/// Contents remembered as kept.
const MOST_KEPT: usize = 4096;
const MINUTE: Duration = Duration::from_mins(1);
/// What the system's own programs keep on a login; not an intruder's doing.
const BOOKKEEPING: [&str; 8] = [
    "/run/utmp",
    "/var/run/utmp",
    "/var/log/wtmp",
    "/var/log/btmp",
    "/var/log/lastlog",
    "/var/log/faillog",
    "/run/sudo/",
    "/run/motd.dynamic",
];

/// A running watch. Ends when it is dropped, or with its container.
#[derive(Debug)]
pub(super) struct Watch {
    pid: u32,
    stop: Arc<OwnedFd>,
    thread: thread::JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(
        pid: u32,
        decky: &DeckyName,
        lines: Lines,
        options: &CaptureOptions,
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
        let group = Fanotify::init(
            InitFlags::FAN_CLASS_NOTIF | InitFlags::FAN_CLOEXEC | InitFlags::FAN_NONBLOCK,
            // Reading must not show in the times of a file.
            EventFFlags::O_RDONLY
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
        let folder = options.artifacts.join(decky.as_str()).join("ssh");
        let store = Store::open(folder, options.limits, options.clock.now())
            .map_err(failed("making its folder of artifacts"))?;
        let reader = Reader {
            decky: decky.clone(),
            clock: Arc::clone(&options.clock),
            lines,
            per_minute: options.limits.files_per_minute,
            store,
            mounts: mounts.ids,
            init: pid,
            sessions,
            started: HashMap::new(),
            kept: HashMap::new(),
            minute: None,
            files: 0,
            unreported: 0,
        };
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("capture".to_owned())
            .stack_size(STACK)
            .spawn(move || reader.run(&group, &stopped, &init))
            .map_err(failed("starting a thread"))?;
        Ok(Self { pid, stop, thread })
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
    clock: Arc<dyn Clock>,
    lines: Lines,
    per_minute: u32,
    store: Store,
    /// Ids of the container's mounts.
    mounts: HashSet<u64>,
    init: u32,
    sessions: Sessions,
    started: HashMap<i32, Started>,
    /// Names of what was kept, by session and content.
    kept: HashMap<(Option<String>, String), String>,
    minute: Option<Instant>,
    files: u32,
    unreported: u64,
}

impl Reader {
    fn run(mut self, group: &Fanotify, stop: &OwnedFd, init: &OwnedFd) {
        // Without the right to it, it reads as fast as others do.
        let _ = setpriority_process(None, PRIORITY);
        loop {
            let ended = match self.wait(group.as_fd(), stop.as_fd(), init.as_fd()) {
                Ok(ended) => ended,
                Err(error) => {
                    tracing::error!(decky = %self.decky, %error, "files that intruders leave are no longer watched");
                    return;
                }
            };
            loop {
                match group.read_events() {
                    Ok(events) if events.is_empty() => break,
                    Ok(events) => events.iter().for_each(|event| self.handle(event)),
                    Err(Errno::EAGAIN) => break,
                    Err(Errno::EINTR) => {}
                    // One event's file could not be opened (descriptors ran out): it is lost, the others are not.
                    Err(errno) => {
                        self.skip_unseen("unreadable", Some(1));
                        tracing::warn!(decky = %self.decky, %errno, "a captured file could not be opened");
                        break;
                    }
                }
            }
            self.end_minute(ended);
            if ended {
                return;
            }
        }
    }

    /// Waits for something to do. True if it is the last.
    fn wait(&self, group: BorrowedFd<'_>, stop: BorrowedFd<'_>, init: BorrowedFd<'_>) -> io::Result<bool> {
        let mut fds = [group, stop, init].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let rest = self.minute.filter(|_| self.unreported > 0).map(|start| {
            let rest = (start + MINUTE).saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            Timespec {
                tv_sec: i64::try_from(rest.as_secs()).unwrap_or(60),
                tv_nsec: rest.subsec_nanos().into(),
            }
        });
        match poll(&mut fds, rest.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(fds.iter().skip(1).any(|fd| !fd.revents().is_empty()))
    }

    fn handle(&mut self, event: &FanotifyEvent) {
        let mask = event.mask();
        if mask.contains(MaskFlags::FAN_Q_OVERFLOW) {
            self.skip_unseen("overflow", None);
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
        let file = File::from(owned);
        let Ok(meta) = file.metadata() else { return };
        let bookkeeping = |path: &Path| {
            BOOKKEEPING.iter().any(|known| path.as_os_str().as_bytes().starts_with(known.as_bytes()))
        };
        if !meta.is_file() || bookkeeping(&path) {
            return;
        }
        if !self.may_report() {
            self.unreported += 1;
            return;
        }
        let now = self.clock.now();
        let session = culprit.session.as_ref().map(|session| session.mark.sid.clone());
        let kept = self
            .store
            .keep(&file, &path, now, |sha256| self.kept.get(&(session.clone(), sha256.to_owned())).cloned());
        if let Ok(Kept { stored_as: Some(name), sha256, .. }) = &kept {
            if self.kept.len() >= MOST_KEPT {
                self.kept.clear();
            }
            self.kept.insert((session, sha256.clone()), name.clone());
        }
        if let Err(Skip::Failed(error)) = &kept {
            tracing::warn!(decky = %self.decky, %error, "a captured file could not be copied");
        }
        let found = Found { path: &path, deleted, meta: &meta, writer: &writer, culprit: &culprit };
        self.write(tell::event(&found, &kept));
    }

    /// Who wrote; `None` if we did.
    fn writer(&mut self, fd: BorrowedFd<'_>, pid: i32) -> Option<(Writer, Culprit)> {
        let number = u32::try_from(pid).ok()?;
        match process::namespace(number, "pid") {
            Some(pids) if pids == self.sessions.pids() => {
                if self.sessions.is_ours(number) && self.sessions.above(number).is_none() {
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
            None if !self.is_container_mount(fd) => None,
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

    fn may_report(&mut self) -> bool {
        self.end_minute(false);
        self.minute.get_or_insert_with(Instant::now);
        self.files = self.files.saturating_add(1);
        self.files <= self.per_minute
    }

    /// Tells how many files went unreported in the minute that ended.
    fn end_minute(&mut self, now: bool) {
        if !now && self.minute.is_none_or(|start| start.elapsed() < MINUTE) {
            return;
        }
        self.minute = None;
        self.files = 0;
        let count = std::mem::take(&mut self.unreported);
        if count > 0 {
            self.skip_unseen("rate", Some(count));
        }
    }

    /// A line about files that were not looked at.
    fn skip_unseen(&mut self, reason: &str, count: Option<u64>) {
        let culprit = self.sessions.only();
        self.write(tell::unseen(reason, count, &culprit));
    }

    fn write(&self, event: Event) {
        (self.lines)(event.into_record(self.clock.now(), self.decky.as_str()));
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
