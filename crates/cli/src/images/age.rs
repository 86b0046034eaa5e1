//! How old a fresh tree looks: whatever the build itself has made or touched (folders, links, settings, caches) becomes as old
//! as if the machine had been set up when the newest of its packages was new.
//!
//! Packages' own times stay. Deterministic: the same tree and the same beginning give the same times. Links are aged, never
//! followed.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

const NANOS: i128 = 1_000_000_000;
/// How long after the newest package the machine was set up: an archive carries it the day after.
const REST: i128 = 86_400 * NANOS;

/// Moves every time from `began` on (nanoseconds since 1970) back, all by as much, so that their order stays.
pub(super) fn settle(root: &Path, began: i128) -> Result<()> {
    let mut found = Vec::new();
    list(root, &mut found).with_context(|| format!("cannot look through {}", root.display()))?;
    let Some(newest) = found.iter().map(|(_, changed)| *changed).filter(|changed| *changed < began).max()
    else {
        return Ok(());
    };
    let back = began - newest - REST;
    if back <= 0 {
        return Ok(());
    }
    for (path, changed) in found.iter().filter(|(_, changed)| *changed >= began) {
        let aged = timespec(changed - back);
        let times = Timestamps { last_access: aged, last_modification: aged };
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
            .with_context(|| format!("cannot age {}", path.display()))?;
    }
    Ok(())
}

/// Everything at and below `path` with its time of change. Read before anything is changed: two names may be one file.
fn list(path: &Path, found: &mut Vec<(PathBuf, i128)>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    found.push((path.to_owned(), i128::from(metadata.mtime()) * NANOS + i128::from(metadata.mtime_nsec())));
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            list(&entry?.path(), found)?;
        }
    }
    Ok(())
}

fn timespec(nanos: i128) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(nanos.div_euclid(NANOS)).unwrap_or(0),
        tv_nsec: i64::try_from(nanos.rem_euclid(NANOS)).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(path: &Path, seconds: i64) {
        let time = Timespec { tv_sec: seconds, tv_nsec: 5 };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }

    #[test]
    fn what_the_build_made_is_as_old_as_its_packages_and_these_stay() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["old", "package", "made", "later"] {
            fs::write(at(name), "x").unwrap();
        }
        fs::create_dir(at("usr")).unwrap();
        std::os::unix::fs::symlink("usr", at("bin")).unwrap();
        std::os::unix::fs::symlink("/nowhere", at("dangling")).unwrap();
        fs::hard_link(at("made"), at("usr/made")).unwrap();
        let (newest, began) = (1_700_000_000, 1_800_000_000);
        age(&at("old"), 1_600_000_000);
        age(&at("package"), newest);
        for (name, after) in [("made", 10), ("bin", 1), ("dangling", 2), ("usr", 20), ("later", 90), ("", 95)]
        {
            age(&at(name), began + after);
        }
        settle(root.path(), i128::from(began) * NANOS).unwrap();
        let seconds = |name: &str| fs::symlink_metadata(at(name)).unwrap().mtime();
        assert_eq!((seconds("old"), seconds("package")), (1_600_000_000, newest));
        let day = 86_400;
        for (name, after) in [
            ("made", 10),
            ("usr/made", 10),
            ("bin", 1),
            ("dangling", 2),
            ("usr", 20),
            ("later", 90),
            ("", 95),
        ] {
            assert_eq!(seconds(name), newest + day + after, "{name}");
        }
    }
}
