//! The mounts of a container: which are marked, and how.
//!
//! Its root and its memory file systems are its own, so the whole of each is marked. A file that the engine has bound into
//! it (`/etc/hosts`) lies on the host's disk: only that one mount of it is.

use std::{
    collections::HashSet,
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use super::process;

/// How much of the list is read.
const MAX_LIST: u64 = 1 << 20;
/// Mounts marked.
const MOST_MARKS: usize = 64;

/// What is marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// All of the file system at the path.
    FileSystem(PathBuf),
    /// What goes through the mount at the path.
    Mount(PathBuf),
}

/// The mounts of a container.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub(super) ids: HashSet<u64>,
    pub(super) marks: Vec<Mark>,
}

/// Those of the container whose process 1 is `init`, with paths that lead into it from here.
pub(super) fn of(init: u32) -> Option<Mounts> {
    let list = process::read(&format!("/proc/{init}/mountinfo"), MAX_LIST)?;
    let mounts = parse(&list, &PathBuf::from(format!("/proc/{init}/root")));
    (!mounts.ids.is_empty()).then_some(mounts)
}

/// A file system that the container can write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Top {
    /// Where it is found from here.
    pub(super) from: PathBuf,
    /// Where it is in the container.
    pub(super) at: PathBuf,
}

/// Those of the container whose process 1 is `init`: of its root the layer that is its own.
pub(super) fn tops(init: u32) -> Option<Vec<Top>> {
    let list = process::read(&format!("/proc/{init}/mountinfo"), MAX_LIST)?;
    let root = PathBuf::from(format!("/proc/{init}/root"));
    let mut tops: Vec<Top> = Vec::new();
    for mark in parse(&list, &root).marks {
        let Mark::FileSystem(from) = mark else { continue };
        let at = Path::new("/").join(from.strip_prefix(&root).unwrap_or(Path::new("")));
        // Through the magic link, as a walk follows no link.
        let from = match upper(&list).filter(|_| at == Path::new("/")) {
            Some(upper) => upper,
            None => from.join("."),
        };
        tops.push(Top { from, at });
    }
    Some(tops)
}

/// The writable layer of the root, if it has one that is seen from here.
fn upper(list: &[u8]) -> Option<PathBuf> {
    let is_root = |line: &&[u8]| line.split(|byte| *byte == b' ').nth(4) == Some(b"/");
    let line = list.split(|byte| *byte == b'\n').rfind(is_root)?;
    let options = line.split(|byte| *byte == b' ').next_back()?;
    let upper = options.split(|byte| *byte == b',').find_map(|option| option.strip_prefix(b"upperdir="))?;
    let upper = PathBuf::from(OsString::from_vec(unescape(upper)));
    (upper.is_absolute() && upper.is_dir()).then_some(upper)
}

fn parse(list: &[u8], root: &Path) -> Mounts {
    let mut mounts = Mounts::default();
    for line in list.split(|byte| *byte == b'\n') {
        // 36 35 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let id = words.first().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
        let (Some(id), Some(at)) = (id, words.get(4)) else { continue };
        mounts.ids.insert(id);
        let kind = words.iter().skip_while(|word| **word != b"-").nth(1).copied().unwrap_or_default();
        let at = unescape(at);
        let place = || {
            root.join(Path::new(&OsString::from_vec(at.clone())).strip_prefix("/").unwrap_or(Path::new("")))
        };
        let below = |top: &[u8]| at.starts_with(top);
        let mark = match kind {
            _ if at == b"/" => Mark::FileSystem(place()),
            // The devices: nothing can be left there but in shared memory, which is a mount of its own.
            _ if below(b"/proc") || below(b"/sys") || at == b"/dev" => continue,
            b"tmpfs" => Mark::FileSystem(place()),
            b"proc" | b"sysfs" | b"devpts" | b"mqueue" | b"cgroup" | b"cgroup2" => continue,
            _ => Mark::Mount(place()),
        };
        if mounts.marks.len() < MOST_MARKS {
            mounts.marks.push(mark);
        }
    }
    mounts
}

/// Space, tab, newline and backslash stand as `\040`.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'\\').then(|| after.get(..3)).flatten();
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(code.unwrap_or(*first));
        rest = if code.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_file_systems_are_marked_whole_and_bound_files_alone() {
        let list = b"\
600 500 0:60 / / rw,relatime - overlay overlay rw,lowerdir=/x\n\
601 600 0:63 / /proc rw - proc proc rw\n\
602 600 0:64 / /dev rw,nosuid - tmpfs tmpfs rw\n\
603 602 0:66 / /dev/shm rw - tmpfs shm rw,size=65536k\n\
604 600 0:67 / /run/a\\040b rw - tmpfs tmpfs rw\n\
605 600 254:1 /var/lib/docker/containers/x/hosts /etc/hosts rw - ext4 /dev/vda rw\n\
606 601 0:68 / /proc/acpi ro - tmpfs tmpfs ro\n\
607 600 0:69 / /sys ro - sysfs sysfs ro\n";
        let mounts = parse(list, Path::new("/proc/7/root"));
        assert_eq!(mounts.ids.len(), 8);
        assert_eq!(
            mounts.marks,
            [
                Mark::FileSystem("/proc/7/root/".into()),
                Mark::FileSystem("/proc/7/root/dev/shm".into()),
                Mark::FileSystem("/proc/7/root/run/a b".into()),
                Mark::Mount("/proc/7/root/etc/hosts".into()),
            ]
        );
        assert!(parse(b"garbage\n\n", Path::new("/")).ids.is_empty());
    }
}
