//! What is to be done: decided by the planner, done by somebody else.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{Class, Persona, mail::Message};

/// A file as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWrite {
    /// Absolute path.
    pub path: String,
    /// Its kind.
    pub class: Class,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Its time, to the nanosecond.
    pub mtime: DateTime<Utc>,
    /// All of its content.
    pub body: Vec<u8>,
}

/// One action. An edit without the state before cannot be made.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A connection to another machine.
    Traffic {
        /// The other machine's id.
        dst: String,
        /// Slug of the service.
        protocol: String,
        /// Its standard port.
        port: u16,
    },
    /// A file appears; nothing is at its path.
    Create(FileWrite),
    /// A file changes.
    Edit {
        /// The whole file after the edit.
        write: FileWrite,
        /// SHA-256 (hex) of what it must be before; else somebody else changed it.
        previous: String,
    },
    /// A log is renamed (its time is kept); an existing `to` is replaced.
    Rotate {
        /// From.
        path: String,
        /// To.
        to: String,
        /// The compressed bytes, if `to` ends in `.gz`.
        body: Option<Vec<u8>>,
        /// SHA-256 (hex) of what is at `path`.
        previous: String,
    },
    /// A file goes.
    Delete {
        /// Which.
        path: String,
        /// SHA-256 (hex) of what is there.
        previous: String,
    },
    /// A message arrives in the recipient's mailbox on this machine.
    Email(Box<Message>),
}

impl Action {
    /// The word for it: `traffic create edit rotate delete email`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Traffic { .. } => "traffic",
            Self::Create(_) => "create",
            Self::Edit { .. } => "edit",
            Self::Rotate { .. } => "rotate",
            Self::Delete { .. } => "delete",
            Self::Email(_) => "email",
        }
    }
}

/// An action with its time, place and author.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// When to act.
    pub at: DateTime<Utc>,
    /// Id of the machine that acts (traffic: where it starts; mail: where the mailboxes are).
    pub machine: String,
    /// Who; `None` for the machine's own doing.
    pub persona: Option<Arc<Persona>>,
    /// What kind of content; `None` for traffic.
    pub class: Option<Class>,
    /// What.
    pub action: Action,
}
