//! Language models: one trait and its backends. What is asked and whether the answer is believed is `realism`'s (`model`).
//!
//! One-shot only: no chat, no streaming, no child processes.

use std::time::Duration;

use async_trait::async_trait;

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// Longer than allowed.
    #[error("the model did not answer within {} s", .0.as_secs())]
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
