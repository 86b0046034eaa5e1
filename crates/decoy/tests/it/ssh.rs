//! The ssh service against the clients of Debian's openssh-client.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    path::Path,
    process::{Command, Output},
};

use decnet_core::ShellLink;
use decnet_decoy::{
    host::{Decoy, Surroundings},
    shell::frame::{Decoder, Hello, Run, Start, Tag, push},
};
use decnet_logline::{attacker_ip, captured_secret};

use crate::scene::{LOGIN, Lines, PASSWORD, Scene, document, field, run, tool};

/// A client that trusts everyone and asks nothing.
fn client(program: &Path, scene: &Scene) -> Command {
    let mut command = Command::new(program);
    command.env("LC_MARK", "on record").env_remove("SSH_AUTH_SOCK").env("HOME", scene.folder.path()).args([
        "-F",
        "/dev/null",
        "-oStrictHostKeyChecking=no",
        "-oUserKnownHostsFile=/dev/null",
        "-oNumberOfPasswordPrompts=1",
        "-oLogLevel=INFO",
    ]);
    command
}

async fn ssh(scene: &Scene, before: &[&str], user: &str, after: &[&str]) -> Option<Output> {
    let ssh = tool("ssh", "openssh-client")?;
    let mut command = client(&ssh, scene);
    let address = scene.address("ssh");
    command.args(before).args(["-p", &address.port().to_string(), &format!("{user}@127.0.0.1")]).args(after);
    Some(run(command).await)
}

/// As above, with a password.
async fn login(scene: &Scene, before: &[&str], user: &str, password: &str, after: &[&str]) -> Option<Output> {
    let (sshpass, ssh) = (tool("sshpass", "sshpass")?, tool("ssh", "openssh-client")?);
    let inner = client(&ssh, scene);
    let mut command = Command::new(sshpass);
    command.args(["-p", password]).arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let address = scene.address("ssh");
    command
        .args(["-oPreferredAuthentications=password", "-oPubkeyAuthentication=no"])
        .args(before)
        .args(["-p", &address.port().to_string(), &format!("{user}@127.0.0.1")])
        .args(after);
    Some(run(command).await)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_a_credential() {
    let scene = Scene::start(&["ssh"]).await;
    let Some(output) = login(&scene, &[], "root", "p]a\"s\\s\u{e9}", &["id"]).await else { return };
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("Permission denied (publickey,password)"), "{output:?}");
    scene.lines.nth("disconnect", 0).await;
    let tries = scene.lines.of("auth_attempt");
    assert_eq!(tries.len(), 2, "{tries:#?}");
    assert_eq!(field(&tries[0], "method"), "none");
    assert_eq!(field(&tries[0], "username"), "root");
    assert_eq!(field(&tries[1], "method"), "password");
    assert_eq!(field(&tries[1], "outcome"), "failure");
    let secret = captured_secret(&tries[1]).expect("no credential");
    assert_eq!(secret.principal.as_deref(), Some("root"));
    assert_eq!(attacker_ip(&tries[1]).unwrap().to_string(), "127.0.0.1");
    assert_eq!(field(&tries[1], "secret_printable"), "p]a\"s\\s?");
    scene.decoy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn banner_and_hassh_are_those_of_the_real_client() {
    let scene = Scene::start(&["ssh"]).await;
    let Some(output) = ssh(&scene, &["-vv", "-oBatchMode=yes"], "x", &[]).await else { return };
    let log = text(&output.stderr);
    // What the client itself says it offered.
    let offered: Vec<_> =
        log.lines().skip_while(|line| !line.contains("local client KEXINIT proposal")).collect();
    let list = |name: &str| {
        let line = offered.iter().find_map(|line| line.strip_prefix(&format!("debug2: {name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {log}")).to_owned()
    };
    let (kex, ciphers) = (list("KEX algorithms"), list("ciphers ctos"));
    let (macs, compression) = (list("MACs ctos"), list("compression ctos"));
    let record = scene.lines.nth("hassh", 0).await;
    assert_eq!(field(&record, "kex"), kex);
    assert_eq!(field(&record, "ciphers"), ciphers);
    assert_eq!(field(&record, "macs"), macs);
    assert_eq!(field(&record, "compression"), compression);
    let digest = md5::compute(format!("{kex};{ciphers};{macs};{compression}"));
    assert_eq!(field(&record, "hassh"), format!("{digest:x}"));
    let banner = scene.lines.nth("client_banner", 0).await;
    let ours = log.lines().find_map(|line| line.split("Local version string ").nth(1)).unwrap().trim();
    assert_eq!(field(&banner, "client_banner"), ours);
    // On record before anything is answered.
    let kinds: Vec<_> = scene.lines.records().into_iter().map(|record| record.msgid).collect();
    assert_eq!(kinds[1..5], ["connect", "client_banner", "hassh", "auth_attempt"]);
    scene.decoy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offered_key_is_named_by_its_fingerprint() {
    let scene = Scene::start(&["ssh"]).await;
    let Some(keygen) = tool("ssh-keygen", "openssh-client") else { return };
    for (count, kind) in ["ed25519", "ecdsa", "rsa"].into_iter().enumerate() {
        let file = scene.folder.path().join(kind);
        let mut make = Command::new(&keygen);
        make.args(["-q", "-N", "", "-t", kind, "-f"]).arg(&file);
        assert!(run(make).await.status.success());
        let mut show = Command::new(&keygen);
        show.arg("-lf").arg(&file);
        let shown = text(&run(show).await.stdout);
        let fingerprint = shown.split_whitespace().nth(1).unwrap();
        let identity = format!("-oIdentityFile={}", file.display());
        let options = ["-oIdentitiesOnly=yes", &identity, "-oPreferredAuthentications=publickey"];
        let Some(output) = ssh(&scene, &options, "deploy", &["id"]).await else { return };
        assert!(text(&output.stderr).contains("Permission denied"), "{output:?}");
        let record = scene
            .lines
            .until("the key", |records| {
                records.iter().filter(|r| r.fields.get("method") == Some("publickey")).nth(count).cloned()
            })
            .await;
        assert_eq!(field(&record, "key_sha256"), fingerprint);
        assert!(field(&record, "key_type").contains(kind), "{record:?}");
        assert_eq!(field(&record, "username"), "deploy");
        assert_eq!(field(&record, "outcome"), "failure");
    }
    scene.decoy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_planted_account_gets_what_nologin_gives() {
    let scene = Scene::start(&["ssh"]).await;
    let options = ["-oSendEnv=LC_MARK"];
    let Some(output) = login(&scene, &options, LOGIN, PASSWORD, &["cat /etc/shadow; echo 'a]b'"]).await
    else {
        return;
    };
    assert_eq!(text(&output.stdout), "This account is currently not available.\n");
    assert_eq!(output.status.code(), Some(1));
    let command = scene.lines.nth("command", 0).await;
    assert_eq!(field(&command, "command"), "cat /etc/shadow; echo 'a]b'");
    assert_eq!(field(&scene.lines.nth("exec", 0).await, "request"), "cat /etc/shadow; echo 'a]b'");
    let env = scene.lines.nth("env", 0).await;
    assert_eq!((field(&env, "name"), field(&env, "value")), ("LC_MARK", "on record"));
    let success = scene.lines.of("auth_attempt").pop().unwrap();
    assert_eq!(field(&success, "outcome"), "success");
    assert_eq!(captured_secret(&success).unwrap().principal.as_deref(), Some(LOGIN));

    // With a terminal.
    let output = login(&scene, &["-tt"], LOGIN, PASSWORD, &[]).await.unwrap();
    assert_eq!(text(&output.stdout), "This account is currently not available.\r\n");
    assert_eq!(output.status.code(), Some(1));
    let pty = scene.lines.nth("pty", 0).await;
    assert!(pty.fields.get("cols").is_some() && pty.fields.get("rows").is_some(), "{pty:?}");
    scene.lines.nth("shell", 0).await;
    scene.decoy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_container_that_is_late_is_waited_for_and_one_that_dies_ends_the_connection() {
    let mut config = document(&["ssh"], 1);
    let link = ShellLink { socket: format!("it-{}", std::process::id()), key: "the key".to_owned() };
    config.shell = Some(link.clone());
    let scene = Scene::of(config).await;
    if tool("sshpass", "sshpass").is_none() {
        return;
    }
    let lines = scene.lines.clone();
    let server = tokio::spawn(async move {
        // Not before it is missed.
        lines.nth("shell", 0).await;
        let address = SocketAddr::from_abstract_name(&link.socket).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        tokio::task::spawn_blocking(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut decoder = Decoder::default();
            let mut frames = Vec::new();
            while frames.len() < 2 {
                let mut part = [0; 4096];
                let n = stream.read(&mut part).unwrap();
                decoder.push(&part[..n]);
                while let Some(frame) = decoder.take().unwrap() {
                    frames.push(frame);
                }
            }
            let mut bytes = Vec::new();
            push(&mut bytes, Tag::Started, &[]);
            push(&mut bytes, Tag::Output, &[b"web-01$ "]);
            stream.write_all(&bytes).unwrap();
            frames
        })
        .await
        .unwrap()
    });
    let output = login(&scene, &["-tt"], LOGIN, PASSWORD, &[]).await.unwrap();
    let frames = server.await.unwrap();
    let hello: Hello = serde_json::from_slice(&frames[0].body).unwrap();
    assert_eq!((hello.key.as_str(), hello.mark.user.as_str()), ("the key", LOGIN));
    let start: Start = serde_json::from_slice(&frames[1].body).unwrap();
    assert_eq!(start.run, Run::Shell);
    assert!(start.terminal.is_some());
    assert_eq!(text(&output.stdout), "web-01$ ");
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    let error = scene.lines.nth("shell_error", 0).await;
    assert_eq!(field(&error, "sid"), hello.mark.sid);
    let recorded = scene.lines.nth("session_recorded", 0).await;
    assert_eq!(field(&recorded, "sid"), hello.mark.sid);
    assert_eq!(field(&scene.lines.nth("disconnect", 0).await, "reason"), "shell_lost");
    scene.decoy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sftp_and_scp_fail_as_they_do_on_such_an_account() {
    let scene = Scene::start(&["ssh"]).await;
    let (Some(sshpass), Some(sftp), Some(scp)) =
        (tool("sshpass", "sshpass"), tool("sftp", "openssh-client"), tool("scp", "openssh-client"))
    else {
        return;
    };
    let port = scene.address("ssh").port().to_string();
    let file = scene.folder.path().join("payload");
    std::fs::write(&file, "x").unwrap();
    let base = |program: &Path| {
        let inner = client(program, &scene);
        let mut command = Command::new(&sshpass);
        command.args(["-p", PASSWORD]).arg(inner.get_program()).args(inner.get_args());
        command.args(["-oPreferredAuthentications=password", "-oPubkeyAuthentication=no", "-P", &port]);
        command
    };
    let mut command = base(&sftp);
    command.arg(format!("{LOGIN}@127.0.0.1"));
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(255));
    // A real server's account makes the client say the same.
    assert!(text(&output.stderr).contains("Received message too long 1416128883"), "{output:?}");
    assert_eq!(field(&scene.lines.nth("subsystem", 0).await, "name"), "sftp");
    // The old protocol of scp asks for a command.
    let mut command = base(&scp);
    command.arg("-O").arg(&file).arg(format!("{LOGIN}@127.0.0.1:/tmp/x"));
    let output = run(command).await;
    assert!(!output.status.success());
    assert_eq!(field(&scene.lines.nth("command", 0).await, "command"), "scp -t /tmp/x");
    scene.decoy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_is_refused_and_on_record() {
    let scene = Scene::start(&["ssh"]).await;
    let options = ["-W", "192.0.2.7:3389"];
    let Some(output) = login(&scene, &options, LOGIN, PASSWORD, &[]).await else { return };
    let log = text(&output.stderr);
    assert!(log.contains("open failed: administratively prohibited"), "{log}");
    let record = scene.lines.nth("channel_forward", 0).await;
    assert_eq!(field(&record, "target_host"), "192.0.2.7");
    assert_eq!(field(&record, "target_port"), "3389");
    assert_eq!(field(&record, "outcome"), "refused");
    let options = ["-oExitOnForwardFailure=yes", "-N", "-R", "8088:127.0.0.1:80"];
    let output = login(&scene, &options, LOGIN, PASSWORD, &[]).await.unwrap();
    assert!(text(&output.stderr).contains("remote port forwarding failed"), "{output:?}");
    assert_eq!(field(&scene.lines.nth("channel_forward", 1).await, "kind"), "tcpip-forward");
    scene.decoy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixth_failure_ends_the_connection() {
    let scene = Scene::start(&["ssh"]).await;
    let Some(keygen) = tool("ssh-keygen", "openssh-client") else { return };
    let mut options = vec!["-oIdentitiesOnly=yes".to_owned(), "-oBatchMode=yes".to_owned()];
    for n in 0..8 {
        let file = scene.folder.path().join(format!("key{n}"));
        let mut make = Command::new(&keygen);
        make.args(["-q", "-N", "", "-t", "ed25519", "-f"]).arg(&file);
        assert!(run(make).await.status.success());
        options.push(format!("-oIdentityFile={}", file.display()));
    }
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let Some(output) = ssh(&scene, &options, "root", &["id"]).await else { return };
    let log = text(&output.stderr);
    assert!(log.contains(":2: Too many authentication failures"), "{log}");
    scene.lines.nth("disconnect", 0).await;
    let keys = scene.lines.of("auth_attempt");
    let keys = keys.iter().filter(|r| r.fields.get("method") == Some("publickey")).count();
    // The client may have sent one more before it saw the end.
    assert!((6..=7).contains(&keys), "{keys} tries");
    scene.decoy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_64_kib_reaches_the_artifact_folder_intact() {
    let scene = Scene::start(&["ssh"]).await;
    let long: String = (0..64 << 10).map(|n| char::from(b'!' + u8::try_from(n % 90).unwrap())).collect();
    let Some(output) = login(&scene, &[], LOGIN, PASSWORD, &[&long]).await else { return };
    assert_eq!(output.status.code(), Some(1));
    let record = scene.lines.nth("command", 0).await;
    assert_eq!(field(&record, "command_size"), long.len().to_string());
    assert_eq!(scene.artifact(field(&record, "command_stored_as")), long.as_bytes());
    assert!(long.starts_with(field(&record, "command")));
    assert!(record.encode().len() <= decnet_logline::MAX_LINE);
    scene.decoy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_keys_and_lists_are_those_of_a_real_server_set_up_alike() {
    let (Some(sshd), Some(keyscan), Some(keygen)) = (
        tool("sshd", "openssh-server"),
        tool("ssh-keyscan", "openssh-client"),
        tool("ssh-keygen", "openssh-client"),
    ) else {
        return;
    };
    let scene = Scene::start(&["ssh"]).await;
    let Some(ours) = ssh(&scene, &["-vv", "-oBatchMode=yes"], "x", &[]).await else { return };
    let real = real_server(&scene, &sshd, &keygen).await;
    let proposal = |output: &Output| {
        let log = text(&output.stderr);
        let lines: Vec<_> = log
            .lines()
            .skip_while(|line| !line.contains("peer server KEXINIT proposal"))
            .skip(1)
            .take(12)
            .map(str::to_owned)
            .collect();
        assert_eq!(lines.len(), 12, "{log}");
        lines
    };
    assert_eq!(proposal(&ours), proposal(&real));

    // All three keys are really served.
    let port = scene.address("ssh").port().to_string();
    let mut command = Command::new(&keyscan);
    command.args(["-p", &port, "-t", "rsa,ecdsa,ed25519", "127.0.0.1"]);
    let first = sorted(&run(command).await.stdout);
    assert_eq!(first.len(), 3, "{first:?}");
    // Another decky has others; this one keeps its own over a restart.
    let other = Scene::of(document(&["ssh"], 2)).await;
    let again = Scene::start(&["ssh"]).await;
    for (scene, same) in [(&other, false), (&again, true)] {
        let mut command = Command::new(&keyscan);
        command.args([
            "-p",
            &scene.address("ssh").port().to_string(),
            "-t",
            "rsa,ecdsa,ed25519",
            "127.0.0.1",
        ]);
        let keys = sorted(&run(command).await.stdout);
        assert_eq!(keys.len(), 3, "{keys:?}");
        assert!(keys.iter().all(|key| first.contains(key) == same), "{first:?} {keys:?}");
    }
    for scene in [scene, other, again] {
        scene.decoy.stop().await;
    }
}

/// Key types and keys without the address.
fn sorted(output: &[u8]) -> Vec<String> {
    let mut keys: Vec<_> = text(output)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
        .collect();
    keys.sort();
    keys
}

/// What the client sees of Debian's own server, hardened by the guide that our Debian persona follows. It serves one
/// connection on a socket pair: no port, no daemon.
async fn real_server(scene: &Scene, sshd: &Path, keygen: &Path) -> Output {
    let folder = scene.folder.path();
    let mut config = String::from(
        "KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org,diffie-hellman-group14-sha256,\
         diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,ecdh-sha2-nistp521,ecdh-sha2-nistp384,\
         ecdh-sha2-nistp256,diffie-hellman-group-exchange-sha256\n\
         Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,\
         aes192-ctr,aes128-ctr\n\
         MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-256\n",
    );
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let file = folder.join(format!("host_{kind}"));
        let mut make = Command::new(keygen);
        make.args(["-q", "-N", "", "-t", kind, "-f"]).arg(&file);
        assert!(run(make).await.status.success());
        writeln!(config, "HostKey {}", file.display()).unwrap();
    }
    let file = folder.join("sshd_config");
    std::fs::write(&file, config).unwrap();
    // The server wants this folder for its unprivileged half.
    let _ = std::fs::create_dir_all("/run/sshd");
    let ssh = tool("ssh", "openssh-client").unwrap();
    let mut command = client(&ssh, scene);
    let proxy = format!("-oProxyCommand={} -i -f {}", sshd.display(), file.display());
    command.args(["-vv", "-oBatchMode=yes", &proxy, "x@127.0.0.1"]);
    run(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_deckies_share_a_key() {
    let mut seen = std::collections::HashSet::new();
    for number in 10..14 {
        let lines = Lines::default();
        let surroundings = Surroundings { any_port: true, ..Surroundings::default() };
        let decoy = Decoy::start(document(&["ssh"], number), surroundings, lines).await.unwrap();
        let address = decoy.addresses()[0].1;
        let Some(keyscan) = tool("ssh-keyscan", "openssh-client") else { return };
        let mut command = Command::new(keyscan);
        command.args(["-p", &address.port().to_string(), "127.0.0.1"]);
        for key in sorted(&run(command).await.stdout) {
            assert!(seen.insert(key.clone()), "{key} twice");
        }
        decoy.stop().await;
    }
    assert!(seen.len() >= 8, "{}", seen.len());
}
