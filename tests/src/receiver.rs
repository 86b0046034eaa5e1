//! Somebody who receives webhooks: a small HTTP server on loopback that checks every signature, as a SIEM's collector does.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::Stack;

/// Longest request.
const MAX_REQUEST: usize = 1024 * 1024;
/// How long a request may take.
const BOUND: Duration = Duration::from_secs(20);

/// A notification that came with a good signature.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Its topic.
    pub topic: String,
    /// Its body.
    pub body: Value,
}

#[derive(Debug, Default)]
struct Seen {
    good: Vec<Notice>,
    wrong: u64,
}

/// The receiver. It ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    secret: String,
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// Listens on a free port of loopback.
    pub async fn listen() -> Result<Self> {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Listens here.
    pub async fn at(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await.context("the receiver of webhooks")?;
        let address = listener.local_addr()?;
        let secret = format!("a secret for {address} and nobody else");
        let seen = Arc::<Mutex<Seen>>::default();
        let (shared, key) = (Arc::clone(&seen), secret.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, key) = (Arc::clone(&shared), key.clone());
                tokio::spawn(async move { tokio::time::timeout(BOUND, serve(stream, &shared, &key)).await });
            }
        });
        Ok(Self { address, secret, seen, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What signatures are made with.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Has a system send what it knows of attackers, deckies and credentials here, by the operator's tool.
    pub async fn subscribe(&self, stack: &Stack) -> Result<()> {
        let choices = ["--event", "AttackerDetail", "--event", "DeckyStatus", "--pattern", "credential.>"];
        self.subscribe_with(stack, &choices).await
    }

    /// The same with events and patterns of the caller's choice.
    pub async fn subscribe_with(&self, stack: &Stack, choices: &[&str]) -> Result<()> {
        let file = stack.folder().join(format!("webhook-{}.secret", self.address.port()));
        std::fs::write(&file, &self.secret)?;
        let (name, url) =
            (format!("receiver-{}", self.address.port()), format!("http://{}/decnet", self.address));
        // It is on loopback on purpose.
        let range = format!("{}/32", self.address.ip());
        let place =
            ["webhook", "add", &name, &url, "--allow", &range, "--secret-file", &file.to_string_lossy()];
        stack.run(&[&place[..], choices].concat()).await.context("the subscription").map(drop)
    }

    /// What has come with a good signature.
    pub fn notices(&self) -> Vec<Notice> {
        self.lock().good.clone()
    }

    /// How many have come with a good signature.
    pub fn delivered(&self) -> u64 {
        self.lock().good.len() as u64
    }

    /// How many have come with a bad one.
    pub fn wrong(&self) -> u64 {
        self.lock().wrong
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection: requests after each other until it closes.
async fn serve(mut stream: TcpStream, seen: &Mutex<Seen>, secret: &str) -> Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            if bytes.len() > MAX_REQUEST || stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let length: usize = header("content-length").context("no length")?.parse()?;
        let total = end + 4 + length;
        while bytes.len() < total {
            if total > MAX_REQUEST || stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
        let body = bytes[end + 4..total].to_vec();
        bytes.drain(..total);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
        mac.update(&body);
        let wanted = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let good = header("x-decnet-signature").is_some_and(|signature| signature == wanted);
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match serde_json::from_slice(&body) {
                Ok(body) if good => {
                    seen.good
                        .push(Notice { topic: header("x-decnet-event-topic").unwrap_or_default(), body });
                }
                _ => seen.wrong += 1,
            }
        }
        let status = if good { "204 No Content" } else { "401 Unauthorized" };
        stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await?;
    }
}
