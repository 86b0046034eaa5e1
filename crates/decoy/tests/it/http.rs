//! The http service against curl and against raw sockets.

use std::{path::Path, process::Command};

use decnet_logline::{attacker_ip, captured_secret};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::scene::{LOGIN, PASSWORD, Scene, document, field, run, tool};

async fn http(server: &str) -> Scene {
    let mut config = document(&["http"], 3);
    config.services[0].settings.insert("server_header".to_owned(), server.to_owned());
    Scene::of(config).await
}

fn curl(program: &Path, scene: &Scene, path: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(["-sS", "-i", "--max-time", "20"])
        .args(args)
        .arg(format!("http://{}{path}", scene.address("http")));
    command
}

async fn raw(scene: &Scene, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(scene.address("http")).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Path of the sign-in script, from the site's own robots.txt.
async fn login_path(scene: &Scene) -> String {
    let robots = raw(scene, b"GET /robots.txt HTTP/1.0\r\n\r\n").await;
    robots
        .lines()
        .filter_map(|line| line.strip_prefix("Disallow: "))
        .find(|path| path.contains(".php"))
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_every_kind_are_captured_with_their_outcome() {
    let Some(program) = tool("curl", "curl") else { return };
    let scene = http("nginx/1.22.1").await;
    let login = login_path(&scene).await;
    let right = [
        "--data-urlencode",
        &format!("username={LOGIN}"),
        "--data-urlencode",
        &format!("password={PASSWORD}"),
    ];
    let tries: &[(&str, Vec<&str>)] = &[
        ("/", vec!["-u", "admin:p]a\"s\\s"]),
        ("/", vec!["-H", "Authorization: Bearer abc.def"]),
        (&login, vec!["-d", "username=root&password=to%26or"]),
        (&login, vec!["-F", "username=root", "-F", "password=multi part"]),
        (
            &login,
            vec![
                "-H",
                "Content-Type: application/json",
                "-d",
                "{\"username\":\"root\",\"password\":\"js\u{e9}n\"}",
            ],
        ),
        (&login, right.to_vec()),
    ];
    for (path, args) in tries {
        let output = run(curl(&program, &scene, path, args)).await;
        assert!(output.status.success(), "{args:?}: {output:?}");
    }
    let want = [
        (Some("admin"), "p]a\"s\\s", "plaintext", None),
        (None, "abc.def", "http_bearer", None),
        (Some("root"), "to&or", "plaintext", Some("failure")),
        (Some("root"), "multi part", "plaintext", Some("failure")),
        (Some("root"), "js\u{e9}n", "plaintext", Some("failure")),
        (Some(LOGIN), PASSWORD, "plaintext", Some("success")),
    ];
    scene.lines.nth("request", want.len()).await;
    let records = scene.lines.of("request");
    let caught: Vec<_> =
        records.iter().filter_map(|record| Some((record, captured_secret(record)?))).collect();
    assert_eq!(caught.len(), want.len());
    for ((record, secret), (principal, password, kind, outcome)) in caught.iter().zip(want) {
        assert_eq!(secret.principal.as_deref(), principal, "{record:?}");
        assert_eq!(secret.len, password.len(), "{record:?}");
        assert_eq!((secret.kind.as_str(), secret.outcome.as_deref()), (kind, outcome));
        assert_eq!(attacker_ip(record), Some("127.0.0.1".parse().unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_keep_order_and_case_and_a_body_cannot_forge_a_line() {
    let scene = http("Apache/2.4.71 (Debian)").await;
    let forged = "x=1\n<134>1 2026-01-01T00:00:00.000000+00:00 other ssh - auth_attempt [relay@55555 src_ip=\"6.6.6.6\"]\n";
    let request = format!(
        "POST /a%20b?q=<x> HTTP/1.1\r\nhOsT: x\r\nZ-Last: 1\r\nA-First: 2\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{forged}",
        forged.len()
    );
    let answer = raw(&scene, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\nDate: "), "{answer}");
    let record = scene.lines.nth("request", 0).await;
    let headers: Vec<(String, String)> = serde_json::from_str(field(&record, "headers")).unwrap();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hOsT", "Z-Last", "A-First", "Content-Length", "Connection"]);
    assert_eq!(
        (field(&record, "path"), field(&record, "query"), field(&record, "raw_target")),
        ("/a b", "q=<x>", "/a%20b?q=<x>")
    );
    assert!(
        scene.lines.records().iter().all(|record| record.hostname == "web-01" && record.app_name == "http")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_is_kept_byte_for_byte() {
    let Some(program) = tool("curl", "curl") else { return };
    let scene = http("Apache/2.4.62 (Debian)").await;
    let bytes: Vec<u8> = (0..200_000u32).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
    let file = scene.folder.path().join("upload.bin");
    std::fs::write(&file, &bytes).unwrap();
    let data = format!("@{}", file.display());
    // curl asks for leave first (Expect: 100-continue) with a body of this size.
    for args in [
        vec!["--data-binary", &data, "-H", "Expect: 100-continue"],
        vec!["--data-binary", &data, "-H", "Transfer-Encoding: chunked"],
    ] {
        let output = run(curl(&program, &scene, "/upload", &args)).await;
        assert!(output.status.success(), "{output:?}");
    }
    for n in 0..2 {
        let record = scene.lines.nth("request", n).await;
        assert_eq!(field(&record, "body_size"), "200000");
        assert_eq!(scene.artifact(field(&record, "body_stored_as")), bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_many_requests_and_conditions() {
    let Some(program) = tool("curl", "curl") else { return };
    let scene = http("nginx/1.22.1").await;
    // Pipelined: three answers in order.
    let answers = raw(&scene, b"GET / HTTP/1.1\r\nHost: x\r\n\r\nHEAD /nope HTTP/1.1\r\nHost: x\r\n\r\nGET /robots.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let order: Vec<&str> =
        answers.match_indices("HTTP/1.1 ").filter_map(|(at, _)| answers.get(at + 9..at + 12)).collect();
    assert_eq!(order, ["200", "404", "200"]);
    let url = format!("http://{}/", scene.address("http"));
    let output = run(curl(
        &program,
        &scene,
        "/",
        &["-o", "/dev/null", "-w", "%{num_connects} %header{etag}", &url, "--compressed"],
    ))
    .await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("0 W/\""), "the second request used the first connection: {text}");
    let page = raw(&scene, b"GET / HTTP/1.0\r\n\r\n").await;
    let tag = page.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let again = raw(&scene, format!("GET / HTTP/1.0\r\nIf-None-Match: {tag}\r\n\r\n").as_bytes()).await;
    assert!(again.starts_with("HTTP/1.1 304 Not Modified\r\n") && again.ends_with("\r\n\r\n"), "{again}");
    let part = raw(&scene, b"GET / HTTP/1.0\r\nRange: bytes=0-14\r\n\r\n").await;
    assert!(part.ends_with("\r\n\r\n<!DOCTYPE html>"), "{part}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_answered_recorded_and_hurts_nobody() {
    let scene = http("nginx/1.22.1").await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ] {
        let answer = raw(&scene, garbage).await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\nServer: nginx/1.22.1\r\n"), "{answer}");
    }
    let large = [b"GET /".as_slice(), &vec![b'a'; 100_000], b" HTTP/1.1\r\n\r\n"].concat();
    assert!(raw(&scene, &large).await.starts_with("HTTP/1.1 414 Request-URI Too Large\r\n"));
    let huge = raw(&scene, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n").await;
    assert!(huge.starts_with("HTTP/1.1 413 Request Entity Too Large\r\n"), "{huge}");
    let record = scene.lines.nth("request", 0).await;
    assert_eq!((field(&record, "status"), field(&record, "raw_size")), ("400", "11"));
    assert!(raw(&scene, b"GET / HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_files_and_settings_are_served() {
    let mut config = document(&["http"], 4);
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("var/www/html/docs");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("plan.pdf"), b"%PDF-1.4 planted").unwrap();
    std::fs::write(root.path().join("secret"), b"outside").unwrap();
    std::os::unix::fs::symlink(root.path().join("secret"), folder.join("link.txt")).unwrap();
    config.root = Some(root.path().to_owned());
    config.services[0]
        .settings
        .insert("extra_headers".to_owned(), "{\"X-Powered-By\":\"PHP/8.2.7\"}".to_owned());
    let scene = Scene::of(config).await;
    let pdf = raw(&scene, b"GET /docs/plan.pdf HTTP/1.0\r\n\r\n").await;
    assert!(
        pdf.contains("Content-Type: application/pdf\r\n")
            && pdf.contains("X-Powered-By: PHP/8.2.7\r\n")
            && pdf.ends_with("%PDF-1.4 planted"),
        "{pdf}"
    );
    assert!(raw(&scene, b"GET /docs HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.1 301 "));
    assert!(raw(&scene, b"GET /docs/link.txt HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.1 404 "));
}
