//! What is to be done on one decky, in a form that survives a crash: written down as an intent before the agent is asked.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use decnet_realism::{
    Action, Class, Planned,
    mail::Message,
    plan::shelf::{KnownFile, Shelf, sha256},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Owner of mailboxes whose person has no account on the machine: the usual one of virtual mailboxes.
pub(crate) const VMAIL: u32 = 5000;
/// Permission bits of a delivered message.
const MAIL_MODE: u32 = 0o600;

/// A file with all that makes it what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: DateTime<Utc>,
    pub(crate) sha256: String,
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub(crate) body: Vec<u8>,
}

/// What a letter is, besides its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) subject: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) message_id: String,
    pub(crate) in_reply_to: Option<String>,
    pub(crate) references: Vec<String>,
    pub(crate) thread: String,
    pub(crate) language: String,
    pub(crate) excerpt: String,
    /// The model that wrote it, if one did.
    #[serde(default)]
    pub(crate) model: Option<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum Step {
    /// A file appears where nothing is.
    Create { file: Content },
    /// A file changes that is as it was left.
    Edit { file: Content, previous: String },
    /// A file moves.
    Rotate {
        /// From here, where this is.
        from: String,
        previous: String,
        /// As it is at its new place.
        file: Content,
        /// Its bytes are others there (compressed): it is written there and removed here.
        rewritten: bool,
        /// SHA-256 of what is at the new place and goes.
        replaces: Option<String>,
    },
    /// A file goes.
    Delete { path: String, previous: String },
    /// A message arrives.
    Deliver { file: Content, letter: Box<Letter> },
}

/// A step with its author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deed {
    /// When it was planned for.
    pub(crate) at: DateTime<Utc>,
    /// Display name; `None` for the machine's own doing.
    pub(crate) persona: Option<String>,
    /// Login of the file's author; empty for the machine's.
    pub(crate) login: String,
    pub(crate) class: Class,
    /// The text came from the model of this name.
    #[serde(default)]
    pub(crate) model: Option<String>,
    pub(crate) step: Step,
}

impl Deed {
    /// What a plan means on a machine with this shelf; `None` for connections, which leave nothing.
    pub(crate) fn of(
        planned: &Planned,
        shelf: &Shelf,
        owner: impl Fn(&str) -> Option<(u32, u32)>,
    ) -> Option<Self> {
        let class = planned.class?;
        let author =
            || planned.persona.as_ref().and_then(|persona| persona.login.clone()).unwrap_or_default();
        let known = |path: &str| shelf.files.get(path);
        let (login, step) = match &planned.action {
            Action::Traffic { .. } => return None,
            Action::Create(write) => (author(), Step::Create { file: content(write) }),
            Action::Edit { write, previous } => {
                let login = known(&write.path).map_or_else(author, |file| file.login.clone());
                (login, Step::Edit { file: content(write), previous: previous.clone() })
            }
            Action::Rotate { path, to, body, previous } => {
                let file = known(path)?;
                let step = Step::Rotate {
                    from: path.clone(),
                    previous: previous.clone(),
                    file: moved(file, to, body.as_deref()),
                    rewritten: body.as_ref().is_some_and(|body| *body != file.body),
                    replaces: known(to).map(|file| file.sha256.clone()),
                };
                (file.login.clone(), step)
            }
            Action::Delete { path, previous } => {
                let login = known(path).map(|file| file.login.clone()).unwrap_or_default();
                (login, Step::Delete { path: path.clone(), previous: previous.clone() })
            }
            Action::Email(message) if message.path.is_empty() => return None,
            Action::Email(message) => {
                let (uid, gid) = owner(&message.to).unwrap_or((VMAIL, VMAIL));
                (
                    String::new(),
                    Step::Deliver { file: mail_file(message, uid, gid), letter: Box::new(letter(message)) },
                )
            }
        };
        let persona = planned.persona.as_ref().map(|persona| persona.name.clone());
        Some(Self { at: planned.at, persona, login, class, model: None, step })
    }

    /// Notes that a model wrote its text.
    pub(crate) fn wrote(&mut self, model: Option<&str>) {
        self.model = model.map(str::to_owned);
        if let Step::Deliver { letter, .. } = &mut self.step {
            letter.model.clone_from(&self.model);
        }
    }

    /// The word for it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.step {
            Step::Create { .. } => "create",
            Step::Edit { .. } => "edit",
            Step::Rotate { .. } => "rotate",
            Step::Delete { .. } => "delete",
            Step::Deliver { .. } => "email",
        }
    }

    /// Where it begins.
    pub(crate) fn path(&self) -> &str {
        match &self.step {
            Step::Create { file } | Step::Edit { file, .. } | Step::Deliver { file, .. } => &file.path,
            Step::Rotate { from, .. } => from,
            Step::Delete { path, .. } => path,
        }
    }

    /// The file as it is afterwards; `None` where none is.
    pub(crate) const fn file(&self) -> Option<&Content> {
        match &self.step {
            Step::Create { file }
            | Step::Edit { file, .. }
            | Step::Rotate { file, .. }
            | Step::Deliver { file, .. } => Some(file),
            Step::Delete { .. } => None,
        }
    }
}

fn content(write: &decnet_realism::FileWrite) -> Content {
    Content {
        path: write.path.clone(),
        mode: write.mode,
        uid: write.uid,
        gid: write.gid,
        mtime: write.mtime,
        sha256: sha256(&write.body),
        body: write.body.clone(),
    }
}

fn moved(file: &KnownFile, to: &str, body: Option<&[u8]>) -> Content {
    let body = body.unwrap_or(&file.body).to_vec();
    Content {
        path: to.to_owned(),
        mode: file.mode,
        uid: file.uid,
        gid: file.gid,
        mtime: file.mtime,
        sha256: sha256(&body),
        body,
    }
}

/// The file of a message.
pub(crate) fn mail_file(message: &Message, uid: u32, gid: u32) -> Content {
    Content {
        path: message.path.clone(),
        mode: MAIL_MODE,
        uid,
        gid,
        mtime: message.mtime,
        sha256: sha256(&message.raw),
        body: message.raw.clone(),
    }
}

/// What is kept of a message besides its file.
pub(crate) fn letter(message: &Message) -> Letter {
    let mut shelf = Shelf::default();
    // The shelf knows what an answer quotes; it is asked with this message alone.
    shelf.apply(&Planned {
        at: message.mtime,
        machine: String::new(),
        persona: None,
        class: Some(Class::Email),
        action: Action::Email(Box::new(message.clone())),
    });
    Letter {
        subject: message.subject.clone(),
        from: message.from.clone(),
        to: message.to.clone(),
        message_id: message.message_id.clone(),
        in_reply_to: message.in_reply_to.clone(),
        references: message.references.clone(),
        thread: message.thread.clone(),
        language: message.language.clone(),
        excerpt: shelf.mails.pop().map(|mail| mail.excerpt).unwrap_or_default(),
        model: None,
    }
}

fn to_base64<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(body))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}
