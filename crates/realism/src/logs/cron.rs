//! The log of cron: a crontab for each machine, drawn once from its id, and what it has run.

use chrono::{DateTime, Datelike, Utc};
use rand::RngExt;

use super::clock::{habits, pid, seconds, stamp, time};
use crate::{Draw, Machine, scene::Family};

/// Jobs of a crontab.
const JOBS: usize = 9;
/// Minutes that a log looks back at most.
const REACH: i64 = 45 * 24 * 60;

/// When a job runs.
#[derive(Debug, Clone, Copy)]
enum When {
    /// At these minutes of every hour: the first, and the step from it on.
    Every(u32, u32),
    /// Once an hour.
    Hourly(u32),
    /// Hour and minute.
    Daily(u32, u32),
    /// Day of the week (0 = Monday), hour and minute.
    Weekly(u32, u32, u32),
    /// The first of the month, hour and minute.
    Monthly(u32, u32),
}

impl When {
    /// Whether it runs in this minute of the Unix clock. Whole days of minutes are gone through, so the calendar is asked only
    /// where hour and minute are right.
    fn is_at(self, clock: i64) -> bool {
        let part = |value: i64| u32::try_from(value).unwrap_or_default();
        let (hour, minute) = (part(clock.div_euclid(60).rem_euclid(24)), part(clock.rem_euclid(60)));
        let at = || time(clock * 60);
        match self {
            Self::Every(first, step) => minute >= first && (minute - first).is_multiple_of(step),
            Self::Hourly(at) => minute == at,
            Self::Daily(h, m) => (hour, minute) == (h, m),
            Self::Weekly(day, h, m) => {
                (hour, minute) == (h, m) && at().weekday().num_days_from_monday() == day
            }
            Self::Monthly(h, m) => (hour, minute) == (h, m) && at().day() == 1,
        }
    }
}

#[derive(Debug, Clone)]
struct Job {
    when: When,
    user: String,
    command: String,
}

/// What the machine runs: four to nine jobs.
fn crontab(machine: &Machine) -> Vec<Job> {
    let mut rng = habits(machine, "crontab");
    let debian = machine.family == Family::Debian;
    let (mut jobs, mut more) = (Vec::new(), Vec::new());
    let root = |when: When, command: String| Job { when, user: "root".to_owned(), command };
    let odd = rng.random_range(2..58);
    if debian {
        jobs.push(root(When::Hourly(17), "cd / && run-parts --report /etc/cron.hourly".to_owned()));
        let guard = |what: &str| {
            format!("test -x /usr/sbin/anacron || {{ cd / && run-parts --report /etc/cron.{what}; }}")
        };
        jobs.push(root(When::Daily(6, 25), guard("daily")));
        more.push(root(When::Weekly(6, 6, 47), guard("weekly")));
        more.push(root(When::Monthly(6, 52), guard("monthly")));
        let scrub =
            "test -e /run/systemd/system || SERVICE_MODE=1 /usr/lib/x86_64-linux-gnu/e2fsprogs/e2scrub_all";
        more.push(root(When::Weekly(6, 3, 30), format!("{scrub}_cron")));
        more.push(root(When::Daily(3, 10), format!("{scrub} -A -r")));
        more.push(root(When::Every(5, 10), "command -v debian-sa1 > /dev/null && debian-sa1 1 1".to_owned()));
    } else {
        jobs.push(root(When::Hourly(1), "run-parts /etc/cron.hourly".to_owned()));
        more.push(root(When::Every(0, 10), "/usr/lib64/sa/sa1 1 1".to_owned()));
        more.push(root(When::Daily(23, 53), "/usr/lib64/sa/sa2 -A".to_owned()));
    }
    let (late, early) = (rng.random_range(0..5), rng.random_range(0..60));
    jobs.push(root(When::Daily(late, early), backup(machine, &mut rng)));
    let often = [5, 10, 15, 20][rng.random_range(0..4)];
    jobs.push(root(When::Every(rng.random_range(0..often), often), watch(machine, &mut rng)));
    let www = if debian { "www-data" } else { "apache" };
    for (service, _) in &machine.services {
        let step = [10, 15, 30][rng.random_range(0..3)];
        let minute = rng.random_range(0..step);
        let job = match service.as_str() {
            "http" | "https" if debian && rng.random_bool(0.5) => {
                root(When::Every(9, 30), "[ -x /usr/lib/php/sessionclean ] && if [ ! -d /run/systemd/system ]; then /usr/lib/php/sessionclean; fi".to_owned())
            }
            "http" | "https" => {
                let site = ["intranet", "portal", "wiki", "shop", "tickets", "www"][rng.random_range(0..6)];
                let script = ["cron.php", "bin/console queue:run", "artisan schedule:run"][rng.random_range(0..3)];
                Job {
                    when: When::Every(minute, step),
                    user: www.to_owned(),
                    command: format!("/usr/bin/php /var/www/{site}/{script} > /dev/null 2>&1"),
                }
            }
            "imap" | "pop3" => root(When::Daily(rng.random_range(1..5), odd), "/usr/bin/doveadm expunge -A mailbox Trash savedbefore 30d".to_owned()),
            "smtp" => root(When::Every(minute, step), "/usr/sbin/postqueue -j | wc -l > /run/queue-length".to_owned()),
            "smb" => root(When::Daily(rng.random_range(19..23), odd), format!("/usr/bin/find /srv/share/.recycle -type f -mtime +{} -delete", rng.random_range(7..60))),
            "redis" => root(When::Hourly(odd), "/usr/bin/redis-cli info persistence | grep -q rdb_last_bgsave_status:ok || logger -t redis bgsave".to_owned()),
            _ => continue,
        };
        more.push(job);
    }
    for resident in &machine.residents {
        if rng.random_bool(0.5) {
            continue;
        }
        let home = &resident.home;
        let command = match rng.random_range(0..4) {
            0 => format!("/usr/bin/find {home}/.cache -type f -atime +{} -delete", rng.random_range(10..60)),
            1 => format!("cd {home} && tar czf /var/tmp/{}-home.tgz --exclude=.cache .", resident.login),
            2 => format!("/usr/bin/rsync -a --delete {home}/ /srv/backup/{}/", resident.login),
            _ => format!("du -sh {home} > {home}/.usage"),
        };
        let when = if rng.random_bool(0.7) {
            When::Daily(rng.random_range(0..24), rng.random_range(0..60))
        } else {
            When::Weekly(rng.random_range(0..7), rng.random_range(0..24), rng.random_range(0..60))
        };
        more.push(Job { when, user: resident.login.clone(), command });
    }
    let room = JOBS - jobs.len();
    let wanted = rng.random_range(2..=room).min(more.len());
    for _ in 0..wanted {
        jobs.push(more.swap_remove(rng.random_range(0..more.len())));
    }
    jobs
}

/// A backup of something that the machine has.
fn backup(machine: &Machine, rng: &mut impl RngExt) -> String {
    let target = ["/var/backups", "/backup", "/srv/backup", "/mnt/backup"][rng.random_range(0..4)];
    let mut commands = vec![
        format!("tar czf {target}/etc-$(date +%u).tgz /etc 2>/dev/null"),
        format!("/usr/bin/rsync -a --delete /etc /home {target}/"),
        format!("/usr/bin/rsnapshot -q {}", ["daily", "alpha"][rng.random_range(0..2)]),
        format!("/usr/bin/borg create --compression lz4 {target}/{}::{{now}} /etc /home", machine.host),
    ];
    for (service, _) in &machine.services {
        match service.as_str() {
            "mysql" | "mariadb" => {
                commands.push(format!("/usr/bin/mysqldump --single-transaction --all-databases | gzip > {target}/mysql-$(date +%a).sql.gz"));
            }
            "postgres" | "postgresql" => {
                commands.push(format!("su - postgres -c pg_dumpall | gzip > {target}/pg-$(date +%a).sql.gz"));
            }
            "imap" | "pop3" => commands.push(format!("/usr/bin/rsync -a --delete /var/mail/ {target}/mail/")),
            "http" | "https" => commands.push(format!("tar czf {target}/www-$(date +%u).tgz /var/www")),
            "smb" => commands.push(format!("/usr/bin/rsync -aX --delete /srv/share/ {target}/share/")),
            "ldap" => commands.push(format!("/usr/sbin/slapcat -l {target}/ldap-$(date +%u).ldif")),
            _ => {}
        }
    }
    let newest = commands.len() - 1;
    commands.swap_remove(if newest > 3 && rng.random_bool(0.7) {
        newest
    } else {
        rng.random_range(0..=newest)
    })
}

/// What looks after the machine every few minutes.
fn watch(machine: &Machine, rng: &mut impl RngExt) -> String {
    let limit = rng.random_range(80..97);
    match rng.random_range(0..6) {
        0 => "/usr/local/sbin/check-disk --quiet".to_owned(),
        1 => format!("/usr/local/bin/diskcheck -w {limit} / /var"),
        2 => "/usr/local/sbin/push-metrics > /dev/null 2>&1".to_owned(),
        3 => "/usr/bin/flock -n /run/lock/facts.lock /usr/local/sbin/collect-facts".to_owned(),
        4 => format!("/usr/lib/nagios/plugins/check_load -w {limit} -c 99 > /run/load.{}", machine.host),
        _ => "/usr/bin/vmstat 1 2 | tail -1 >> /var/tmp/vmstat.log".to_owned(),
    }
}

/// Everything that the crontab has run from `since` to `mtime`, the latest of it if it is too much for one log.
pub(super) fn log(machine: &Machine, since: DateTime<Utc>, mtime: DateTime<Utc>, rng: &mut Draw) -> String {
    let jobs = crontab(machine);
    let most = rng.random_range(40..150);
    let mut lines: Vec<String> = Vec::new();
    let minute = mtime.timestamp().div_euclid(60);
    let first = since.timestamp().div_euclid(60).max(minute - REACH);
    let mut wake = 1;
    for minute in (first..=minute).rev() {
        if lines.len() >= most {
            break;
        }
        // Cron wakes up at the first second of the minute, seldom at the second.
        let at = time(minute * 60 + wake);
        wake = if rng.random_bool(0.04) { 2 } else { 1 };
        if at > mtime || at < time(since.timestamp()) {
            continue;
        }
        let due: Vec<&Job> = jobs.iter().filter(|job| job.when.is_at(minute)).collect();
        let mut offset = u32::try_from(due.len()).unwrap_or_default() * 2;
        for job in due.iter().rev() {
            offset -= 2;
            lines.push(line(machine, job, at, offset));
        }
        let (oldest, _) = seconds(None, mtime);
        if lines.is_empty() && at.timestamp() - 60 < oldest {
            lines.push(next(machine, Some(since), mtime, rng));
        }
    }
    if lines.is_empty() {
        lines.push(next(machine, Some(since), mtime, rng));
    }
    lines.reverse();
    lines.join("\n") + "\n"
}

/// The next job after `last`; if the crontab has none until `mtime`, one that runs often.
pub(super) fn next(
    machine: &Machine,
    last: Option<DateTime<Utc>>,
    mtime: DateTime<Utc>,
    rng: &mut Draw,
) -> String {
    let jobs = crontab(machine);
    let (oldest, newest) = seconds(last, mtime);
    let minutes = oldest.div_euclid(60)..=newest.div_euclid(60);
    let waking = |minute: i64| minute * 60 + 1;
    for minute in minutes.clone() {
        let at = time(waking(minute));
        let after = last.is_none_or(|last| at.timestamp() > last.timestamp());
        if !after || at.timestamp() < oldest || at > mtime {
            continue;
        }
        let mut due = jobs.iter().filter(|job| job.when.is_at(minute));
        if let Some(job) = due.next() {
            return line(machine, job, at, 0);
        }
    }
    let often: Vec<&Job> = jobs.iter().filter(|job| matches!(job.when, When::Every(..))).collect();
    let free: Vec<i64> = minutes.map(waking).filter(|second| (oldest..=newest).contains(second)).collect();
    let second = if free.is_empty() {
        rng.random_range(oldest..=newest)
    } else {
        free[rng.random_range(0..free.len())]
    };
    let fallback = Job {
        when: When::Hourly(0),
        user: "root".to_owned(),
        command: "/usr/sbin/logrotate /etc/logrotate.conf".to_owned(),
    };
    let job = if often.is_empty() { &fallback } else { often[rng.random_range(0..often.len())] };
    line(machine, job, time(second), 0)
}

fn line(machine: &Machine, job: &Job, at: DateTime<Utc>, offset: u32) -> String {
    let pid = pid(machine, at) + offset;
    format!("{}CRON[{pid}]: ({}) CMD ({})", stamp(at, machine), job.user, job.command)
}

#[cfg(test)]
pub(super) fn jobs(machine: &Machine) -> Vec<(String, String)> {
    crontab(machine).into_iter().map(|job| (job.user, job.command)).collect()
}
