//! Deckies as containers: what the engine and the LAN see of them, what a restart keeps, and what a failure leaves.

use std::process::Command;

use decnet_core::{Clock, SystemClock};
use decnet_fleet::ServiceState;
use decnet_runtime::{HostRuntime, RuntimeError};

use crate::{
    bench::eventually,
    docker_bench::{DockerBench, output},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_decky_has_its_own_address_name_and_stack_and_leaves_nothing() {
    let Some(bench) = DockerBench::new() else { return };
    let runtime = bench.open().await;
    let plan = bench
        .deploy(
            &runtime,
            "[web]\nservices=http\nnmap_os=linux\n[win]\nservices=http\nnmap_os=windows\n[box]\nservices=redis\nnmap_os=embedded\n",
        )
        .await;
    let intruder = bench.lan.plug().unwrap();
    for (decky, ttl) in [("web", 64), ("win", 128), ("box", 255)] {
        let wanted = bench.decky(&plan, decky);
        let document = bench.engine.inspect(&bench.full(decky)).unwrap();
        let endpoint = &document["NetworkSettings"]["Networks"][&plan.networks[0].name];
        assert_eq!(endpoint["MacAddress"].as_str(), Some(wanted.mac.as_str()));
        assert_eq!(endpoint["IPAddress"].as_str(), Some(wanted.ip().to_string().as_str()));
        assert_eq!(document["Config"]["Hostname"].as_str(), Some(wanted.persona.hostname.as_str()));
        let config = &document["HostConfig"];
        assert_eq!(config["CapDrop"][0].as_str(), Some("ALL"));
        assert_eq!(config["CapAdd"].as_array().map(Vec::len), Some(1));
        assert_eq!(config["RestartPolicy"]["Name"].as_str(), Some("unless-stopped"));
        assert_eq!(config["SecurityOpt"][0].as_str(), Some("no-new-privileges"));
        assert_eq!(config["PidsLimit"].as_u64(), Some(256));
        let ip = bench.ip(&plan, decky).to_string();
        let pinged = intruder.run("ping", &["-c", "1", "-W", "5", &ip]).await.unwrap();
        assert!(pinged.stdout.contains(&format!("ttl={ttl} ")), "{decky}: {}", pinged.stdout);
        let neighbours = intruder.run("ip", &["neigh", "show", &ip]).await.unwrap();
        assert!(neighbours.stdout.contains(&wanted.mac), "{}", neighbours.stdout);
    }
    let found = bench.status(&runtime, "web").await.unwrap();
    assert_eq!(found.services["http"], ServiceState::Running);
    assert_eq!(found.plan_hash.as_ref(), Some(&plan.deckies[0].plan_hash));
    // The same plan again touches nothing.
    let before = bench.front("web").unwrap();
    assert!(!runtime.deploy(&plan.deckies[0]).await.unwrap().started);
    assert_eq!(bench.front("web").unwrap(), before);

    for decky in ["web", "win", "box"] {
        assert!(runtime.remove(&bench.name(decky)).await.unwrap());
        assert!(!runtime.remove(&bench.name(decky)).await.unwrap());
    }
    runtime.settle(None).await.unwrap();
    assert_eq!(bench.traces(), Vec::<String>::new());
    assert_eq!(runtime.inspect().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_lands_in_a_machine_that_shows_nothing_of_the_engine() {
    let Some(bench) = DockerBench::new() else { return };
    let bench = bench.with_shell();
    let runtime = bench.open().await;
    let plan = bench.deploy(&runtime, "[web]\nservices=ssh\n").await;
    let decky = bench.decky(&plan, "web");
    let person = decky.persona.accounts.iter().find(|person| person.uid >= 1000).unwrap();
    let shell = bench.shell("web").unwrap().to_string();
    let script = "cat /etc/passwd /etc/shadow /etc/hostname /etc/hosts /etc/resolv.conf /etc/machine-id; ls -la --full-time / /home /etc /usr /usr/sbin/.sshd*; cat /proc/1/mountinfo /proc/self/cgroup; hostname; echo $HOSTNAME; cat /proc/net/unix";
    // What an intruder would see, without waiting for one: the same namespaces and root.
    let said = Command::new("nsenter")
        .args(["-t", &shell, "-m", "-p", "-n", "-u", "-i", "-C", "-r", "-w", "/bin/sh", "-c", script])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    println!("{text} {}", String::from_utf8_lossy(&said.stderr));
    let (login, uid) = (&person.login, person.uid);
    assert!(text.contains(&format!("{login}:x:{uid}:{uid}:")), "{text}");
    assert!(text.contains(&format!("{login}:$")), "{text}");
    assert!(text.contains(&format!("\n{}\n", decky.persona.hostname)), "{text}");
    assert!(text.contains(&format!("nameserver {}", bench.lan.router())), "{text}");
    let mounts = |line: &&str| !line.contains("lowerdir=");
    let text: Vec<&str> = text.lines().filter(mounts).collect();
    let text = text.join("\n");
    for mark in ["dockerenv", "/docker/", "127.0.0.11", "docker/containers", "decnet", "/usr/sbin/.sshd"] {
        assert!(!text.contains(mark), "{mark} in {text}");
    }
    // And with one.
    let intruder = bench.lan.plug().unwrap();
    let ip = bench.ip(&plan, "web");
    let said = intruder
        .ssh(ip, login, &person.password, "id; pwd; echo $HOME; echo dropped > x; stat -c %Y /")
        .await
        .unwrap();
    assert!(said.stdout.contains(&format!("uid={uid}({login})")), "{said:?}");
    let changed: i64 = said.stdout.lines().last().unwrap().parse().unwrap();
    assert!(changed < SystemClock.now().timestamp() - 86_400 * 30, "its root is as young as the container");
    assert!(said.stdout.contains(&format!("/home/{login}\n")), "{said:?}");
    let stored = bench.folder.path().join("artifacts").join(bench.full("web")).join("ssh");
    let captured = eventually("the dropped file is captured", || async {
        let mut found = std::fs::read_dir(&stored).ok()?.flatten();
        found.find(|entry| entry.file_name().to_string_lossy().ends_with("_x"))
    })
    .await;
    assert_eq!(std::fs::read(captured.path()).unwrap(), b"dropped\n");
}

/// What of the engine and the host could have been left.
fn everything() -> Vec<String> {
    let list = |what: &[&str]| output("docker", what);
    let mut all: Vec<String> = [
        list(&["ps", "-a", "--format", "{{.Names}}"]),
        list(&["network", "ls", "--format", "{{.Name}}"]),
        output("ip", &["-brief", "link"]),
    ]
    .iter()
    .flat_map(|text| text.lines().map(str::to_owned))
    .collect();
    all.sort();
    all
}

fn is_about(error: &RuntimeError, decky: &str, words: &str) {
    let text = error.to_string();
    assert!(text.starts_with(&format!("decky {decky}: ")) && text.contains(words), "{text}");
    assert!(error.is_permanent(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_deployed_names_the_decky_and_leaves_nothing() {
    let Some(bench) = DockerBench::new() else { return };
    let runtime = bench.open().await;
    let taken = bench.lan.plug().unwrap();
    let ours = |traces: Vec<String>| {
        let tag = bench.tag();
        traces.into_iter().filter(|trace| trace.contains(&tag)).collect::<Vec<_>>()
    };
    // No image for its shell.
    let plan = bench.plan("[web]\nservices=http\n[login]\nservices=ssh\n");
    is_about(&runtime.prepare(&plan).await.unwrap_err(), &bench.full("login"), "decnet images build alpine");
    is_about(&runtime.deploy(bench.decky(&plan, "login")).await.unwrap_err(), &bench.full("login"), "");
    // An address that a machine of the LAN has.
    let plan = bench.plan(&format!("[web]\nservices=http\n[db]\nservices=redis\nip={}\n", taken.ip));
    let error = runtime.prepare(&plan).await.unwrap_err();
    is_about(&error, &bench.full("db"), "is taken");
    assert!(error.to_string().contains(&taken.mac), "{error}");
    // A decoy that needs libraries.
    let mut options = bench.options();
    options.folder = bench.folder.path().join("other");
    options.decoy = std::env::current_exe().unwrap();
    let other = decnet_runtime::DockerRuntime::open(options).await.unwrap();
    let plan = bench.plan("[web]\nservices=http\n");
    is_about(&other.prepare(&plan).await.unwrap_err(), &bench.full("web"), "cargo xtask images");
    // A parent that is down.
    output("ip", &["link", "set", &bench.lan.bridge, "down"]);
    let error = runtime.prepare(&plan).await.unwrap_err();
    output("ip", &["link", "set", &bench.lan.bridge, "up"]);
    assert!(error.to_string().contains("is down"), "{error}");
    assert_eq!(ours(everything()), Vec::<String>::new());
    assert_eq!(bench.traces(), Vec::<String>::new());

    // A network without its driver's parent: the deploy itself fails half-way, after the container was made.
    runtime.prepare(&plan).await.unwrap();
    let mut broken = bench.decky(&plan, "web").clone();
    broken.sysctls.insert("net.ipv4.no_such_setting".to_owned(), "1".to_owned());
    let error = runtime.deploy(&broken).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("decky {}: ", bench.full("web"))), "{error}");
    assert_eq!(bench.containers(), []);
    let failed = bench.status(&runtime, "web").await.unwrap();
    assert!(failed.hopeless && failed.last_error.is_some());
    assert!(runtime.deploy(bench.decky(&plan, "web")).await.unwrap().started);
    assert_eq!(bench.status(&runtime, "web").await.unwrap().last_error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_fleets_on_one_engine_do_not_touch_each_other() {
    let (Some(one), Some(mut two)) = (DockerBench::new(), DockerBench::new()) else { return };
    two.suffix.clone_from(&one.suffix);
    let (first, second) = (one.open().await, two.open().await);
    one.deploy(&first, "[web]\nservices=http\n[db]\nservices=redis\n").await;
    let before = one.front("web").unwrap();
    // A name that the other fleet has is refused, and nothing of it is touched.
    let clash = two.plan("[mail]\nservices=imap\n[web]\nservices=http\n");
    let web = one.full("web");
    is_about(&second.prepare(&clash).await.unwrap_err(), &web, "its name is taken");
    is_about(&second.deploy(two.decky(&clash, "web")).await.unwrap_err(), &web, "its name is taken");
    second.remove(&two.name("web")).await.unwrap();
    two.deploy(&second, "[mail]\nservices=imap\n[shop]\nservices=http\n").await;
    let names = |statuses: Vec<decnet_runtime::DeckyStatus>| {
        statuses.into_iter().map(|status| status.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(first.inspect().await.unwrap()), [one.full("db"), one.full("web")]);
    assert_eq!(names(second.inspect().await.unwrap()), [two.full("mail"), two.full("shop")]);
    assert_eq!(one.front("web").unwrap(), before);
    for decky in ["web", "db"] {
        first.remove(&one.name(decky)).await.unwrap();
    }
    first.settle(None).await.unwrap();
    assert_eq!(one.traces(), Vec::<String>::new());
    for decky in ["mail", "shop"] {
        assert_eq!(two.status(&second, decky).await.unwrap().state, decnet_fleet::DeckyState::Running);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_nothing_is_known_and_the_sentence_is_one() {
    let Some(bench) = DockerBench::new() else { return };
    let mut options = bench.options();
    options.socket = Some(bench.folder.path().join("no.sock"));
    let runtime = decnet_runtime::DockerRuntime::open(options).await.unwrap();
    let plan = bench.plan("[web]\nservices=http\n");
    let errors = [
        runtime.inspect().await.unwrap_err(),
        runtime.prepare(&plan).await.unwrap_err(),
        runtime.deploy(&plan.deckies[0]).await.unwrap_err(),
        runtime.settle(None).await.unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().starts_with("the container engine does not answer"), "{error}");
        assert!(!error.is_permanent());
    }
    assert_eq!(runtime.abilities().await.engine, None);
    assert_eq!(decnet_runtime::engine_answers(Some(bench.folder.path().join("no.sock"))).await, None);
    assert!(decnet_runtime::engine_answers(None).await.is_some());
}

/// A small file system of its own, which can be filled. Goes with its value.
struct SmallDisk<'a>(&'a std::path::Path);

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_a_deploy_and_nothing_that_runs() {
    let Some(bench) = DockerBench::new() else { return };
    let folder = bench.base();
    std::fs::create_dir(&folder).unwrap();
    output("mount", &["-t", "tmpfs", "-o", "size=1m,mode=700", "none", folder.to_str().unwrap()]);
    let _disk = SmallDisk(&folder);
    let runtime = bench.open().await;
    let plan = bench.deploy(&runtime, "[web]\nservices=http\n").await;
    let before = bench.front("web").unwrap();
    // Full to the last block.
    let filler = std::fs::File::create(folder.join("filler")).unwrap();
    let mut block = 1 << 16;
    while block > 0 {
        if std::io::Write::write(&mut &filler, &vec![0; block]).is_err() {
            block /= 2;
        }
    }
    let changed = bench.plan("[web]\nservices=http,redis\n[new]\nservices=redis\n");
    for decky in ["web", "new"] {
        let error = runtime.deploy(bench.decky(&changed, decky)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("No space left") && !error.is_permanent(), "{text}");
        assert!(text.starts_with(&format!("decky {}: ", bench.full(decky))), "{text}");
    }
    assert_eq!(bench.front("web").unwrap(), before);
    assert_eq!(bench.containers(), [("web".to_owned(), "running".to_owned())]);
    // Removing is possible all the same.
    assert!(runtime.remove(&bench.name("web")).await.unwrap());
    assert_eq!(bench.traces().len(), 2, "network and host link: {:?}", bench.traces());
    drop(filler);
    std::fs::remove_file(folder.join("filler")).unwrap();
    for decky in ["web", "new"] {
        runtime.deploy(bench.decky(&changed, decky)).await.unwrap();
        bench.reaches(&runtime, decky, decnet_fleet::DeckyState::Running).await;
    }
    assert_ne!(bench.decky(&plan, "web").plan_hash, bench.decky(&changed, "web").plan_hash);
    for decky in ["web", "new"] {
        runtime.remove(&bench.name(decky)).await.unwrap();
    }
    runtime.settle(None).await.unwrap();
    drop(runtime);
}
