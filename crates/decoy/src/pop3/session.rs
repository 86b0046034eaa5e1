//! One client's POP3 session in the words of Dovecot 2.3: login, then the messages of INBOX as they were at login.
//!
//! Knows no socket. The commands before login are in `login`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use mail_parser::MessageParser;

use crate::mail::world::World;

/// Bad commands in a row after login that are borne.
const LATE_BAD_MAX: u32 = 20;
/// Bytes of an unknown command that are repeated to the client.
const NAME_SHOWN: usize = 200;
/// What CAPA lists, before login with two more lines.
pub(super) const CAPABILITIES: &str = "CAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\n";

/// The greeting of a distribution.
pub fn greeting(distro: &str) -> String {
    let vendor = match distro {
        "debian" | "kali" => " (Debian)",
        "ubuntu22" | "ubuntu20" => " (Ubuntu)",
        _ => "",
    };
    format!("+OK Dovecot{vendor} ready.")
}

/// Something worth reporting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A command.
    Command {
        /// Its name.
        cmd: String,
        /// The rest of the line, unless it holds a password.
        args: Option<Vec<u8>>,
        /// `authorization` or `transaction`.
        state: &'static str,
    },
    /// A login.
    Auth {
        /// Name as sent.
        user: Vec<u8>,
        /// Password as sent.
        password: Vec<u8>,
        /// `pass`, `plain`, `login_sasl`.
        method: &'static str,
        /// The planted account that it opened.
        account: Option<String>,
    },
    /// A message was read.
    Retrieved {
        /// Its number.
        number: usize,
        /// Its id in INBOX.
        uid: u32,
        /// Subject.
        subject: String,
    },
    /// A message was marked to be deleted.
    Deleted {
        /// Its number.
        number: usize,
        /// Its id in INBOX.
        uid: u32,
    },
}

/// What a line led to.
#[derive(Debug, Default)]
pub struct Step {
    /// To be sent.
    pub out: Vec<u8>,
    /// To be reported, before anything is sent.
    pub facts: Vec<Fact>,
    /// A login failed: to be waited for before sending, besides what the server's clock adds.
    pub delay: Option<Duration>,
    /// The connection ends.
    pub close: bool,
}

impl Step {
    pub(super) fn say(&mut self, text: impl AsRef<str>) {
        self.out.extend_from_slice(text.as_ref().as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
}

/// What the next line is.
#[derive(Debug, Default)]
pub(super) enum Pending {
    #[default]
    Command,
    /// The answer to AUTH PLAIN.
    Plain,
    /// The answers to AUTH LOGIN.
    Login(Option<Vec<u8>>),
}

/// A message as it was at login.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed {
    pub(super) uid: u32,
    pub(super) size: usize,
    pub(super) deleted: bool,
}

/// A session.
#[derive(Debug, Default)]
pub struct Session {
    pub(super) login: Option<String>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) pending: Pending,
    pub(super) bad: u32,
    pub(super) failures: u32,
    pub(super) validity: u32,
    pub(super) list: Vec<Listed>,
}

impl Session {
    /// Not logged in.
    pub fn is_early(&self) -> bool {
        self.login.is_none()
    }

    /// Takes one line.
    pub fn line(&mut self, world: &mut World, bytes: &[u8], now: DateTime<Utc>) -> Step {
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut step = Step::default();
        match std::mem::take(&mut self.pending) {
            Pending::Command => {}
            pending => {
                self.answer(world, pending, line, now, &mut step);
                return step;
            }
        }
        let (name, rest) = match line.iter().position(|b| *b == b' ') {
            Some(at) => (line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default()),
            None => (line, &b""[..]),
        };
        let name = String::from_utf8_lossy(name).to_uppercase();
        let secret = self.is_early() && (name == "AUTH" || name == "PASS" && self.name.is_some());
        step.facts.push(Fact::Command {
            cmd: name.chars().take(64).collect(),
            args: (!rest.is_empty() && !secret).then(|| rest.to_vec()),
            state: if self.is_early() { "authorization" } else { "transaction" },
        });
        if self.is_early() {
            self.early(world, &name, rest, now, &mut step);
        } else {
            let args = String::from_utf8_lossy(rest).into_owned();
            match self.late(world, &name, args.trim_start_matches(' '), now, &mut step) {
                Ok(()) => self.bad = 0,
                Err(said) => {
                    step.say(format!("-ERR {said}"));
                    self.bad += 1;
                    if self.bad > LATE_BAD_MAX {
                        step.say("-ERR Too many bad commands.");
                        step.close = true;
                    }
                }
            }
        }
        step
    }

    /// A command after login; what is wrong in the server's words.
    fn late(
        &mut self,
        world: &mut World,
        name: &str,
        args: &str,
        now: DateTime<Utc>,
        step: &mut Step,
    ) -> Result<(), String> {
        match name {
            "CAPA" => {
                step.say("+OK");
                step.out.extend_from_slice(CAPABILITIES.as_bytes());
                step.say(".");
            }
            "STAT" => {
                let (count, size) = self.left().fold((0, 0), |(n, sum), (_, one)| (n + 1, sum + one.size));
                step.say(format!("+OK {count} {size}"));
            }
            "LIST" if args.is_empty() => {
                step.say(format!("+OK {} messages:", self.left().count()));
                for (number, one) in self.left() {
                    step.say(format!("{number} {}", one.size));
                }
                step.say(".");
            }
            "LIST" => {
                let (number, one, _) = self.pick(args, false)?;
                step.say(format!("+OK {number} {}", one.size));
            }
            "UIDL" if args.is_empty() => {
                step.say("+OK");
                for (number, one) in self.left() {
                    step.say(format!("{number} {:08x}{:08x}", one.uid, self.validity));
                }
                step.say(".");
            }
            "UIDL" => {
                let (number, one, _) = self.pick(args, false)?;
                step.say(format!("+OK {number} {:08x}{:08x}", one.uid, self.validity));
            }
            "RETR" => {
                let (number, one, _) = self.pick(args, false)?;
                let raw = self.read(world, one, true, now)?;
                let subject = MessageParser::default()
                    .parse_headers(&raw)
                    .and_then(|parsed| parsed.subject().map(str::to_owned))
                    .unwrap_or_default();
                step.facts.push(Fact::Retrieved { number, uid: one.uid, subject });
                step.say(format!("+OK {} octets", raw.len()));
                stuff(&raw, &mut step.out);
            }
            "TOP" => {
                let (_, one, rest) = self.pick(args, true)?;
                let lines = size(rest)?;
                let raw = self.read(world, one, false, now)?;
                step.say("+OK");
                stuff(top(&raw, lines), &mut step.out);
            }
            "DELE" => {
                let (number, one, _) = self.pick(args, false)?;
                if let Some(one) = self.list.get_mut(number - 1) {
                    one.deleted = true;
                }
                step.facts.push(Fact::Deleted { number, uid: one.uid });
                step.say("+OK Marked to be deleted.");
            }
            "RSET" => {
                self.list.iter_mut().for_each(|one| one.deleted = false);
                step.say("+OK");
            }
            "NOOP" => step.say("+OK"),
            "QUIT" => {
                let deleted = self.update(world, now);
                step.say(if deleted { "+OK Logging out, messages deleted." } else { "+OK Logging out." });
                step.close = true;
            }
            "" => return Err("Unknown command.".to_owned()),
            other => {
                let shown: String = other.chars().take(NAME_SHOWN).collect();
                return Err(format!("Unknown command: {shown}"));
            }
        }
        Ok(())
    }

    /// Numbers and messages that are not marked.
    fn left(&self) -> impl Iterator<Item = (usize, Listed)> + '_ {
        (1..).zip(self.list.iter().copied()).filter(|(_, one)| !one.deleted)
    }

    /// The message that arguments name, and what follows its number.
    fn pick<'a>(&self, args: &'a str, more: bool) -> Result<(usize, Listed, &'a str), String> {
        let (digits, rest) = digits(args);
        if digits.is_empty() {
            return Err(format!("Invalid message number: {args}"));
        }
        let Ok(number) = digits.parse::<u32>() else {
            return Err(format!("Message number too large: {rest}"));
        };
        if more != rest.starts_with(' ') || !more && !rest.is_empty() {
            return Err(format!("Noise after message number: {rest}"));
        }
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let one = at.checked_sub(1).and_then(|at| self.list.get(at)).copied();
        match one {
            None => Err(format!("There's no message {number}.")),
            Some(one) if one.deleted => Err("Message is deleted.".to_owned()),
            Some(one) => Ok((at, one, rest.trim_start_matches(' '))),
        }
    }

    fn read(
        &self,
        world: &mut World,
        one: Listed,
        seen: bool,
        now: DateTime<Utc>,
    ) -> Result<std::sync::Arc<[u8]>, String> {
        let login = self.login.as_deref().unwrap_or_default();
        let inbox = world.account(login, now).and_then(|account| account.get_mut("INBOX"));
        let inbox = inbox.filter(|inbox| inbox.validity == self.validity);
        let message = inbox.and_then(|inbox| inbox.get_mut(one.uid)).ok_or("Message not found.")?;
        let raw = message.body.bytes().ok_or("Message not found.")?;
        if seen {
            message.flags.insert("\\Seen".to_owned());
        }
        Ok(raw)
    }

    /// Removes what is marked, for every client of the account; true if anything is.
    fn update(&self, world: &mut World, now: DateTime<Utc>) -> bool {
        let login = self.login.as_deref().unwrap_or_default();
        let marked = |uid: u32| self.list.iter().any(|one| one.deleted && one.uid == uid);
        if let Some(inbox) = world.account(login, now).and_then(|account| account.get_mut("INBOX"))
            && inbox.validity == self.validity
        {
            inbox.messages.retain(|message| !marked(message.uid));
        }
        self.list.iter().any(|one| one.deleted)
    }
}

/// Leading digits and the rest.
fn digits(args: &str) -> (&str, &str) {
    args.split_at(args.find(|c: char| !c.is_ascii_digit()).unwrap_or(args.len()))
}

fn size(args: &str) -> Result<u64, String> {
    let (digits, rest) = digits(args);
    if digits.is_empty() {
        return Err(format!("Invalid size: {args}"));
    }
    let size = digits.parse().map_err(|_| format!("Size too large: {args}"))?;
    if rest.is_empty() { Ok(size) } else { Err(format!("Noise after size: {rest}")) }
}

/// The headers, the empty line and this many lines of the body.
fn top(raw: &[u8], lines: u64) -> &[u8] {
    let mut at = raw.windows(4).position(|window| window == b"\r\n\r\n").map_or(raw.len(), |at| at + 4);
    if raw.starts_with(b"\r\n") {
        at = 2;
    }
    for _ in 0..lines {
        let rest = raw.get(at..).unwrap_or_default();
        match rest.iter().position(|b| *b == b'\n') {
            Some(end) => at += end + 1,
            None => return raw,
        }
    }
    raw.get(..at).unwrap_or(raw)
}

/// Lines that start with a dot get another one; a line with one dot ends it all (RFC 1939, 3).
fn stuff(raw: &[u8], out: &mut Vec<u8>) {
    for line in raw.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !raw.is_empty() && !raw.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
}
