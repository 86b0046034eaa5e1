//! Logging in: LOGIN, AUTHENTICATE PLAIN and LOGIN, and the delay that failures cost.
//!
//! Only planted accounts open. Every try is a fact with the exact bytes that were sent.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    persona::LATE,
    session::{Fact, Pending, Session, Step},
};
use crate::mail::{ticks::penalty, world::World};

impl Session {
    pub(super) fn auth_line(
        &mut self,
        world: &World,
        tag: &str,
        login: bool,
        user: Option<Vec<u8>>,
        line: &[u8],
    ) -> Step {
        let mut step = Step::default();
        if line == b"*" {
            step.line(format!("{tag} BAD Authentication aborted by client."));
            return step;
        }
        let Ok(bytes) = STANDARD.decode(line.trim_ascii()) else {
            step.line(format!("{tag} NO [ALERT] Invalid base64 in response"));
            return step;
        };
        match (login, user) {
            (false, _) => self.plain(world, tag, &bytes, &mut step),
            (true, None) => self.ask_password(tag, bytes, &mut step),
            (true, Some(user)) => self.login(world, tag, &user, &bytes, "login_sasl", &mut step),
        }
        step
    }

    pub(super) fn ask_password(&mut self, tag: &str, user: Vec<u8>, step: &mut Step) {
        // "Password:".
        step.line("+ UGFzc3dvcmQ6");
        self.pending = Pending::Auth { tag: tag.to_owned(), login: true, user: Some(user) };
    }

    /// `authorization NUL name NUL password`.
    pub(super) fn plain(&mut self, world: &World, tag: &str, bytes: &[u8], step: &mut Step) {
        let mut parts = bytes.splitn(3, |b| *b == 0);
        if let (Some(_), Some(user), Some(password)) = (parts.next(), parts.next(), parts.next()) {
            self.login(world, tag, user, password, "plain", step);
        } else {
            step.line(format!("{tag} NO [AUTHENTICATIONFAILED] Authentication failed."));
            self.fail(step);
        }
    }

    pub(super) fn login(
        &mut self,
        world: &World,
        tag: &str,
        user: &[u8],
        password: &[u8],
        method: &'static str,
        step: &mut Step,
    ) {
        let account = world.login(user, password);
        step.facts.push(Fact::Auth {
            user: user.to_vec(),
            password: password.to_vec(),
            method,
            account: account.clone(),
        });
        if let Some(login) = account {
            self.user = Some(login);
            self.bad = 0;
            step.line(format!("{tag} OK [CAPABILITY {LATE}] Logged in"));
        } else {
            step.line(format!("{tag} NO [AUTHENTICATIONFAILED] Authentication failed."));
            self.fail(step);
        }
    }

    /// Each failure makes the next answer slower.
    fn fail(&mut self, step: &mut Step) {
        step.failed = true;
        step.delay = Some(penalty(self.failures));
        self.failures += 1;
    }
}
