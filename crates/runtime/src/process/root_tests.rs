//! Files arrive whole, with mode, owner and time, and never outside of the decky.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
};

use chrono::{DateTime, Utc};
use decnet_core::DeckyName;

use super::*;

struct Bench {
    outside: tempfile::TempDir,
    folder: Folder,
}

impl Bench {
    fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        let folder = Folder::of(outside.path(), &DeckyName::parse("web-01").unwrap());
        folder.make().unwrap();
        Self { outside, folder }
    }

    fn put(&self, file: FileSpec) -> Result<(), RuntimeError> {
        Root::open(&self.folder).unwrap().put(&[file])
    }

    fn read(&self, path: &str) -> Result<Option<Bytes>, RuntimeError> {
        Root::open(&self.folder).unwrap().read(path, 1 << 20)
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.folder.root().join(path.trim_start_matches('/'))
    }

    fn owners(&self) -> BTreeMap<String, Owner> {
        read_record(&self.folder.owners()).unwrap().unwrap_or_default()
    }
}

fn time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 123_456_789).unwrap()
}

fn file(path: &str, content: &str) -> FileSpec {
    FileSpec {
        path: path.to_owned(),
        mode: 0o640,
        uid: 1234,
        gid: 2345,
        mtime: time(),
        content: Bytes::from(content.to_owned()),
    }
}

#[test]
fn a_file_has_the_mode_owner_and_time_that_it_was_given() {
    let bench = Bench::new();
    bench.put(file("/home/anna/notes/todo.txt", "buy milk\n")).unwrap();
    let meta = fs::metadata(bench.at("/home/anna/notes/todo.txt")).unwrap();
    assert_eq!(meta.mode() & 0o7777, 0o640);
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_767_225_600, 123_456_789));
    let made = fs::metadata(bench.at("/home/anna/notes")).unwrap();
    assert_eq!(made.mode() & 0o7777, 0o755);
    if rustix::process::geteuid().is_root() {
        assert_eq!((meta.uid(), meta.gid()), (1234, 2345));
        assert!(bench.owners().is_empty());
    } else {
        let owner = Owner { uid: 1234, gid: 2345, mode: 0o640 };
        assert_eq!(bench.owners().get("/home/anna/notes/todo.txt"), Some(&owner));
    }
    assert_eq!(bench.read("/home/anna/notes/todo.txt").unwrap().unwrap(), "buy milk\n");
    assert_eq!(
        Root::open(&bench.folder).unwrap().read("/home/anna/notes/todo.txt", 3).unwrap().unwrap(),
        "buy"
    );
    assert_eq!(bench.read("/home/anna/none").unwrap(), None);
    assert_eq!(bench.read("/home/anna/notes/todo.txt/none").unwrap(), None);
}

#[test]
fn set_id_bits_are_noted_and_not_live_on_the_host() {
    let bench = Bench::new();
    bench.put(FileSpec { mode: 0o4755, ..file("/usr/bin/passwd", "") }).unwrap();
    assert_eq!(fs::metadata(bench.at("/usr/bin/passwd")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(bench.owners().get("/usr/bin/passwd").map(|owner| owner.mode), Some(0o4755));
}

#[test]
fn a_replaced_file_is_a_new_one_and_nothing_is_left_beside_it() {
    let bench = Bench::new();
    bench.put(file("/etc/motd", "one")).unwrap();
    let old = fs::File::open(bench.at("/etc/motd")).unwrap();
    bench.put(file("//etc/./motd", "two and more")).unwrap();
    assert_ne!(old.metadata().unwrap().ino(), fs::metadata(bench.at("/etc/motd")).unwrap().ino());
    assert_eq!(bench.read("/etc/motd").unwrap().unwrap(), "two and more");
    assert_eq!(fs::read_dir(bench.at("/etc")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(bench.folder.staging()).unwrap().count(), 0);
}

#[test]
fn links_that_lead_out_are_refused() {
    let bench = Bench::new();
    let secret = bench.outside.path().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("key"), "outside").unwrap();
    fs::create_dir(bench.at("/inside")).unwrap();
    symlink(&secret, bench.at("/absolute")).unwrap();
    symlink("../../secret", bench.at("/relative")).unwrap();
    symlink("/proc/self/root", bench.at("/magic")).unwrap();
    symlink(secret.join("key"), bench.at("/file")).unwrap();
    symlink("loop", bench.at("/loop")).unwrap();
    symlink("inside", bench.at("/fine")).unwrap();
    for path in ["/absolute/key", "/relative/key", "/magic/etc/hostname", "/loop/key", "/absolute/new/deep"] {
        assert!(matches!(bench.put(file(path, "escaped")), Err(RuntimeError::BadPath { .. })), "put {path}");
        assert!(matches!(bench.read(path), Err(RuntimeError::BadPath { .. })), "read {path}");
    }
    assert!(matches!(bench.read("/file"), Err(RuntimeError::BadPath { .. })));
    // The link itself is replaced, not what it leads to.
    bench.put(file("/file", "mine now")).unwrap();
    assert!(!fs::symlink_metadata(bench.at("/file")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(secret.join("key")).unwrap(), "outside");
    assert_eq!(fs::read_dir(&secret).unwrap().count(), 1);
    bench.put(file("/fine/file", "within")).unwrap();
    assert_eq!(fs::read_to_string(bench.at("/inside/file")).unwrap(), "within");
}

#[test]
fn paths_that_are_none_are_refused() {
    let bench = Bench::new();
    fs::create_dir(bench.at("/folder")).unwrap();
    let long = format!("/{}", "x".repeat(256));
    let longer = "/x".repeat(2100);
    for path in [
        "",
        "relative",
        "/",
        "/..",
        "/a/../b",
        "/../web-01/root/x",
        "/a/",
        "/a\0b",
        "/folder",
        &long,
        &longer,
    ] {
        assert!(matches!(bench.put(file(path, "")), Err(RuntimeError::BadPath { .. })), "put {path:?}");
        assert!(matches!(bench.read(path), Err(RuntimeError::BadPath { .. })), "read {path:?}");
    }
    assert!(!Path::new(&bench.at("/b")).exists());
}

#[test]
fn a_pipe_in_the_decky_does_not_keep_the_reader() {
    let bench = Bench::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, bench.at("/pipe"), Mode::from_raw_mode(0o600)).unwrap();
    assert!(matches!(bench.read("/pipe"), Err(RuntimeError::BadPath { .. })));
}
