//! Composing: a letter or an answer, from words to the bytes that are delivered.

use chrono::{DateTime, Utc};

use super::{KnownMail, Message};
use crate::{Draw, Machine, Persona};

/// A text that replaces the template's: subject (ignored in answers) and paragraphs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Subject of a new thread.
    pub subject: String,
    /// Body without greeting line, quotation and signature being added to it.
    pub body: String,
}

/// What a message is made of.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// Sender.
    pub from: &'a Persona,
    /// Recipient; another person.
    pub to: &'a Persona,
    /// The machine that holds the mailboxes.
    pub machine: &'a Machine,
    /// What is answered.
    pub parent: Option<&'a KnownMail>,
    /// Time of the file and, cut to seconds, of the `Date` header.
    pub at: DateTime<Utc>,
    /// Written by a model, if it was.
    pub text: Option<&'a Text>,
}

/// Composes and addresses a message.
pub fn compose(letter: &Letter<'_>, rng: &mut Draw) -> Message {
    let _ = rng;
    Message {
        path: String::new(),
        mtime: letter.at,
        raw: Vec::new(),
        subject: String::new(),
        from: letter.from.email.clone(),
        to: letter.to.email.clone(),
        to_name: letter.to.name.clone(),
        message_id: String::new(),
        in_reply_to: None,
        references: Vec::new(),
        thread: String::new(),
        language: letter.from.language.clone(),
    }
}
