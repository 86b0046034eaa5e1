//! The API as an operator's program uses it: first login with its forced change, reads, the live stream.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::eventually;

/// How long the first administrator may take to be made: the hash of the password is slow on purpose.
const MADE_BOUND: Duration = Duration::from_secs(20);
/// The password that the test's administrator chooses.
const CHOSEN: &str = "a long enough passphrase";

/// A logged-in administrator.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    token: String,
    client: Client,
}

/// One event of the live stream.
#[derive(Debug, Clone)]
pub struct SseEvent {
    /// Field `event`.
    pub event: String,
    /// Field `data`.
    pub data: Value,
}

impl Api {
    /// Logs in for the first time: the made password, the change that is forced, and in again.
    pub async fn first_login(base: &str, state_dir: &Path) -> Result<Self> {
        // The API is ready when it serves; the first administrator is made beside that.
        let made = eventually("the made password", MADE_BOUND, || async {
            Ok(Some(std::fs::read_to_string(state_dir.join("admin-password"))?))
        })
        .await?;
        let mut api = Self { base: format!("{base}/api/v1"), token: String::new(), client: Client::new() };
        let first = api.login(made.trim()).await?;
        ensure!(first["must_change_password"] == true, "no forced change: {first}");
        api.token = first["access_token"].as_str().context("no token")?.to_owned();
        let refused = api.request(Method::GET, "/stats").send().await?;
        ensure!(refused.status() == 403, "the forced change is not forced: {}", refused.status());
        let change = json!({ "old_password": made.trim(), "new_password": CHOSEN });
        let changed = api.request(Method::POST, "/auth/change-password").json(&change).send().await?;
        ensure!(changed.status().is_success(), "change: {}", changed.text().await?);
        let again = api.login(CHOSEN).await?;
        again["access_token"].as_str().context("no token")?.clone_into(&mut api.token);
        Ok(api)
    }

    async fn login(&self, password: &str) -> Result<Value> {
        let body = json!({ "username": "admin", "password": password });
        let answer = self.request(Method::POST, "/auth/login").json(&body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "login: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    /// Reads a document.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.request(Method::GET, path).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "GET {path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Downloads a file.
    pub async fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        let answer = self.request(Method::GET, path).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "GET {path}: {status}");
        Ok(answer.bytes().await?.to_vec())
    }

    /// Posts without a body and reads the answer.
    pub async fn post(&self, path: &str) -> Result<Value> {
        let answer = self.request(Method::POST, path).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "POST {path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// All log rows that match, newest first, by cursor.
    pub async fn all_logs(&self, search: &str) -> Result<Vec<Value>> {
        let mut rows: Vec<Value> = Vec::new();
        loop {
            let before = rows.last().map_or(String::new(), |row| format!("&before={}", row["id"]));
            let mut page = self.get(&format!("/logs?search={search}&limit=1000{before}")).await?;
            match page["data"].take() {
                Value::Array(data) if !data.is_empty() => rows.extend(data),
                Value::Array(_) => return Ok(rows),
                other => bail!("no rows: {other}"),
            }
        }
    }

    /// Opens the live stream; events arrive on the channel until it is dropped.
    pub async fn stream(&self) -> Result<tokio::sync::mpsc::UnboundedReceiver<SseEvent>> {
        let ticket = self.post("/auth/stream-token").await?;
        let token = ticket["token"].as_str().context("no stream token")?;
        let url = format!("{}/stream?token={token}", self.base);
        let answer = self.client.get(url).send().await?;
        ensure!(answer.status().is_success(), "stream: {}", answer.status());
        let mut bytes = answer.bytes_stream();
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut text = String::new();
            while let Some(Ok(chunk)) = bytes.next().await {
                text.push_str(&String::from_utf8_lossy(&chunk));
                while let Some((frame, rest)) = text.split_once("\n\n") {
                    let event = read_frame(frame);
                    text = rest.to_owned();
                    if event.is_some_and(|event| sender.send(event).is_err()) {
                        return;
                    }
                }
            }
        });
        Ok(receiver)
    }
}

fn read_frame(frame: &str) -> Option<SseEvent> {
    let field = |name: &str| frame.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
    let event = field("event")?.to_owned();
    let data = serde_json::from_str(field("data")?).ok()?;
    Some(SseEvent { event, data })
}

/// Takes events until `wanted` says that it has seen enough, at most for `bound`.
pub async fn until(
    events: &mut tokio::sync::mpsc::UnboundedReceiver<SseEvent>,
    bound: Duration,
    mut wanted: impl FnMut(&SseEvent) -> bool,
) -> Result<()> {
    let seen = async {
        let mut names = Vec::new();
        while let Some(event) = events.recv().await {
            if wanted(&event) {
                return Ok(());
            }
            names.push(event.event);
        }
        bail!("the stream ended after {names:?}")
    };
    tokio::time::timeout(bound, seen).await.context("the live stream stayed silent")?
}
