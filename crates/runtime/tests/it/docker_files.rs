//! Files of ours in deckies of containers: many at once beside an intruder's, with expectations, tidied, and never his.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use chrono::{DateTime, TimeDelta, Utc};
use decnet_runtime::{Expect, FileSpec, HostRuntime, Tidy};
use sha2::{Digest, Sha256};

use crate::{
    bench::eventually,
    docker_bench::{DockerBench, output},
};

const MANY: usize = 1000;

fn time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000, 123_456_789).unwrap()
}

fn file(path: &str, content: impl Into<Vec<u8>>) -> FileSpec {
    let content: Vec<u8> = content.into();
    let (mode, uid, gid) = (0o644, 0, 0);
    FileSpec { path: path.to_owned(), mode, uid, gid, mtime: time(), content: content.into(), expect: None }
}

fn sha(content: &[u8]) -> Expect {
    Expect::Sha256(hex::encode(Sha256::digest(content)))
}

/// What was captured of a decky, by the names that files had.
fn captured(bench: &DockerBench, decky: &str) -> Vec<String> {
    let stored = bench.folder.path().join("artifacts").join(bench.full(decky)).join("ssh");
    let names = std::fs::read_dir(stored).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    // Those on their way are told a moment later.
    let names = names.filter(|name| !name.starts_with(".part-"));
    let mut names: Vec<String> =
        names.map(|name| name.splitn(3, '_').nth(2).unwrap_or(&name).to_owned()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_files_come_beside_an_intruder_and_only_his_are_captured() {
    let Some(bench) = DockerBench::new() else { return };
    let bench = bench.with_shell();
    let runtime = Arc::new(bench.open().await);
    let plan = bench.deploy(&runtime, "[web]\nservices=ssh\n").await;
    let web = bench.name("web");
    let person = bench.decky(&plan, "web").persona.accounts.iter().find(|a| a.uid >= 1000).unwrap().clone();
    let intruder = bench.lan.plug().unwrap();
    let ip = bench.ip(&plan, "web");
    let files: Vec<FileSpec> = (0..MANY)
        .map(|number| FileSpec {
            uid: person.uid,
            gid: person.uid,
            mtime: time() + TimeDelta::minutes(i64::try_from(number).unwrap()),
            expect: Some(Expect::Absent),
            ..file(
                &format!("/home/{}/work/{}/f{number}.dat", person.login, number % 20),
                format!("{number:08}").repeat(1024),
            )
        })
        .collect();
    let putting = {
        let (runtime, web, files) = (Arc::clone(&runtime), web.clone(), files.clone());
        tokio::spawn(async move {
            let started = Instant::now();
            let placed = runtime.put_files(&web, &files).await.unwrap();
            (placed, started.elapsed())
        })
    };
    // He comes while they do, and leaves something of his own in the same folder.
    let script = "echo his > ~/his; mkdir -p ~/work; echo too > ~/work/too; ls -la ~/work";
    let said = intruder.ssh(ip, &person.login, &person.password, script).await.unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let (placed, took) = putting.await.unwrap();
    println!("{MANY} files of 8 KiB in {took:?}");
    assert_eq!((usize::try_from(placed.written).unwrap(), placed.diverged), (MANY, Vec::new()));
    let last = files.last().unwrap();
    let read = runtime.read_file(&web, &last.path, 1 << 20).await.unwrap().unwrap();
    assert_eq!(
        (read.content, read.stat.mtime, read.stat.uid),
        (last.content.clone(), last.mtime, person.uid)
    );
    // What was put once is not put again, and what is changed, renamed and removed is nobody's either.
    let again = runtime.put_files(&web, &files[..3]).await.unwrap();
    assert_eq!((again.written, again.diverged.len()), (0, 3));
    let edited =
        FileSpec { content: "shorter".into(), expect: Some(sha(&files[0].content)), ..files[0].clone() };
    let longer = FileSpec {
        content: [&files[1].content[..], b"more\n"].concat().into(),
        expect: Some(sha(&files[1].content)),
        ..files[1].clone()
    };
    assert_eq!(runtime.put_files(&web, &[edited.clone(), longer.clone()]).await.unwrap().written, 2);
    let step =
        |of: &FileSpec, to: Option<String>| Tidy { path: of.path.clone(), to, expect: sha(&of.content) };
    let steps = [
        step(&edited, Some(format!("{}.1", edited.path))),
        step(&longer, None),
        step(&files[3], Some(format!("/home/{}/old/f3", person.login))),
        step(&edited, None),
        step(&files[4], None),
    ];
    let tidied = runtime.tidy_files(&web, &steps).await.unwrap();
    assert_eq!((tidied.done, tidied.diverged.unwrap().found), (3, None));
    let root = format!("/proc/{}/root", bench.shell("web").unwrap());
    assert!(Path::new(&format!("{root}{}", files[4].path)).exists());
    assert!(!Path::new(&format!("{root}{}", files[1].path)).exists());
    let leftovers = output("find", &[&format!("{root}/home/{}", person.login), "-name", ".f*"]);
    assert_eq!(leftovers, "", "no unfinished files");
    // What he leaves from here on is seen after all that.
    let said = intruder.ssh(ip, &person.login, &person.password, "echo last > ~/last").await.unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    eventually("what he left is captured", || async { (captured(&bench, "web").len() >= 3).then_some(()) })
        .await;
    assert_eq!(captured(&bench, "web"), ["his", "last", "too"]);
    // Nor does the next agent find them.
    drop(runtime);
    let runtime = bench.open().await;
    runtime.put_files(&web, &files[5..6]).await.unwrap();
    let said = intruder.ssh(ip, &person.login, &person.password, "echo end > ~/end").await.unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    eventually("what he left is captured", || async {
        captured(&bench, "web").contains(&"end".to_owned()).then_some(())
    })
    .await;
    assert_eq!(captured(&bench, "web"), ["end", "his", "last", "too"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_comes_whole_into_both_and_links_lead_nowhere() {
    let Some(bench) = DockerBench::new() else { return };
    let bench = bench.with_shell();
    let runtime = bench.open().await;
    bench.deploy(&runtime, "[mail]\nservices=ssh,imap\n").await;
    let mail = bench.name("mail");
    let (front, shell) = (bench.front("mail").unwrap(), bench.shell("mail").unwrap());
    let folder = "/var/mail/vhosts/corp.example/ana/new";
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = [front, shell]
        .into_iter()
        .map(|pid| {
            let (stop, new) = (Arc::clone(&stop), format!("/proc/{pid}/root{folder}"));
            std::thread::spawn(move || {
                let mut sizes = BTreeMap::new();
                while !stop.load(Ordering::Relaxed) {
                    for entry in std::fs::read_dir(&new).into_iter().flatten().flatten() {
                        let size = std::fs::read(entry.path()).map(|bytes| bytes.len());
                        sizes.entry(entry.file_name()).or_insert_with(Vec::new).push(size.unwrap());
                    }
                }
                sizes
            })
        })
        .collect();
    let size = 64 * 1024;
    for number in 0..40 {
        let path = format!("{folder}/17500000{number:02}.M1P1.mail,S={size}");
        let message = FileSpec {
            uid: 5000,
            gid: 5000,
            mode: 0o600,
            expect: Some(Expect::Absent),
            ..file(&path, vec![b'm'; size])
        };
        assert_eq!(runtime.put_files(&mail, &[message]).await.unwrap().written, 1);
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        let sizes = reader.join().unwrap();
        assert!(sizes.values().flatten().all(|seen| *seen == size), "a reader saw a part of a message");
    }
    let stat = |pid: u32, path: &str| output("stat", &["-c", "%U %u %a", &format!("/proc/{pid}/root{path}")]);
    let first = format!("{folder}/1750000000.M1P1.mail,S={size}");
    assert!(stat(front, &first).ends_with(" 0 600\n"), "the decoy reads it");
    assert!(stat(shell, &first).ends_with(" 5000 600\n"));
    let passwd = runtime.read_file(&mail, "/etc/passwd", 1 << 20).await.unwrap().unwrap().content;
    assert!(String::from_utf8_lossy(&passwd).contains("\nvmail:x:5000:5000:"));
    let gone = Tidy { path: first.clone(), to: None, expect: sha(&vec![b'm'; size]) };
    assert_eq!(runtime.tidy_files(&mail, &[gone]).await.unwrap().done, 1);
    for pid in [front, shell] {
        assert!(!Path::new(&format!("/proc/{pid}/root{first}")).exists());
    }
    // A link that names a place of the host's is one within the decky.
    let outside = bench.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, format!("/proc/{shell}/root/srv/out")).unwrap();
    let escaping = FileSpec { expect: Some(Expect::Absent), ..file("/srv/out/escaped", "x") };
    let placed = runtime.put_files(&mail, &[escaping, file("/srv/fine", "x")]).await.unwrap();
    assert_eq!((placed.written, placed.diverged.len()), (1, 1), "{placed:?}");
    assert!(runtime.put_files(&mail, &[file("/proc/1/environ", "x")]).await.is_err());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_disk_is_another_incarnation() {
    let Some(bench) = DockerBench::new() else { return };
    let bench = bench.with_shell();
    let runtime = bench.open().await;
    let plan = bench.deploy(&runtime, "[web]\nservices=ssh\n[db]\nservices=redis\n").await;
    let of = async |decky: &str| bench.status(&runtime, decky).await.unwrap().incarnation.unwrap();
    let (web, db) = (of("web").await, of("db").await);
    assert_ne!(web, db);
    assert!(!runtime.deploy(bench.decky(&plan, "web")).await.unwrap().started);
    assert_eq!(of("web").await, web);
    // Stopped and started is the same disk; removed and made again is another.
    let shell = format!("{}-ssh", bench.full("web"));
    bench.engine.stop(&shell).unwrap();
    bench.reaches(&runtime, "web", decnet_fleet::DeckyState::Running).await;
    assert_eq!(of("web").await, web);
    runtime.remove(&bench.name("web")).await.unwrap();
    runtime.deploy(bench.decky(&plan, "web")).await.unwrap();
    bench.reaches(&runtime, "web", decnet_fleet::DeckyState::Running).await;
    assert_ne!(of("web").await, web);
    assert_eq!(of("db").await, db);
}
