//! Keeps the files of one container and writes their lines, on a thread of its own: copies and disks take their time, and
//! whoever reads reports must not, as what a process was is known only while it lives.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use decnet_core::{Clock, DeckyName};
use decnet_logline::Event;

use super::{
    CaptureOptions, Lines,
    journal::{self, Journal},
    process::Identity,
    session::{Culprit, Session},
    store::{Kept, Skip, Store},
    tell::{self, Found, Writer},
};

/// Files that wait, each held open. Beyond, reports wait in the kernel.
const WAITING: usize = 32;
const STACK: usize = 512 * 1024;
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

/// Something to keep or to tell.
#[derive(Debug)]
pub(super) enum Item {
    /// A file that was closed.
    Closed { file: File, path: PathBuf, deleted: bool, writer: Writer, culprit: Culprit },
    /// A file that was closed while nobody looked.
    Recovered { file: File, path: PathBuf, culprit: Culprit },
    /// Everything that was closed before the moment has been handed over; who was there.
    Seen { moment: DateTime<Utc>, sessions: Vec<Session> },
    /// Files that were not looked at.
    Unseen { reason: &'static str, culprit: Culprit },
}

/// Starts the thread. It ends, and tells what it gathered, once all senders are gone.
pub(super) fn start(
    decky: &DeckyName,
    lines: Lines,
    options: &CaptureOptions,
    journal: Arc<Journal>,
    process: Identity,
) -> io::Result<SyncSender<Item>> {
    let store = Store::open(&options.artifacts, decky.as_str(), options.limits, options.clock.now())?;
    let keeper = Keeper {
        decky: decky.clone(),
        clock: Arc::clone(&options.clock),
        lines,
        per_minute: options.limits.files_per_minute,
        store,
        journal,
        process,
        kept: HashMap::new(),
        minute: None,
        files: 0,
        unreported: 0,
        last: None,
    };
    let (sender, items) = sync_channel(WAITING);
    thread::Builder::new()
        .name("capture-keep".to_owned())
        .stack_size(STACK)
        .spawn(move || keeper.run(&items))?;
    Ok(sender)
}

struct Keeper {
    decky: DeckyName,
    clock: Arc<dyn Clock>,
    lines: Lines,
    per_minute: u32,
    store: Store,
    journal: Arc<Journal>,
    /// Process 1 of the container.
    process: Identity,
    /// Names of what was kept, by session and content.
    kept: HashMap<(Option<String>, String), String>,
    minute: Option<Instant>,
    files: u32,
    unreported: u64,
    /// Whose the last unreported file was.
    last: Option<Culprit>,
}

impl Keeper {
    fn run(mut self, items: &Receiver<Item>) {
        loop {
            let pause = self.minute.map_or(MINUTE, |start| MINUTE.saturating_sub(start.elapsed()));
            match items.recv_timeout(pause) {
                Ok(Item::Closed { file, path, deleted, writer, culprit }) => {
                    self.file(&file, &path, deleted, &writer, culprit, false);
                }
                Ok(Item::Recovered { file, path, culprit }) => {
                    self.file(&file, &path, false, &Writer::default(), culprit, true);
                }
                Ok(Item::Seen { moment, sessions }) => self.journal.seen(self.process, moment, sessions),
                Ok(Item::Unseen { reason, culprit }) => self.write(tell::unseen(reason, None, &culprit)),
                Err(RecvTimeoutError::Timeout) => self.end_minute(false),
                Err(RecvTimeoutError::Disconnected) => return self.end_minute(true),
            }
        }
    }

    fn file(
        &mut self,
        file: &File,
        path: &Path,
        deleted: bool,
        writer: &Writer,
        culprit: Culprit,
        recovered: bool,
    ) {
        let Ok(meta) = file.metadata() else { return };
        let bytes = path.as_os_str().as_bytes();
        if !meta.is_file() || BOOKKEEPING.iter().any(|known| bytes.starts_with(known.as_bytes())) {
            return;
        }
        if recovered && self.journal.is_placed(path, &meta) {
            return;
        }
        if !self.may_report() {
            self.unreported += 1;
            self.last = Some(culprit);
            return;
        }
        let session = culprit.session.as_ref().map(|session| session.mark.sid.clone());
        // What was told just before the gap is found in it again.
        let is_told = |content: &str| recovered && self.journal.is_told(&journal::key(path, content));
        let kept = self.store.keep(file, path, self.clock.now(), |sha256| {
            let known = self.kept.get(&(session.clone(), sha256.to_owned())).cloned();
            known.or_else(|| is_told(sha256).then(String::new))
        });
        let content = match &kept {
            Ok(kept) => kept.sha256.as_str(),
            Err(skip) => skip.reason(),
        };
        if is_told(content) {
            return;
        }
        let key = journal::key(path, content);
        match &kept {
            Ok(Kept { stored_as: Some(name), sha256, .. }) => {
                if self.kept.len() >= MOST_KEPT {
                    self.kept.clear();
                }
                self.kept.insert((session, sha256.clone()), name.clone());
            }
            Err(Skip::Failed(error)) => {
                tracing::warn!(decky = %self.decky, %error, "a captured file could not be copied");
            }
            _ => {}
        }
        let found = Found { path, deleted, meta: &meta, writer, culprit: &culprit, recovered };
        self.write(tell::event(&found, &kept));
        self.journal.told(self.process, key, self.clock.now());
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
        if let Some(culprit) = self.last.take() {
            self.write(tell::unseen("rate", Some(count), &culprit));
        }
    }

    fn write(&self, event: Event) {
        (self.lines)(event.into_record(self.clock.now(), self.decky.as_str()));
    }
}
