//! What happens to deckies: their agent, their containers, their neighbours. And how fast it goes.

use std::{process::Command, time::Duration};

use decnet_core::{Clock, SystemClock, traffic::SourcePorts};
use decnet_fleet::DeckyState;
use decnet_runtime::{DockerRuntime, FileSpec, HostRuntime, OutputItem, OutputLine, OutputRef, Position};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout};

use crate::{
    bench::eventually,
    docker_bench::{DockerBench, output},
};

/// The decoy's output of a decky (not the host's own).
async fn output_of(runtime: &DockerRuntime, bench: &DockerBench, decky: &str) -> OutputRef {
    let about = std::fs::read(bench.of(decky).join("output.json")).unwrap();
    let about: serde_json::Value = serde_json::from_slice(&about).unwrap();
    let all = runtime.outputs().await.unwrap();
    all.into_iter().find(|output| Some(&*output.source) == about["source"].as_str()).unwrap()
}

/// Lines of an output from a position on, until one says `needle`.
async fn until(
    runtime: &DockerRuntime,
    output: &OutputRef,
    from: Option<Position>,
    needle: &str,
) -> Vec<OutputLine> {
    let mut lines = runtime.follow(output, from).await.unwrap();
    let mut found = Vec::new();
    loop {
        let item = timeout(Duration::from_secs(30), lines.next()).await;
        let Some(item) = item.unwrap_or_else(|_| panic!("no line with {needle}: {found:?}")) else {
            panic!("the output ended without {needle}")
        };
        if let OutputItem::Line(line) = item.unwrap() {
            let is_it = String::from_utf8_lossy(&line.bytes).contains(needle);
            found.push(line);
            if is_it {
                return found;
            }
        }
    }
}

fn netns(pid: u32) -> String {
    std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap().display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_agent_goes_on_where_the_last_one_stood() {
    let Some(bench) = DockerBench::new() else { return };
    let runtime = bench.open().await;
    let plan = bench.deploy(&runtime, "[web]\nservices=http\n").await;
    let intruder = bench.lan.plug().unwrap();
    let page = |path: &str| format!("http://{}/{path}", bench.ip(&plan, "web"));
    intruder.curl(&[&page("first-visit")]).await.unwrap();
    let output = output_of(&runtime, &bench, "web").await;
    let first = until(&runtime, &output, None, "first-visit").await;
    let pid = bench.front("web").unwrap();
    drop(runtime);

    // Nobody listens now, and nothing is lost.
    intruder.curl(&[&page("second-visit")]).await.unwrap();
    let runtime = bench.open().await;
    bench.reaches(&runtime, "web", DeckyState::Running).await;
    assert_eq!(bench.front("web").unwrap(), pid, "its front was touched");
    let again = output_of(&runtime, &bench, "web").await;
    assert_eq!(again, output);
    let from = first.last().unwrap().next;
    let second = until(&runtime, &output, Some(from), "second-visit").await;
    assert!(second.iter().all(|line| line.seq >= from.offset));
    assert!(!second.iter().any(|line| String::from_utf8_lossy(&line.bytes).contains("first-visit")));

    // What a removed decky said stays until it is shipped.
    assert_eq!(runtime.outputs().await.unwrap().len(), 2);
    runtime.remove(&bench.name("web")).await.unwrap();
    let ended = runtime.outputs().await.unwrap();
    assert_eq!((ended.len(), ended.iter().all(|output| output.ended)), (2, true));
    drop(runtime);
    let runtime = bench.open().await;
    let mut ended = runtime.outputs().await.unwrap();
    ended.sort_by(|a, b| a.source.cmp(&b.source));
    assert_eq!(ended.len(), 2);
    let mut rest =
        runtime.follow(ended.iter().find(|o| o.source == output.source).unwrap(), None).await.unwrap();
    let mut count = 0;
    while timeout(Duration::from_secs(10), rest.next()).await.unwrap().is_some() {
        count += 1;
    }
    assert!(count >= first.len() + second.len());
    for output in &ended {
        runtime.discard(output).await.unwrap();
    }
    assert_eq!(runtime.outputs().await.unwrap(), []);
    assert_eq!(std::fs::read_dir(bench.base().join(".removed")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_that_restarts_is_contained_again_before_its_shell() {
    let Some(bench) = DockerBench::new() else { return };
    let bench = bench.with_shell();
    let runtime = bench.open().await;
    bench.deploy(&runtime, "[web]\nservices=ssh,http\n").await;
    let before = (bench.front("web").unwrap(), bench.shell("web").unwrap());
    assert_eq!(netns(before.0), netns(before.1));
    let rules = |pid: u32| output("nsenter", &["-t", &pid.to_string(), "-n", "nft", "list", "ruleset"]);
    assert!(rules(before.0).contains("policy drop"), "{}", rules(before.0));

    // The engine starts it again by itself.
    crate::bench::kill(before.0);
    let after = eventually("the shell is back beside its front", || async {
        let (front, shell) = (bench.front("web")?, bench.shell("web")?);
        let read = |pid| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        (front != before.0 && shell != before.1 && read(front)? == read(shell)?).then_some(front)
    })
    .await;
    assert!(rules(after).contains("policy drop"));
    bench.reaches(&runtime, "web", DeckyState::Running).await;

    // A shell that dies alone comes back alone.
    crate::bench::kill(bench.shell("web").unwrap());
    eventually("the shell is back", || async {
        let status = bench.status(&runtime, "web").await?;
        (status.state == DeckyState::Running && bench.shell("web").is_some()).then_some(())
    })
    .await;
    assert_eq!(bench.front("web").unwrap(), after);

    // One that was stopped by hand stays so, with everything that hangs on it.
    bench.engine.stop(&bench.full("web")).unwrap();
    let stopped = bench.reaches(&runtime, "web", DeckyState::Failed).await;
    assert!(stopped.hopeless && stopped.last_error.unwrap().contains("container web"), "says what is wrong");
    bench.engine.start(&bench.full("web")).unwrap();
    bench.reaches(&runtime, "web", DeckyState::Running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_by_hand_is_told_and_not_made_again() {
    let Some(bench) = DockerBench::new() else { return };
    let runtime = bench.open().await;
    let plan = bench.deploy(&runtime, "[web]\nservices=http\n[db]\nservices=redis\n").await;
    let mut changes = runtime.changes();
    changes.mark_unchanged();
    bench.engine.remove(&bench.full("web")).unwrap();
    timeout(Duration::from_secs(10), changes.changed()).await.unwrap().unwrap();
    let gone = bench.reaches(&runtime, "web", DeckyState::TornDown).await;
    assert!(gone.last_error.unwrap().contains("are gone"));
    assert!(gone.hopeless);
    // An agent that starts now does not make it either.
    drop(runtime);
    let runtime = bench.open().await;
    bench.reaches(&runtime, "db", DeckyState::Running).await;
    assert_eq!(bench.status(&runtime, "web").await.unwrap().state, DeckyState::TornDown);
    assert_eq!(bench.containers(), [("db".to_owned(), "running".to_owned())]);
    // Whoever deploys does.
    assert!(runtime.deploy(bench.decky(&plan, "web")).await.unwrap().started);
    bench.reaches(&runtime, "web", DeckyState::Running).await;

    // Containers that nobody here knows are told of, and can be removed.
    drop(runtime);
    std::fs::remove_dir_all(bench.of("db")).unwrap();
    let runtime = bench.open().await;
    let stranger = bench.status(&runtime, "db").await.unwrap();
    assert_eq!(stranger.plan_hash.as_ref(), Some(&bench.decky(&plan, "db").plan_hash));
    assert!(runtime.remove(&bench.name("db")).await.unwrap());
    assert_eq!(bench.containers(), [("web".to_owned(), "running".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_with_owner_mode_and_nanoseconds() {
    let Some(bench) = DockerBench::new() else { return };
    let bench = bench.with_shell();
    let runtime = bench.open().await;
    let plan = bench.deploy(&runtime, "[web]\nservices=ssh\n[mail]\nservices=imap\n").await;
    let person = &bench.decky(&plan, "web").persona.accounts[0];
    let mtime = chrono::DateTime::from_timestamp(1_750_000_000, 123_456_789).unwrap();
    let path = format!("/home/{}/projects/2025/notes.txt", person.login);
    let file = FileSpec {
        path: path.clone(),
        mode: 0o640,
        uid: person.uid,
        gid: person.uid,
        mtime,
        content: "remember the milk\n".into(),
        expect: None,
    };
    let web = bench.name("web");
    runtime.put_files(&web, std::slice::from_ref(&file)).await.unwrap();
    let pid = bench.shell("web").unwrap();
    let stat = |path: &str| output("stat", &["-c", "%u %g %a %Y %y", &format!("/proc/{pid}/root{path}")]);
    let uid = person.uid;
    assert!(stat(&path).starts_with(&format!("{uid} {uid} 640 1750000000 ")), "{}", stat(&path));
    assert!(stat(&path).contains(".123456789 "), "{}", stat(&path));
    let folder = stat(&format!("/home/{}/projects", person.login));
    assert!(folder.starts_with(&format!("{uid} {uid} 755 ")), "{folder}");
    let made: i64 = folder.split(' ').nth(3).unwrap().parse().unwrap();
    assert!((1_749_900_000..1_750_000_000).contains(&made), "a missing folder is a little older: {folder}");
    assert_eq!(runtime.read_file(&web, &path, 8).await.unwrap().unwrap().content, "remember");
    assert_eq!(runtime.read_file(&web, "/nowhere", 8).await.unwrap(), None);
    for wrong in ["relative", "/tmp/../etc/passwd", "/tmp/"] {
        let file = FileSpec { path: wrong.to_owned(), ..file.clone() };
        assert!(runtime.put_files(&web, &[file]).await.is_err(), "{wrong}");
    }
    let onto = FileSpec { path: "/home".to_owned(), ..file.clone() };
    assert!(runtime.put_files(&web, &[onto]).await.unwrap_err().to_string().contains("folder"));
    // What the front serves goes there.
    let mail = FileSpec {
        path: "/var/mail/vhosts/corp.example/ana/new/1750000000.M1P2.mail".to_owned(),
        mode: 0o600,
        uid: 5000,
        gid: 5000,
        ..file
    };
    runtime.put_files(&bench.name("mail"), std::slice::from_ref(&mail)).await.unwrap();
    let pid = bench.front("mail").unwrap();
    let stat = |path: &str| output("stat", &["-c", "%u %g %a %Y", &format!("/proc/{pid}/root{path}")]);
    assert_eq!(stat(&mail.path).trim(), "0 0 600 1750000000", "the decoy could not read it otherwise");
    assert!(stat("/var/mail/vhosts").starts_with("0 0 700 "));
    assert!(stat("/var/mail/vhosts/corp.example/ana/tmp").starts_with("0 0 700 "));
    let read = runtime.read_file(&bench.name("mail"), &mail.path, 99).await.unwrap().unwrap();
    assert_eq!((read.stat.uid, read.stat.gid, read.stat.mode), (5000, 5000, 0o600));
    assert_eq!(read.stat.mtime, mtime);
    // Not while it does not run.
    bench.engine.stop(&bench.full("mail")).unwrap();
    let error = runtime.put_files(&bench.name("mail"), std::slice::from_ref(&mail)).await.unwrap_err();
    assert!(error.to_string().contains("does not run"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decky_calls_another_from_its_own_address_and_nobody_else() {
    let Some(bench) = DockerBench::new() else { return };
    let bench = bench.with_shell();
    let runtime = bench.open().await;
    let plan = bench.deploy(&runtime, "[web]\nservices=ssh\n[db]\nservices=redis\n").await;
    let ports = SourcePorts::of_fleet(&bench.secret.seed());
    let to = std::net::SocketAddr::new(bench.decky(&plan, "web").ip(), 22);
    let now = SystemClock.now();
    let probe = runtime
        .probe(&bench.name("db"), to, None, &|from, to| {
            ports.candidates(from, to.ip(), to.port(), now).to_vec()
        })
        .await
        .unwrap();
    assert!(probe.banner.starts_with(b"SSH-2.0-"), "{:?}", probe.banner);
    assert!(
        ports.candidates(bench.decky(&plan, "db").ip(), to.ip(), to.port(), now).contains(&probe.src_port)
    );
    let seen = output_of(&runtime, &bench, "web").await;
    let from = format!("{}", bench.decky(&plan, "db").ip());
    until(&runtime, &seen, None, &from).await;

    // A machine on the LAN that is none of the fleet.
    let neighbour = bench.lan.plug().unwrap();
    let pid = bench.front("db").unwrap().to_string();
    let away = neighbour.ip.to_string();
    let tried =
        Command::new("nsenter").args(["-t", &pid, "-n", "ping", "-c", "1", "-W", "1", &away]).output();
    assert!(!tried.unwrap().status.success(), "it got out");
    let counted = eventually("the attempt is counted", || async {
        bench.status(&runtime, "db").await.map(|status| status.egress_blocked).filter(|count| *count > 0)
    })
    .await;
    assert!(counted >= 1);
    let lines = runtime.outputs().await.unwrap();
    let own = output_of(&runtime, &bench, "db").await;
    let host = lines.iter().find(|o| o.decky == bench.name("db") && o.source != own.source).unwrap();
    let told = until(&runtime, host, None, "egress_blocked").await;
    assert!(String::from_utf8_lossy(&told.last().unwrap().bytes).contains(&away));
}

/// How many deckies; more by hand.
fn count() -> usize {
    std::env::var("DECNET_TEST_DECKIES").ok().and_then(|count| count.parse().ok()).unwrap_or(20)
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_deckies_are_up_in_a_few_seconds() {
    let Some(bench) = DockerBench::new() else { return };
    let runtime = bench.open().await;
    let sections: Vec<String> = (0..count()).map(|n| format!("[d{n:02}]\nservices=http\n")).collect();
    let plan = bench.plan(&sections.concat());
    let started = Instant::now();
    runtime.prepare(&plan).await.unwrap();
    let prepared = started.elapsed();
    let deploys = stream::iter(plan.deckies.iter().map(|decky| runtime.deploy(decky))).buffer_unordered(8);
    let outcomes: Vec<_> = deploys.collect().await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let deployed = started.elapsed();
    for decky in &plan.deckies {
        bench.reaches(&runtime, decky.name().as_str().split('-').next().unwrap(), DeckyState::Running).await;
    }
    let up = started.elapsed();
    let look = Instant::now();
    runtime.inspect().await.unwrap();
    let look = look.elapsed();
    let removing = Instant::now();
    let removals =
        stream::iter(plan.deckies.iter().map(|decky| runtime.remove(decky.name()))).buffer_unordered(8);
    let removals: Vec<_> = removals.collect().await;
    assert!(removals.iter().all(Result::is_ok), "{removals:?}");
    runtime.settle(None).await.unwrap();
    println!(
        "{} deckies: prepared after {prepared:?}, deployed after {deployed:?}, up after {up:?}; inspect {look:?}; removed in {:?}",
        plan.deckies.len(),
        removing.elapsed()
    );
    assert!(up < Duration::from_mins(1), "up after {up:?}");
    assert_eq!(bench.traces(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_the_operator_serves_in_the_same_network_and_follows_its_front() {
    let Some(bench) = DockerBench::new() else { return };
    let runtime = bench.open().await;
    bench.deploy(&runtime, "[web]\nservices=http\n").await;
    let image = bench.engine.inspect(&bench.full("web")).unwrap()["Config"]["Image"].clone();
    let image = image.as_str().unwrap();
    runtime.remove(&bench.name("web")).await.unwrap();
    let slug = format!("mine-{}", bench.suffix);
    let custom =
        format!("[custom-mine]\nbinary={image}\nexec=/bin/busybox httpd -f -p 8088 -h /etc\nports=8088\n");
    let plan = bench.deploy(&runtime, &format!("{custom}[app]\nservices=http,{slug}\n")).await;
    let intruder = bench.lan.plug().unwrap();
    let url = format!("http://{}:8088/os-release", bench.ip(&plan, "app"));
    let page = || async { intruder.curl(&[&url]).await.ok().filter(|said| said.stdout.contains("ID=linux")) };
    eventually("the image serves", page).await;
    // After a restart of the front it is in the new network.
    let before = bench.front("app").unwrap();
    crate::bench::kill(before);
    eventually("the front is back", || async { bench.front("app").filter(|pid| *pid != before) }).await;
    eventually("the image serves again", page).await;
    let found = bench.reaches(&runtime, "app", DeckyState::Running).await;
    assert_eq!(found.services.len(), 2);
    // One that is not there is named with what to do.
    let missing = format!("[custom-mine]\nbinary=no/such:image\nports=8088\n[lost]\nservices={slug}\n");
    let plan = bench.plan(&missing);
    let error = runtime.prepare(&plan).await.unwrap_err();
    assert!(error.is_permanent());
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("decky {}: ", bench.full("lost"))) && text.contains("docker pull"),
        "{text}"
    );
}
