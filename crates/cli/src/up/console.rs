//! The one log of `decnet up`: every line of every worker, with its name in front and a colour of its own, or, with
//! JSON logs, one JSON object a line and nothing else.

use std::{
    io::{IsTerminal, Write},
    sync::Arc,
};

use decnet_core::{Clock, SystemClock};
use decnet_kit::settings::LogFormat;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Longest line that is shown (bytes); the rest of it is dropped.
const LONGEST: usize = 16 * 1024;
/// Foreground colours of ECMA-48 that can be read on light and on dark.
const COLOURS: [u8; 6] = [36, 32, 33, 35, 34, 31];

/// Where the log goes.
#[derive(Debug, Clone)]
pub(super) struct Console {
    coloured: bool,
    format: LogFormat,
    names: Arc<[&'static str]>,
}

impl Console {
    /// A console for these speakers. Colours only on a terminal, and not if `NO_COLOR` is set (<https://no-color.org>).
    pub(super) fn new(names: &[&'static str], format: LogFormat) -> Self {
        let coloured =
            std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self { coloured, format, names: names.into() }
    }

    /// Shows one line of `speaker`.
    pub(super) fn say(&self, speaker: &str, text: &str) {
        let line = match self.format {
            LogFormat::Text => self.as_line(speaker, text),
            LogFormat::Json => as_object(speaker, text),
        };
        // Nobody to show it to is no reason to stop the fleet.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }

    fn as_line(&self, speaker: &str, text: &str) -> String {
        let width = self.names.iter().map(|n| n.len()).max().unwrap_or(0);
        let text = decnet_logline::clean(text);
        if !self.coloured {
            return format!("{speaker:width$} | {text}");
        }
        let place = self.names.iter().position(|n| *n == speaker).unwrap_or(0);
        let colour = COLOURS.get(place % COLOURS.len()).copied().unwrap_or(0);
        format!("\u{1b}[{colour}m{speaker:width$} |\u{1b}[0m {text}")
    }

    /// Shows what `from` prints until it ends.
    pub(super) async fn copy(self, speaker: &'static str, from: impl AsyncRead + Unpin) {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            let Ok(buffer) = from.fill_buf().await else { return };
            if buffer.is_empty() {
                break;
            }
            let end = buffer.iter().position(|b| *b == b'\n');
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(buffer);
            line.extend(part.iter().take(LONGEST.saturating_sub(line.len())));
            let used = part.len() + usize::from(end.is_some());
            from.consume(used);
            if end.is_some() {
                self.say(speaker, &as_text(&line, speaker));
                line.clear();
            }
        }
        if !line.is_empty() {
            self.say(speaker, &as_text(&line, speaker));
        }
    }
}

/// The text of a line. Workers put their name in front, which the console does by itself.
fn as_text(line: &[u8], speaker: &str) -> String {
    let text = decnet_logline::clean_bytes(line.strip_suffix(b"\r").unwrap_or(line));
    match text.strip_prefix(speaker).and_then(|rest| rest.strip_prefix(' ')) {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// The line as a JSON object: a worker's own, or one around what else it (or this program) says.
fn as_object(speaker: &str, text: &str) -> String {
    let text = decnet_logline::clean(text);
    // Only looked at: written again, its keys would change their order.
    if serde_json::from_str::<Value>(&text).is_ok_and(|value| value.is_object()) {
        return text.into_owned();
    }
    let now = SystemClock.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    json!({ "worker": speaker, "timestamp": now, "level": "INFO", "message": text, "target": "decnet::up" })
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_json_log_is_an_object() {
        for (printed, message) in [
            (&b"{\"worker\":\"api\",\"message\":\"up\"}"[..], "up"),
            (b"thread 'main' panicked at \x1b[31m", "thread 'main' panicked at \\u001B[31m"),
            (b"{\"worker\":\"api\",\"mess", "{\"worker\":\"api\",\"mess"),
            (b"7", "7"),
        ] {
            let value: Value = serde_json::from_str(&as_object("api", &as_text(printed, "api"))).unwrap();
            assert_eq!((&value["worker"], &value["message"]), (&json!("api"), &json!(message)));
        }
    }

    #[test]
    fn a_text_log_shows_no_control_character_and_each_name_once() {
        let console = Console { coloured: false, format: LogFormat::Text, names: Arc::new(["api", "agent"]) };
        let shown = console.as_line("api", &as_text(b"api \x1b[2Jpwn\x9b\r", "api"));
        assert_eq!(shown, "api   | \\u001B[2Jpwn\\u009B");
    }
}
