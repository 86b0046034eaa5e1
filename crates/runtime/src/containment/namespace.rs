//! Entering the network namespace of a process, on a thread that ends there: a thread that went back to a pool would take
//! whoever runs on it next into the namespace too.
//!
//! What is done inside is the caller's.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::MetadataExt,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use decnet_logline::clean_bytes;
use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

use super::ContainmentError;

/// Where `nft` is; the last one asks PATH.
const NFT: [&str; 4] = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "nft"];
/// How long it may take; ten milliseconds are usual.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much of its complaint is passed on.
const MAX_COMPLAINT: usize = 600;

/// Tells one network namespace from another, for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NamespaceId {
    dev: u64,
    ino: u64,
}

/// The network namespace of a process, held open so that it stays the same one whatever becomes of the process.
#[derive(Debug)]
pub(super) struct Namespace {
    file: File,
    pub(super) id: NamespaceId,
}

impl Namespace {
    /// That of process `pid`. The host's own is refused: rules there would cut the host off.
    pub(super) fn of(pid: u32) -> Result<Self, ContainmentError> {
        let gone = |source| ContainmentError::Namespace { pid, source };
        let file = File::open(format!("/proc/{pid}/ns/net")).map_err(gone)?;
        let id = id(&file.metadata().map_err(gone)?);
        let own = fs::metadata("/proc/self/ns/net").map_err(gone)?;
        // Some sandboxes hide process 1 even from root.
        let init = fs::metadata("/proc/1/ns/net").ok();
        if [Some(own), init].iter().flatten().any(|ours| self::id(ours) == id) {
            return Err(ContainmentError::OwnNamespace(pid));
        }
        Ok(Self { file, id })
    }

    /// Runs `work` inside, on a thread of its own.
    pub(super) async fn inside<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, ContainmentError> + Send + 'static,
    ) -> Result<T, ContainmentError> {
        let (done, result) = oneshot::channel();
        thread::Builder::new()
            .name("containment".to_owned())
            .spawn(move || {
                let entered = setns(&self.file, CloneFlags::CLONE_NEWNET)
                    .map_err(|errno| ContainmentError::Enter { source: errno.into() });
                // Nobody waits any more if the caller was cancelled.
                let _ = done.send(entered.and_then(|()| work()));
            })
            .map_err(|source| ContainmentError::Enter { source })?;
        result.await.unwrap_or(Err(ContainmentError::Broken))
    }
}

/// The namespace that process `pid` is in now; `None` if there is no such process.
pub(super) fn of_process(pid: u32) -> Option<NamespaceId> {
    fs::metadata(format!("/proc/{pid}/ns/net")).ok().map(|meta| id(&meta))
}

fn id(meta: &fs::Metadata) -> NamespaceId {
    NamespaceId { dev: meta.dev(), ino: meta.ino() }
}

/// Loads a document in the namespace of this thread: all of it or nothing.
pub(super) fn load(document: &str) -> Result<(), ContainmentError> {
    let failed = |source| ContainmentError::Nft { source };
    let nft = NFT.iter().find(|path| fs::exists(path).unwrap_or(false)).unwrap_or(&NFT[3]);
    // A child is born into the namespace of the thread that starts it.
    let mut child = Command::new(nft)
        .args(["-f", "-"])
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ContainmentError::NoNft,
            _ => ContainmentError::Nft { source },
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it ended early, its complaint says more than this error.
        let _ = stdin.write_all(document.as_bytes());
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        if child.try_wait().map_err(failed)?.is_some() {
            break;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(ContainmentError::Refused(format!("nft has not ended within {PATIENCE:?}")));
        }
        thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let complaint: String = clean_bytes(&output.stderr).chars().take(MAX_COMPLAINT).collect();
    Err(ContainmentError::Refused(complaint))
}
