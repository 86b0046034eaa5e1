//! How a program reaches the bus and who it is there.

use std::{fmt, path::PathBuf, sync::Arc};

use decnet_core::{Clock, HostId, IdSource, SystemClock, SystemIds};
use serde::{Deserialize, Serialize};

use crate::{Token, Worker};

/// Kind of transport (`DECNET_BUS_TYPE`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BusType {
    /// A nats-server.
    #[default]
    Nats,
    /// A hub inside this process, for tests.
    Fake,
}

/// Settings of the bus.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BusConfig {
    /// `DECNET_BUS_ENABLED`: `false` makes publishes vanish and subscriptions end at once.
    pub enabled: bool,
    /// `DECNET_BUS_TYPE`.
    pub r#type: BusType,
    /// `DECNET_NATS_URL`; may carry `token@` or `user:password@`.
    pub url: String,
    /// Token, where the server asks for one; wins over the URL's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// File with the worker's nkey seed, where the server asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey_file: Option<PathBuf>,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            r#type: BusType::Nats,
            url: "nats://127.0.0.1:4222".to_owned(),
            token: None,
            nkey_file: None,
        }
    }
}

impl BusConfig {
    /// A server at `url`.
    pub fn nats(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// The same with a token.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }
}

impl fmt::Debug for BusConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the token nor the URL's credentials belong into a log.
        let url = self.url.rsplit_once('@').map_or(self.url.as_str(), |(_, host)| host);
        f.debug_struct("BusConfig")
            .field("enabled", &self.enabled)
            .field("type", &self.r#type)
            .field("url", &url)
            .field("token", &self.token.as_ref().map(|_| "redacted"))
            .field("nkey_file", &self.nkey_file)
            .finish()
    }
}

/// Who is on the bus. Clock and ids are the program's, so that a replay stamps the same envelopes.
#[derive(Clone)]
pub struct BusIdentity {
    /// Name of the program.
    pub worker: Token,
    /// Its host.
    pub host: HostId,
    /// Stamps envelopes.
    pub clock: Arc<dyn Clock>,
    /// Names envelopes.
    pub ids: Arc<dyn IdSource>,
}

impl BusIdentity {
    /// `worker` on the one host of a small fleet, with the machine's clock and ids.
    pub fn local(worker: Worker) -> Self {
        Self {
            worker: worker.token(),
            host: HostId::default(),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
        }
    }
}

impl fmt::Debug for BusIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.worker, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_credentials() {
        let config = BusConfig::nats("nats://user:hunter2@127.0.0.1:4222").with_token("s3cret");
        let text = format!("{config:?}");
        assert!(!text.contains("hunter2") && !text.contains("s3cret"), "{text}");
        assert!(text.contains("127.0.0.1:4222"), "{text}");
    }
}
