//! Finds what was left in a container while nobody watched: regular files of its writable layer and of its memory file
//! systems that were changed between two moments.
//!
//! Who wrote a file is not known any more, and one that was deleted in the gap is lost; so is a change that ended before the
//! gap in a file that was closed within it. No link is followed, no other file system entered, and time, depth and number
//! are bounded: a container may hold anything.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::MetadataExt,
        },
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat};

use super::{
    journal::stamp,
    mounts::{self, Top},
};

/// Entries looked at.
const MOST_ENTRIES: usize = 500_000;
/// Folders within folders.
const MAX_DEPTH: usize = 64;
const MAX_TIME: Duration = Duration::from_secs(20);
/// The settings of the shell server. What it writes beside them takes their age.
const MODEL: &str = "etc/ssh/sshd_config";
/// What it writes.
const OF_THE_SERVER: [&str; 3] = ["/etc/ssh/ssh_host_", "/etc/ssh/sshd_config.d/10-", "/run/sshd.pid"];

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Everything was looked at.
    Whole,
    /// A bound was reached.
    Cut,
}

/// Gives each file of the container of process 1 `init` that was changed from `since` to `until` to `found`, which ends the
/// sweep by returning false. Blocks.
pub(super) fn sweep(
    init: u32,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    found: &mut dyn FnMut(File, PathBuf) -> bool,
) -> io::Result<End> {
    let tops = mounts::tops(init).ok_or(io::ErrorKind::NotFound)?;
    let mut walk =
        Walk { since, until, model: model(init), entries: 0, deadline: Instant::now() + MAX_TIME, found };
    let mut end = End::Whole;
    for Top { from, at } in tops {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let top = openat(CWD, &from, flags, Mode::empty());
        let top = match top {
            Ok(top) => top,
            Err(errno) => {
                tracing::warn!(path = %from.display(), %errno, "a file system of a shell is not looked through");
                end = End::Cut;
                continue;
            }
        };
        if walk.folder(&top, &at, 0) == End::Cut {
            return Ok(End::Cut);
        }
    }
    Ok(end)
}

/// When the settings of the shell server were written.
fn model(init: u32) -> Option<DateTime<Utc>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, format!("/proc/{init}/root"), flags, Mode::empty()).ok()?;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let file = openat2(root, MODEL, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), within).ok()?;
    let meta = File::from(file).metadata().ok()?;
    stamp(meta.mtime(), meta.mtime_nsec())
}

struct Walk<'a> {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    model: Option<DateTime<Utc>>,
    entries: usize,
    deadline: Instant,
    found: &'a mut dyn FnMut(File, PathBuf) -> bool,
}

impl Walk<'_> {
    /// Walks the folder `open`, which is `at` in the container.
    fn folder(&mut self, open: &OwnedFd, at: &Path, depth: usize) -> End {
        let Ok(dir) = Dir::read_from(open) else { return End::Whole };
        let mut end = End::Whole;
        for entry in dir {
            let Ok(entry) = entry else { break };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            self.entries += 1;
            if self.entries > MOST_ENTRIES || Instant::now() > self.deadline {
                return End::Cut;
            }
            let Ok(stat) = statat(open, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let path = at.join(OsString::from_vec(name.to_vec()));
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory if depth >= MAX_DEPTH => end = End::Cut,
                FileType::Directory => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                    let Ok(below) = enter(open, entry.file_name(), flags) else { continue };
                    // What is cut by its depth cuts nothing beside it.
                    if self.folder(&below, &path, depth + 1) == End::Cut {
                        if self.is_over() {
                            return End::Cut;
                        }
                        end = End::Cut;
                    }
                }
                FileType::RegularFile => {
                    let nanos = i64::try_from(stat.st_ctime_nsec).unwrap_or(0);
                    let changed = stamp(stat.st_ctime, nanos);
                    if changed.is_none_or(|at| at < self.since || at > self.until) {
                        continue;
                    }
                    // Not waiting for whatever may have taken its place; its times stay.
                    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOATIME;
                    let Ok(file) = enter(open, entry.file_name(), flags).map(File::from) else { continue };
                    if self.is_the_servers(&file, &path) {
                        continue;
                    }
                    if !(self.found)(file, path) {
                        self.entries = MOST_ENTRIES;
                        return End::Cut;
                    }
                }
                _ => {}
            }
        }
        end
    }

    fn is_over(&self) -> bool {
        self.entries >= MOST_ENTRIES || Instant::now() > self.deadline
    }

    /// What the shell server wrote at its first session. While somebody watches it is known by its writer.
    fn is_the_servers(&self, file: &File, path: &Path) -> bool {
        let bytes = path.as_os_str().as_bytes();
        let mtime = file.metadata().ok().and_then(|meta| stamp(meta.mtime(), meta.mtime_nsec()));
        let is_named = OF_THE_SERVER.iter().any(|start| bytes.starts_with(start.as_bytes()));
        is_named && mtime.is_some() && (mtime == self.model || bytes == b"/run/sshd.pid")
    }
}

fn enter(folder: impl AsFd, name: &std::ffi::CStr, flags: OFlags) -> Result<OwnedFd, rustix::io::Errno> {
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(folder, name, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty(), within)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_tree_of_links_pipes_and_depth_is_walked_once_and_to_its_bound() {
        let (tree, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(elsewhere.path().join("not"), b"x").unwrap();
        fs::create_dir(tree.path().join("a")).unwrap();
        fs::write(tree.path().join("a/one"), b"1").unwrap();
        symlink(elsewhere.path(), tree.path().join("a/out")).unwrap();
        symlink(elsewhere.path().join("not"), tree.path().join("file")).unwrap();
        symlink("..", tree.path().join("a/loop")).unwrap();
        rustix::fs::mknodat(CWD, tree.path().join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .unwrap();
        let deep = tree.path().join("d/".repeat(MAX_DEPTH + 2));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("deep"), b"2").unwrap();
        fs::write(tree.path().join("two"), b"3").unwrap();
        let all = |since, until| {
            let mut names = Vec::new();
            let mut found = |_: File, path: PathBuf| {
                names.push(path.display().to_string());
                true
            };
            let deadline = Instant::now() + MAX_TIME;
            let mut walk = Walk { since, until, model: None, entries: 0, deadline, found: &mut found };
            let open = openat(CWD, tree.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
            let end = walk.folder(&open, Path::new("/"), 0);
            names.sort();
            (names, end)
        };
        let meta = fs::metadata(tree.path().join("two")).unwrap();
        let last = stamp(meta.ctime(), meta.ctime_nsec()).unwrap();
        let (names, end) = all(DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC);
        assert_eq!((names, end), (vec!["/a/one".to_owned(), "/two".to_owned()], End::Cut));
        let later = last + chrono::TimeDelta::nanoseconds(1);
        assert!(all(later, DateTime::<Utc>::MAX_UTC).0.is_empty());
        assert!(all(DateTime::UNIX_EPOCH, last - chrono::TimeDelta::hours(1)).0.is_empty());
    }
}
