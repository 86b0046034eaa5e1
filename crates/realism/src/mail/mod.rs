//! Mail between personas: threads, composed messages, where they lie.

pub mod client;
pub mod compose;
mod header;
mod prose;
#[cfg(test)]
mod tests;
pub mod thread;

pub use self::{
    compose::{compose, seen_path},
    thread::{excerpt, reply_subject},
};

use chrono::{DateTime, Utc};

/// A message as it is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it lies: a Maildir file of the recipient's mailbox.
    pub path: String,
    /// Its time: the `Date` header is this, cut to whole seconds, with the sender's offset.
    pub mtime: DateTime<Utc>,
    /// All of it, CRLF throughout.
    pub raw: Vec<u8>,
    /// Subject, decoded.
    pub subject: String,
    /// Sender's address.
    pub from: String,
    /// Recipient's address.
    pub to: String,
    /// The recipient's name, as his persona has it.
    pub to_name: String,
    /// With angle brackets.
    pub message_id: String,
    /// The parent's id.
    pub in_reply_to: Option<String>,
    /// Ancestors, oldest first.
    pub references: Vec<String>,
    /// Id of the thread.
    pub thread: String,
    /// Language of the text.
    pub language: String,
}

/// A delivered message that may be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMail {
    /// With angle brackets.
    pub message_id: String,
    /// Its own ancestors, oldest first.
    pub references: Vec<String>,
    /// Subject, decoded.
    pub subject: String,
    /// Sender's address.
    pub from: String,
    /// Recipient's address.
    pub to: String,
    /// When it was delivered.
    pub at: DateTime<Utc>,
    /// Its thread.
    pub thread: String,
    /// Its text without signature and quotes, for the quotation in an answer (at most 2000 characters).
    pub excerpt: String,
    /// Whether it has been answered.
    pub answered: bool,
}

/// What is kept of a delivered message; see [`KnownMail::of`].
pub fn known(message: &Message) -> KnownMail {
    KnownMail::of(message)
}
