//! Ollama's own interface: `POST {base}/api/generate`.

use async_trait::async_trait;
use serde_json::json;

use crate::{Backend, ConfigError, LlmError, Settings, open::OLLAMA_URL, server::Server};

/// Most tokens of an answer: our longest texts are a third of it, and a model that runs away is stopped where it runs.
const MAX_TOKENS: u32 = 1536;

/// A model of an Ollama server.
#[derive(Debug)]
pub struct Ollama {
    server: Server,
    model: String,
}

impl Ollama {
    /// By the settings' address, model, key and timeout.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let base = settings.base_url().unwrap_or(OLLAMA_URL);
        let server = Server::new(base, "api/generate", settings.timeout, settings.api_key.as_deref())?;
        Ok(Self { server, model: settings.model().unwrap_or(crate::DEFAULT_MODEL).to_owned() })
    }
}

#[async_trait]
impl Backend for Ollama {
    fn kind(&self) -> &'static str {
        "ollama"
    }

    fn model(&self) -> &str {
        &self.model
    }

    async fn generate(&self, prompt: &str) -> Result<String, LlmError> {
        let question = json!({
            "model": self.model,
            "prompt": prompt,
            "stream": false,
            "options": { "num_predict": MAX_TOKENS },
        });
        let answer = self.server.ask(&question).await?;
        let text = answer.get("response").and_then(serde_json::Value::as_str).ok_or_else(|| {
            LlmError::Backend("its answer has no text in \"response\": is this an Ollama server?".to_owned())
        })?;
        if text.trim().is_empty() {
            return Err(LlmError::Blank);
        }
        Ok(text.to_owned())
    }
}
