//! What holds for every service: limits, lines, artifacts, shutdown, exit codes, memory.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use decnet_logline::scan;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::scene::{PATIENCE, Scene, field, run};

/// A decoy in a process of its own.
struct Process {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    address: SocketAddr,
}

impl Process {
    fn start() -> Self {
        Self::of(Command::new(env!("CARGO_BIN_EXE_decnet-decoy")), &[])
    }

    fn of(mut program: Command, more: &[&str]) -> Self {
        let mut child = program
            .args(["run", "--services", "ssh", "--bind", "127.0.0.1", "--any-port", "--secret"])
            .arg("ab".repeat(32))
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let record = scan(line.trim_end().as_bytes()).unwrap();
        assert_eq!(record.msgid, "startup");
        let ports: Vec<u16> = serde_json::from_str(field(&record, "ports")).unwrap();
        let address = (Ipv4Addr::LOCALHOST, ports[0]).into();
        Self { child, out, address }
    }

    fn memory_kib(&self, key: &str) -> u64 {
        let file = if key == "VmHWM" { "status" } else { "smaps_rollup" };
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{key}:"))).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_connection_says_whose_it_is() {
    let scene = Scene::start(&["ssh"]).await;
    let mut client = tokio::net::TcpStream::connect(scene.address("ssh")).await.unwrap();
    let port = client.local_addr().unwrap().port().to_string();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer).await;
    scene.lines.nth("disconnect", 0).await;
    let records: Vec<_> =
        scene.lines.records().into_iter().filter(|record| record.msgid != "startup").collect();
    let kinds: Vec<_> = records.iter().map(|record| record.msgid.as_str()).collect();
    assert_eq!(kinds, ["connect", "client_banner", "disconnect"]);
    for (n, record) in records.iter().enumerate() {
        assert_eq!(record.hostname, "web-01");
        assert_eq!(record.app_name, "ssh");
        assert_eq!(field(record, "src_ip"), "127.0.0.1");
        assert_eq!(field(record, "src_port"), port);
        assert_eq!(field(record, "dst_port"), scene.address("ssh").port().to_string());
        assert_eq!(field(record, "seq"), n.to_string());
        assert_eq!(field(record, "conn_id"), field(&records[0], "conn_id"));
    }
    assert_eq!(field(&records[2], "bytes_in"), "18");
    assert_eq!(field(&records[2], "bytes_out"), answer.len().to_string());
    scene.decoy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_source_is_held_to_its_share_and_others_still_get_in() {
    let scene = Scene::start(&["ssh"]).await;
    let address = scene.address("ssh");
    let mut held = Vec::new();
    for _ in 0..32 {
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut byte = [0];
        client.read_exact(&mut byte).await.unwrap();
        held.push(client);
    }
    // The 33rd is closed without a word.
    let mut refused = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    let _ = refused.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "the 33rd connection of one source was served");
    let record = scene.lines.nth("connection_refused", 0).await;
    assert_eq!(field(&record, "src_ip"), "127.0.0.1");
    // Another source is served.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.9:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(address).await.unwrap();
    let mut hello = [0; 4];
    tokio::time::timeout(PATIENCE, other.read_exact(&mut hello)).await.unwrap().unwrap();
    assert_eq!(&hello, b"SSH-");
    // A place that is given up is free again.
    drop(held);
    scene
        .lines
        .until("32 disconnects", |records| {
            (records.iter().filter(|r| r.msgid == "disconnect").count() >= 32).then_some(())
        })
        .await;
    let mut again = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::time::timeout(PATIENCE, again.read_exact(&mut hello)).await.unwrap().unwrap();
    assert_eq!(scene.decoy.open(), 2);
    scene.decoy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_says_goodbye_for_connections_and_services() {
    let scene = Scene::start(&["ssh"]).await;
    let mut client = tokio::net::TcpStream::connect(scene.address("ssh")).await.unwrap();
    let mut byte = [0];
    client.read_exact(&mut byte).await.unwrap();
    let Scene { lines, decoy, folder: _folder } = scene;
    decoy.stop().await;
    let kinds: Vec<_> = lines.records().into_iter().map(|record| record.msgid).collect();
    assert_eq!(kinds, ["startup", "connect", "disconnect", "shutdown"]);
    assert_eq!(field(&lines.of("disconnect")[0], "reason"), "shutdown");
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest).await;
}

#[test]
fn what_was_answered_survives_a_kill() {
    let mut process = Process::start();
    let mut client = TcpStream::connect(process.address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"SSH-1.5-old\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("Protocol major versions differ.\r\n"), "{answer}");
    process.child.kill().unwrap();
    let mut lines = String::new();
    process.out.read_to_string(&mut lines).unwrap();
    assert!(lines.contains(" connect "), "{lines}");
    assert!(lines.contains("SSH-1.5-old"), "answered before it was on record: {lines}");
}

#[test]
fn sigterm_ends_in_order() {
    let mut process = Process::start();
    let client = TcpStream::connect(process.address).unwrap();
    let mut line = String::new();
    process.out.read_line(&mut line).unwrap();
    assert!(line.contains(" connect "), "{line}");
    process.terminate();
    let mut rest = String::new();
    process.out.read_to_string(&mut rest).unwrap();
    assert!(process.child.wait().unwrap().success());
    let kinds: Vec<_> = rest.lines().map(|line| scan(line.as_bytes()).unwrap().msgid).collect();
    assert_eq!(kinds, ["disconnect", "shutdown"]);
    drop(client);
}

#[test]
fn a_closed_stdout_stops_the_decoy() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_decnet-decoy"))
        .args(["run", "--services", "ssh", "--bind", "127.0.0.1", "--any-port"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "still running without a reader");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(status.code(), Some(1));
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("stdout"), "{text}");
}

#[test]
fn wrong_requests_exit_2_and_say_what_is_known() {
    for (args, part) in [
        (&["run", "--services", "gopher"][..], "this decoy serves: ssh"),
        (&["run"][..], "--services"),
        (&["run", "--services", "ssh", "--port-base", "65530"][..], "smaller --port-base"),
        (&["run", "--services", "ssh", "--config", "/no/such"][..], "existing file"),
        (&["run", "--services", "ssh", "--secret", "abc"][..], "64 hexadecimal digits"),
        (&["health"][..], "--file"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_decnet-decoy")).args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(part), "{args:?}: {text}");
    }
}

#[test]
fn without_file_descriptors_it_waits_and_serves_again() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 24; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_decnet-decoy")]);
    let process = Process::of(shell, &[]);
    let held: Vec<_> = (0..40u8)
        .map(|n| {
            let socket =
                rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)
                    .unwrap();
            rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::new(127, 0, 3, n), 0))).unwrap();
            rustix::net::connect(&socket, &process.address).unwrap();
            TcpStream::from(socket)
        })
        .collect();
    // The kernel took them all, the decoy cannot: the last one gets no greeting.
    let last = held.last().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!((&mut &*last).read(&mut [0]).is_err(), "the limit does not bite; the test proves nothing");
    drop(held);
    let mut client = TcpStream::connect(process.address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut hello = [0; 4];
    client.read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"SSH-");
}

#[test]
fn health_is_asked_without_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("health.json");
    let file = file.to_str().unwrap();
    let ask = || {
        let program = env!("CARGO_BIN_EXE_decnet-decoy");
        Command::new(program).args(["health", "--file", file]).output().unwrap()
    };
    assert_eq!(ask().status.code(), Some(1), "well before it runs");
    let process = Process::of(Command::new(env!("CARGO_BIN_EXE_decnet-decoy")), &["--health-file", file]);
    let deadline = Instant::now() + PATIENCE;
    while !ask().status.success() {
        assert!(Instant::now() < deadline, "never well: {:?}", ask());
        std::thread::sleep(Duration::from_millis(50));
    }
    let health: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(health["services"][0]["slug"], "ssh");
    assert_eq!(health["services"][0]["listening"][0], process.address.to_string());
    assert_eq!(health["services"][0]["accepted"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_comes_from_the_port_it_is_told() {
    let scene = Scene::start(&["ssh"]).await;
    let address = scene.address("ssh");
    // A port that is free right now.
    let port = {
        let socket = std::net::TcpListener::bind("127.0.0.7:0").unwrap();
        socket.local_addr().unwrap().port()
    };
    let (ip, to) = (address.ip().to_string(), address.port().to_string());
    for n in 0..2 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_decnet-decoy"));
        command.args(["probe-banner", &ip, &to, "--from", "127.0.0.7", "--source-port", &port.to_string()]);
        let output = run(command).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.starts_with("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u"), "{output:?}");
        let record = scene.lines.nth("connect", n).await;
        assert_eq!(field(&record, "src_ip"), "127.0.0.7");
        assert_eq!(field(&record, "src_port"), port.to_string());
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_decnet-decoy"));
    command.args(["probe-banner", &ip, "1"]);
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(1));
    scene.decoy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_waits_for_its_client_is_reached_all_the_same() {
    let scene = Scene::start(&["http", "redis"]).await;
    for slug in ["http", "redis"] {
        let address = scene.address(slug);
        let mut command = Command::new(env!("CARGO_BIN_EXE_decnet-decoy"));
        command.args(["probe-banner", &address.ip().to_string(), &address.port().to_string()]);
        let began = Instant::now();
        let output = run(command).await;
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"\n"[..]), "{output:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
    scene.decoy.stop().await;
}

/// The key exchanges that cost the server most, as many at once as one source may have.
#[test]
fn costly_key_exchanges_leave_the_other_services_alone() {
    let Some(ssh) = crate::scene::tool("ssh", "openssh-client") else { return };
    let mut program = Command::new(env!("CARGO_BIN_EXE_decnet-decoy"));
    let mut child = program
        .args(["run", "--services", "ssh,http", "--bind", "127.0.0.1", "--any-port", "--secret"])
        .arg("ab".repeat(32))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut ports = Vec::new();
    for _ in 0..2 {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let record = scan(line.trim_end().as_bytes()).unwrap();
        ports.push(serde_json::from_str::<Vec<u16>>(field(&record, "ports")).unwrap()[0]);
    }
    // Lines must be read, or the decoy rightly slows down.
    let reader = std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    let mut clients: Vec<_> = (0..16)
        .map(|_| {
            Command::new(&ssh)
                .args(["-F", "/dev/null", "-oBatchMode=yes", "-oStrictHostKeyChecking=no"])
                .args(["-oUserKnownHostsFile=/dev/null", "-oKexAlgorithms=diffie-hellman-group18-sha512"])
                .args(["-p", &ports[0].to_string(), "x@127.0.0.1"])
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut worst = Duration::ZERO;
    let mut answers = 0;
    while clients.iter_mut().any(|client| client.try_wait().unwrap().is_none()) {
        let asked = Instant::now();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, ports[1])).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut hello = [0; 5];
        client.read_exact(&mut hello).unwrap();
        assert_eq!(&hello, b"HTTP/");
        worst = worst.max(asked.elapsed());
        answers += 1;
    }
    println!("worst of {answers} answers {worst:?}");
    assert!(answers > 3, "the exchanges were over at once; the test proves nothing");
    assert!(worst < Duration::from_secs(1), "an http client waited {worst:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().unwrap();
}

/// Sends garbage until the other side has had enough or `limit` bytes are gone; the bytes that went.
fn flood(address: SocketAddr, source: Ipv4Addr, first: &[u8], limit: usize) -> usize {
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((source, 0))).unwrap();
    if rustix::net::connect(&socket, &address).is_err() {
        return 0;
    }
    let mut stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut sent = 0;
    if stream.write_all(first).is_err() {
        return 0;
    }
    let block = vec![0xa5; 1 << 20];
    while sent < limit {
        match stream.write(&block) {
            Ok(n) => sent += n,
            Err(_) => break,
        }
    }
    sent
}

#[test]
fn floods_and_half_open_connections_cost_little_memory_and_no_time() {
    let process = Process::start();
    let address = process.address;
    let before = process.memory_kib("Pss");
    // Lines must be read, or the decoy rightly slows down.
    let mut process = process;
    let mut out = std::mem::replace(&mut process.out, {
        let mut idle = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(idle.stdout.take().unwrap());
        idle.wait().unwrap();
        out
    });
    let reader = std::thread::spawn(move || {
        let mut lines = 0;
        let mut line = Vec::new();
        while out.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
            scan(line.trim_ascii_end()).unwrap_or_else(|e| panic!("{e}"));
            lines += 1;
            line.clear();
        }
        lines
    });
    let openings: &[&[u8]] = &[
        b"",
        b"SSH-2.0-flood\r\n",
        b"SSH-2.0-flood\r\n\x00\x00\x80\x00\x04\x14",
        b"SSH-2.0-flood\r\n\xff\xff\xff\xff",
        b"SSH-2.0-",
    ];
    let floods: Vec<_> = (0..16)
        .map(|n: u8| {
            let first = openings[usize::from(n) % openings.len()].to_vec();
            std::thread::spawn(move || flood(address, Ipv4Addr::new(127, 0, 1, n), &first, 1 << 30))
        })
        .collect();
    // Half-open ones beside them: connected, silent.
    let silent: Vec<_> = (0..300u16)
        .filter_map(|n| {
            let socket =
                rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)
                    .ok()?;
            let source = Ipv4Addr::new(127, 0, 2, u8::try_from(n % 30).ok()?);
            rustix::net::bind(&socket, &SocketAddr::from((source, 0))).ok()?;
            rustix::net::connect(&socket, &address).ok()?;
            Some(TcpStream::from(socket))
        })
        .collect();
    let asked = Instant::now();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut hello = [0; 4];
    client.read_exact(&mut hello).unwrap();
    let waited = asked.elapsed();
    for flood in floods {
        flood.join().unwrap();
    }
    assert_eq!(&hello, b"SSH-");
    assert!(waited < Duration::from_secs(1), "a bystander waited {waited:?}");
    let peak = process.memory_kib("VmHWM");
    let now = process.memory_kib("Pss");
    let each = now.saturating_sub(before) / silent.len() as u64;
    println!("idle {before} KiB, peak {peak} KiB, with {} open {now} KiB ({each} KiB each)", silent.len());
    assert!(peak < 64 << 10, "peak {peak} KiB");
    assert!(each <= 32, "an idle connection costs {each} KiB");
    drop(silent);
    drop(client);
    process.terminate();
    assert!(process.child.wait().unwrap().success());
    assert!(reader.join().unwrap() > 600);
}
