//! Logging in: LOGIN, AUTHENTICATE PLAIN and LOGIN, and the delay that failures cost.
//!
//! Only planted accounts open. Every try is a fact with the exact bytes that were sent.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    persona::LATE,
    session::{Fact, Pending, Session, Step},
    world::World,
};

/// Longest wait before a try is looked at.
const PENALTY_MAX_MS: u64 = 15_000;

/// When failures are answered, in Dovecot's way: the server looks every half second which of them are two seconds old,
/// by the clock's whole seconds. So an answer takes 1.5 or 2.0 s, and what lies between only while the half seconds of
/// an earlier failure still run.
#[derive(Debug, Default)]
pub struct Ticks {
    /// A time at which the server looked, and the one at which it stops looking, Unix milliseconds.
    running: Option<(i64, i64)>,
}

impl Ticks {
    /// How long the answer to a failure at `now` (Unix milliseconds) waits.
    pub fn wait(&mut self, now: i64) -> Duration {
        const TICK: i64 = 500;
        let (grid, until) = self.running.filter(|(_, until)| now <= *until).unwrap_or((now, now));
        let due = (now.div_euclid(1000) + 2) * 1000;
        let at = grid + (due - grid + TICK - 1).div_euclid(TICK) * TICK;
        self.running = Some((grid, until.max(at + TICK)));
        Duration::from_millis(u64::try_from(at - now).unwrap_or(2000))
    }
}

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
        let penalty = match self.failures {
            0 => 0,
            count => 2000u64 << (count - 1).min(3),
        };
        self.failures += 1;
        step.failed = true;
        step.delay = Some(Duration::from_millis(penalty.min(PENALTY_MAX_MS)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As measured on Dovecot 2.3.19.1.
    #[test]
    fn failures_are_answered_on_half_seconds() {
        let wait = |ticks: &mut Ticks, now| u64::try_from(ticks.wait(now).as_millis()).unwrap();
        assert_eq!(wait(&mut Ticks::default(), 10_000), 2000);
        assert_eq!(wait(&mut Ticks::default(), 10_400), 2000);
        assert_eq!(wait(&mut Ticks::default(), 10_600), 1500);
        let mut ticks = Ticks::default();
        assert_eq!(wait(&mut ticks, 10_100), 2000);
        // 370 ms after that answer, 610 ms after the next.
        assert_eq!(wait(&mut ticks, 12_470), 1630);
        assert_eq!(wait(&mut ticks, 14_710), 1500);
    }
}
