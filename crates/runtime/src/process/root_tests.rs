//! Files arrive whole, with mode, owner and time, and never outside of the decky.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use decnet_core::DeckyName;

use rustix::fs::Mode;
use sha2::{Digest, Sha256};

use super::*;
use crate::{Diverged, Expect};

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

    fn put(&self, file: FileSpec) -> Result<Placed, RuntimeError> {
        Root::open(&self.folder).unwrap().put(&[file])
    }

    fn read(&self, path: &str) -> Result<Option<Bytes>, RuntimeError> {
        Ok(Root::open(&self.folder).unwrap().read(path, 1 << 20)?.map(|read| read.content))
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
        expect: None,
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
        Root::open(&bench.folder).unwrap().read("/home/anna/notes/todo.txt", 3).unwrap().unwrap().content,
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

fn sha(content: &str) -> String {
    hex::encode(Sha256::digest(content))
}

fn expecting(file: FileSpec, expect: Expect) -> FileSpec {
    FileSpec { expect: Some(expect), ..file }
}

#[test]
fn a_file_that_is_not_as_expected_is_left_alone_and_the_others_go_on() {
    let bench = Bench::new();
    bench.put(file("/srv/mine", "one")).unwrap();
    fs::write(bench.at("/srv/his"), "his").unwrap();
    symlink("his", bench.at("/srv/link")).unwrap();
    fs::create_dir(bench.at("/srv/folder")).unwrap();
    let of = |content: &str| Expect::Sha256(sha(content));
    let files = [
        expecting(file("/srv/mine", "two"), of("one")),
        expecting(file("/srv/his", "two"), of("one")),
        expecting(file("/srv/gone", "two"), of("one")),
        expecting(file("/none/gone", "two"), of("one")),
        expecting(file("/srv/link", "two"), of("his")),
        expecting(file("/srv/folder", "two"), Expect::Absent),
        expecting(file("/srv/his", "two"), Expect::Absent),
        expecting(file("/srv/his/below", "two"), Expect::Absent),
        expecting(file("/srv/new", "two"), Expect::Absent),
    ];
    let placed = Root::open(&bench.folder).unwrap().put(&files).unwrap();
    assert_eq!(placed.written, 2);
    let diverged =
        |path: &str, found: Option<&str>| Diverged { path: path.to_owned(), found: found.map(str::to_owned) };
    let his = sha("his");
    assert_eq!(
        placed.diverged,
        [
            diverged("/srv/his", Some(&his)),
            diverged("/srv/gone", None),
            diverged("/none/gone", None),
            diverged("/srv/link", Some("link")),
            diverged("/srv/folder", Some("folder")),
            diverged("/srv/his", Some(&his)),
            diverged("/srv/his/below", Some("something in its way")),
        ]
    );
    assert_eq!(bench.read("/srv/mine").unwrap().unwrap(), "two");
    assert_eq!(bench.read("/srv/new").unwrap().unwrap(), "two");
    assert_eq!(bench.read("/srv/his").unwrap().unwrap(), "his");
    assert!(!bench.at("/none").exists(), "nothing is made for what is not put");
    assert_eq!(fs::read_dir(bench.folder.staging()).unwrap().count(), 0);
}

#[test]
fn a_log_is_lengthened_where_it_is_and_another_change_makes_a_new_file() {
    let bench = Bench::new();
    bench.put(file("/var/log/app.log", "one\n")).unwrap();
    if bench.owners().contains_key("/var/log/app.log") {
        println!("skipped: without root no file has its owner");
        return;
    }
    let inode = || fs::metadata(bench.at("/var/log/app.log")).unwrap().ino();
    let first = inode();
    let later = time() + TimeDelta::hours(1);
    let longer = FileSpec { mtime: later, ..file("/var/log/app.log", "one\ntwo\n") };
    bench.put(expecting(longer, Expect::Sha256(sha("one\n")))).unwrap();
    assert_eq!(inode(), first);
    let meta = fs::metadata(bench.at("/var/log/app.log")).unwrap();
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_767_229_200, 123_456_789));
    assert_eq!(bench.read("/var/log/app.log").unwrap().unwrap(), "one\ntwo\n");
    let other = expecting(file("/var/log/app.log", "new\n"), Expect::Sha256(sha("one\ntwo\n")));
    bench.put(other).unwrap();
    assert_ne!(inode(), first);
}

#[test]
fn folders_tell_the_story_of_their_files() {
    let bench = Bench::new();
    let at = |path: &str| {
        let meta = fs::metadata(bench.at(path)).unwrap();
        DateTime::from_timestamp(meta.mtime(), u32::try_from(meta.mtime_nsec()).unwrap()).unwrap()
    };
    let dated = |path: &str, days: i64| FileSpec { mtime: time() + TimeDelta::days(days), ..file(path, "x") };
    // The newest first: the folders are still older than the oldest.
    let files = [dated("/srv/docs/b", 9), dated("/srv/docs/a", 2), dated("/srv/docs/deep/c", 5)];
    Root::open(&bench.folder).unwrap().put(&files).unwrap();
    assert_eq!(at("/srv/docs"), time() + TimeDelta::days(9));
    assert_eq!(at("/srv/docs/deep"), time() + TimeDelta::days(5));
    let made = at("/srv");
    assert!(made < time() + TimeDelta::days(2) && made > time() + TimeDelta::days(1), "{made}");
    // A change of what is there moves nothing, and something new does, onwards only.
    bench.put(dated("/srv/docs/a", 12)).unwrap();
    bench.put(dated("/srv/docs/old", 1)).unwrap();
    assert_eq!(at("/srv/docs"), time() + TimeDelta::days(9));
    bench.put(dated("/srv/docs/new", 20)).unwrap();
    assert_eq!(at("/srv/docs"), time() + TimeDelta::days(20));
}

#[test]
fn homes_are_their_owners_and_keep_secrets_to_themselves() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: without root no folder has its owner");
        return;
    }
    let bench = Bench::new();
    bench.put(file("/etc/passwd", "ana:x:1001:1002:,,,:/home/ana:/bin/bash\n")).unwrap();
    bench.put(file("/home/ana/.ssh/config", "Host *\n")).unwrap();
    bench
        .put(FileSpec { uid: 5000, gid: 5000, ..file("/var/mail/vhosts/a.lan/ana/new/1.M1P1.mx", "mail") })
        .unwrap();
    let of = |path: &str| {
        let meta = fs::metadata(bench.at(path)).unwrap();
        (meta.uid(), meta.gid(), meta.mode() & 0o7777)
    };
    assert_eq!(of("/home/ana"), (1001, 1002, 0o755));
    assert_eq!(of("/home/ana/.ssh"), (1001, 1002, 0o700));
    assert_eq!(of("/var/mail"), (0, 0, 0o755));
    for folder in ["/var/mail/vhosts", "/var/mail/vhosts/a.lan/ana", "/var/mail/vhosts/a.lan/ana/tmp"] {
        assert_eq!(of(folder), (5000, 5000, 0o700), "{folder}");
    }
}

#[test]
fn tidying_stops_at_what_is_not_as_expected() {
    let bench = Bench::new();
    for (path, content) in [("/var/log/a.log", "new"), ("/var/log/a.log.1", "old"), ("/var/log/b", "b")] {
        bench.put(file(path, content)).unwrap();
    }
    let step = |path: &str, to: Option<&str>, content: &str| Tidy {
        path: path.to_owned(),
        to: to.map(str::to_owned),
        expect: Expect::Sha256(sha(content)),
    };
    let tidy = |steps: &[Tidy]| Root::open(&bench.folder).unwrap().tidy(steps).unwrap();
    let outcome = tidy(&[
        step("/var/log/a.log", Some("/var/log/a.log.1"), "new"),
        step("/var/log/b", None, "other"),
        step("/var/log/a.log.1", None, "new"),
    ]);
    assert_eq!(outcome.done, 1);
    assert_eq!(outcome.diverged, Some(Diverged { path: "/var/log/b".to_owned(), found: Some(sha("b")) }));
    assert_eq!(bench.read("/var/log/a.log").unwrap(), None);
    let read = Root::open(&bench.folder).unwrap().read("/var/log/a.log.1", 9).unwrap().unwrap();
    assert_eq!((read.content, read.stat.mtime, read.stat.mode), ("new".into(), time(), 0o640));
    assert_eq!((read.stat.uid, read.stat.gid, read.stat.size), (1234, 2345, 3));
    let outcome = tidy(&[step("/var/log/b", None, "b"), step("/var/log/b", None, "b")]);
    assert_eq!((outcome.done, outcome.diverged.unwrap().found), (1, None));
    assert!(!bench.at("/var/log/b").exists());
    // Never out of it.
    let outside = bench.outside.path().join("outside");
    fs::write(&outside, "x").unwrap();
    symlink(bench.outside.path(), bench.at("/var/out")).unwrap();
    let outcome = tidy(&[step("/var/out/outside", None, "x")]);
    assert_eq!((outcome.done, outcome.diverged.unwrap().found.as_deref()), (0, Some("something in its way")));
    let outcome = tidy(&[step("/var/log/a.log.1", Some("/var/out/in"), "new")]);
    assert_eq!(outcome.done, 0);
    assert!(outside.exists() && !bench.outside.path().join("in").exists());
}
