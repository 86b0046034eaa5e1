//! Answers that were written beforehand, in turn and from the beginning again: for tests, demonstrations and rehearsals of
//! trouble.
//!
//! The script is texts with a line `---` between them. A text that is `!fail`, `!blank`, `!hang` or `!garbage` is that
//! instead: an error, an empty answer, no answer until the timeout, an answer that no one can believe.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;

use crate::{Backend, ConfigError, LlmError};

/// What stands between two texts.
const SEPARATOR: &str = "---";
/// What nobody can believe: an excuse with control characters and a code fence that does not end.
const GARBAGE: &str =
    "Sure! Here is the file you asked for:\n```\n\u{0}\u{1b}[31mAs an AI language model\r\n";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Text(String),
    Fail,
    Hang,
}

/// The script.
#[derive(Debug)]
pub struct Canned {
    answers: Vec<Answer>,
    calls: AtomicUsize,
    timeout: Duration,
}

impl Canned {
    /// Reads a script.
    pub fn new(script: &str, timeout: Duration) -> Result<Self, ConfigError> {
        let mut texts = vec![Vec::new()];
        for line in script.lines() {
            if line.trim_end() == SEPARATOR {
                texts.push(Vec::new());
            } else if let Some(text) = texts.last_mut() {
                text.push(line);
            }
        }
        let answers: Result<Vec<Answer>, ConfigError> =
            texts.iter().map(|lines| read(&lines.join("\n"))).collect();
        Ok(Self { answers: answers?, calls: AtomicUsize::new(0), timeout })
    }

    /// How often it has been asked.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn read(text: &str) -> Result<Answer, ConfigError> {
    Ok(match text.trim() {
        "" => return Err(ConfigError::Missing { what: "DECNET_REALISM_FAKE_OUTPUT" }),
        "!fail" => Answer::Fail,
        "!hang" => Answer::Hang,
        "!blank" => Answer::Text(String::new()),
        "!garbage" => Answer::Text(GARBAGE.to_owned()),
        other if other.starts_with('!') => {
            return Err(ConfigError::Script(
                other.lines().next().unwrap_or_default().chars().take(40).collect(),
            ));
        }
        other => Answer::Text(other.to_owned()),
    })
}

#[async_trait]
impl Backend for Canned {
    fn kind(&self) -> &'static str {
        "canned"
    }

    fn model(&self) -> &'static str {
        "canned"
    }

    async fn generate(&self, _: &str) -> Result<String, LlmError> {
        let turn = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.answers.get(turn % self.answers.len().max(1)) {
            Some(Answer::Text(text)) if !text.trim().is_empty() => Ok(text.clone()),
            Some(Answer::Text(_)) | None => Err(LlmError::Blank),
            Some(Answer::Fail) => Err(LlmError::Backend("the script says so".to_owned())),
            Some(Answer::Hang) => {
                tokio::time::sleep(self.timeout).await;
                Err(LlmError::Timeout(self.timeout))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_script_is_played_in_turn_and_again() {
        let timeout = Duration::from_millis(1);
        let canned =
            Canned::new("one\ntwo\n---\n!fail\n---\n!blank\n---\n!hang\n---\n!garbage\n", timeout).unwrap();
        for _ in 0..2 {
            assert_eq!(canned.generate("?").await.as_deref(), Ok("one\ntwo"));
            assert!(matches!(canned.generate("?").await, Err(LlmError::Backend(_))));
            assert_eq!(canned.generate("?").await, Err(LlmError::Blank));
            assert_eq!(canned.generate("?").await, Err(LlmError::Timeout(timeout)));
            assert!(canned.generate("?").await.unwrap().contains('\u{1b}'));
        }
        assert_eq!(canned.calls(), 10);
        for bad in ["", "a\n---\n", "!explode"] {
            let error = Canned::new(bad, timeout).unwrap_err().to_string();
            assert!(error.contains("DECNET_REALISM_FAKE_OUTPUT"), "{error}");
        }
    }
}
