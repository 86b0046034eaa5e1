//! Waiting until a kernel object can be read, without a thread: the one place with an `unsafe` block, since tokio leaves
//! the promise that the descriptor stays ours to its caller.

use std::{io, os::fd::OwnedFd, sync::Arc};

use tokio::io::unix::AsyncFd;

/// A descriptor that tokio watches.
pub(crate) type Readable = AsyncFd<Arc<OwnedFd>>;

/// Watches `fd`.
#[expect(unsafe_code, reason = "tokio has no safe constructor; see SAFETY")]
pub(crate) fn readable(fd: Arc<OwnedFd>) -> io::Result<Readable> {
    // SAFETY: an `OwnedFd` owns a valid descriptor. It cannot be replaced or closed behind an `Arc`, which lives as long
    // as the registration.
    unsafe { AsyncFd::register(fd) }.map_err(io::Error::from)
}
