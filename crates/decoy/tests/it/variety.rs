//! A fleet of twenty: no two deckies share pages, secrets or mail, and each keeps its own over a restart.

use std::collections::BTreeSet;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::scene::{LOGIN, PASSWORD, Scene, document};

async fn talk(scene: &Scene, slug: &str, input: &str) -> String {
    let mut stream = TcpStream::connect(scene.address(slug)).await.unwrap();
    stream.write_all(input.as_bytes()).await.unwrap();
    if slug != "imap" {
        stream.shutdown().await.unwrap();
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// What a decky shows: a page, a secret, a mail.
async fn face(number: u64) -> [String; 3] {
    let scene = Scene::of(document(&["http", "redis", "imap"], number)).await;
    let page = talk(&scene, "http", "GET / HTTP/1.0\r\n\r\n").await;
    let page = page.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap();
    let keys = talk(&scene, "redis", "KEYS *config:database\r\n").await;
    let key = keys.lines().find(|line| line.ends_with("config:database")).unwrap().to_owned();
    let secret = talk(&scene, "redis", &format!("GET {key}\r\n")).await;
    let password = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
    let mail = talk(
        &scene,
        "imap",
        &format!(
            "a LOGIN {LOGIN} \"{password}\"\r\nb EXAMINE INBOX\r\nc FETCH 1:* BODY.PEEK[]\r\nd LOGOUT\r\n"
        ),
    )
    .await;
    let mail = mail.split_once(" FETCH (").map(|(_, mail)| mail.to_owned()).unwrap();
    [page, secret, mail]
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_deckies_have_twenty_faces_and_keep_them() {
    let mut seen = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
    let mut first = None;
    for number in 100..120 {
        let face = face(number).await;
        for (set, one) in seen.iter_mut().zip(&face) {
            set.insert(one.clone());
        }
        first.get_or_insert(face);
    }
    assert_eq!(seen.map(|set| set.len()), [20, 20, 20]);
    assert_eq!(face(100).await, first.unwrap());
}
