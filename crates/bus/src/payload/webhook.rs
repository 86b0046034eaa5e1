//! What the webhook worker is asked.

use serde::{Deserialize, Serialize};

/// Post `test.ping` to a subscription's receiver, once. Its counters stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookTestRequest {
    /// The subscription's id.
    pub webhook: String,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookTested {
    /// The receiver answered with 2xx.
    pub delivered: bool,
    /// What it answered.
    #[serde(default)]
    pub status_code: Option<u16>,
    /// Why it was not delivered.
    #[serde(default)]
    pub error: Option<String>,
}
