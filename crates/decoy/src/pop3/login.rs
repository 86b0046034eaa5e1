//! The commands before login: USER and PASS, AUTH PLAIN and LOGIN, and what a login process says to the rest.
//!
//! Only planted accounts open. Every try is a fact with the exact bytes that were sent. APOP is refused as Dovecot refuses
//! it unless an operator sets it up: the greeting has no timestamp that a digest could be made from.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};

use super::session::{CAPABILITIES, Fact, Listed, Pending, Session, Step};
use crate::mail::{mailbox::Message, ticks::penalty, world::World};

/// Unknown commands before login after which the server hangs up.
const EARLY_BAD_MAX: u32 = 3;

impl Session {
    pub(super) fn early(
        &mut self,
        world: &mut World,
        name: &str,
        rest: &[u8],
        now: DateTime<Utc>,
        step: &mut Step,
    ) {
        match name {
            "USER" => {
                self.name = Some(rest.to_vec());
                step.say("+OK");
            }
            "PASS" => match self.name.take() {
                Some(user) => self.log_in(world, &user, rest, "pass", now, step),
                None => step.say("-ERR No username given."),
            },
            "AUTH" => self.auth(world, rest, now, step),
            "CAPA" => {
                step.say("+OK");
                step.out.extend_from_slice(CAPABILITIES.as_bytes());
                step.say("USER\r\nSASL PLAIN LOGIN\r\n.");
            }
            "APOP" => step.say("-ERR APOP not enabled."),
            "STLS" => step.say("-ERR TLS support isn't enabled."),
            "QUIT" => {
                step.say("+OK Logging out");
                step.close = true;
            }
            _ => {
                step.say("-ERR Unknown command.");
                self.bad += 1;
                if self.bad >= EARLY_BAD_MAX {
                    step.say("-ERR Too many invalid bad commands.");
                    step.close = true;
                }
                return;
            }
        }
        self.bad = 0;
    }

    fn auth(&mut self, world: &mut World, rest: &[u8], now: DateTime<Utc>, step: &mut Step) {
        if rest.is_empty() {
            step.say("+OK\r\nPLAIN\r\nLOGIN\r\n.");
            return;
        }
        let mut words = rest.splitn(2, |b| *b == b' ');
        let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
        let initial = words.next();
        let pending = match mechanism.as_slice() {
            b"PLAIN" => Pending::Plain,
            b"LOGIN" => Pending::Login(None),
            _ => {
                step.say("-ERR [AUTH] Unsupported authentication mechanism.");
                return;
            }
        };
        match (initial, pending) {
            // An empty first answer (RFC 5034, 4).
            (Some(b"="), pending) => self.answer(world, pending, b"", now, step),
            (Some(initial), pending) => {
                if STANDARD.decode(initial).is_ok() {
                    self.answer(world, pending, initial, now, step);
                } else {
                    step.say("-ERR [AUTH] Invalid base64 data in initial response");
                }
            }
            (None, pending) => {
                // "Username:" is what LOGIN asks; PLAIN asks nothing.
                step.say(if matches!(pending, Pending::Plain) { "+ " } else { "+ VXNlcm5hbWU6" });
                self.pending = pending;
            }
        }
    }

    /// Takes a line of a login in steps.
    pub(super) fn answer(
        &mut self,
        world: &mut World,
        pending: Pending,
        line: &[u8],
        now: DateTime<Utc>,
        step: &mut Step,
    ) {
        if line == b"*" {
            step.say("-ERR Authentication aborted by client.");
            return;
        }
        let Ok(bytes) = STANDARD.decode(line.trim_ascii()) else {
            step.say("-ERR [AUTH] Invalid base64 in response");
            return;
        };
        match pending {
            Pending::Login(None) => {
                // "Password:".
                step.say("+ UGFzc3dvcmQ6");
                self.pending = Pending::Login(Some(bytes));
            }
            Pending::Login(Some(user)) => self.log_in(world, &user, &bytes, "login_sasl", now, step),
            Pending::Plain | Pending::Command => {
                // `authorization NUL name NUL password`.
                let mut parts = bytes.splitn(3, |b| *b == 0);
                if let (Some(_), Some(user), Some(password)) = (parts.next(), parts.next(), parts.next()) {
                    self.log_in(world, user, password, "plain", now, step);
                } else {
                    self.fail(step);
                }
            }
        }
    }

    fn log_in(
        &mut self,
        world: &mut World,
        user: &[u8],
        password: &[u8],
        method: &'static str,
        now: DateTime<Utc>,
        step: &mut Step,
    ) {
        let account = world.login(user, password);
        step.facts.push(Fact::Auth {
            user: user.to_vec(),
            password: password.to_vec(),
            method,
            account: account.clone(),
        });
        let Some(login) = account else {
            self.fail(step);
            return;
        };
        if let Some(inbox) = world.account(&login, now).and_then(|account| account.get("INBOX")) {
            self.validity = inbox.validity;
            let listed = |message: &Message| Listed { uid: message.uid, size: message.size, deleted: false };
            self.list = inbox.messages.iter().map(listed).collect();
        }
        self.login = Some(login);
        step.say("+OK Logged in.");
    }

    fn fail(&mut self, step: &mut Step) {
        step.say("-ERR [AUTH] Authentication failed.");
        step.delay = Some(penalty(self.failures));
        self.failures += 1;
    }
}
