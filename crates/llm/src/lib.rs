//! Language models: one trait and its backends. What is asked and whether the answer is believed is `realism`'s (`model`).
//!
//! One-shot only: no chat, no streaming, no child processes. Dropping a call's future closes its connection, so nothing is
//! left behind by a stop or by somebody else's timeout. No retries and no breaker: those who call know why they do.

mod canned;
mod ollama;
mod open;
mod openai;
mod server;

use std::time::Duration;

use async_trait::async_trait;

pub use self::{
    canned::Canned,
    ollama::Ollama,
    open::{ConfigError, DEFAULT_MODEL, OLLAMA_URL, Settings, open},
    openai::OpenAi,
};

/// Most bytes of an answer, its JSON included; a longer one is an error.
pub const MAX_ANSWER: usize = decnet_outbound::MAX_BODY;

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// Longer than allowed.
    #[error("the model did not answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// Nobody there, or an answer that is none; in words.
    #[error("the model backend failed: {0}")]
    Backend(String),
    /// It answered with nothing.
    #[error("the model answered with nothing")]
    Blank,
}

/// A model that continues a prompt.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Its kind: `ollama`, `openai`, `canned`.
    fn kind(&self) -> &'static str;

    /// The model's name.
    fn model(&self) -> &str;

    /// Generates once; bounded by the backend's own timeout and by a largest answer.
    async fn generate(&self, prompt: &str) -> Result<String, LlmError>;
}
