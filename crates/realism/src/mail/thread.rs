//! Threads: subjects of answers, ancestors, and what is kept of a letter so that it can be answered and quoted.

use super::{
    KnownMail, Message,
    header::{one_line, unquoted},
};

/// Characters of a subject at most.
const SUBJECT: usize = 512;
/// Characters of an excerpt at most.
const EXCERPT: usize = 2000;
/// What programs of several languages put before the subject of an answer, lower case.
const PREFIXES: [&str; 7] = ["re", "aw", "sv", "antw", "odp", "rif", "r\u{e9}f"];

/// The subject without any number of `Re:`, `AW:`, `SV:`.
pub fn bare_subject(subject: &str) -> &str {
    let mut rest = subject.trim();
    while let Some((prefix, tail)) = rest.split_once(':') {
        let prefix = prefix.trim().to_lowercase();
        let prefix = prefix.split('[').next().unwrap_or_default();
        if !PREFIXES.contains(&prefix) {
            break;
        }
        rest = tail.trim_start();
    }
    rest
}

/// The subject of an answer: `Re: ` once.
pub fn reply_subject(subject: &str) -> String {
    let clean = one_line(subject);
    let bare: String = bare_subject(&clean).chars().take(SUBJECT - 4).collect();
    format!("Re: {}", bare.trim_end()).trim_end().to_owned()
}

/// The ancestors of an answer to `parent`, oldest first: its own and itself.
pub fn references(parent: &KnownMail) -> Vec<String> {
    parent.references.iter().cloned().chain([parent.message_id.clone()]).collect()
}

/// The domain of an address; without one, `otherwise`.
pub fn domain<'a>(address: &'a str, otherwise: &'a str) -> &'a str {
    address
        .rsplit_once('@')
        .map(|(_, domain)| domain)
        .filter(|domain| !domain.is_empty())
        .unwrap_or(otherwise)
}

/// The topic of a thread, as its id begins.
pub(super) fn topic(thread: &str) -> &str {
    thread.rsplit_once('-').map_or(thread, |(topic, _)| topic)
}

impl KnownMail {
    /// What is kept of a delivered message.
    pub fn of(message: &Message) -> Self {
        Self {
            message_id: message.message_id.clone(),
            references: message.references.clone(),
            subject: message.subject.clone(),
            from: message.from.clone(),
            to: message.to.clone(),
            at: message.mtime,
            thread: message.thread.clone(),
            excerpt: excerpt(&message.raw),
            answered: false,
        }
    }
}

/// The text of a message of ours without quotations, closing and signature; one line a paragraph.
pub fn excerpt(raw: &[u8]) -> String {
    let raw = String::from_utf8_lossy(raw);
    let (head, body) = raw.split_once("\r\n\r\n").unwrap_or(("", &raw));
    let head = head.to_lowercase();
    let body = if head.contains("quoted-printable") { unquoted(body) } else { body.to_owned() };
    let lines: Vec<&str> = body.lines().take_while(|line| !matches!(*line, "-- " | "--")).collect();
    let mut paragraphs: Vec<String> = vec![String::new()];
    for (index, line) in lines.iter().enumerate() {
        let next_quoted = lines.get(index + 1..).unwrap_or_default().iter().find(|line| !line.is_empty());
        let introduces = line.ends_with(':') && next_quoted.is_some_and(|line| line.starts_with('>'));
        if line.starts_with('>') || introduces || line.trim().is_empty() {
            paragraphs.push(String::new());
        } else if let Some(last) = paragraphs.last_mut() {
            if !last.is_empty() {
                last.push(if last.chars().count() < 24 { '\n' } else { ' ' });
            }
            last.push_str(line.trim_end());
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    let closes = |paragraph: &String| {
        let first = paragraph.lines().next().unwrap_or_default();
        let words = first.split_whitespace().count();
        words <= 2 || (words <= 6 && first.ends_with(','))
    };
    while paragraphs.len() > 1 && paragraphs.last().is_some_and(closes) {
        paragraphs.pop();
    }
    paragraphs.join("\n\n").chars().take(EXCERPT).collect()
}
