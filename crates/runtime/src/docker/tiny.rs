//! What the front's image holds: the decoy, busybox with its links, and the few files that programs look for.
//!
//! The same content always has the same bytes, and so the same tag.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::{
    archive::{self, Entry},
    static_file,
};
use crate::{RuntimeError, error::io_error};

/// The decoy in the image. The name says what process 1 of a machine is called anyway.
pub(super) const PROGRAM: &str = "/sbin/init";
/// Where distributions put a static busybox.
const BUSYBOX: [&str; 3] = ["/usr/bin/busybox", "/bin/busybox", "/usr/lib/busybox/bin/busybox"];
/// When everything in the image was changed last: some day, the same everywhere.
const SOME_DAY: i64 = 1_700_000_000;

/// A finished image, not yet at the engine.
pub(super) struct Tiny {
    /// First twelve digits of the archive's SHA-256.
    pub(super) digest: String,
    pub(super) archive: Vec<u8>,
}

/// Why the decoy cannot go into an image, if it cannot.
pub(super) fn check_decoy(decoy: &Path) -> Result<(), RuntimeError> {
    static_file::check(decoy).map_err(|reason| RuntimeError::Unfit {
        decky: None,
        why: format!(
            "the decoy {} cannot run in a container ({reason}): build a static one with `cargo xtask images` and name it with --decoy or DECNET_DECOY_BIN",
            decoy.display()
        ),
    })
}

/// A static busybox of this host.
pub(super) fn busybox() -> Result<PathBuf, RuntimeError> {
    let mut reason = "there is none".to_owned();
    for path in BUSYBOX.map(Path::new) {
        match static_file::check(path) {
            Ok(()) => return Ok(path.to_owned()),
            Err(error) if path.exists() => reason = format!("{}: {error}", path.display()),
            Err(_) => {}
        }
    }
    let why = format!("no static busybox on this host ({reason}): `apt-get install busybox-static`");
    Err(RuntimeError::Unfit { decky: None, why })
}

/// Makes the image. Blocks for as long as reading two programs takes.
pub(super) fn build(decoy: &Path) -> Result<Tiny, RuntimeError> {
    check_decoy(decoy)?;
    let busybox = busybox()?;
    let at = DateTime::<Utc>::from_timestamp(SOME_DAY, 0).unwrap_or_default();
    let mut entries = Vec::new();
    for (path, mode) in [
        ("bin/", 0o755),
        ("sbin/", 0o755),
        ("etc/", 0o755),
        ("usr/", 0o755),
        ("usr/bin/", 0o755),
        ("usr/sbin/", 0o755),
        ("tmp/", 0o1777),
        ("var/", 0o755),
        ("var/tmp/", 0o1777),
        ("var/spool/", 0o755),
        ("root/", 0o700),
        ("out/", 0o700),
        ("artifacts/", 0o700),
    ] {
        entries.push(Entry::folder(path, mode, at));
    }
    for (path, text) in [
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
        ),
        ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        ("etc/hostname", "localhost\n"),
        ("etc/os-release", "PRETTY_NAME=\"Linux\"\nID=linux\n"),
    ] {
        entries.push(Entry::file(path, 0o644, at, text));
    }
    let read = |path: &Path| std::fs::read(path).map_err(io_error("read", path));
    entries.push(Entry::file(PROGRAM, 0o755, at, read(decoy)?));
    entries.push(Entry::file("bin/busybox", 0o755, at, read(&busybox)?));
    entries.extend(applets(&busybox)?.iter().map(|path| Entry::link(path, "/bin/busybox", at)));
    let archive = archive::pack(&entries).map_err(io_error("pack", decoy))?;
    let digest = hex::encode(Sha256::digest(&archive)).chars().take(12).collect();
    Ok(Tiny { digest, archive })
}

/// Where each of its commands belongs.
fn applets(busybox: &Path) -> Result<Vec<String>, RuntimeError> {
    let output = Command::new(busybox).arg("--list-full").env_clear().output();
    let output = output.map_err(io_error("run", busybox))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let known = ["bin/", "sbin/", "usr/bin/", "usr/sbin/"];
    let fits = |path: &&str| {
        known.iter().any(|folder| path.strip_prefix(folder).is_some_and(|name| !name.contains('/')))
            && format!("/{path}") != PROGRAM
            && *path != "bin/busybox"
    };
    Ok(text.lines().filter(fits).map(str::to_owned).collect())
}
