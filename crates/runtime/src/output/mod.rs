//! The output of one decky as an append-only file: its stable id, what of it was released, and its end.
//!
//! The decoy itself writes the file (it is its stdout), so it goes on while no agent runs. Space is given back by
//! punching holes: offsets never change, which is what makes them line numbers (`seq`) for ever.

#[allow(dead_code, reason = "its writers are being built")]
mod host_lines;
mod tail;
mod watch;

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use decnet_core::{DeckyName, IdSource};
use futures_util::{StreamExt, stream};
use rustix::fs::{FallocateFlags, OFlags, fallocate};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

#[allow(unused_imports, reason = "its writers are being built")]
pub(crate) use host_lines::HostLines;
use tail::Tail;
pub(crate) use watch::Watcher;

use crate::{
    OutputRef, OutputStream, Position, RuntimeError,
    error::io_error,
    process::{read_record, write_record},
};

/// The lines.
pub(crate) const LINES: &str = "output.log";
/// What is known about them.
pub(crate) const ABOUT: &str = "output.json";

/// Space is given back in steps of at least this many bytes: each costs two writes and a system call.
const RELEASE_STEP: u64 = 1 << 20;
/// Holes begin on a block's edge; what is below it was released before anyway.
const BLOCK: u64 = 4096;

/// What stands beside the lines.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct About {
    decky: DeckyName,
    source: String,
    /// Binds the id to this very file: a file put in its place has other offsets.
    inode: u64,
    released: Position,
}

/// Wakes whoever waits for lines.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    pub(crate) changed: Notify,
    ended: AtomicBool,
    /// False where the kernel tells us nothing, so that the file must be looked at more often.
    pub(crate) watched: AtomicBool,
}

impl Signal {
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// One output.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) decky: DeckyName,
    pub(crate) source: Arc<str>,
    file: Arc<File>,
    signal: Arc<Signal>,
    /// Where its two files are; changes when the decky is removed.
    place: Mutex<Place>,
}

#[derive(Debug)]
struct Place {
    files: Files,
    about: About,
}

/// Where the two files of an output are.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// The lines.
    pub(crate) lines: PathBuf,
    /// What is known about them.
    pub(crate) about: PathBuf,
}

impl Files {
    /// Both in one folder.
    pub(crate) fn within(folder: &Path) -> Self {
        Self { lines: folder.join(LINES), about: folder.join(ABOUT) }
    }
}

impl Output {
    /// The output in `folder`, made if there is none.
    pub(crate) fn open(
        folder: &Path,
        decky: &DeckyName,
        ids: &dyn IdSource,
        watcher: Option<&Watcher>,
    ) -> Result<Self, RuntimeError> {
        Self::open_at(Files::within(folder), decky, ids, watcher)
    }

    /// The output of these files, made if there is none. The folder of the lines may be an intruder's to write: a link or
    /// something else than a file in their place is refused, since it could lead anywhere on the host.
    pub(crate) fn open_at(
        files: Files,
        decky: &DeckyName,
        ids: &dyn IdSource,
        watcher: Option<&Watcher>,
    ) -> Result<Self, RuntimeError> {
        let path = &files.lines;
        let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(careful.bits().cast_signed())
            .open(path)
            .map_err(io_error("open", path))?;
        let meta = file.metadata().map_err(io_error("examine", path))?;
        if !meta.is_file() {
            return Err(io_error("open", path)(io::Error::other("it is no regular file")));
        }
        let known = read_record::<About>(&files.about)?
            .filter(|about| about.inode == meta.ino() && about.released.offset <= meta.len());
        let about = if let Some(known) = known {
            known
        } else {
            let source = ids.next_id().simple().to_string();
            let released = Position::default();
            let about = About { decky: decky.clone(), source, inode: meta.ino(), released };
            write_record(&files.about, &about)?;
            about
        };
        let signal = Arc::new(Signal::default());
        if let Some(watcher) = watcher {
            signal.watched.store(watcher.add(path, &signal), Ordering::Relaxed);
        }
        Ok(Self {
            decky: about.decky.clone(),
            source: about.source.as_str().into(),
            file: Arc::new(file),
            signal,
            place: Mutex::new(Place { files, about }),
        })
    }

    /// The output of a removed decky in these files; `None` if there is none.
    pub(crate) fn open_ended(files: Files, ids: &dyn IdSource) -> Result<Option<Self>, RuntimeError> {
        let Some(about) = read_record::<About>(&files.about)? else { return Ok(None) };
        if !files.lines.exists() {
            return Ok(None);
        }
        let output = Self::open_at(files, &about.decky, ids, None)?;
        output.signal.ended.store(true, Ordering::Release);
        Ok(Some(output))
    }

    /// A handle for the decoy's stdout.
    pub(crate) fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Reads from `from` on, or from the first line that was not released.
    pub(crate) fn tail(&self, from: Option<Position>) -> Tail {
        let released = self.lock().about.released;
        let from = from.map_or(released, |from| from.max(released));
        Tail::new(Arc::clone(&self.file), Arc::clone(&self.signal), from)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.signal.has_ended()
    }

    /// How others speak of it.
    pub(crate) fn reference(&self) -> OutputRef {
        OutputRef { decky: self.decky.clone(), source: Arc::clone(&self.source), ended: self.has_ended() }
    }

    /// [`Self::tail`] as a stream.
    pub(crate) fn stream(&self, from: Option<Position>) -> OutputStream {
        let next = |mut tail: Tail| async move {
            match tail.next().await {
                Ok(item) => item.map(|item| (Ok(item), tail)),
                Err(error) => Some((Err(io_error("read", "an output")(error)), tail)),
            }
        };
        stream::unfold(self.tail(from), next).boxed()
    }

    /// Completes a line that a killed writer left unfinished, so that it stays one line. Only for a file that nobody
    /// writes to.
    pub(crate) fn finish_line(&self) -> Result<(), RuntimeError> {
        let path = self.path();
        let finish = || -> io::Result<()> {
            let len = self.file.metadata()?.len();
            let mut last = [b'\n'];
            if len > 0 && self.file.read_at(&mut last, len - 1)? == 1 && last != [b'\n'] {
                (&*self.file).write_all(b"\n")?;
            }
            Ok(())
        };
        finish().map_err(io_error("complete", path))?;
        self.signal.changed.notify_one();
        Ok(())
    }

    /// Its files are these from now on (already moved there) and nothing more is written.
    pub(crate) fn end_in(&self, files: Files) {
        self.lock().files = files;
        self.signal.ended.store(true, Ordering::Release);
        self.signal.changed.notify_one();
    }

    /// Gives back the space before `upto`, once it is enough to be worth it. Blocks.
    pub(crate) fn release(&self, upto: Position) -> Result<(), RuntimeError> {
        let mut place = self.lock();
        let before = place.about.released;
        if upto.offset < before.offset.saturating_add(RELEASE_STEP) {
            return Ok(());
        }
        let path = place.files.lines.clone();
        let len = self.file.metadata().map_err(io_error("examine", &path))?.len();
        if upto.offset > len {
            return Err(RuntimeError::Internal(format!("released {} of {len} bytes", upto.offset)));
        }
        // The record first: what it calls released may still be there, never the other way round.
        let about = About { released: upto, ..place.about.clone() };
        write_record(&place.files.about, &about)?;
        place.about = about;
        let start = before.offset - before.offset % BLOCK;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&*self.file, flags, start, upto.offset - start) {
            // This file system has no holes: the file grows until its decky is removed.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(io_error("give back the space of", path)(error.into())),
        }
    }

    /// Deletes the files of an ended output, and their folders up to `base` where nothing else is in them. Blocks.
    pub(crate) fn delete(&self, base: &Path) -> Result<(), RuntimeError> {
        let Files { lines, about } = self.lock().files.clone();
        for path in [&lines, &about] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error("delete", path)(error));
                }
                _ => {}
            }
        }
        for path in [&lines, &about] {
            let above =
                path.ancestors().skip(1).take_while(|folder| *folder != base && folder.starts_with(base));
            for folder in above {
                // Not empty: the decky's other output is still there.
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.lock().files.lines.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
