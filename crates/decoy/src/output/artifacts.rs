//! The artifact folder: captured bytes too large for a line, one file each, within limits.
//!
//! A file's name is `<UTC>_<sha12>_<cleaned name>`: nothing of an intruder's choosing reaches the file system
//! except letters, digits, dot, dash and underscore. Files are never read back or deleted here.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Bytes that one connection may leave in the folder.
const PER_CONNECTION: u64 = 50 << 20;
/// Bytes that this process may leave in the folder.
const IN_TOTAL: u64 = 2 << 30;
/// What the smallest file counts: without it, tiny values would use up the file system's table of files.
const PER_FILE: u64 = 16 << 10;
/// Longest part of a captured name that is kept.
const NAME_MAX: usize = 64;

/// A value that was kept as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// Name of the file in the artifact folder.
    pub stored_as: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
}

/// The folder and what is left of its limits.
pub struct Artifacts {
    folder: PathBuf,
    used: AtomicU64,
    limit: u64,
}

impl Artifacts {
    /// The folder, which is made if it is missing; what it holds already counts.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut used = 0;
        for entry in fs::read_dir(folder)? {
            used += entry?.metadata().map_or(0, |data| if data.is_file() { cost(data.len()) } else { 0 });
        }
        Ok(Self { folder: folder.to_owned(), used: AtomicU64::new(used), limit: IN_TOTAL })
    }

    /// Takes `size` bytes from both limits, or neither.
    pub fn reserve(&self, of_connection: &AtomicU64, size: u64) -> bool {
        let size = cost(size);
        if !take(of_connection, size, PER_CONNECTION) {
            return false;
        }
        if take(&self.used, size, self.limit) {
            return true;
        }
        of_connection.fetch_sub(size, Ordering::Relaxed);
        false
    }

    /// Writes the bytes; room was reserved before. Blocking.
    pub fn write(&self, at: DateTime<Utc>, name: &str, bytes: &[u8]) -> io::Result<Stored> {
        let sha256 = hex::encode(Sha256::digest(bytes));
        let short = sha256.get(..12).unwrap_or_default();
        let stored_as = format!("{}_{short}_{}", at.format("%Y%m%dT%H%M%S%6fZ"), clean_name(name));
        let path = self.folder.join(&stored_as);
        let partial = self.folder.join(format!(".{stored_as}.part"));
        let written = (|| {
            let mut file = fs::File::create(&partial)?;
            file.write_all(bytes)?;
            // A reader never sees half a file: the name appears when the bytes are there.
            fs::rename(&partial, &path)
        })();
        if let Err(error) = written {
            let _ = fs::remove_file(&partial);
            self.used.fetch_sub(cost(bytes.len() as u64), Ordering::Relaxed);
            return Err(error);
        }
        Ok(Stored { stored_as, size: bytes.len() as u64, sha256 })
    }
}

fn cost(size: u64) -> u64 {
    size.max(PER_FILE)
}

fn take(used: &AtomicU64, size: u64, limit: u64) -> bool {
    used.try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
        used.checked_add(size).filter(|sum| *sum <= limit)
    })
    .is_ok()
}

/// The last part of a captured path, without anything that a file name could hurt with.
fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' })
        .take(NAME_MAX)
        .collect();
    let clean = clean.trim_start_matches('.');
    if clean.is_empty() { "unnamed".to_owned() } else { clean.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_inside_the_folder() {
        for (name, clean) in [
            ("../../etc/passwd", "passwd"),
            ("..", "unnamed"),
            ("", "unnamed"),
            (".bashrc", "bashrc"),
            ("C:\\temp\\a b.exe", "a_b.exe"),
            ("x\u{202e}\n\0y", "x___y"),
        ] {
            assert_eq!(clean_name(name), clean, "for {name:?}");
        }
        assert_eq!(clean_name(&"a".repeat(500)).len(), NAME_MAX);
    }

    #[test]
    fn bytes_are_kept_exactly_and_limits_hold() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(folder.path()).unwrap();
        let bytes: Vec<u8> = (0..=255u8).cycle().take(64 << 10).collect();
        let connection = AtomicU64::new(0);
        assert!(artifacts.reserve(&connection, bytes.len() as u64));
        let stored = artifacts.write(DateTime::UNIX_EPOCH, "body", &bytes).unwrap();
        assert_eq!(fs::read(folder.path().join(&stored.stored_as)).unwrap(), bytes);
        assert!(stored.stored_as.starts_with("19700101T000000000000Z_"));
        assert!(!artifacts.reserve(&connection, PER_CONNECTION), "the connection's limit does not hold");
        assert!(
            artifacts.reserve(&AtomicU64::new(0), PER_CONNECTION),
            "another connection has its own limit"
        );
        let small = AtomicU64::new(0);
        let files = (0..10_000).take_while(|_| artifacts.reserve(&small, 1)).count();
        assert_eq!(files as u64, PER_CONNECTION / PER_FILE, "tiny files are not limited");
        // A restart counts what is there.
        let again = Artifacts::open(folder.path()).unwrap();
        assert_eq!(again.used.load(Ordering::Relaxed), bytes.len() as u64);
    }
}
