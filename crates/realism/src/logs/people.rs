//! Who logs in, becomes root and leaves again.

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;

use super::{
    clock::pid,
    daemon::{present, serves},
    lines::{Said, line, neighbour, service, session, web},
};
use crate::{
    Draw, Machine, Resident,
    scene::Family,
    words::{field, hash},
};

pub(super) fn is_admin(resident: &Resident) -> bool {
    matches!(field(&resident.persona.role), "ops" | "dev")
}

fn at_home(machine: &Machine, resident: &Resident, rng: &mut Draw) -> String {
    let number = hash(resident.login.as_bytes(), 0x17 ^ machine.salt);
    neighbour(machine, if rng.random_bool(0.85) { number } else { number / 300 })
}

pub(super) fn accepted(
    machine: &Machine,
    resident: &Resident,
    pid: u32,
    at: DateTime<Utc>,
    rng: &mut Draw,
) -> Said {
    let number = hash(resident.login.as_bytes(), 0x23 ^ resident.persona.salt);
    let kind = if number.is_multiple_of(3) { "RSA" } else { "ED25519" };
    let mut key = String::new();
    let mut digits = number;
    while key.len() < 43 {
        digits = hash(&digits.to_le_bytes(), 0x29);
        for part in 0..8 {
            const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let index = usize::try_from(digits >> (part * 6) & 63).unwrap_or_default();
            key.push(char::from(LETTERS[index]));
        }
    }
    key.truncate(43);
    let (from, port) = (at_home(machine, resident, rng), rng.random_range(32_800..60_990));
    line(
        at,
        &format!("sshd[{pid}]"),
        format!(
            "Accepted publickey for {} from {from} port {port} ssh2: {kind} SHA256:{key}",
            resident.login
        ),
    )
}

/// `sshd[812]` and the user of a session that has not been closed.
pub(super) fn open(log: &str) -> Option<(&str, &str)> {
    let opened = |text: &'static str| {
        move |line: &'_ str| line.contains(text) && line.contains("pam_unix(sshd:session)")
    };
    log.lines().rev().filter(|line| opened("session opened for user ")(line)).take(4).find_map(|line| {
        let tag = line.get(16..)?.split_once(' ')?.1.split_once(": ")?.0;
        let user = line.split_once("for user ")?.1.split(['(', ' ']).next()?;
        let closed = format!("{tag}: pam_unix(sshd:session): session closed");
        (!log.contains(&closed)).then_some((tag, user))
    })
}

/// Somebody logs in and out; nobody there: cron does.
pub(super) fn login(machine: &Machine, at: DateTime<Utc>, said: &mut Vec<Said>, rng: &mut Draw) {
    let pid = pid(machine, at);
    let ssh = serves(machine, &["ssh"]) || machine.services.is_empty();
    let resident = present(machine, at, rng).filter(|_| ssh && rng.random_bool(0.45));
    let Some(resident) = resident else {
        // At the second at which cron wakes up.
        let at = super::clock::time(at.timestamp().div_euclid(60) * 60 + 1);
        let tag = format!("CRON[{}]", self::pid(machine, at));
        let by = if machine.family == Family::Debian {
            "root(uid=0) by (uid=0)"
        } else {
            "root(uid=0) by root(uid=0)"
        };
        said.push(line(at, &tag, format!("pam_unix(cron:session): session opened for user {by}")));
        let end = at + TimeDelta::seconds(rng.random_range(0..=4));
        said.push(line(end, &tag, "pam_unix(cron:session): session closed for user root".to_owned()));
        return;
    };
    let tag = format!("sshd[{pid}]");
    let (user, uid) = (&resident.login, resident.uid);
    let entry = accepted(machine, resident, pid, at, rng);
    let from = entry
        .text
        .split_once(" from ")
        .map(|(_, rest)| rest.split(" ssh2").next().unwrap_or_default().to_owned());
    let from = from.unwrap_or_default();
    said.push(entry);
    said.push(line(
        at,
        &tag,
        format!("pam_unix(sshd:session): session opened for user {user}(uid={uid}) by (uid=0)"),
    ));
    let logind = service(machine, "systemd-logind", at);
    let number = session(machine, at);
    said.push(line(at, &logind, format!("New session {number} of user {user}.")));
    let spread: f64 = rng.random_range(0.05..1.0);
    let minutes = 3 + i64::from(rng.random_range(1..30_u32)) * if spread > 0.7 { 9 } else { 1 };
    let end = at + TimeDelta::seconds(minutes * 60 + rng.random_range(0..60));
    if is_admin(resident) && rng.random_bool(0.55) {
        for _ in 0..rng.random_range(1..=3) {
            let when = at + TimeDelta::seconds(rng.random_range(20..=minutes * 60));
            said.push(sudo(machine, resident, when, rng));
            let tag = "sudo".to_owned() + &format!("[{}]", self::pid(machine, when));
            said.push(line(
                when,
                &tag,
                format!("pam_unix(sudo:session): session opened for user root(uid=0) by {user}(uid={uid})"),
            ));
            let done = when + TimeDelta::seconds(rng.random_range(0..40));
            said.push(line(done, &tag, "pam_unix(sudo:session): session closed for user root".to_owned()));
        }
    }
    said.push(line(end, &tag, format!("Received disconnect from {from}:11: disconnected by user")));
    said.push(line(end, &tag, format!("Disconnected from user {user} {from}")));
    said.push(line(end, &tag, format!("pam_unix(sshd:session): session closed for user {user}")));
    said.push(line(end, &logind, format!("Session {number} logged out. Waiting for processes to exit.")));
    said.push(line(end, &logind, format!("Removed session {number}.")));
}

pub(super) fn sudo(machine: &Machine, resident: &Resident, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let debian = machine.family == Family::Debian;
    let number = rng.random_range(20..400);
    let mut commands = vec![
        "/usr/bin/systemctl status cron".to_owned(),
        format!("/usr/bin/journalctl -n {number}"),
        format!("/usr/bin/tail -n {number} /var/log/{}", if debian { "syslog" } else { "messages" }),
        "/usr/bin/du -xsh /var".to_owned(),
        "/usr/sbin/ss -ltnp".to_owned(),
        format!(
            "/usr/bin/less /etc/{}",
            ["hosts", "fstab", "ssh/sshd_config", "resolv.conf"][rng.random_range(0..4)]
        ),
        if debian {
            "/usr/bin/apt list --upgradable".to_owned()
        } else {
            "/usr/bin/dnf check-update".to_owned()
        },
    ];
    for (slug, _) in &machine.services {
        let unit = match slug.as_str() {
            "http" | "https" => web(machine),
            "imap" | "pop3" => "dovecot",
            "smtp" => "postfix",
            "redis" => "redis-server",
            "mysql" => "mariadb",
            "postgres" => "postgresql",
            "smb" => "smbd",
            "ldap" => "slapd",
            "dns" => "named",
            _ => continue,
        };
        let verb = ["status", "reload", "restart", "status"][rng.random_range(0..4)];
        commands.push(format!("/usr/bin/systemctl {verb} {unit}"));
    }
    let command = &commands[rng.random_range(0..commands.len())];
    let text = format!(
        "{:>8} : TTY=pts/{} ; PWD={} ; USER=root ; COMMAND={command}",
        resident.login,
        rng.random_range(0..4),
        if rng.random_bool(0.7) { resident.home.as_str() } else { "/var/log" },
    );
    line(at, &format!("sudo[{}]", pid(machine, at)), text)
}
