//! What the mail server says: letters that pass through it, people who read theirs.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;

use super::{
    clock::pid,
    lines::{Said, line, neighbour, service},
};
use crate::{Draw, Machine, words::hash};

/// A mailbox of the machine.
fn mailbox(machine: &Machine, rng: &mut Draw) -> String {
    if machine.mail_users.is_empty() {
        return "root".to_owned();
    }
    machine.mail_users[rng.random_range(0..machine.mail_users.len())].email.clone()
}

fn token(length: usize, letters: &[u8], rng: &mut Draw) -> String {
    (0..length).map(|_| char::from(letters[rng.random_range(0..letters.len())])).collect()
}

pub(super) fn mail_login(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let user = mailbox(machine, rng);
    let from = neighbour(machine, hash(user.as_bytes(), 0x17 ^ machine.salt));
    let own = machine.ip.map_or_else(|| neighbour(machine, machine.salt % 991 + 1), |ip| ip.to_string());
    let session = token(16, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", rng);
    let text = format!(
        "imap-login: Login: user=<{user}>, method=PLAIN, rip={from}, lip={own}, mpid={}, TLS, session=<{session}>",
        pid(machine, at) + 1
    );
    line(at, &service(machine, "dovecot", at), text)
}

pub(super) fn mail_single(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    match rng.random_range(0..3) {
        0 => mail_login(machine, at, rng),
        1 => {
            let user = mailbox(machine, rng);
            let text = format!(
                "imap({user})<{}><{}>: Disconnected: Logged out in={} out={} deleted=0 expunged={} trashed=0 hdr_count={} body_count={}",
                pid(machine, at),
                token(16, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", rng),
                rng.random_range(60..900),
                rng.random_range(700..90_000),
                rng.random_range(0..3),
                rng.random_range(0..20),
                rng.random_range(0..6),
            );
            line(at, &service(machine, "dovecot", at), text)
        }
        _ => {
            let text = format!(
                "statistics: max connection rate {}/60s for (smtp:{}) at {}",
                rng.random_range(1..9),
                neighbour(machine, rng.random_range(0..40)),
                at.format("%b %e %H:%M:%S")
            );
            line(at, &format!("postfix/anvil[{}]", pid(machine, at)), text)
        }
    }
}

/// A letter goes through the queue.
pub(super) fn delivery(machine: &Machine, at: DateTime<Utc>, said: &mut Vec<Said>, rng: &mut Draw) {
    if rng.random_bool(0.45) {
        said.push(mail_single(machine, at, rng));
        return;
    }
    let from = mailbox(machine, rng);
    let mut to = mailbox(machine, rng);
    if to == from {
        to = mailbox(machine, rng);
    }
    let queue = token(10, b"0123456789ABCDEF", rng);
    let client = neighbour(machine, hash(from.as_bytes(), 0x17 ^ machine.salt));
    let id = pid(machine, at);
    let size = rng.random_range(900..48_000);
    let done = at + TimeDelta::seconds(rng.random_range(0..2));
    let qmgr = service(machine, "postfix/qmgr", at);
    let mut client_line = format!("{queue}: client=unknown[{client}]");
    // Submission is by name.
    if from.contains('@') {
        let _ = write!(client_line, ", sasl_method=PLAIN, sasl_username={from}");
    }
    said.push(line(at, &format!("postfix/submission/smtpd[{id}]"), client_line));
    said.push(line(at, &qmgr, format!("{queue}: from=<{from}>, size={size}, nrcpt=1 (queue active)")));
    let delay = format!("0.{:02}", rng.random_range(4..99));
    said.push(line(done, &format!("postfix/lmtp[{}]", id + 3), format!("{queue}: to=<{to}>, relay={}[private/dovecot-lmtp], delay={delay}, delays=0.0{}/0.01/0.0{}/0.0{}, dsn=2.0.0, status=sent (250 2.0.0 <{to}> {} Saved)", machine.host, rng.random_range(1..9), rng.random_range(1..9), rng.random_range(1..9), token(22, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", rng))));
    said.push(line(done, &qmgr, format!("{queue}: removed")));
}
