//! Any server that speaks as `OpenAI`'s does: `POST {base}/chat/completions` with one message.

use async_trait::async_trait;
use serde_json::json;

use crate::{Backend, ConfigError, LlmError, Settings, server::Server};

/// A model of such a server.
#[derive(Debug)]
pub struct OpenAi {
    server: Server,
    model: String,
}

impl OpenAi {
    /// By the settings' address, model, key and timeout; address and model have no defaults that would be anybody's.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let base = settings.base_url().ok_or(ConfigError::Missing { what: "DECNET_REALISM_URL" })?;
        let model = settings.model().ok_or(ConfigError::Missing { what: "DECNET_REALISM_MODEL" })?.to_owned();
        let server = Server::new(base, "chat/completions", settings.timeout, settings.api_key.as_deref())?;
        Ok(Self { server, model })
    }
}

#[async_trait]
impl Backend for OpenAi {
    fn kind(&self) -> &'static str {
        "openai"
    }

    fn model(&self) -> &str {
        &self.model
    }

    async fn generate(&self, prompt: &str) -> Result<String, LlmError> {
        // No bound on tokens: its name differs between servers, and one that does not know it refuses the call.
        let question = json!({
            "model": self.model,
            "messages": [{ "role": "user", "content": prompt }],
            "stream": false,
        });
        let answer = self.server.ask(&question).await?;
        let message = answer.pointer("/choices/0/message").ok_or_else(|| {
            LlmError::Backend(
                "its answer has no choice: does the address end in /v1, or what it takes?".to_owned(),
            )
        })?;
        match message.get("content").and_then(serde_json::Value::as_str) {
            Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
            _ => Err(LlmError::Blank),
        }
    }
}
