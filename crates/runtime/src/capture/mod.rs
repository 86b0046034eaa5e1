//! Keeps what intruders leave behind: every file that is closed after writing in a shell container, as long as it is theirs.
//!
//! ```text
//! let capture = Capture::new(CaptureOptions { artifacts, clock, limits: CaptureLimits::default() });
//! capture.watch(shell_pid, &decky, &journal, Before::Running, lines)?;   // again with another pid after a restart
//! capture.unwatch(&decky);                                               // ends with the container by itself, too
//! ```
//!
//! The kernel reports from outside (fanotify), so nothing in the container can see, feed or stop the watch. A report holds
//! the file open: its content is had even if it was deleted at once. Each container has a group and threads of its own, so
//! that a flood in one loses nothing of another's; who raises more than 120 of them raises `fs.fanotify.max_user_groups`.
//!
//! What is ours is told by who wrote it: a process outside of the container (the agent, which puts files on its disk from the
//! host, or the engine through a mount of its own), or the shell server's own program.
//!
//! Each watch keeps a journal of how far it has come. What was closed while no agent ran, or when the kernel had more reports
//! than it keeps, is looked for afterwards: by the times of files, and told as `recovered`. Of the gap are lost: what was
//! deleted in it, what it was before it was overwritten, and what was last written before it and closed within it.
//! What a watch does not do: look at content, or see what is renamed without being written.

mod journal;
mod keep;
mod mounts;
pub(crate) mod process;
pub(crate) mod session;
mod store;
mod sweep;
mod tell;
mod watch;

use std::{
    collections::HashMap,
    fmt, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use decnet_core::{Clock, DeckyName};

use self::{journal::Journal, watch::Watch};
pub use crate::containment::Lines;

/// Why a container is not watched.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// No such process.
    #[error(
        "process {0}, the shell of decky {1}, is gone: its container has ended; the next pass starts it again"
    )]
    Gone(u32, DeckyName),
    /// The kernel refused.
    #[error(
        "files that intruders leave in decky {decky} cannot be watched: {what} failed ({source}); the agent needs root with CAP_SYS_ADMIN, a kernel from 5.1 on with fanotify, and fs.fanotify.max_user_groups above the number of deckies with a login"
    )]
    Kernel {
        /// Whose container.
        decky: DeckyName,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureLimits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Files of one decky in a minute.
    pub files_per_minute: u32,
    /// Bytes of one decky altogether.
    pub total_bytes: u64,
    /// Bytes left free on the disk.
    pub free_bytes: u64,
}

impl Default for CaptureLimits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self { file_bytes: 50 * MIB, files_per_minute: 120, total_bytes: 1024 * MIB, free_bytes: 200 * MIB }
    }
}

/// Where captured files go.
#[derive(Clone)]
pub struct CaptureOptions {
    /// The folder of all artifacts; a file becomes `<artifacts>/<decky>/ssh/<stored_name>`.
    pub artifacts: PathBuf,
    /// The time of lines and names.
    pub clock: Arc<dyn Clock>,
    /// How much is kept.
    pub limits: CaptureLimits,
}

impl fmt::Debug for CaptureOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CaptureOptions");
        shown.field("artifacts", &self.artifacts).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What a container did before its watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing: it has just been started.
    Nothing,
    /// It ran. What nobody has looked at is looked for, by the journal.
    Running,
}

/// The watched containers of this host.
#[derive(Debug)]
pub struct Capture {
    options: CaptureOptions,
    watches: Mutex<HashMap<DeckyName, Watch>>,
    /// Kept beyond a watch: it may still write while the next one has begun.
    journals: Mutex<HashMap<DeckyName, Arc<Journal>>>,
}

impl Capture {
    /// Nothing is watched yet.
    pub fn new(options: CaptureOptions) -> Self {
        Self { options, watches: Mutex::default(), journals: Mutex::default() }
    }

    /// Watches the shell container whose process 1 is `pid`, instead of the one of this decky that was watched before.
    /// Nothing if that very process is watched already. Every close after its return is seen; what was left `before` comes
    /// from a thread of its own. `journal` is a file of this decky's in a folder that only the agent reads. Some file
    /// look-ups: cheap, but not for a thread that must never wait.
    pub fn watch(
        &self,
        pid: u32,
        decky: &DeckyName,
        journal: &Path,
        before: Before,
        lines: Lines,
    ) -> Result<(), CaptureError> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if watches.get(decky).is_some_and(|watch| watch.is_of(pid)) {
            return Ok(());
        }
        watches.remove(decky);
        let journal = self.journal(decky, journal);
        let watch = Watch::start(pid, decky, lines, &self.options, (journal, before))?;
        watches.insert(decky.clone(), watch);
        Ok(())
    }

    /// Files of ours (path, time of change, size) are about to be put into a decky, or to get another name: nobody is to take
    /// them for an intruder's, not even an agent that starts when this one is gone. Writes a small file.
    pub fn placing<'a>(
        &self,
        decky: &DeckyName,
        journal: &Path,
        files: impl IntoIterator<Item = (&'a str, DateTime<Utc>, u64)>,
    ) {
        let files = files.into_iter().map(|(path, mtime, size)| {
            let name = Path::new(path).file_name().unwrap_or_default();
            journal::placed(name.as_bytes(), Some(mtime), size)
        });
        self.journal(decky, journal).placing(files, self.options.clock.now());
    }

    fn journal(&self, decky: &DeckyName, path: &Path) -> Arc<Journal> {
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        match journals.get(decky) {
            Some(journal) if journal.path() == path => Arc::clone(journal),
            _ => {
                let journal = Arc::new(Journal::open(path));
                journals.insert(decky.clone(), Arc::clone(&journal));
                journal
            }
        }
    }

    /// Ends a watch, after what was reported so far. True if there was one.
    pub fn unwatch(&self, decky: &DeckyName) -> bool {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).remove(decky).is_some()
    }

    /// The deckies that are watched; one whose container has ended is not.
    pub fn watched(&self) -> Vec<DeckyName> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|_, watch| watch.is_running());
        watches.keys().cloned().collect()
    }
}
