//! The single messages of daemons.

use std::{fmt::Write as _, net::IpAddr};

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;

use super::{
    clock::{boot, habits, pid},
    daemon::{Facility, present, serves},
};
use crate::{
    Draw, Machine, Resident,
    scene::Family,
    words::{field, hash},
};

/// A line without its beginning.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) at: DateTime<Utc>,
    /// `sshd[812]`.
    pub(super) tag: String,
    pub(super) text: String,
}

/// Programs in front of a facility's messages.
type Speaker = fn(&Machine, DateTime<Utc>, &mut Draw) -> Said;

/// Something happens: one line or a few.
pub(super) fn event(
    machine: &Machine,
    facility: Facility,
    at: DateTime<Utc>,
    said: &mut Vec<Said>,
    rng: &mut Draw,
) {
    match facility {
        Facility::Auth => login(machine, at, said, rng),
        Facility::Mail => delivery(machine, at, said, rng),
        Facility::All if rng.random_bool(0.3) => login(machine, at, said, rng),
        Facility::All if machine.has_mail && rng.random_bool(0.3) => delivery(machine, at, said, rng),
        _ => {
            if rng.random_bool(0.12) && facility != Facility::Daemon {
                unit(machine, at, said, rng);
            } else {
                said.push(one(machine, at, rng));
            }
        }
    }
}

/// A line that needs no other. `previous` is the log so far: who is logged in logs out.
pub(super) fn single(
    machine: &Machine,
    facility: Facility,
    previous: &str,
    at: DateTime<Utc>,
    rng: &mut Draw,
) -> Said {
    match facility {
        Facility::Auth => {
            if let Some((process, user)) = open(previous).filter(|_| rng.random_bool(0.6)) {
                return line(
                    at,
                    process,
                    format!(
                        "pam_unix({}:session): session closed for user {user}",
                        process.split('[').next().unwrap_or("sshd")
                    ),
                );
            }
            match present(machine, at, rng) {
                Some(resident) if is_admin(resident) && rng.random_bool(0.5) => {
                    sudo(machine, resident, at, rng)
                }
                Some(resident) if rng.random_bool(0.6) => {
                    accepted(machine, resident, pid(machine, at), at, rng)
                }
                Some(resident) => line(
                    at,
                    &service(machine, "systemd-logind", at),
                    format!("New session {} of user {}.", session(machine, at), resident.login),
                ),
                None => line(
                    at,
                    &service(machine, "systemd-logind", at),
                    format!(
                        "Removed session {}.",
                        session(machine, at - TimeDelta::minutes(rng.random_range(3..200)))
                    ),
                ),
            }
        }
        Facility::Mail => mail_single(machine, at, rng),
        Facility::All | Facility::General | Facility::Daemon => one(machine, at, rng),
    }
}

fn line(at: DateTime<Utc>, tag: &str, text: String) -> Said {
    Said { at, tag: tag.to_owned(), text }
}

/// A daemon that runs since the machine was started.
fn service(machine: &Machine, name: &str, at: DateTime<Utc>) -> String {
    let started = boot(machine, at);
    let pid = 380 + hash(format!("{}{name}{started}", machine.id).as_bytes(), 0x51 ^ machine.salt) % 900;
    format!("{name}[{pid}]")
}

/// Number of the log-in session: grows slowly.
fn session(machine: &Machine, at: DateTime<Utc>) -> i64 {
    let rate = habits(machine, "sessions").random_range(900..2600_i64);
    (at.timestamp() - boot(machine, at)).max(0) / rate + 1
}

fn is_admin(resident: &Resident) -> bool {
    matches!(field(&resident.persona.role), "ops" | "dev")
}

/// An address of the machine's neighbourhood; the same for the same number.
pub(crate) fn neighbour(machine: &Machine, number: u64) -> String {
    let last = 11 + number % 233;
    match machine.ip {
        Some(IpAddr::V4(ip)) => {
            let [a, b, c, own] = ip.octets();
            let last = if u64::from(own) == last { last + 1 } else { last };
            format!("{a}.{b}.{c}.{last}")
        }
        _ => {
            let mut habits = habits(machine, "net");
            format!("10.{}.{}.{last}", habits.random_range(0..250), habits.random_range(0..250))
        }
    }
}

fn at_home(machine: &Machine, resident: &Resident, rng: &mut Draw) -> String {
    let number = hash(resident.login.as_bytes(), 0x17 ^ machine.salt);
    neighbour(machine, if rng.random_bool(0.85) { number } else { number / 300 })
}

fn accepted(machine: &Machine, resident: &Resident, pid: u32, at: DateTime<Utc>, rng: &mut Draw) -> Said {
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
fn open(log: &str) -> Option<(&str, &str)> {
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
fn login(machine: &Machine, at: DateTime<Utc>, said: &mut Vec<Said>, rng: &mut Draw) {
    let pid = pid(machine, at);
    let ssh = serves(machine, &["ssh"]) || machine.services.is_empty();
    let resident = present(machine, at, rng).filter(|_| ssh && rng.random_bool(0.45));
    let Some(resident) = resident else {
        let tag = format!("CRON[{pid}]");
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

fn sudo(machine: &Machine, resident: &Resident, at: DateTime<Utc>, rng: &mut Draw) -> Said {
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

/// Which web server the machine runs.
fn web(machine: &Machine) -> &'static str {
    let nginx = habits(machine, "web").random_bool(0.6);
    match (nginx, machine.family) {
        (true, _) => "nginx",
        (false, Family::Debian) => "apache2",
        (false, _) => "httpd",
    }
}

/// Units that run now and then, with their descriptions.
const UNITS: &[(&str, &str)] = &[
    ("logrotate", "Rotate log files"),
    ("fstrim", "Discard unused blocks on filesystems from /etc/fstab"),
    ("systemd-tmpfiles-clean", "Cleanup of Temporary Directories"),
    ("man-db", "Daily man-db regeneration"),
    ("sysstat-collect", "system activity accounting tool"),
    ("fwupd-refresh", "Refresh fwupd metadata and update motd"),
];
const DEBIAN_UNITS: &[(&str, &str)] = &[
    ("apt-daily", "Daily apt download activities"),
    ("apt-daily-upgrade", "Daily apt upgrade and clean activities"),
    ("dpkg-db-backup", "Daily dpkg database backup service"),
    ("e2scrub_all", "Online ext4 Metadata Check for All Filesystems"),
    ("phpsessionclean", "Clean php session files"),
];
const RHEL_UNITS: &[(&str, &str)] = &[
    ("dnf-makecache", "dnf makecache"),
    ("unbound-anchor", "update of the root trust anchor for DNSSEC validation in unbound"),
    ("insights-client", "Insights Client Core Collector"),
    ("sysstat-summary", "Generate a daily summary of process accounting"),
];

fn unit(machine: &Machine, at: DateTime<Utc>, said: &mut Vec<Said>, rng: &mut Draw) {
    let own = if machine.family == Family::Debian { DEBIAN_UNITS } else { RHEL_UNITS };
    let all = UNITS.len() + own.len();
    let index = rng.random_range(0..all);
    let Some((name, what)) = UNITS.iter().chain(own).nth(index) else { return };
    let end = at + TimeDelta::seconds(rng.random_range(0..35));
    said.push(line(end, "systemd[1]", format!("{name}.service: Deactivated successfully.")));
    said.push(line(end, "systemd[1]", format!("Finished {name}.service - {what}.")));
    if rng.random_bool(0.5) {
        let (seconds, thousandths) = (rng.random_range(0..9), rng.random_range(20..999));
        said.push(line(
            end,
            "systemd[1]",
            format!("{name}.service: Consumed {seconds}.{thousandths:03}s CPU time."),
        ));
    }
}

/// One message of a daemon.
fn one(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let mut speakers: Vec<Speaker> = vec![systemd, systemd, clock, clock, rsyslog];
    if habits(machine, "hardware").random_bool(0.5) {
        speakers.extend([smartd as Speaker; 2]);
    }
    if habits(machine, "dhcp").random_bool(0.5) {
        speakers.push(dhcp);
    }
    for (slug, _) in &machine.services {
        let speaker: Speaker = match slug.as_str() {
            "http" | "https" => web_server,
            "redis" => redis,
            "mysql" | "mariadb" => mysql,
            "imap" | "pop3" => dovecot_stats,
            "dns" => named,
            "smb" => smbd,
            "ldap" => slapd,
            _ => continue,
        };
        speakers.extend([speaker; 2]);
    }
    speakers[rng.random_range(0..speakers.len())](machine, at, rng)
}

fn systemd(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let number = session(machine, at);
    let text = match present(machine, at, rng) {
        Some(resident) => match rng.random_range(0..4) {
            0 => format!("Started session-{number}.scope - Session {number} of User {}.", resident.login),
            1 => format!("session-{number}.scope: Deactivated successfully."),
            2 => format!("Created slice user-{0}.slice - User Slice of UID {0}.", resident.uid),
            _ => format!("user-runtime-dir@{}.service: Deactivated successfully.", resident.uid),
        },
        None => {
            let (seconds, thousandths) = (rng.random_range(0..40), rng.random_range(1..999));
            let own = if machine.family == Family::Debian { DEBIAN_UNITS } else { RHEL_UNITS };
            let index = rng.random_range(0..UNITS.len() + own.len());
            let name = UNITS.iter().chain(own).nth(index).map_or("logrotate", |(name, _)| name);
            if rng.random_bool(0.4) {
                format!("{name}.service: Deactivated successfully.")
            } else {
                format!("{name}.service: Consumed {seconds}.{thousandths:03}s CPU time.")
            }
        }
    };
    line(at, "systemd[1]", text)
}

fn clock(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let server = neighbour(machine, hash(machine.host.as_bytes(), rng.random_range(0..3) ^ machine.salt));
    let micro = rng.random_range(3..980);
    match habits(machine, "ntp").random_range(0..3) {
        0 => {
            let text = match rng.random_range(0..3) {
                0 => format!("Selected source {server}"),
                1 => {
                    format!("Source {server} replaced with {}", neighbour(machine, rng.random_range(0..9000)))
                }
                _ => format!("System clock wrong by 0.{micro:06} seconds"),
            };
            line(at, &service(machine, "chronyd", at), text)
        }
        1 => {
            let text = match rng.random_range(0..2) {
                0 => format!("Contacted time server {server}:123 ({server})."),
                _ => format!("Timed out waiting for reply from {server}:123 ({server})."),
            };
            line(at, &service(machine, "systemd-timesyncd", at), text)
        }
        _ => {
            let text = match rng.random_range(0..3) {
                0 => format!(
                    "CLOCK: kernel reports TIME_ERROR: 0x{:x}: Clock Unsynchronized",
                    rng.random_range(32..96)
                ),
                1 => format!("PROTO: {server} 961a 8a sys_peer"),
                _ => format!("PROTO: 0.0.0.0 0618 08 no_sys_peer, offset 0.{micro:06}"),
            };
            line(at, &service(machine, "ntpd", at), text)
        }
    }
}

fn rsyslog(machine: &Machine, at: DateTime<Utc>, _: &mut Draw) -> Said {
    let mut habits = habits(machine, "rsyslog");
    let version = ["8.2302.0", "8.2312.0", "8.2102.0", "8.2412.0"][habits.random_range(0..4)];
    let tag = service(machine, "rsyslogd", at);
    let own = tag.trim_start_matches("rsyslogd[").trim_end_matches(']').to_owned();
    let text = format!(
        "[origin software=\"rsyslogd\" swVersion=\"{version}\" x-pid=\"{own}\" x-info=\"https://www.rsyslog.com\"] rsyslogd was HUPed"
    );
    line(at, &tag, text)
}

fn smartd(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let disk = ["sda", "sdb", "sda", "sdc"][rng.random_range(0..4)];
    let value = rng.random_range(58..76);
    let next = if rng.random_bool(0.5) { value + 1 } else { value - 1 };
    let (id, name) =
        [(194, "Temperature_Celsius"), (190, "Airflow_Temperature_Cel"), (195, "Hardware_ECC_Recovered")]
            [rng.random_range(0..3)];
    let text = format!(
        "Device: /dev/{disk} [SAT], SMART Usage Attribute: {id} {name} changed from {value} to {next}"
    );
    line(at, &service(machine, "smartd", at), text)
}

fn dhcp(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let server = neighbour(machine, 243);
    let own = machine.ip.map_or_else(|| neighbour(machine, 77), |ip| ip.to_string());
    let device = ["eth0", "ens18", "ens192", "enp1s0"][habits(machine, "nic").random_range(0..4)];
    let text = match rng.random_range(0..2) {
        0 => format!("DHCPREQUEST for {own} on {device} to {server} port 67"),
        _ => format!(
            "DHCPACK of {own} from {server} (xid=0x{:08x})",
            rng.random_range(0x100_0000..0x7fff_ffff_u32)
        ),
    };
    line(at, &service(machine, "dhclient", at), text)
}

fn web_server(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let name = web(machine);
    let client = neighbour(machine, rng.random_range(0..4000));
    let number = rng.random_range(3..90_000);
    let tag = service(machine, name, at);
    let text = match (name, rng.random_range(0..2)) {
        ("nginx", 0) => format!("nginx: {number} upstream responses buffered to a temporary file"),
        ("nginx", _) => {
            format!("client {client} closed keepalive connection after {} requests", rng.random_range(2..140))
        }
        (_, 0) => format!("[mpm_event:notice] scoreboard: {} idle workers", rng.random_range(20..74)),
        _ => format!("[ssl:info] {client}:{} session resumed", rng.random_range(32_800..60_990)),
    };
    line(at, &tag, text)
}

fn redis(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let text = match rng.random_range(0..4) {
        0 => format!("Background saving started by pid {}", pid(machine, at)),
        1 => format!("RDB: {} MB of memory used by copy-on-write", rng.random_range(0..14)),
        2 => format!("DB loaded from append only file: 0.{:03} seconds", rng.random_range(4..900)),
        _ => format!(
            "Fork CoW for RDB: current {0} MB, peak {0} MB, average {1} MB",
            rng.random_range(1..30),
            rng.random_range(0..9)
        ),
    };
    line(at, &service(machine, "redis-server", at), text)
}

fn mysql(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let db = ["app", "crm", "shop", "wiki", "portal", "stats"][habits(machine, "db").random_range(0..6)];
    let id = (at.timestamp() - boot(machine, at)) / 40 + rng.random_range(0..30);
    let client = neighbour(machine, rng.random_range(0..40));
    let text = match rng.random_range(0..3) {
        0 => format!(
            "Aborted connection {id} to db: '{db}' user: '{db}' host: '{client}' (Got timeout reading communication packets)"
        ),
        1 => {
            format!("InnoDB: page_cleaner: {}ms intended loop took {}ms", 1000, rng.random_range(4001..9000))
        }
        _ => format!(
            "Event Scheduler: [{db}@localhost].[purge_{db}] executed successfully in {} ms",
            rng.random_range(2..900)
        ),
    };
    line(at, &service(machine, "mariadbd", at), text)
}

fn dovecot_stats(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    mail_login(machine, at, rng)
}

fn named(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let serial = rng.random_range(2_024_010_101_u32..2_026_129_999);
    let domain = if machine.domain.is_empty() { "lan" } else { machine.domain.as_str() };
    let text = match rng.random_range(0..3) {
        0 => format!("zone {domain}/IN: sending notifies (serial {serial})"),
        1 => format!(
            "client @0x{:012x} {}#{} ({domain}): transfer of '{domain}/IN': IXFR ended",
            rng.random_range(0x7f00_0000_0000_u64..0x7fff_ffff_ffff),
            neighbour(machine, 3),
            rng.random_range(32_800..60_990)
        ),
        _ => "resolver priming query complete: success".to_owned(),
    };
    line(at, &service(machine, "named", at), text)
}

fn smbd(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let client = neighbour(machine, rng.random_range(0..60));
    let share = ["share", "projects", "finance", "public", "scans"][rng.random_range(0..5)];
    let text = match rng.random_range(0..2) {
        0 => format!(
            "{client} (ipv4:{client}:{}) closed connection to service {share}",
            rng.random_range(49_200..65_000)
        ),
        _ => format!(
            "{client} (ipv4:{client}:{}) connect to service {share}",
            rng.random_range(49_200..65_000)
        ),
    };
    line(at, &service(machine, "smbd", at), text)
}

fn slapd(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let conn = (at.timestamp() - boot(machine, at)) / 25;
    let client = neighbour(machine, rng.random_range(0..40));
    let text = match rng.random_range(0..3) {
        0 => format!(
            "conn={conn} fd={} ACCEPT from IP={client}:{} (IP=0.0.0.0:389)",
            rng.random_range(12..90),
            rng.random_range(32_800..60_990)
        ),
        1 => format!(
            "conn={conn} op={} SEARCH RESULT tag=101 err=0 nentries={} text=",
            rng.random_range(1..9),
            rng.random_range(0..40)
        ),
        _ => format!("conn={conn} op={} UNBIND", rng.random_range(2..12)),
    };
    line(at, &service(machine, "slapd", at), text)
}

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

fn mail_login(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let user = mailbox(machine, rng);
    let from = neighbour(machine, hash(user.as_bytes(), 0x17 ^ machine.salt));
    let own = machine.ip.map_or_else(|| neighbour(machine, 77), |ip| ip.to_string());
    let session = token(16, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", rng);
    let text = format!(
        "imap-login: Login: user=<{user}>, method=PLAIN, rip={from}, lip={own}, mpid={}, TLS, session=<{session}>",
        pid(machine, at) + 1
    );
    line(at, &service(machine, "dovecot", at), text)
}

fn mail_single(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
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
fn delivery(machine: &Machine, at: DateTime<Utc>, said: &mut Vec<Said>, rng: &mut Draw) {
    if rng.random_bool(0.45) {
        said.push(mail_single(machine, at, rng));
        return;
    }
    let (from, to) = (mailbox(machine, rng), mailbox(machine, rng));
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
