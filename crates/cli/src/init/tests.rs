//! An installation below a prefix: twice, dry, stopped half-way, taken away again.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use decnet_bus::{Worker, holders};

use super::*;

/// A folder of program files, and a prefix.
struct Bench {
    _folder: tempfile::TempDir,
    bin: PathBuf,
    prefix: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (bin, prefix) = (folder.path().join("bin"), folder.path().join("root"));
        fs::create_dir(&bin).unwrap();
        fs::create_dir(&prefix).unwrap();
        let programs = Worker::BUILT.iter().map(|worker| worker.program());
        for name in programs.chain(["decnet".to_owned(), "decnet-decoy".to_owned()]) {
            fs::write(bin.join(&name), format!("#!/bin/sh\necho '{name}: v2.15.1'\n")).unwrap();
            fs::set_permissions(bin.join(&name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { _folder: folder, bin, prefix }
    }

    fn run(&self, change: impl FnOnce(&mut Args)) -> Result<Ground> {
        let mut args = Args {
            prefix: Some(self.prefix.clone()),
            dry_run: false,
            no_start: false,
            force: false,
            bin_dir: Some(self.bin.clone()),
            deinit: false,
            purge: false,
        };
        change(&mut args);
        let mut run = Run { ground: Ground::new(args.prefix.clone(), args.dry_run, args.force) };
        if args.deinit {
            remove::all(&mut run, args.purge)?;
        } else {
            install::all(&mut run, args.bin_dir.as_deref())?;
            start::all(&mut run, args.no_start)?;
        }
        Ok(run.ground)
    }

    /// Every file and folder below the prefix with mode, content, inode and time of change.
    fn tree(&self) -> BTreeMap<String, (u32, Vec<u8>, u64, i64)> {
        fn walk(folder: &Path, root: &Path, tree: &mut BTreeMap<String, (u32, Vec<u8>, u64, i64)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let data = fs::metadata(&path).unwrap();
                let content = if data.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
                let name = format!("/{}", path.strip_prefix(root).unwrap().display());
                tree.insert(name, (data.mode() & 0o7777, content, data.ino(), data.mtime_nsec()));
                if data.is_dir() {
                    walk(&path, root, tree);
                }
            }
        }
        let mut tree = BTreeMap::new();
        walk(&self.prefix, &self.prefix, &mut tree);
        tree
    }
}

#[test]
fn a_second_run_changes_nothing() {
    let bench = Bench::new();
    assert!(bench.run(|_| {}).unwrap().stale);
    let first = bench.tree();
    let ground = bench.run(|_| {}).unwrap();
    assert!(!ground.stale);
    assert_eq!(bench.tree(), first, "not even a time");

    let mode = |path: &str| first.get(path).unwrap_or_else(|| panic!("no {path}")).0;
    for holder in holders() {
        assert_eq!(mode(&format!("/etc/decnet/nats/{holder}.nk")), 0o400);
    }
    for worker in Worker::BUILT {
        assert_eq!(mode(&format!("/etc/systemd/system/{}", worker.unit())), 0o644);
        assert_eq!(mode(&format!("/opt/decnet/bin/{}", worker.program())), 0o755);
    }
    assert_eq!(mode("/etc/decnet/decnet.ini"), 0o640);
    assert_eq!(mode("/etc/decnet/jwt.secret"), 0o400);
    assert_eq!(mode("/var/lib/decnet/fleet.secret"), 0o600);
    assert_eq!(mode("/var/lib/decnet/webhook.key"), 0o400);
    assert_eq!(mode("/var/lib/decnet"), 0o750);
    assert_eq!(mode("/var/lib/decnet/database"), 0o2770);
    let conf = String::from_utf8(first["/etc/decnet/nats/nats.conf"].1.clone()).unwrap();
    assert!(conf.contains("accounts {"), "{conf}");
    for holder in holders() {
        let seed = String::from_utf8(first[&format!("/etc/decnet/nats/{holder}.nk")].1.clone()).unwrap();
        assert!(!conf.contains(seed.trim()), "public keys only");
    }
}

#[test]
fn a_dry_run_touches_nothing() {
    let bench = Bench::new();
    bench.run(|args| args.dry_run = true).unwrap();
    assert!(bench.tree().is_empty(), "{:?}", bench.tree().keys());
    bench.run(|_| {}).unwrap();
    let before = bench.tree();
    bench.run(|args| (args.dry_run, args.force) = (true, true)).unwrap();
    bench.run(|args| (args.dry_run, args.deinit, args.purge) = (true, true, true)).unwrap();
    assert_eq!(bench.tree(), before);
}

#[test]
fn only_what_differs_is_written_and_the_operators_own_stays() {
    let bench = Bench::new();
    bench.run(|_| {}).unwrap();
    let before = bench.tree();
    let at = |path: &str| bench.prefix.join(path);
    fs::write(at("etc/decnet/decnet.ini"), "[decnet]\nmode = master\n").unwrap();
    fs::write(at("etc/systemd/system/decnet-api.service"), "[Service]\nUser=root\n").unwrap();
    fs::set_permissions(at("etc/decnet"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(bench.run(|_| {}).unwrap().stale);
    let after = bench.tree();
    assert_eq!(after["/etc/decnet/decnet.ini"].1, b"[decnet]\nmode = master\n");
    for (path, found) in &after {
        if path == "/etc/decnet/decnet.ini" {
            continue;
        }
        assert_eq!((found.0, &found.1), (before[path].0, &before[path].1), "{path}");
        let again = path == "/etc/systemd/system/decnet-api.service";
        assert!(again || found.1.is_empty() || found.2 == before[path].2, "{path} was written again");
    }
    bench.run(|args| args.force = true).unwrap();
    let forced = bench.tree();
    assert_ne!(forced["/etc/systemd/system/decnet.target"].2, before["/etc/systemd/system/decnet.target"].2);
    for kept in ["/etc/decnet/nats/api.nk", "/etc/decnet/jwt.secret", "/var/lib/decnet/fleet.secret"] {
        assert_eq!(forced[kept], before[kept], "{kept} is never replaced");
    }
}

#[test]
fn a_failed_step_stops_and_names_itself() {
    let bench = Bench::new();
    fs::remove_file(bench.bin.join("decnet-collector")).unwrap();
    let error = bench.run(|_| {}).err().unwrap().to_string();
    assert!(error.contains("`binaries`"), "{error}");
    assert!(bench.tree().is_empty(), "nothing after it was done");

    let bench = Bench::new();
    fs::create_dir_all(bench.prefix.join("etc/decnet/nats")).unwrap();
    fs::write(bench.prefix.join("etc/decnet/nats/api.nk"), "no key").unwrap();
    let error = bench.run(|_| {}).err().unwrap().to_string();
    assert!(error.contains("`keys`"), "{error}");
    assert!(!bench.prefix.join("etc/systemd").exists());
}

#[test]
fn deinit_leaves_state_and_purge_leaves_nothing() {
    let bench = Bench::new();
    bench.run(|_| {}).unwrap();
    fs::write(bench.prefix.join("var/lib/decnet/database/decnet.db"), "rows").unwrap();
    fs::write(bench.prefix.join("etc/decnet/mine.txt"), "the operator's").unwrap();
    bench.run(|args| args.deinit = true).unwrap();
    let files = |bench: &Bench| -> Vec<String> {
        bench.tree().into_iter().filter(|(_, found)| !found.1.is_empty()).map(|(path, _)| path).collect()
    };
    assert_eq!(
        files(&bench),
        [
            "/etc/decnet/mine.txt",
            "/var/lib/decnet/database/decnet.db",
            "/var/lib/decnet/fleet.secret",
            "/var/lib/decnet/webhook.key",
        ]
    );
    // The same fleet again, with the secret that it had.
    let secret = fs::read(bench.prefix.join("var/lib/decnet/fleet.secret")).unwrap();
    bench.run(|_| {}).unwrap();
    assert_eq!(fs::read(bench.prefix.join("var/lib/decnet/fleet.secret")).unwrap(), secret);
    bench.run(|args| (args.deinit, args.purge) = (true, true)).unwrap();
    assert_eq!(files(&bench), ["/etc/decnet/mine.txt"]);
    assert!(!bench.prefix.join("var/lib/decnet").exists() && !bench.prefix.join("opt/decnet").exists());
}
