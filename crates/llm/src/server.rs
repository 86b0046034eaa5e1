//! One call to a model server: JSON there, JSON back, within one bound on time and one on size. What the JSON says is the
//! backends' business.
//!
//! The server is named by the operator and usually stands on this machine or in its network, so the checked client gets an
//! allowance for exactly that: the address itself where one was typed, private ranges where a name was. Redirects are never
//! followed, so no server can send us (and the key) anywhere else.

use std::{fmt, net::IpAddr, time::Duration};

use bytes::Bytes;
use decnet_outbound::{CallError, Client, Guard, Options, Trust};
use ipnet::IpNet;
use serde_json::Value;
use url::{Host, Url};

use crate::{ConfigError, LlmError};

/// Most characters of a server's words that are repeated in an error.
const MAX_WORDS: usize = 160;
/// Ranges that a name of the operator's may lead to, besides the public ones: not link-local, where clouds keep credentials.
const NEAR: [&str; 6] =
    ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"];

/// A model server.
pub(crate) struct Server {
    client: Client,
    url: Url,
    timeout: Duration,
    key: Option<String>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Server {
    /// The server at `base`, called at `path` below it.
    pub(crate) fn new(
        base: &str,
        path: &str,
        timeout: Duration,
        key: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let url = address(base, path)?;
        let key = key.map(str::trim).filter(|key| !key.is_empty());
        if key.is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(ConfigError::Key);
        }
        let trust = Trust::system().map_err(|error| ConfigError::Trust(error.to_string()))?;
        // A text has one bound, which is ours (see `ask`); the client's are for head and body each and must not come first.
        let beyond = timeout.saturating_add(Duration::from_secs(1));
        let client = Client::new(Options {
            guard: Guard::new(allowance(&url)),
            timeout: beyond,
            body_patience: beyond,
            ..Options::new("decnet", trust)
        });
        Ok(Self { client, url, timeout, key: key.map(str::to_owned) })
    }

    /// Posts a question and reads the answer.
    pub(crate) async fn ask(&self, question: &Value) -> Result<Value, LlmError> {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        if let Some(key) = &self.key {
            headers.push(("authorization", format!("Bearer {key}")));
        }
        let body = Bytes::from(question.to_string());
        let call = self.client.post(&self.url, &headers, body);
        let response = match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(response)) => response,
            Err(_) | Ok(Err(CallError::TimedOut { .. })) => return Err(LlmError::Timeout(self.timeout)),
            Ok(Err(error)) => return Err(LlmError::Backend(self.clean(&explain(&error)))),
        };
        let answer = serde_json::from_slice::<Value>(&response.body);
        if response.status != 200 {
            let words = answer.as_ref().ok().and_then(complaint).unwrap_or_default();
            let colon = if words.is_empty() { "" } else { ": " };
            return Err(LlmError::Backend(
                self.clean(&format!("its server answered with status {}{colon}{words}", response.status)),
            ));
        }
        if response.body.len() >= crate::MAX_ANSWER {
            let most = crate::MAX_ANSWER / 1024;
            return Err(LlmError::Backend(format!("its answer is longer than {most} KiB")));
        }
        if response.body.iter().all(u8::is_ascii_whitespace) {
            return Err(LlmError::Blank);
        }
        answer.map_err(|_| {
            LlmError::Backend("its answer is no JSON: is the address that of a model server?".to_owned())
        })
    }

    /// Words fit for a log: one line, cut, and without the key, which servers like to repeat.
    fn clean(&self, words: &str) -> String {
        let mut words = words.to_owned();
        if let Some(key) = &self.key {
            words = words.replace(key.as_str(), "***");
        }
        let line: String =
            words.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !is_hidden(*c)).collect();
        line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_WORDS).collect()
    }
}

/// Turns text around or hides it in a terminal.
const fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The client's sentences tell of settings that we do not have.
fn explain(error: &CallError) -> String {
    match error {
        CallError::NeedsTls { host, .. } => {
            format!(
                "{host} is not of this network, so it is only called with https: change DECNET_REALISM_URL"
            )
        }
        CallError::Closed { host, ip } => format!(
            "the name {host} leads to {ip}, which is of no use here: put the server's address into DECNET_REALISM_URL"
        ),
        other => other.to_string(),
    }
}

/// What a server says is wrong: `error`, or `error.message`.
fn complaint(answer: &Value) -> Option<String> {
    let error = answer.get("error")?;
    error.as_str().or_else(|| error.get("message")?.as_str()).map(str::to_owned)
}

fn address(base: &str, path: &str) -> Result<Url, ConfigError> {
    let bad = |reason: &str| ConfigError::Url(reason.to_owned());
    let base = base.trim();
    let mut url = Url::parse(base).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it begins neither with http:// nor with https://"));
    }
    if url.host().is_none() {
        return Err(bad("it names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it holds a name or password; put a key into DECNET_REALISM_API_KEY"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it holds a ? or a #"));
    }
    let whole = format!("{}/{path}", url.path().trim_end_matches('/'));
    url.set_path(&whole);
    Ok(url)
}

/// What may be called besides public addresses.
fn allowance(url: &Url) -> Vec<IpNet> {
    match url.host() {
        Some(Host::Ipv4(ip)) => vec![IpAddr::V4(ip).into()],
        Some(Host::Ipv6(ip)) => vec![IpAddr::V6(ip).into()],
        _ => NEAR.iter().filter_map(|range| range.parse().ok()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(base: &str, key: Option<&str>) -> Result<Server, ConfigError> {
        Server::new(base, "api/generate", Duration::from_secs(1), key)
    }

    #[test]
    fn a_base_address_gets_its_path_and_odd_ones_are_refused() {
        for (base, whole) in [
            ("http://127.0.0.1:11434", "http://127.0.0.1:11434/api/generate"),
            ("http://gpu.lan/", "http://gpu.lan/api/generate"),
            ("https://x.example/ollama//", "https://x.example/ollama/api/generate"),
        ] {
            assert_eq!(server(base, None).unwrap().url.as_str(), whole);
        }
        for bad in
            ["", "gpu.lan", "gpu.lan:11434", "ftp://gpu.lan", "http://a:b@gpu.lan", "http://gpu.lan/?x=1"]
        {
            let error = server(bad, None).unwrap_err();
            assert!(error.to_string().contains("DECNET_REALISM_URL"), "{bad}: {error}");
        }
        assert!(matches!(server("http://gpu.lan", Some("a\r\nHost: b")), Err(ConfigError::Key)));
    }

    #[test]
    fn an_address_opens_itself_only_and_a_name_never_opens_link_local() {
        let open = |base: &str, ip: &str| {
            allowance(&base.parse().unwrap()).iter().any(|net| net.contains(&ip.parse::<IpAddr>().unwrap()))
        };
        assert!(open("http://10.0.0.7:1", "10.0.0.7") && !open("http://10.0.0.7:1", "10.0.0.8"));
        assert!(open("http://[::1]:1", "::1") && !open("http://[::1]:1", "127.0.0.1"));
        for near in ["127.0.0.1", "10.1.2.3", "172.20.0.1", "192.168.1.9", "::1", "fd00::1"] {
            assert!(open("http://gpu.lan", near), "{near}");
        }
        for far in ["169.254.169.254", "fe80::1", "8.8.8.8", "0.0.0.0", "::"] {
            assert!(!open("http://gpu.lan", far), "{far}");
        }
    }

    #[test]
    fn errors_are_one_short_line_without_the_key() {
        let server = server("http://gpu.lan", Some("sk-12345")).unwrap();
        let words = server.clean(&format!("bad key sk-12345\r\n\u{1b}[2J\u{202e}{}", "x".repeat(500)));
        assert!(words.starts_with("bad key *** [2Jx") && words.chars().count() == MAX_WORDS, "{words}");
        assert!(!format!("{server:?}").contains("sk-"));
    }
}
