//! The one log of `decnet up`: every line of every worker, with its name in front and a colour of its own.

use std::{
    io::{IsTerminal, Write},
    sync::Arc,
};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Longest line that is shown (bytes); the rest of it is dropped.
const LONGEST: usize = 16 * 1024;
/// Foreground colours of ECMA-48 that can be read on light and on dark.
const COLOURS: [u8; 6] = [36, 32, 33, 35, 34, 31];

/// Where the log goes.
#[derive(Debug, Clone)]
pub(super) struct Console {
    coloured: bool,
    names: Arc<[&'static str]>,
}

impl Console {
    /// A console for these speakers. Colours only on a terminal, and not if `NO_COLOR` is set (<https://no-color.org>).
    pub(super) fn new(names: &[&'static str]) -> Self {
        let coloured =
            std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self { coloured, names: names.into() }
    }

    /// Shows one line of `speaker`.
    pub(super) fn say(&self, speaker: &str, text: &str) {
        let width = self.names.iter().map(|n| n.len()).max().unwrap_or(0);
        let place = self.names.iter().position(|n| *n == speaker).unwrap_or(0);
        let colour = COLOURS.get(place % COLOURS.len()).copied().unwrap_or(0);
        let text = decnet_logline::clean(text);
        let mut out = std::io::stdout().lock();
        // Nobody to show it to is no reason to stop the fleet.
        let _ = if self.coloured {
            writeln!(out, "\u{1b}[{colour}m{speaker:width$} |\u{1b}[0m {text}")
        } else {
            writeln!(out, "{speaker:width$} | {text}")
        };
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
