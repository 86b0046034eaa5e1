//! The fleet's own connections, against the services that they meet: each is a client's short talk that ends in order.

use std::process::Command;

use crate::scene::{Scene, run};

async fn probe(scene: &Scene, slug: &str) -> String {
    let address = scene.address(slug);
    let mut command = Command::new(env!("CARGO_BIN_EXE_decnet-decoy"));
    command.args(["probe-banner", &address.ip().to_string(), &address.port().to_string()]);
    command.args(["--protocol", slug, "--name", "db01.corp.example", "--distro", "ubuntu22"]);
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_is_spoken_to_as_its_clients_do() {
    let scene = Scene::start(&["ssh", "http", "redis", "imap", "pop3"]).await;
    for (slug, start) in
        [("ssh", "SSH-2.0-"), ("http", "HTTP/1.1 "), ("redis", "+PONG"), ("imap", "* OK"), ("pop3", "+OK")]
    {
        let said = probe(&scene, slug).await;
        let alternatives = slug == "redis" && said.starts_with("-NOAUTH");
        assert!(said.starts_with(start) || alternatives, "{slug} says {said:?}");
        assert_eq!(said.lines().count(), 1);
    }
    // What the other side notes of it is what it would of a colleague's machine.
    let told = scene
        .lines
        .until("all talks are in the lines", |records| {
            let ended = records.iter().filter(|record| record.msgid == "disconnect").count();
            (ended >= 5).then(|| records.to_vec())
        })
        .await;
    let text = format!("{told:?}");
    assert!(text.contains("OpenSSH_8.9p1 Ubuntu"), "{text}");
    assert!(text.contains("curl/7.81.0"), "{text}");
    scene.decoy.stop().await;
}
