//! A planned action as one line of JSON (`design/life-events.md`: names, order and form are promises).

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::{Action, Class, FileWrite, Machine, Planned, plan::Fleet};

/// The mode of a delivered message: nobody's but the mailbox owner's.
const MAIL_MODE: u32 = 0o600;

/// One line.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    #[serde(serialize_with = "instant")]
    at: DateTime<Utc>,
    decky: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    kind: &'static str,
    persona: Option<&'a str>,
    content_class: Option<Class>,
    #[serde(flatten)]
    rest: Rest<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Rest<'a> {
    Traffic {
        dst: &'a str,
        protocol: &'a str,
        port: u16,
    },
    File {
        path: &'a str,
        #[serde(serialize_with = "instant")]
        mtime: DateTime<Utc>,
        mode: String,
        #[serde(flatten)]
        content: Content<'a>,
    },
    Rotate {
        path: &'a str,
        to: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        body_b64: Option<String>,
    },
    Delete {
        path: &'a str,
    },
    Email {
        path: &'a str,
        #[serde(serialize_with = "instant")]
        mtime: DateTime<Utc>,
        mode: String,
        subject: &'a str,
        to: &'a str,
        message_id: &'a str,
        in_reply_to: Option<&'a str>,
        references: &'a [String],
        thread: &'a str,
        #[serde(flatten)]
        content: Content<'a>,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Content<'a> {
    Body(&'a str),
    BodyB64(String),
}

impl<'a> Line<'a> {
    /// The line of an action of this fleet.
    pub fn of(planned: &'a Planned, fleet: &'a Fleet) -> Self {
        let host = fleet.machine(&planned.machine).map(|machine: &Machine| machine.host.as_str());
        Self {
            at: planned.at,
            decky: &planned.machine,
            host: host.filter(|host| *host != planned.machine),
            kind: planned.action.kind(),
            persona: planned.persona.as_ref().map(|persona| persona.name.as_str()),
            content_class: planned.class,
            rest: rest(&planned.action),
        }
    }
}

fn rest(action: &Action) -> Rest<'_> {
    match action {
        Action::Traffic { dst, protocol, port } => Rest::Traffic { dst, protocol, port: *port },
        Action::Create(write) | Action::Edit { write, .. } => file(write),
        Action::Rotate { path, to, body, .. } => {
            Rest::Rotate { path, to, body_b64: body.as_ref().map(|body| STANDARD.encode(body)) }
        }
        Action::Delete { path, .. } => Rest::Delete { path },
        Action::Email(message) => Rest::Email {
            path: &message.path,
            mtime: message.mtime,
            mode: mode(MAIL_MODE),
            subject: &message.subject,
            to: &message.to_name,
            message_id: &message.message_id,
            in_reply_to: message.in_reply_to.as_deref(),
            references: &message.references,
            thread: &message.thread,
            content: content(&message.raw),
        },
    }
}

fn file(write: &FileWrite) -> Rest<'_> {
    Rest::File {
        path: &write.path,
        mtime: write.mtime,
        mode: mode(write.mode),
        content: content(&write.body),
    }
}

fn content(body: &[u8]) -> Content<'_> {
    std::str::from_utf8(body).map_or_else(|_| Content::BodyB64(STANDARD.encode(body)), Content::Body)
}

fn mode(bits: u32) -> String {
    format!("{bits:04o}")
}

fn instant<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&at.format("%Y-%m-%dT%H:%M:%S%.9fZ"))
}
