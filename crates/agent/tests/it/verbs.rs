//! The short verbs, as orchestrator and canary planter ask them.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use decnet_bus::{
    RequestError, Topic,
    payload::{
        Diverged, Expect, FileToPut, ProbeReply, ProbeRequest, PutFilesReply, PutFilesRequest, ReadFileReply,
        ReadFileRequest, TidyFilesReply, TidyFilesRequest, TidyStep,
    },
};
use decnet_core::{Clock, FleetSecret, HostId, SystemClock, traffic::SourcePorts};
use serde::{Serialize, de::DeserializeOwned};

use crate::ground::{Home, Operator, name, until};

async fn ask<Q: Serialize, R: DeserializeOwned>(
    operator: &Operator,
    topic: Topic,
    question: &Q,
) -> Result<R, RequestError> {
    operator.0.request(&topic, question, Duration::from_secs(9)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_put_and_read_and_colleagues_are_greeted() {
    let home = Home::new().await;
    let operator = Operator::new(&home).await;
    let _agent = home.agent();
    let plan = home.plan("[web]\nservices=ssh,http\n[client]\nservices=http\n");
    operator.deploy(&plan).await.result.unwrap();
    let host = HostId::default();
    let put = Topic::AskPutFiles { host: host.clone() };
    let read = Topic::AskReadFile { host: host.clone() };
    let probe = Topic::AskProbe { host };

    let file = |path: &str, content_b64: String| FileToPut {
        path: path.to_owned(),
        mode: 0o600,
        uid: 1000,
        gid: 1000,
        mtime: SystemClock.now(),
        content_b64,
        expect: None,
    };
    let request = |files| PutFilesRequest { decky: name("web"), files };
    let good = request(vec![
        file("/srv/a.txt", STANDARD.encode("one")),
        file("/srv/b.bin", STANDARD.encode([0, 255])),
    ]);
    assert_eq!(ask::<_, PutFilesReply>(&operator, put.clone(), &good).await.unwrap().written, 2);
    for (files, words) in [
        (vec![file("/srv/c", "not base64!".to_owned())], "nothing was written"),
        (vec![file("/../outside", String::new())], "stays within the decky"),
    ] {
        let refused = ask::<_, PutFilesReply>(&operator, put.clone(), &request(files)).await;
        assert!(matches!(&refused, Err(RequestError::Remote(text)) if text.contains(words)), "{refused:?}");
    }
    let question =
        |decky, path: &str| ReadFileRequest { decky: name(decky), path: path.to_owned(), max: 100 };
    let answer: ReadFileReply = ask(&operator, read.clone(), &question("web", "/srv/b.bin")).await.unwrap();
    assert_eq!(answer.content_b64, Some(STANDARD.encode([0, 255])));
    let answer: ReadFileReply = ask(&operator, read.clone(), &question("web", "/srv/none")).await.unwrap();
    assert_eq!(answer.content_b64, None);
    let refused = ask::<_, ReadFileReply>(&operator, read, &question("nobody", "/x")).await;
    assert!(
        matches!(&refused, Err(RequestError::Remote(text)) if text.contains("decnet status")),
        "{refused:?}"
    );

    let (from, to) = (plan.decky("client").unwrap().ip(), plan.decky("web").unwrap().ip());
    let question = ProbeRequest { from: name("client"), to_ip: to, to_port: 22, protocol: None };
    let answer: ProbeReply = ask(&operator, probe.clone(), &question).await.unwrap();
    assert!(answer.banner.unwrap().starts_with("SSH-2.0-"));
    let secret = FleetSecret::load_or_create(&home.path("fleet.secret")).unwrap();
    let base = operator.inspect().await.iter().find(|d| d.name.as_str() == "web").unwrap().port_base;
    let ports = SourcePorts::of_fleet(&secret.seed());
    assert!(ports.is_ours((from, answer.src_port), (to, base + 22), SystemClock.now()));
    // A web server is asked for its page, as a colleague's browser would.
    let spoken = ProbeRequest { to_port: 80, protocol: Some("http".to_owned()), ..question.clone() };
    let answer: ProbeReply = ask(&operator, probe.clone(), &spoken).await.unwrap();
    assert!(answer.banner.unwrap().starts_with("HTTP/1.1 "));
    // A service that waits for its client gives no greeting and is no failure.
    let question = ProbeRequest { to_port: 80, ..question };
    assert_eq!(ask::<_, ProbeReply>(&operator, probe.clone(), &question).await.unwrap().banner, None);
    let question = ProbeRequest { to_port: 4444, ..question };
    let refused = ask::<_, ProbeReply>(&operator, probe, &question).await;
    assert!(matches!(&refused, Err(RequestError::Remote(text)) if text.contains("service")), "{refused:?}");
    until("the web server's port is told", async || (base == 0 || base == 20_000).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_expected_is_named_and_left_alone() {
    let home = Home::new().await;
    let operator = Operator::new(&home).await;
    let _agent = home.agent();
    let plan = home.plan("[web]\nservices=http\n");
    operator.deploy(&plan).await.result.unwrap();
    let host = HostId::default();
    let put = Topic::AskPutFiles { host: host.clone() };
    let tidy = Topic::AskTidyFiles { host: host.clone() };
    let read = Topic::AskReadFile { host };
    let mtime = SystemClock.now() - chrono::TimeDelta::days(3);
    let file = |path: &str, content: &str, expect: Option<Expect>| FileToPut {
        path: path.to_owned(),
        mode: 0o640,
        uid: 1000,
        gid: 1000,
        mtime,
        content_b64: STANDARD.encode(content),
        expect,
    };
    // Of "one".
    let hash = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed".to_owned();
    let is_one = || Expect::Sha256(hash.clone());
    let request = |files| PutFilesRequest { decky: name("web"), files };
    let few = (0..3).map(|n| file(&format!("/srv/{n}"), "one", Some(Expect::Absent))).collect();
    let reply: PutFilesReply = ask(&operator, put.clone(), &request(few)).await.unwrap();
    assert_eq!((reply.written, reply.diverged), (3, Vec::new()));
    // As many as an ageing has, in messages that the broker takes.
    let text = "12345678".repeat(1024);
    let many: Vec<FileToPut> =
        (0..1000).map(|n| file(&format!("/home/ana/{}/{n}", n % 20), &text, Some(Expect::Absent))).collect();
    let started = std::time::Instant::now();
    for files in many.chunks(64) {
        let reply: PutFilesReply = ask(&operator, put.clone(), &request(files.to_vec())).await.unwrap();
        assert_eq!((reply.written as usize, reply.diverged), (files.len(), Vec::new()));
    }
    println!("1000 files of 8 KiB through the agent: {:?}", started.elapsed());
    let files = vec![file("/srv/0", "two", Some(Expect::Absent)), file("/srv/1", "two", Some(is_one()))];
    let reply: PutFilesReply = ask(&operator, put, &request(files)).await.unwrap();
    let left = Diverged { path: "/srv/0".to_owned(), found: Some(hash.clone()) };
    assert_eq!((reply.written, reply.diverged), (1, vec![left]));

    let step = |path: &str, to: Option<&str>| TidyStep {
        path: path.to_owned(),
        to: to.map(str::to_owned),
        expect: is_one(),
    };
    let steps = vec![step("/srv/0", Some("/srv/0.1")), step("/srv/1", None), step("/srv/2", None)];
    let request = TidyFilesRequest { decky: name("web"), steps };
    let reply: TidyFilesReply = ask(&operator, tidy, &request).await.unwrap();
    assert_eq!((reply.done, reply.diverged.unwrap().path.as_str()), (1, "/srv/1"));
    let question = |path: &str| ReadFileRequest { decky: name("web"), path: path.to_owned(), max: 2 };
    let answer: ReadFileReply = ask(&operator, read.clone(), &question("/srv/0")).await.unwrap();
    assert_eq!((answer.content_b64, answer.stat), (None, None));
    let answer: ReadFileReply = ask(&operator, read, &question("/srv/0.1")).await.unwrap();
    let stat = answer.stat.unwrap();
    assert_eq!(answer.content_b64, Some(STANDARD.encode("on")));
    assert_eq!((stat.size, stat.mode, stat.uid, stat.gid, stat.mtime), (3, 0o640, 1000, 1000, mtime));

    let incarnation = async || operator.inspect().await.first().and_then(|decky| decky.incarnation.clone());
    let first = incarnation().await;
    assert!(first.is_some());
    operator.deploy(&home.plan("[web]\nservices=http,ssh\n")).await.result.unwrap();
    assert_eq!(incarnation().await, first, "its disk is the same");
}
