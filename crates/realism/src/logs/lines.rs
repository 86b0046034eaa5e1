//! The single messages of daemons.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use rand::RngExt;

use super::{
    clock::{boot, habits, pid},
    daemon::{Facility, present},
    people::{accepted, is_admin, login, open, sudo},
    post::{delivery, mail_login, mail_single},
};
use crate::{Draw, Machine, scene::Family, words::hash};

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

pub(super) fn line(at: DateTime<Utc>, tag: &str, text: String) -> Said {
    Said { at, tag: tag.to_owned(), text }
}

/// A daemon that runs since the machine was started.
pub(super) fn service(machine: &Machine, name: &str, at: DateTime<Utc>) -> String {
    let started = boot(machine, at);
    let pid = 380 + hash(format!("{}{name}{started}", machine.id).as_bytes(), 0x51 ^ machine.salt) % 900;
    format!("{name}[{pid}]")
}

/// Number of the log-in session: grows slowly.
pub(super) fn session(machine: &Machine, at: DateTime<Utc>) -> i64 {
    let rate = habits(machine, "sessions").random_range(70..190_i64);
    (at.timestamp() - boot(machine, at)).max(0) / rate + 1
}

/// An address of the machine's neighbourhood; the same for the same number.
pub(crate) fn neighbour(machine: &Machine, number: u64) -> String {
    let last = 11 + number % 233;
    if let Some(IpAddr::V4(ip)) = machine.ip {
        let [a, b, c, own] = ip.octets();
        let last = if u64::from(own) == last { last + 1 } else { last };
        return format!("{a}.{b}.{c}.{last}");
    }
    let mut habits = habits(machine, "net");
    format!("10.{}.{}.{last}", habits.random_range(0..250), habits.random_range(0..250))
}

/// Which web server the machine runs.
pub(super) fn web(machine: &Machine) -> &'static str {
    let nginx = habits(machine, "web").random_bool(0.6);
    match (nginx, machine.family) {
        (true, _) => "nginx",
        (false, Family::Debian) => "apache2",
        (false, _) => "httpd",
    }
}

/// Units that run now and then, with their descriptions.
const UNITS: &[(&str, &str)] = &[
    ("sysstat-collect", "system activity accounting tool"),
    ("logrotate", "Rotate log files"),
    ("fstrim", "Discard unused blocks on filesystems from /etc/fstab"),
    ("systemd-tmpfiles-clean", "Cleanup of Temporary Directories"),
    ("man-db", "Daily man-db regeneration"),
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
    let index = rng.random_range(0..UNITS.len() + own.len());
    // Each has its hour of the day; what runs all day long runs else.
    let due = |name: &str| hash(name.as_bytes(), machine.salt) % 24 == u64::from(at.hour());
    let drawn = UNITS.iter().chain(own).nth(index).filter(|(name, _)| due(name));
    let Some((name, what)) = drawn.or(UNITS.first()) else { return };
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
    let mut speakers: Vec<Speaker> = vec![systemd, systemd, systemd, clock, clock];
    if rng.random_bool(0.1) {
        speakers.push(rsyslog);
    }
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
            "imap" | "pop3" => mail_login,
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
    let text = if let Some(resident) = present(machine, at, rng) {
        match rng.random_range(0..4) {
            0 => format!("Started session-{number}.scope - Session {number} of User {}.", resident.login),
            1 => format!("session-{number}.scope: Deactivated successfully."),
            2 => format!("Created slice user-{0}.slice - User Slice of UID {0}.", resident.uid),
            _ => format!("user-runtime-dir@{}.service: Deactivated successfully.", resident.uid),
        }
    } else {
        let (seconds, thousandths) = (rng.random_range(0..40), rng.random_range(1..999));
        let own = if machine.family == Family::Debian { DEBIAN_UNITS } else { RHEL_UNITS };
        let index = rng.random_range(0..UNITS.len() + own.len());
        let name = UNITS.iter().chain(own).nth(index).map_or("logrotate", |(name, _)| name);
        if rng.random_bool(0.4) {
            format!("{name}.service: Deactivated successfully.")
        } else {
            format!("{name}.service: Consumed {seconds}.{thousandths:03}s CPU time.")
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
    let server = neighbour(machine, machine.salt % 977);
    let own = machine.ip.map_or_else(|| neighbour(machine, machine.salt % 991 + 1), |ip| ip.to_string());
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
        ("nginx", 0) => format!("signal 1 (SIGHUP) received from {}, reconfiguring", pid(machine, at)),
        ("nginx", _) => format!("*{number} client {client} closed keepalive connection"),
        (_, 0) => format!(
            "[mpm_event:notice] [pid {0}:tid {0}] AH00493: SIGUSR1 received. Doing graceful restart",
            pid(machine, at)
        ),
        _ => format!(
            "[reqtimeout:info] [client {client}:{}] AH01382: Request header read timeout",
            rng.random_range(32_800..60_990)
        ),
    };
    line(at, &tag, text)
}

fn redis(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let text = match rng.random_range(0..4) {
        0 => format!("Background saving started by pid {}", pid(machine, at)),
        1 => format!("RDB: {} MB of memory used by copy-on-write", rng.random_range(0..14)),
        2 => "Background saving terminated with success".to_owned(),
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

fn named(machine: &Machine, at: DateTime<Utc>, rng: &mut Draw) -> Said {
    let serial = rng.random_range(2_024_010_101_u32..2_026_129_999);
    let domain = if machine.domain.is_empty() { "lan" } else { machine.domain.as_str() };
    let text = match rng.random_range(0..3) {
        0 => format!("zone {domain}/IN: sending notifies (serial {serial})"),
        1 => format!(
            "client @0x{:012x} {}#{} ({domain}): transfer of '{domain}/IN': IXFR ended",
            rng.random_range(0x7f00_0000_0000_u64..0x7fff_ffff_ffff),
            neighbour(machine, machine.salt % 983 + 2),
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
