//! The lines of one session: commands, hidden input, requests for files, its end. What a value means is decided here;
//! how it is found, elsewhere.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use decnet_core::SessionMark;
use decnet_logline::{Secret, SecretKind};

use super::{
    commands::Line,
    sftp::{REPORTED_MAX, Request},
};
use crate::{connection::Connection, report::Report};

/// Commands of one session that are reported; the transcript has the rest.
const COMMANDS_MAX: u32 = 20_000;
/// Longest line of input without a terminal that is kept to be reported.
const LINE_MAX: usize = 64 << 10;
/// Words of prompts that ask for a secret.
const SECRET_WORDS: &[&str] = &[
    "password",
    "passphrase",
    "passcode",
    "passwort",
    "mot de passe",
    "contrase",
    "secret",
    "token",
    "pin",
    "code",
];

pub(super) struct Events {
    conn: Arc<Connection>,
    sid: String,
    commands: AtomicU32,
    requests: AtomicU32,
}

impl Events {
    pub(super) fn new(conn: Arc<Connection>, mark: &SessionMark) -> Self {
        Self { conn, sid: mark.sid.clone(), commands: AtomicU32::new(0), requests: AtomicU32::new(0) }
    }

    fn report(&self, kind: &'static str) -> Report {
        self.conn.report(kind).field("sid", &self.sid)
    }

    /// Lines sent at a terminal. `shown`: their newline was seen.
    pub(super) async fn lines(&self, lines: Vec<Line>, shown: bool) {
        for line in lines {
            if line.shown {
                self.command(&line.text, &line.prompt, shown).await;
            } else {
                self.hidden(line).await;
            }
        }
    }

    pub(super) async fn command(&self, command: &[u8], prompt: &str, shown: bool) {
        if self.commands.fetch_add(1, Ordering::Relaxed) >= COMMANDS_MAX {
            return;
        }
        let mut report = self.report("command").bytes("command", command);
        if !prompt.trim().is_empty() {
            report = report.bytes("prompt", prompt.trim_end().as_bytes());
        }
        if !shown {
            report = report.field("unfinished", 1);
        }
        self.conn.emit(report).await;
    }

    async fn hidden(&self, line: Line) {
        let mut report = self.report("hidden_input").bytes("prompt", line.prompt.trim_end().as_bytes());
        let asked = line.prompt.to_lowercase();
        if SECRET_WORDS.iter().any(|word| asked.contains(word)) {
            let principal = principal(&line.prompt);
            report = report.secret(Secret { principal, kind: SecretKind::Plaintext, bytes: line.text });
        } else {
            report = report.bytes("input", &line.text);
        }
        self.conn.emit(report).await;
    }

    pub(super) async fn signal(&self, name: &str) {
        self.conn.emit(self.report("signal").bytes("signal", name.as_bytes())).await;
    }

    pub(super) async fn requests(&self, requests: Vec<Request>) {
        for request in requests {
            if self.requests.fetch_add(1, Ordering::Relaxed) >= REPORTED_MAX {
                return;
            }
            let mut report = self.report("sftp").field("op", request.op).bytes("path", &request.path);
            if let Some(target) = &request.target {
                report = report.bytes("target", target);
            }
            self.conn.emit(report).await;
        }
    }

    pub(super) async fn skipped(&self, reason: &'static str) {
        let report =
            self.report("session_skipped").field("service", self.conn.service()).field("reason", reason);
        self.conn.emit(report).await;
    }

    pub(super) async fn recorded(&self, lasted: Duration, bytes: u64, truncated: bool) {
        let report = self
            .report("session_recorded")
            .field("service", self.conn.service())
            .field("duration_s", format_args!("{:.3}", lasted.as_secs_f64()))
            .field("bytes", bytes)
            .field("truncated", u8::from(truncated));
        self.conn.emit(report).await;
    }
}

/// Whose secret a prompt asks for: `[sudo] password for x:`, `x@host's password:`.
fn principal(prompt: &str) -> Option<String> {
    let name = if let Some((_, rest)) = prompt.split_once(" for ") {
        rest.split(':').next()?
    } else {
        prompt.split_once("'s password").map(|(name, _)| name)?
    };
    let name = name.trim().trim_matches(['\'', '"']);
    (!name.is_empty() && !name.contains(' ') && name.len() <= 256).then(|| name.to_owned())
}

/// Lines of input that no terminal collects.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    held: Vec<u8>,
}

impl Splitter {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                lines.extend(self.rest());
            } else if self.held.len() < LINE_MAX {
                self.held.push(*byte);
            }
        }
        lines
    }

    /// What has no newline yet.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.held);
        (!line.trim_ascii().is_empty()).then(|| line.trim_ascii_end().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_names_whose_secret_it_wants() {
        assert_eq!(principal("[sudo] password for mkeller: ").as_deref(), Some("mkeller"));
        assert_eq!(principal("root@10.0.0.1's password: ").as_deref(), Some("root@10.0.0.1"));
        assert_eq!(principal("Enter passphrase for key '/root/.ssh/id': "), None);
        assert_eq!(principal("Password: "), None);
    }

    #[test]
    fn lines_without_a_terminal_are_split_and_bounded() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.push(b"id\n\nuname -a\r\nwho"), [b"id".to_vec(), b"uname -a".to_vec()]);
        assert_eq!(splitter.rest().as_deref(), Some(&b"who"[..]));
        splitter.push(&vec![b'x'; 100_000]);
        assert_eq!(splitter.rest().map(|line| line.len()), Some(LINE_MAX));
    }
}
