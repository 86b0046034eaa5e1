//! What an intruder leaves in his shell container is kept with his name on it; what we put there is not.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use chrono::DateTime;
use decnet_core::{DeckyName, SystemClock};
use decnet_logline::Record;
use decnet_runtime::capture::{Before, Capture, CaptureLimits, CaptureOptions, Lines};
use sha2::{Digest, Sha256};

use crate::{
    container::{Shell, mark},
    ground::{Written, field, until},
};

struct Ground {
    shell: Shell,
    capture: Capture,
    lines: Written,
    artifacts: tempfile::TempDir,
    decky: DeckyName,
    options: CaptureOptions,
}

impl Ground {
    fn new(limits: CaptureLimits) -> Option<Self> {
        let shell = Shell::start(&["--network", "none"])?;
        let artifacts = tempfile::tempdir().unwrap();
        let options =
            CaptureOptions { artifacts: artifacts.path().to_owned(), clock: Arc::new(SystemClock), limits };
        let (capture, lines) = (Capture::new(options.clone()), Written::default());
        let decky = DeckyName::parse("web-01").unwrap();
        let ground = Self { shell, capture, lines, artifacts, decky, options };
        ground.watch(Before::Nothing);
        Some(ground)
    }

    fn watch(&self, before: Before) {
        let (journal, lines) = (self.journal(), self.lines.sink());
        self.capture.watch(self.shell.pid, &self.decky, &journal, before, lines).unwrap();
    }

    fn journal(&self) -> PathBuf {
        self.artifacts.path().join("captured.json")
    }

    /// Ends the watch, which says last how far it has come.
    fn end(&self) {
        let seen = || {
            let journal: serde_json::Value =
                serde_json::from_slice(&fs::read(self.journal()).unwrap()).unwrap();
            journal["seen"].clone()
        };
        let before = seen();
        assert!(self.capture.unwatch(&self.decky));
        until("the watch has ended", || (seen() != before).then_some(()));
    }

    /// The agent is killed while its journal says this: who is killed does not say how far he has come.
    fn kill(&mut self, journal: &[u8]) {
        self.end();
        fs::write(self.journal(), journal).unwrap();
        self.capture = Capture::new(self.options.clone());
    }

    fn folder(&self) -> PathBuf {
        self.artifacts.path().join("web-01/ssh")
    }

    /// The line about a path.
    fn about(&self, path: &str) -> Record {
        self.lines.wait_for(path, |line| field(line, "orig_path") == path)
    }

    fn stored(&self, line: &Record) -> Vec<u8> {
        let name = field(line, "stored_as");
        assert!(!name.is_empty() && !name.contains('/'), "{line:?}");
        fs::read(self.folder().join(name)).unwrap()
    }
}

fn sha(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

#[test]
fn a_session_leaves_files_that_are_kept_under_its_name() {
    let Some(ground) = Ground::new(CaptureLimits::default()) else { return };
    let mark = mark("s1", 9);
    ground.shell.session(
        &mark,
        "echo hello > /tmp/a; /bin/busybox cp /tmp/a /dev/shm/b
         exec 3> /root/g; echo gone >&3; /bin/busybox rm /root/g; exec 3>&-
         : > /tmp/empty
         /bin/busybox mkdir -p /var/www /etc/cron.d; echo x > /etc/cron.d/job
         /bin/busybox dd if=/dev/zero of=/tmp/big bs=1M count=51 2>/dev/null
         /bin/busybox chmod 755 /tmp/a
         echo end > /tmp/end",
    );
    ground.about("/tmp/end");
    let a = ground.about("/tmp/a");
    assert_eq!(
        (a.msgid.as_str(), a.app_name.as_str(), a.hostname.as_str()),
        ("file_captured", "ssh", "web-01")
    );
    assert_eq!(ground.stored(&a), b"hello\n");
    let expected = [
        ("sha256", sha(b"hello\n")),
        ("size", "6".to_owned()),
        ("src_ip", "203.0.113.9".to_owned()),
        ("src_port", "40009".to_owned()),
        ("ssh_user", "root".to_owned()),
        ("conn_id", "conn-s1".to_owned()),
        ("sid", "s1".to_owned()),
        ("attribution", "pid-chain".to_owned()),
        ("writer_comm", "busybox".to_owned()),
        ("writer_uid", "0".to_owned()),
    ];
    for (name, value) in expected {
        assert_eq!(field(&a, name), value, "{name} of {a:?}");
    }
    assert!(field(&a, "ssh_pid").parse::<u32>().unwrap() < 1000, "a number within the container");
    assert!(field(&a, "mtime").ends_with('Z') && field(&a, "mtime").len() == 27);
    let name = field(&a, "stored_as");
    assert!(name.ends_with(&format!("_{}_a", &sha(b"hello\n")[..12])), "{name}");
    let mode = fs::metadata(ground.folder().join(name)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    // Shared memory; the same content in the same session is kept once.
    let b = ground.about("/dev/shm/b");
    assert_eq!((field(&b, "stored_as"), field(&b, "sid")), (name, "s1"));
    // A program that ended before anybody could look is at least the only session's.
    assert!(matches!(field(&b, "attribution"), "pid-chain" | "sole-session"), "{b:?}");
    let gone = ground.about("/root/g");
    assert_eq!((field(&gone, "sha256"), field(&gone, "deleted")), (sha(b"gone\n").as_str(), "true"));
    assert_eq!(ground.stored(&gone), b"gone\n");
    let empty = ground.about("/tmp/empty");
    assert_eq!((field(&empty, "size"), field(&empty, "stored_as")), ("0", ""));
    assert_eq!(ground.stored(&ground.about("/etc/cron.d/job")), b"x\n");
    let big = ground.about("/tmp/big");
    assert_eq!((big.msgid.as_str(), field(&big, "reason")), ("file_skipped", "too_large"));
    assert_eq!((field(&big, "size"), field(&big, "src_ip")), ("53477376", "203.0.113.9"));
    // Nothing half-made, nothing twice: a (and b), g, job, end.
    assert_eq!(fs::read_dir(ground.folder()).unwrap().count(), 4);
}

#[test]
fn what_we_put_there_is_not_captured() {
    let Some(ground) = Ground::new(CaptureLimits::default()) else { return };
    for n in 0..20 {
        ground.shell.put(b"planted", &format!("/root/planted-{n}"));
    }
    // Reports come in order: what was put before would have come before.
    ground.shell.session(&mark("s1", 9), "echo last > /tmp/last");
    ground.about("/tmp/last");
    let others: Vec<_> =
        ground.lines.all().into_iter().filter(|line| field(line, "orig_path") != "/tmp/last").collect();
    assert_eq!(others, []);
    assert_eq!(ground.shell.exec("/bin/busybox cat /root/planted-7"), "planted");
}

#[test]
fn what_the_shell_server_writes_is_not_captured_and_what_it_becomes_is() {
    let Some(ground) = Ground::new(CaptureLimits::default()) else { return };
    for n in 0..5 {
        ground.shell.session(&mark(&format!("s{n}"), 9), &format!("echo theirs > /run/theirs-{n}"));
        assert_eq!(ground.stored(&ground.about(&format!("/run/theirs-{n}"))), b"theirs\n");
    }
    until("the books are written", || {
        (ground.shell.exec("/bin/busybox cat /var/log/wtmp") == "bye").then_some(())
    });
    ground.shell.session(&mark("last", 9), "echo last > /tmp/last");
    ground.about("/tmp/last");
    assert_eq!(ground.shell.exec("/bin/busybox cat /etc/ssh/ssh_host_ed25519_key"), "key");
    let all = ground.lines.all();
    let paths: Vec<_> = all.iter().map(|line| field(line, "orig_path")).collect();
    assert_eq!(paths.len(), 6, "{paths:?}");
}

#[test]
fn what_was_left_while_no_agent_ran_is_found_by_the_next() {
    let Some(mut ground) = Ground::new(CaptureLimits::default()) else { return };
    ground.shell.session(
        &mark("s1", 9),
        "echo before > /tmp/before; echo once > /tmp/once
         while [ ! -e /jobs/gap ]; do /bin/busybox sleep 0.02; done
         echo missed > /tmp/missed; echo shared > /dev/shm/missed
         echo old > /root/old; /bin/busybox touch -d '2020-01-01 00:00:00' /root/old
         /bin/busybox ln -s /tmp/missed /tmp/link; echo gone > /tmp/gone; /bin/busybox rm /tmp/gone
         echo done > /jobs/told
         while [ ! -e /jobs/end ]; do /bin/busybox sleep 0.02; done",
    );
    ground.about("/tmp/before");
    ground.about("/tmp/once");
    let journal = until("both are in the journal", || {
        let journal = fs::read(ground.journal()).unwrap();
        let seen: serde_json::Value = serde_json::from_slice(&journal).unwrap();
        let is_there = seen["told"].as_object().unwrap().len() >= 2;
        is_there.then_some(journal)
    });
    // While nobody looks; what we put there ourselves was announced.
    let planted = tempfile::NamedTempFile::new().unwrap();
    fs::write(planted.path(), b"planted").unwrap();
    // `docker cp` carries whole seconds.
    let mtime = DateTime::from_timestamp(1_767_225_659, 0).unwrap();
    planted.as_file().set_modified(mtime.into()).unwrap();
    ground.kill(&journal);
    ground.capture.placing(&ground.decky, &ground.journal(), [("/root/planted", mtime, 7)]);
    let target = format!("{}:/root/planted", ground.shell.name);
    crate::ground::sh("docker", &["cp", &planted.path().display().to_string(), &target]);
    ground.shell.exec("echo go > /jobs/gap");
    ground.shell.done("told");
    let told = ground.lines.all().len();
    ground.watch(Before::Running);
    for (path, content) in
        [("/tmp/missed", "missed\n"), ("/dev/shm/missed", "shared\n"), ("/root/old", "old\n")]
    {
        let line = ground.about(path);
        assert_eq!(ground.stored(&line), content.as_bytes());
        let whose =
            ["recovered", "attribution", "sid", "src_ip", "writer_pid"].map(|name| field(&line, name));
        assert_eq!(whose, ["1", "sole-session", "s1", "203.0.113.9", ""], "{line:?}");
    }
    // Once, and nothing else: not what was told, nor what is ours.
    let seen = |journal: &[u8]| serde_json::from_slice::<serde_json::Value>(journal).unwrap()["seen"].clone();
    let settled = || (seen(&fs::read(ground.journal()).unwrap()) != seen(&journal)).then_some(());
    until("the gap is closed", settled);
    let all = ground.lines.all();
    let paths: Vec<_> = all.iter().skip(told).map(|line| field(line, "orig_path")).collect();
    assert_eq!(paths.len(), 3, "{paths:?}");
    // What is closed from now on is seen as it is; a watch that ends in order leaves no gap behind it.
    ground.shell.exec("echo now > /tmp/now");
    assert_eq!(field(&ground.about("/tmp/now"), "recovered"), "");
    let count = ground.lines.all().len();
    ground.end();
    ground.shell.exec("echo end > /jobs/end; echo last > /tmp/last");
    ground.watch(Before::Running);
    assert_eq!(field(&ground.about("/tmp/last"), "recovered"), "1");
    let all = ground.lines.all();
    let paths: Vec<_> = all.iter().skip(count).map(|line| field(line, "orig_path")).collect();
    assert_eq!(paths, ["/tmp/last"]);
}

#[test]
fn who_left_something_in_the_gap_is_told_only_if_it_can_be_nobody_else() {
    for others in [false, true] {
        let Some(mut ground) = Ground::new(CaptureLimits::default()) else { return };
        ground.shell.session(
            &mark("s1", 9),
            "echo before > /tmp/before; while [ ! -e /jobs/gap ]; do /bin/busybox sleep 0.02; done
             echo left > /tmp/left; echo done > /jobs/left",
        );
        ground.about("/tmp/before");
        let journal = until("the journal knows who is there", || {
            let journal = fs::read(ground.journal()).unwrap();
            let known: serde_json::Value = serde_json::from_slice(&journal).unwrap();
            (known["sessions"][0]["mark"]["sid"] == "s1").then_some(journal)
        });
        ground.kill(&journal);
        ground.shell.exec("echo go > /jobs/gap");
        ground.shell.done("left");
        until("the session is over", || {
            (!ground.shell.exec("/bin/busybox ps").contains("s1.run")).then_some(())
        });
        if others {
            let script = "echo here > /jobs/here; while [ ! -e /jobs/end ]; do /bin/busybox sleep 0.02; done";
            ground.shell.session(&mark("s2", 10), script);
            ground.shell.done("here");
        }
        ground.watch(Before::Running);
        let left = ground.about("/tmp/left");
        let wanted = if others { ("unknown", "") } else { ("sole-session", "s1") };
        assert_eq!((field(&left, "attribution"), field(&left, "sid")), wanted);
        assert_eq!(field(&left, "recovered"), "1");
    }
}

#[test]
fn a_pipe_without_another_end_does_not_stop_the_watch() {
    let Some(ground) = Ground::new(CaptureLimits::default()) else { return };
    ground
        .shell
        .session(&mark("s1", 9), "/bin/busybox mkfifo /tmp/pipe; : <> /tmp/pipe; echo after > /tmp/after");
    ground.about("/tmp/after");
}

#[test]
fn what_the_kernel_could_not_report_is_looked_for() {
    let limits = CaptureLimits { files_per_minute: u32::MAX, ..CaptureLimits::default() };
    let Some(ground) = Ground::new(limits) else { return };
    ground.end();
    let gate = Arc::new(Mutex::new(()));
    let (lines, passing) = (ground.lines.sink(), Arc::clone(&gate));
    let slow: Lines = Arc::new(move |line| {
        drop(passing.lock().unwrap());
        lines(line);
    });
    ground.capture.watch(ground.shell.pid, &ground.decky, &ground.journal(), Before::Nothing, slow).unwrap();
    // More than waits here and in the kernel (16384).
    let closed = gate.lock().unwrap();
    let flood = "i=0; while [ $i -lt 17500 ]; do : > /tmp/f$i; i=$((i+1)); done; echo last > /tmp/last; echo end > /jobs/done";
    ground.shell.session(&mark("s1", 9), flood);
    ground.shell.done("done");
    drop(closed);
    ground.lines.wait_for("the overflow", |line| field(line, "reason") == "overflow");
    let last = ground.about("/tmp/last");
    assert_eq!((field(&last, "recovered"), ground.stored(&last)), ("1", b"last\n".to_vec()));
}

#[test]
fn hostile_names_are_harmless() {
    let Some(ground) = Ground::new(CaptureLimits::default()) else { return };
    ground.shell.session(
        &mark("s1", 9),
        "cd /tmp; /bin/busybox mkdir -p 'a/..b'
         echo 1 > \"$(printf 'new\\nline')\"; echo 2 > \"$(printf 'esc\\033[31m')\"; echo 3 > 'a/..b/.. x'
         echo 4 > \"$(printf '\\377\\376')\"; echo 5 > ' (deleted)'; echo 6 > '$(reboot)\"]'
         echo end > end",
    );
    ground.about("/tmp/end");
    let kept: HashMap<String, Record> =
        (ground.lines.all().into_iter()).map(|line| (field(&line, "orig_path").to_owned(), line)).collect();
    assert_eq!(kept.len(), 7, "{kept:#?}");
    for (path, content) in [
        ("/tmp/new\\u000Aline", "1\n"),
        ("/tmp/esc\\u001B[31m", "2\n"),
        ("/tmp/a/..b/.. x", "3\n"),
        ("/tmp/ (deleted)", "5\n"),
        ("/tmp/$(reboot)\"]", "6\n"),
    ] {
        let line = kept.get(path).unwrap_or_else(|| panic!("{path} is not among {:?}", kept.keys()));
        assert_eq!(ground.stored(line), content.as_bytes());
        assert_eq!(field(line, "deleted"), "");
    }
    for entry in fs::read_dir(ground.folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{name}");
    }
}

#[test]
fn what_runs_on_is_told_by_its_environment_and_else_by_who_is_there() {
    let Some(ground) = Ground::new(CaptureLimits::default()) else { return };
    // Nobody is there.
    ground.shell.exec("echo 0 > /tmp/nobody");
    let nobody = ground.about("/tmp/nobody");
    assert_eq!((field(&nobody, "attribution"), field(&nobody, "src_ip")), ("unknown", ""));
    assert_eq!(decnet_logline::attacker_ip(&nobody), None);
    // One session, and a process that is not its descendant.
    ground.shell.session(
        &mark("s1", 9),
        "echo 1 > /tmp/one; while [ ! -e /jobs/end1 ]; do /bin/busybox sleep 0.02; done",
    );
    ground.about("/tmp/one");
    ground.shell.exec("echo 2 > /tmp/sole; /bin/busybox sleep 0.1");
    assert_eq!(field(&ground.about("/tmp/sole"), "attribution"), "sole-session");
    // A second one leaves processes that outlive it: two that were never started anew (one lies about whose it is), and
    // one that was seen as it was started.
    ground.shell.session(
        &mark("s2", 10),
        "wait='while [ ! -e /jobs/go ]; do /bin/busybox sleep 0.02; done'
         leave() { SSH_CONNECTION=\"$2\" /bin/busybox sh -c \"( $wait; echo 3 > $1; /bin/busybox sleep 0.3 ) &\"; }
         leave /tmp/left '203.0.113.10 40010 192.0.2.1 22'
         leave /tmp/lied '203.0.113.77 40077 192.0.2.1 22'
         /bin/busybox setsid /bin/busybox sh -c \"$wait; echo 5 > /tmp/seen; /bin/busybox sleep 0.3\" &
         echo 4 > /tmp/two; /bin/busybox sleep 0.3",
    );
    assert_eq!(field(&ground.about("/tmp/two"), "conn_id"), "conn-s2");
    until("the session is over", || {
        let seen = ground.shell.exec("/bin/busybox ps");
        (!seen.contains("s2.run")).then_some(())
    });
    ground.shell.exec("echo go > /jobs/go");
    let left = ground.about("/tmp/left");
    assert_eq!((field(&left, "attribution"), field(&left, "sid")), ("environment", "s2"));
    let lied = ground.about("/tmp/lied");
    assert_eq!((field(&lied, "attribution"), field(&lied, "src_ip")), ("unknown", ""));
    // Seen at its start, unless this machine was too busy; then nobody else is blamed for it.
    let seen = ground.about("/tmp/seen");
    assert!(
        matches!((field(&seen, "attribution"), field(&seen, "sid")), ("pid-chain", "s2") | ("unknown", "")),
        "{seen:?}"
    );
    ground.shell.exec("echo end > /jobs/end1");
}

#[test]
fn a_flood_is_bounded_and_told() {
    let limits = CaptureLimits { files_per_minute: 10, total_bytes: 40, ..CaptureLimits::default() };
    let Some(ground) = Ground::new(limits) else { return };
    ground.shell.session(
        &mark("s1", 9),
        "i=0; while [ $i -lt 60 ]; do echo \"number $i\" > /tmp/f$i; i=$((i+1)); done; echo end > /jobs/done",
    );
    ground.shell.done("done");
    // Ends the minute.
    assert!(ground.capture.unwatch(&ground.decky));
    let rate = ground.lines.wait_for("the rest", |line| field(line, "reason") == "rate");
    // The mark in /jobs is a file of theirs as well.
    let count: u32 = field(&rate, "count").parse().unwrap();
    assert!((50..=52).contains(&count), "{count}");
    let all = ground.lines.all();
    let kept = all.iter().filter(|line| line.msgid == "file_captured").count();
    let quota = all.iter().filter(|line| field(line, "reason") == "quota").count();
    assert_eq!((kept, quota), (4, 6), "{all:#?}");
    assert_eq!(fs::read_dir(ground.folder()).unwrap().count(), 4);
    assert!(!ground.capture.unwatch(&ground.decky));
}

#[test]
fn a_watch_ends_with_its_container() {
    let Some(ground) = Ground::new(CaptureLimits::default()) else { return };
    // The same process again is the same watch.
    ground.watch(Before::Running);
    assert_eq!(ground.capture.watched(), std::slice::from_ref(&ground.decky));
    ground.shell.session(&mark("s1", 9), "echo last > /tmp/last");
    ground.about("/tmp/last");
    let pid = ground.shell.pid;
    crate::ground::sh("docker", &["kill", &ground.shell.name]);
    until("the watch ends", || ground.capture.watched().is_empty().then_some(()));
    let gone =
        ground.capture.watch(pid, &ground.decky, &ground.journal(), Before::Running, ground.lines.sink());
    assert!(gone.is_err());
    assert!(Path::exists(&ground.folder()));
}
