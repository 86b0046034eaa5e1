//! Tells followers that their file grew: one inotify instance for all outputs of a host.
//!
//! Only a hint. Whoever waits also looks by himself now and then, and where inotify is not to be had, more often.

use std::{
    collections::HashMap,
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::task::JoinHandle;

use super::Signal;
use crate::readable::{Readable, readable};

type Watches = Mutex<HashMap<i32, Weak<Signal>>>;

/// The watcher of a host's outputs.
#[derive(Debug)]
pub(crate) struct Watcher {
    inotify: Arc<OwnedFd>,
    watches: Arc<Watches>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Starts watching nothing yet.
    pub(crate) fn start() -> io::Result<Self> {
        let inotify = Arc::new(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?);
        let watches = Arc::<Watches>::default();
        let events = readable(Arc::clone(&inotify))?;
        let task = tokio::spawn(tell(events, Arc::clone(&watches)));
        Ok(Self { inotify, watches, task })
    }

    /// Watches `path` for `signal`; false if the kernel has no watch left.
    pub(crate) fn add(&self, path: &Path, signal: &Arc<Signal>) -> bool {
        // Locked meanwhile, so that no event is read before its watch is known.
        let mut watches = lock(&self.watches);
        match inotify::add_watch(&self.inotify, path, WatchFlags::MODIFY) {
            Ok(watch) => {
                watches.insert(watch, Arc::downgrade(signal));
                true
            }
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "no inotify watch: looking every 200 ms");
                false
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(watches: &Watches) -> MutexGuard<'_, HashMap<i32, Weak<Signal>>> {
    watches.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn tell(events: Readable, watches: Arc<Watches>) {
    loop {
        let Ok(mut ready) = events.readable().await else { return };
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(&**events.get_ref(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let mut watches = lock(&watches);
                    if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                        watches
                            .values()
                            .filter_map(Weak::upgrade)
                            .for_each(|signal| signal.changed.notify_one());
                    } else if event.events().contains(ReadFlags::IGNORED) {
                        watches.remove(&event.wd());
                    } else if let Some(signal) = watches.get(&event.wd()).and_then(Weak::upgrade) {
                        signal.changed.notify_one();
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => {
                    tracing::warn!(%error, "inotify failed: outputs are looked at every two seconds");
                    return;
                }
            }
        }
        ready.clear_ready();
    }
}
