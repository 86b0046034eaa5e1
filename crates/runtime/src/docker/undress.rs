//! Takes off a started container what tells that an engine started it: the marker file in its root, and the files that the
//! engine mounts over `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`, whose mounts name its folders and the container.
//!
//! Done from the host, in the container's mount namespace. What it cannot take off: the root's own mount (`overlay` with the
//! engine's folders in its options) and the kernel's version.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::Duration,
};

use chrono::{DateTime, Utc};
use decnet_core::shell::{SHELL_DOCUMENT, SHELL_PROGRAM};
use nix::{
    mount::{MntFlags, umount2},
    sched::{CloneFlags, setns, unshare},
};
use rustix::{
    fs::{
        AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps, futimens, openat, openat2, statat,
        unlinkat, utimensat,
    },
    io::Errno,
};

use crate::{RuntimeError, error::io_error};

/// What the engine mounts over.
const MOUNTED: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
/// The engine's marker.
const MARKER: &str = ".dockerenv";
/// How long the shell server may take to delete its files.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// Undresses the container of process `pid`. After its first start the folders that were touched get the times `aged`; later
/// ones find what the people of the machine have changed since. Blocks.
pub(super) fn undress(pid: u32, aged: Option<DateTime<Utc>>) -> Result<(), RuntimeError> {
    let proc = format!("/proc/{pid}");
    let fail = |what| io_error(what, proc.clone());
    let root = open_root(Path::new(&proc).join("root").as_path()).map_err(fail("open the root of"))?;
    let namespace = File::open(format!("{proc}/ns/mnt")).map_err(fail("open the mounts of"))?;
    // A thread of its own: what it enters it never leaves.
    let unmounted = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("undress".to_owned());
        thread
            .spawn_scoped(scope, || unmount(&namespace))
            .and_then(|thread| thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked"))))
    });
    unmounted.map_err(fail("take the engine's files off"))?;
    match unlinkat(&root, MARKER, AtFlags::empty()) {
        // The shell server deletes it as well.
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(fail("take the engine's marker off")(error.into())),
    }
    if let Some(aged) = aged {
        wait_for_deletion(&root);
        let time = Timespec {
            tv_sec: aged.timestamp(),
            tv_nsec: i64::from(aged.timestamp_subsec_nanos().min(999_999_999)),
        };
        let times = Timestamps { last_access: time, last_modification: time };
        // The engine's link is as young as the container.
        if let Ok(etc) = open_folder(&root, "etc") {
            let _ = utimensat(&etc, "mtab", &times, AtFlags::SYMLINK_NOFOLLOW);
        }
        for folder in [".", "usr/sbin"] {
            // An age that cannot be set back is a weak tell, and no reason to fail.
            if let Err(error) = open_folder(&root, folder).and_then(|folder| futimens(folder, &times)) {
                tracing::debug!(folder, %error, "the age of a folder stays");
            }
        }
    }
    Ok(())
}

fn open_root(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(rustix::fs::CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// A folder beneath the root, whatever links an intruder has put.
fn open_folder(root: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

fn unmount(namespace: &File) -> io::Result<()> {
    // The file-system context of a thread that enters a mount namespace must be its own.
    unshare(CloneFlags::CLONE_FS)?;
    setns(namespace, CloneFlags::CLONE_NEWNS)?;
    for path in MOUNTED {
        match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            // Nothing is mounted there (any more), or it is gone.
            Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait_for_deletion(root: &OwnedFd) {
    let is_there = |path: &str| statat(root, path.trim_start_matches('/'), AtFlags::SYMLINK_NOFOLLOW).is_ok();
    let mut left = PATIENCE;
    while left > Duration::ZERO && (is_there(SHELL_PROGRAM) || is_there(SHELL_DOCUMENT)) {
        std::thread::sleep(LOOK);
        left = left.saturating_sub(LOOK);
    }
}
