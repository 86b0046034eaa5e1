//! From settings to a backend, or to a sentence that says which setting is wrong: at start, never at the first call.

use std::{fmt, sync::Arc, time::Duration};

use crate::{Backend, Canned, Ollama, OpenAi};

/// Ollama's model where none is named.
pub const DEFAULT_MODEL: &str = "llama3.1";
/// Where Ollama listens by itself.
pub const OLLAMA_URL: &str = "http://127.0.0.1:11434";
/// What means that there is no model.
const OFF: [&str; 6] = ["", "off", "none", "0", "false", "disabled"];

/// What is configured; empty texts count as absent.
#[derive(Clone, Default)]
pub struct Settings {
    /// `ollama`, `openai`, `canned` (or `fake`), or off: `off none 0 false disabled`, empty.
    pub backend: String,
    /// Base address of the model server.
    pub base_url: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// How long one text may take; not zero.
    pub timeout: Duration,
    /// The key that the server asks for.
    pub api_key: Option<String>,
    /// The script of `canned`.
    pub fake_output: Option<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("backend", &self.backend)
            .field("base_url", &self.base_url)
            .field("model", &self.model)
            .field("timeout", &self.timeout)
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .finish_non_exhaustive()
    }
}

impl Settings {
    pub(crate) fn base_url(&self) -> Option<&str> {
        given(self.base_url.as_deref())
    }

    pub(crate) fn model(&self) -> Option<&str> {
        given(self.model.as_deref())
    }
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// Which setting is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such backend.
    #[error(
        "DECNET_REALISM_LLM is {0:?}, which is no backend: give ollama, openai, canned (fake), or off (none, 0, false, disabled)"
    )]
    UnknownBackend(String),
    /// A backend needs more.
    #[error("this language model needs {what}: set it, or set DECNET_REALISM_LLM=off")]
    Missing {
        /// Which setting.
        what: &'static str,
    },
    /// The address cannot be called.
    #[error(
        "DECNET_REALISM_URL cannot be used: {0}; give a base address such as http://127.0.0.1:11434 or https://api.example/v1"
    )]
    Url(String),
    /// The key cannot be sent.
    #[error("DECNET_REALISM_API_KEY holds spaces or control characters: give the bare key")]
    Key,
    /// Nothing could be generated in no time.
    #[error("DECNET_REALISM_TIMEOUT is 0: give the seconds that one text may take, such as 60")]
    Timeout,
    /// A word of the script is none.
    #[error("DECNET_REALISM_FAKE_OUTPUT holds {0:?}: after a ! it can be fail, hang, blank or garbage")]
    Script(String),
    /// No certificates.
    #[error("no TLS for the language model: {0}")]
    Trust(String),
}

/// Opens the configured model; `None` where it is off. `wanted` is the command line's word, which goes before the settings:
/// `--no-llm` is off whatever they say (so a wrong setting can be lived without), `--llm` where they are off means Ollama.
pub fn open(settings: &Settings, wanted: Option<bool>) -> Result<Option<Arc<dyn Backend>>, ConfigError> {
    let named = settings.backend.trim().to_ascii_lowercase();
    let is_off = OFF.contains(&named.as_str());
    let name = match wanted {
        Some(false) => return Ok(None),
        Some(true) if is_off => "ollama",
        _ if is_off => return Ok(None),
        _ => named.as_str(),
    };
    if settings.timeout.is_zero() {
        return Err(ConfigError::Timeout);
    }
    let backend: Arc<dyn Backend> = match name {
        "ollama" => Arc::new(Ollama::new(settings)?),
        "openai" => Arc::new(OpenAi::new(settings)?),
        "canned" | "fake" => {
            let script = settings.fake_output.as_deref().unwrap_or_default();
            Arc::new(Canned::new(script, settings.timeout)?)
        }
        _ => return Err(ConfigError::UnknownBackend(settings.backend.chars().take(40).collect())),
    };
    Ok(Some(backend))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(backend: &str) -> Settings {
        Settings { backend: backend.to_owned(), timeout: Duration::from_secs(1), ..Settings::default() }
    }

    fn kind(settings: &Settings, wanted: Option<bool>) -> Option<(&'static str, String)> {
        open(settings, wanted).unwrap().map(|backend| (backend.kind(), backend.model().to_owned()))
    }

    #[test]
    fn off_has_many_names_and_the_command_line_goes_before() {
        for off in ["", " ", "off", "OFF", "none", "0", "false", "Disabled"] {
            assert_eq!(kind(&settings(off), None), None, "{off:?}");
            assert_eq!(kind(&settings(off), Some(false)), None);
            assert_eq!(kind(&settings(off), Some(true)), Some(("ollama", DEFAULT_MODEL.to_owned())));
        }
        assert_eq!(kind(&settings("Ollama"), None), Some(("ollama", DEFAULT_MODEL.to_owned())));
        assert_eq!(kind(&settings("ollama"), Some(false)), None);
        let canned = Settings { fake_output: Some("hello".to_owned()), ..settings("fake") };
        assert_eq!(kind(&canned, Some(true)), Some(("canned", "canned".to_owned())));
        let openai = Settings {
            base_url: Some("https://api.example/v1".to_owned()),
            model: Some("small".to_owned()),
            ..settings("openai")
        };
        assert_eq!(kind(&openai, None), Some(("openai", "small".to_owned())));
    }

    #[test]
    fn what_cannot_work_fails_at_start_and_names_its_setting() {
        for (settings, word) in [
            (settings("gpt"), "ollama, openai, canned"),
            (settings("openai"), "DECNET_REALISM_URL"),
            (
                Settings { base_url: Some("https://x.example".into()), ..settings("openai") },
                "DECNET_REALISM_MODEL",
            ),
            (settings("canned"), "DECNET_REALISM_FAKE_OUTPUT"),
            (Settings { timeout: Duration::ZERO, ..settings("ollama") }, "DECNET_REALISM_TIMEOUT"),
            (
                Settings { base_url: Some("localhost:11434".into()), ..settings("ollama") },
                "DECNET_REALISM_URL",
            ),
        ] {
            assert_eq!(kind(&settings, Some(false)), None, "--no-llm starts whatever is set");
            for wanted in [None, Some(true)] {
                let error = open(&settings, wanted).err().map(|error| error.to_string()).unwrap_or_default();
                assert!(error.contains(word), "{settings:?}: {error}");
            }
        }
        let secret = Settings { api_key: Some("sk-1".into()), ..settings("off") };
        assert!(!format!("{secret:?}").contains("sk-1"));
    }
}
