//! One client's session: login, states, and which command does what. Knows no socket.
//!
//! Commands come in whole (see `wire`) and are read by `imap-codec`; what it refuses is answered in Dovecot's words.
//! The families of commands are in `boxes` and `messages`.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use imap_codec::{
    CommandCodec,
    decode::Decoder,
    imap_types::{auth::AuthMechanism, command::CommandBody},
};

use super::{
    boxes,
    esearch::{self, Wanted},
    listing::{self, Request},
    login::{self, is_tag},
    messages,
    persona::{EARLY, LATE, TOOK},
    reading::Reading,
};
use crate::mail::world::World;

/// Bad commands before login after which the server hangs up.
const EARLY_BAD_MAX: u32 = 3;
/// Bad commands after login after which the server hangs up.
const LATE_BAD_MAX: u32 = 20;

/// How long an idling client hears nothing at most.
const STILL_HERE: TimeDelta = TimeDelta::minutes(2);

/// Something worth reporting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A command.
    Command {
        /// Its name.
        cmd: String,
        /// The rest of the line, unless it holds a password.
        args: Option<Vec<u8>>,
        /// `not_authenticated`, `authenticated` or `selected`.
        state: &'static str,
    },
    /// A login.
    Auth {
        /// Name as sent.
        user: Vec<u8>,
        /// Password as sent.
        password: Vec<u8>,
        /// `login`, `plain`, `login_sasl`.
        method: &'static str,
        /// The planted account that it opened.
        account: Option<String>,
    },
    /// A message was read.
    Read {
        /// Mailbox.
        mailbox: String,
        /// Id.
        uid: u32,
        /// Subject.
        subject: String,
    },
    /// A client left a message.
    Appended {
        /// Mailbox.
        mailbox: String,
        /// Bytes.
        raw: Vec<u8>,
    },
}

/// What a command led to.
#[derive(Debug, Default)]
pub struct Step {
    /// To be sent.
    pub out: Vec<u8>,
    /// To be reported, before anything is sent.
    pub facts: Vec<Fact>,
    /// To be waited for before sending.
    pub delay: Option<Duration>,
    /// A login failed: the answer waits for [`crate::mail::ticks::Ticks`] too.
    pub failed: bool,
    /// The connection ends.
    pub close: bool,
}

impl Step {
    /// Adds a line.
    pub fn line(&mut self, text: impl AsRef<[u8]>) {
        self.out.extend_from_slice(text.as_ref());
        self.out.extend_from_slice(b"\r\n");
    }
}

/// A selected mailbox as the client sees it.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    /// Name.
    pub name: String,
    /// UIDVALIDITY.
    pub validity: u32,
    /// EXAMINE.
    pub read_only: bool,
    /// Ids by sequence number.
    pub uids: Vec<u32>,
    /// Ids that are new in this session.
    pub recent: BTreeSet<u32>,
}

/// What the next line is.
#[derive(Debug, Clone, Default)]
pub(super) enum Pending {
    /// A command.
    #[default]
    Command,
    /// The answer to AUTHENTICATE.
    Auth { tag: String, login: bool, user: Option<Vec<u8>> },
    /// DONE.
    Idle { tag: String, told: DateTime<Utc> },
}

/// A session.
#[derive(Debug, Default)]
pub struct Session {
    /// Login of the account.
    pub user: Option<String>,
    /// Selected mailbox.
    pub selected: Option<Selected>,
    /// A FETCH under way.
    pub(super) reading: Option<Reading>,
    /// What a SEARCH under way is to return.
    pub(super) returning: Option<Wanted>,
    pub(super) pending: Pending,
    pub(super) bad: u32,
    pub(super) failures: u32,
}

impl Session {
    /// Not logged in.
    pub fn is_early(&self) -> bool {
        self.user.is_none()
    }

    /// In IDLE.
    pub fn is_idle(&self) -> bool {
        matches!(self.pending, Pending::Idle { .. })
    }

    fn state(&self) -> &'static str {
        match (&self.user, &self.selected) {
            (None, _) => "not_authenticated",
            (Some(_), None) => "authenticated",
            (Some(_), Some(_)) => "selected",
        }
    }

    /// News while the client idles.
    pub fn idle_tick(&mut self, world: &mut World, now: DateTime<Utc>) -> Step {
        let mut step = Step::default();
        messages::sync(self, world, now, true, &mut step);
        if let Pending::Idle { told, .. } = &mut self.pending {
            if now - *told >= STILL_HERE && step.out.is_empty() {
                step.line("* OK Still here");
            }
            if !step.out.is_empty() {
                *told = now;
            }
        }
        step
    }

    /// What follows an answer that was too much for one piece; `None` if it was whole.
    pub fn go_on(&mut self, world: &mut World, now: DateTime<Utc>) -> Option<Step> {
        self.reading.is_some().then(|| messages::go_on(self, world, now))
    }

    /// Takes one command with CRLF line ends.
    pub fn command(&mut self, world: &mut World, bytes: &[u8], now: DateTime<Utc>) -> Step {
        let line = bytes.strip_suffix(b"\r\n").unwrap_or(bytes);
        match std::mem::take(&mut self.pending) {
            Pending::Auth { tag, login, user } => return self.auth_line(world, &tag, login, user, line),
            Pending::Idle { tag, .. } => {
                let mut step = Step::default();
                step.facts.push(Fact::Command { cmd: "DONE".to_owned(), args: None, state: self.state() });
                if line.eq_ignore_ascii_case(b"done") {
                    step.line(format!("{tag} OK Idle completed {TOOK}"));
                } else {
                    step.line(format!("{tag} BAD Expected DONE {TOOK}"));
                }
                return step;
            }
            Pending::Command => {}
        }
        let mut step = Step::default();
        let mut words = line.splitn(3, |b| *b == b' ');
        let tag = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
        let name = String::from_utf8_lossy(words.next().unwrap_or_default()).to_uppercase();
        let rest = words.next().unwrap_or_default();
        let args =
            (!rest.is_empty() && !matches!(name.as_str(), "LOGIN" | "AUTHENTICATE")).then(|| rest.to_vec());
        step.facts.push(Fact::Command { cmd: name.chars().take(64).collect(), args, state: self.state() });
        if self.is_early() && is_tag(tag.as_bytes()) && self.early(world, &tag, &name, rest, &mut step) {
            return step;
        }
        if !is_tag(tag.as_bytes()) {
            self.not_understood(&tag, &name, line, &mut step);
            return step;
        }
        let stripped = if self.is_early() { None } else { esearch::take(bytes) };
        if let Some((_, wanted)) = &stripped {
            let Some(wanted) = wanted else {
                let name = if name == "UID" { "UID SEARCH" } else { "SEARCH" };
                let text = format!("Error in IMAP command {name}: Unknown SEARCH return option");
                self.refused(&tag, &text, &mut step);
                return step;
            };
            self.returning = Some(*wanted);
        }
        let bytes = stripped.as_ref().map_or(bytes, |(plain, _)| plain.as_slice());
        match CommandCodec::default().decode(bytes) {
            Ok(([], command)) => {
                let tag = command.tag.as_ref().to_owned();
                self.run(world, &tag, command.body, now, &mut step);
            }
            // The login process takes any words after these.
            _ if self.is_early()
                && tag.bytes().all(|b| b.is_ascii_alphanumeric())
                && matches!(name.as_str(), "NOOP" | "LOGOUT" | "CAPABILITY") =>
            {
                let body = match name.as_str() {
                    "NOOP" => CommandBody::Noop,
                    "LOGOUT" => CommandBody::Logout,
                    _ => CommandBody::Capability,
                };
                self.run(world, &tag, body, now, &mut step);
            }
            _ if !self.is_early() && matches!(name.as_str(), "LIST" | "XLIST") => {
                match Request::parse(rest) {
                    Ok(request) => listing::list(self, world, &tag, &request, now, &mut step),
                    Err(why) => {
                        self.refused(&tag, &format!("Error in IMAP command {name}: {why}"), &mut step);
                    }
                }
            }
            _ => self.not_understood(&tag, &name, line, &mut step),
        }
        self.returning = None;
        step
    }

    /// What the login process reads by itself; false for the rest.
    fn early(&mut self, world: &World, tag: &str, name: &str, rest: &[u8], step: &mut Step) -> bool {
        if !matches!(name, "LOGIN" | "NOOP" | "LOGOUT" | "CAPABILITY" | "ID") {
            return false;
        }
        let words = match login::words(rest) {
            Ok(words) => words,
            Err(said) => {
                // The try failed before it was one; what was sent still counts.
                if let Some(Fact::Command { args, .. }) = step.facts.first_mut() {
                    *args = Some(rest.to_vec());
                }
                self.refused(tag, said, step);
                return true;
            }
        };
        match (name, words.as_slice()) {
            ("LOGIN", [Some(user), Some(password)]) => self.login(world, tag, user, password, "login", step),
            ("LOGIN", _) => {
                if let Some(Fact::Command { args, .. }) = step.facts.first_mut() {
                    *args = Some(rest.to_vec());
                }
                self.refused(tag, "Error in IMAP command received by server.", step);
            }
            ("ID", [] | [None, ..]) if !rest.get(1).is_some_and(u8::is_ascii_alphabetic) => {
                step.line("* ID (\"name\" \"Dovecot\")");
                step.line(format!("{tag} OK ID completed."));
            }
            _ => return false,
        }
        true
    }

    fn run(
        &mut self,
        world: &mut World,
        tag: &str,
        body: CommandBody<'_>,
        now: DateTime<Utc>,
        step: &mut Step,
    ) {
        let took = if self.is_early() { ".".to_owned() } else { format!(" {TOOK}") };
        match body {
            CommandBody::Capability if self.is_early() => {
                step.line(format!("* CAPABILITY {EARLY}"));
                step.line(format!(
                    "{tag} OK Pre-login capabilities listed, post-login capabilities have more."
                ));
            }
            CommandBody::Capability => {
                step.line(format!("* CAPABILITY {LATE}"));
                step.line(format!("{tag} OK Capability completed {TOOK}"));
            }
            CommandBody::Logout => {
                step.line("* BYE Logging out");
                step.line(format!("{tag} OK Logout completed{took}"));
                step.close = true;
            }
            CommandBody::Id { .. } => {
                step.line("* ID (\"name\" \"Dovecot\")");
                step.line(format!("{tag} OK ID completed{took}"));
            }
            CommandBody::Noop => {
                messages::sync(self, world, now, true, step);
                step.line(format!("{tag} OK NOOP completed{took}"));
            }
            CommandBody::Enable { .. } if self.is_early() => {
                step.line("* ENABLED");
                step.line(format!("{tag} OK ENABLE ignored in non-authenticated state."));
            }
            CommandBody::Login { username, password } if self.is_early() => {
                self.login(world, tag, username.as_ref(), password.declassify().as_ref(), "login", step);
            }
            CommandBody::Authenticate { mechanism, initial_response } if self.is_early() => {
                let login = match mechanism {
                    AuthMechanism::Plain => false,
                    AuthMechanism::Login => true,
                    _ => {
                        step.line(format!("{tag} NO [ALERT] Unsupported authentication mechanism."));
                        return;
                    }
                };
                match initial_response {
                    Some(response) if !login => self.plain(world, tag, response.declassify(), step),
                    Some(response) => self.ask_password(tag, response.declassify().to_vec(), step),
                    None => {
                        // "Username:" is what LOGIN asks; PLAIN asks nothing.
                        step.line(if login { "+ VXNlcm5hbWU6" } else { "+ " });
                        self.pending = Pending::Auth { tag: tag.to_owned(), login, user: None };
                    }
                }
            }
            CommandBody::Login { .. } | CommandBody::Authenticate { .. } => {
                let name = if matches!(body, CommandBody::Login { .. }) { "LOGIN" } else { "AUTHENTICATE" };
                self.refused(tag, &format!("Error in IMAP command {name}: Unknown command"), step);
            }
            _ if self.is_early() => self.refused(tag, "Error in IMAP command received by server.", step),
            CommandBody::Enable { .. } => {
                step.line("* ENABLED");
                step.line(format!("{tag} OK Enabled {TOOK}"));
            }
            CommandBody::Idle => {
                messages::sync(self, world, now, true, step);
                step.line("+ idling");
                self.pending = Pending::Idle { tag: tag.to_owned(), told: now };
            }
            CommandBody::Namespace => {
                step.line("* NAMESPACE ((\"\" \".\")) NIL NIL");
                step.line(format!("{tag} OK Namespace completed {TOOK}"));
            }
            other => {
                let handled = boxes::run(self, world, tag, &other, now, step)
                    || messages::run(self, world, tag, &other, now, step);
                if !handled {
                    self.refused(
                        tag,
                        &format!("Error in IMAP command {}: Unknown command", other.name().to_uppercase()),
                        step,
                    );
                }
            }
        }
    }

    /// Answers BAD and counts.
    pub fn refused(&mut self, tag: &str, text: &str, step: &mut Step) {
        self.bad += 1;
        let most = if self.is_early() { EARLY_BAD_MAX } else { LATE_BAD_MAX };
        if self.bad >= most {
            step.line("* BYE Too many invalid IMAP commands.");
            step.close = true;
        } else if self.is_early() {
            step.line(format!("{tag} BAD {text}"));
        } else {
            step.line(format!("{tag} BAD {text} {TOOK}"));
        }
    }

    fn not_understood(&mut self, tag: &str, name: &str, line: &[u8], step: &mut Step) {
        let odd_tag = !is_tag(tag.as_bytes());
        let tag = if odd_tag { "*" } else { tag };
        if odd_tag && self.is_early() {
            self.refused(tag, "Error in IMAP command received by server.", step);
            return;
        }
        let quotes = line.iter().filter(|b| **b == b'"').fold(false, |odd, _| !odd);
        let text = match name {
            "STARTTLS" if self.is_early() => {
                step.line(format!("{tag} BAD TLS support isn't enabled."));
                return;
            }
            "ID" => "Invalid ID parameters".to_owned(),
            "AUTHENTICATE" if self.is_early() && line.split(|b| *b == b' ').count() > 3 => {
                "Invalid base64 data in initial response".to_owned()
            }
            _ if quotes => "Missing '\"'".to_owned(),
            _ if self.is_early() => "Error in IMAP command received by server.".to_owned(),
            "" => "Error in IMAP command received by server.".to_owned(),
            "UID" => {
                let sub = line
                    .split(|b| *b == b' ')
                    .nth(2)
                    .map(|word| String::from_utf8_lossy(word).to_uppercase());
                match sub.as_deref() {
                    None => "Error in IMAP command: Invalid command name".to_owned(),
                    Some(
                        sub
                        @ ("FETCH" | "STORE" | "COPY" | "MOVE" | "SEARCH" | "SORT" | "THREAD" | "EXPUNGE"),
                    ) => {
                        format!("Error in IMAP command UID {sub}: Invalid arguments")
                    }
                    Some(sub) => format!(
                        "Error in IMAP command UID {}: Unknown command",
                        sub.chars().take(40).collect::<String>()
                    ),
                }
            }
            _ if KNOWN.contains(&name) => format!("Error in IMAP command {name}: Invalid arguments"),
            _ => format!(
                "Error in IMAP command {}: Unknown command",
                name.chars().take(40).collect::<String>()
            ),
        };
        self.refused(tag, &text, step);
    }
}

/// Commands that exist after login.
const KNOWN: [&str; 27] = [
    "APPEND",
    "CAPABILITY",
    "CHECK",
    "CLOSE",
    "COPY",
    "CREATE",
    "DELETE",
    "ENABLE",
    "EXAMINE",
    "EXPUNGE",
    "FETCH",
    "IDLE",
    "LIST",
    "LOGOUT",
    "LSUB",
    "MOVE",
    "NAMESPACE",
    "NOOP",
    "RENAME",
    "SEARCH",
    "SELECT",
    "SORT",
    "STATUS",
    "STORE",
    "SUBSCRIBE",
    "THREAD",
    "UNSUBSCRIBE",
];
