//! No line of a decoy is lost or doubled, whoever is killed.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use decnet_runtime::{HostRuntime, OutputItem, OutputLine, OutputRef, Position, ProcessRuntime};
use futures_util::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::bench::{Bench, eventually, kill, name, running};

async fn output_of(runtime: &ProcessRuntime, decky: &str) -> OutputRef {
    runtime.outputs().await.unwrap().into_iter().find(|output| output.decky.as_str() == decky).unwrap()
}

/// One request on a connection of its own; false if the decoy is not there.
async fn request(to: SocketAddr, number: usize) -> bool {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await.ok()?;
        let head = format!("GET /load/{number} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        answer.starts_with(b"HTTP/1.1").then_some(())
    };
    tokio::time::timeout(Duration::from_secs(20), exchange).await.ok().flatten().is_some()
}

/// Follows until `enough` says so; what came, and where to go on.
async fn follow(
    runtime: &ProcessRuntime,
    output: &OutputRef,
    from: Option<Position>,
    mut enough: impl FnMut(&OutputLine, usize) -> bool,
) -> Vec<OutputLine> {
    let mut stream = runtime.follow(output, from).await.unwrap();
    let mut lines = Vec::new();
    while let Some(item) = stream.next().await {
        let OutputItem::Line(line) = item.unwrap() else { continue };
        lines.push(line);
        if enough(lines.last().unwrap(), lines.len()) {
            break;
        }
    }
    lines
}

/// A14, as far as it is the runtime's: the follower is started anew ten times from its stored position while clients load
/// the decoy, and at the end it has every line of the output once.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_restarts_ten_times_sees_every_line_once() {
    const REQUESTS: usize = 1500;
    let bench = Bench::new();
    let runtime = bench.open().await;
    bench.deploy(&runtime, "[web]\nservices=http\n").await;
    let to = running(&runtime, "web").await.addresses["http"][0];
    let output = output_of(&runtime, "web").await;
    let load = tokio::spawn(async move {
        let all = futures_util::stream::iter(0..REQUESTS).map(|n| async move { (n, request(to, n).await) });
        let answered = all.buffer_unordered(16).filter(|(_, ok)| std::future::ready(*ok));
        answered.map(|(number, _)| number).collect::<Vec<_>>().await
    });
    let mut lines: Vec<OutputLine> = Vec::new();
    let mut runtime = runtime;
    for restart in 0..10 {
        let from = lines.last().map(|line| line.next);
        let got = follow(&runtime, &output, from, |_, count| count >= 100 + restart * 10).await;
        lines.extend(got);
        if restart == 5 {
            // Once the agent itself goes; the decoy writes on meanwhile.
            runtime.detach();
            runtime = bench.open().await;
        }
    }
    let answered = load.await.unwrap();
    // A machine under load may let one or the other connection meet the decoy's limits.
    assert!(answered.len() > REQUESTS * 9 / 10, "only {} requests were answered", answered.len());
    runtime.remove(&name("web")).await.unwrap();
    let ended = output_of(&runtime, "web").await;
    assert!(ended.ended && ended.source == output.source);
    let rest = follow(&runtime, &ended, lines.last().map(|line| line.next), |_, _| false).await;
    assert!(!rest.is_empty());
    lines.extend(rest);

    let folder = bench.base().join(".removed").join(&*output.source);
    let file = std::fs::read(folder.join("output.log")).unwrap();
    let expected: Vec<&[u8]> = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), expected.len());
    assert!(lines.iter().zip(&expected).all(|(line, expected)| &line.bytes[..] == *expected));
    assert!(lines.is_sorted_by(|a, b| a.seq < b.seq));
    let text = String::from_utf8(file).unwrap();
    for number in answered {
        assert!(text.contains(&format!("/load/{number}\"")), "request {number} left no line");
    }
    assert!(text.contains("shutdown"), "the farewell of the decoy is part of its output");
    runtime.discard(&ended).await.unwrap();
    assert!(!folder.exists());
    assert!(runtime.outputs().await.unwrap().is_empty());
}

/// Decoys that are killed while clients load them: what they wrote stays, and the next one goes on behind it.
#[tokio::test(flavor = "multi_thread")]
async fn killed_decoys_leave_whole_lines_and_no_answered_request_is_missing() {
    const REQUESTS: usize = 1200;
    let bench = Bench::new();
    let runtime = bench.open().await;
    bench.deploy(&runtime, "[web]\nservices=http\n").await;
    let to = running(&runtime, "web").await.addresses["http"][0];
    let load = tokio::spawn(async move {
        let mut answered = BTreeSet::new();
        let mut all = futures_util::stream::iter(0..REQUESTS)
            .map(|n| async move { (n, request(to, n).await) })
            .buffer_unordered(16);
        while let Some((number, ok)) = all.next().await {
            if ok {
                answered.insert(number);
            } else {
                // The decoy is away: without a pause the load would be over before it is back.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        answered
    });
    let mut killed = 0;
    while !load.is_finished() && killed < 5 {
        let pid = bench.pid("web");
        let size = std::fs::metadata(bench.of("web", "output.log")).unwrap().len();
        eventually("the load goes on", || async {
            let grown = std::fs::metadata(bench.of("web", "output.log")).unwrap().len() > size + 20_000;
            (grown || load.is_finished()).then_some(())
        })
        .await;
        kill(pid);
        killed += 1;
        eventually("the next decoy", || async { (bench.pid("web") != pid).then_some(()) }).await;
    }
    assert!(killed >= 2, "the load was over after {killed} kills");
    let answered = load.await.unwrap();
    running(&runtime, "web").await;
    let output = output_of(&runtime, "web").await;
    runtime.remove(&name("web")).await.unwrap();
    let ended = OutputRef { ended: true, ..output };
    let lines = follow(&runtime, &ended, None, |_, _| false).await;
    let mut seen = BTreeSet::new();
    for line in &lines {
        let text = std::str::from_utf8(&line.bytes).unwrap();
        if let Ok(record) = decnet_logline::scan(text.as_bytes())
            && record.msgid == "request"
            && let Some(number) =
                record.fields.get("path").and_then(|path| path.strip_prefix("/load/")?.parse().ok())
        {
            assert!(seen.insert(number), "request {number} twice");
        }
    }
    let missing: Vec<_> = answered.difference(&seen).collect();
    assert!(missing.is_empty(), "answered and not in the output: {missing:?} ({} answered)", answered.len());
}
