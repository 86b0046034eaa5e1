//! Logs as their readers see them: times, names, sizes, and what gzip(1) says of them.

use std::{io::Write as _, process::Command, sync::Arc};

use chrono::TimeDelta;
use decnet_core::FleetSecret;

use super::*;
use crate::{Persona, Resident};

fn persona(name: &str, role: &str, email: &str) -> Arc<Persona> {
    Arc::new(
        serde_json::from_value(serde_json::json!({
            "name": name, "email": email, "role": role, "language": "en", "active_hours": "08:00-18:00",
        }))
        .unwrap(),
    )
}

fn machine(id: &str, family: Family, services: &[&str]) -> Machine {
    let people = [
        persona("Ada Park", "Systems administrator", "ada.park@nova.example"),
        persona("Tom Reyes", "Controller", "tom@nova.example"),
    ];
    let resident = |index: usize, login: &str| Resident {
        persona: Arc::clone(&people[index]),
        login: login.to_owned(),
        uid: 1000 + u32::try_from(index).unwrap(),
        gid: 1000,
        home: format!("/home/{login}"),
    };
    Machine {
        id: id.to_owned(),
        host: format!("srv-{id}"),
        domain: "nova.example".to_owned(),
        ip: Some("10.20.30.40".parse().unwrap()),
        services: services.iter().map(|slug| ((*slug).to_owned(), 1)).collect(),
        family,
        residents: vec![resident(0, "apark"), resident(1, "treyes")],
        has_files: true,
        has_mail: services.contains(&"imap"),
        salt: 0,
        mail_users: people.to_vec(),
    }
}

fn machines() -> Vec<Machine> {
    vec![
        machine("01", Family::Debian, &["ssh", "http", "redis"]),
        machine("02", Family::Debian, &["ssh", "imap", "smtp", "pop3"]),
        machine("03", Family::Rhel, &["ssh", "mysql", "smb", "dns"]),
        machine("04", Family::Other, &["ssh", "ldap", "imap"]),
        machine("05", Family::Rhel, &["imap"]),
    ]
}

fn paths(machine: &Machine) -> Vec<&'static str> {
    [Class::LogCron, Class::LogDaemon].iter().flat_map(|class| live_paths(*class, machine)).copied().collect()
}

fn rng(number: u64) -> Draw {
    FleetSecret::from_number(number).seed().rng()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The times of a log's lines, each read as the latest before the one after it.
fn times(log: &str, mtime: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let mut until = mtime;
    let mut times: Vec<_> = log
        .lines()
        .rev()
        .map(|line| {
            until = last_stamp(line, until).unwrap_or_else(|| panic!("no time up to {until}: {line}"));
            until
        })
        .collect();
    times.reverse();
    times
}

fn check(log: &str, machine: &Machine, since: DateTime<Utc>, mtime: DateTime<Utc>, path: &str) {
    assert!(log.ends_with('\n') && !log.ends_with("\n\n"), "{log}");
    let times = times(log, mtime);
    assert!(times[0].timestamp() >= since.timestamp(), "{path} since {since}:\n{log}");
    assert!(mtime - *times.last().unwrap() <= TimeDelta::hours(2), "{path} {mtime}:\n{log}");
    for line in log.lines() {
        let rest = &line[16..];
        let (host, message) = rest.split_once(' ').unwrap();
        assert_eq!(host, machine.host);
        let (tag, text) = message.split_once(": ").unwrap();
        let (name, pid) = tag.strip_suffix(']').and_then(|tag| tag.split_once('[')).unwrap();
        assert!(!name.is_empty() && pid.parse::<u32>().is_ok() && !text.is_empty(), "{line}");
        assert!(line.is_ascii() && !line.contains("..") && !text.contains("  :"), "{line}");
        assert!(!line.contains("Failed password") && !line.contains("Invalid user"), "{line}");
        if path == CRON {
            let (user, command) = text[1..].split_once(") CMD (").unwrap();
            assert!(["root", "www-data", "apache", "apark", "treyes"].contains(&user), "{line}");
            assert!(name == "CRON" && command.ends_with(')'), "{line}");
        }
    }
}

#[test]
fn logs_go_forward_and_end_at_their_time() {
    for (number, machine) in machines().iter().enumerate() {
        for path in paths(machine) {
            for seed in 0..12 {
                let mtime = at("2026-03-01T00:10:30.123456789Z") + TimeDelta::minutes(797 * seed);
                let back = [1, 50, 4000, 86_400 * 2, 86_400 * 30][usize::try_from(seed % 5).unwrap()];
                let since = mtime - TimeDelta::seconds(back);
                let mut rng = rng(u64::try_from(seed).unwrap() + 100 * u64::try_from(number).unwrap());
                let mut log = super::log(path, machine, since, mtime, &mut rng);
                check(&log, machine, since, mtime, path);
                assert!(log.len() < 64 * 1024 && log.lines().count() < 2 * LINES, "{}", log.len());
                let mut when = mtime;
                for step in [1, 0, 59, 3600, 86_400, 3] {
                    when += TimeDelta::seconds(step) + TimeDelta::nanoseconds(17);
                    let Some(longer) = append(path, machine, &log, when, &mut rng) else { break };
                    assert!(longer.starts_with(log.trim_end()));
                    assert_eq!(longer.lines().count(), log.lines().count() + 1);
                    check(&longer, machine, since, when, path);
                    log = longer;
                }
            }
        }
    }
}

#[test]
fn a_log_reads_over_new_year_and_the_29th_of_february() {
    let machine = machine("07", Family::Debian, &["ssh"]);
    for (since, mtime) in [
        ("2026-12-31T22:00:00Z", "2027-01-01T01:00:00.5Z"),
        ("2028-02-29T21:00:00Z", "2028-03-01T01:00:00.5Z"),
        ("2028-02-28T21:00:00Z", "2028-02-29T01:00:00.5Z"),
    ] {
        let (since, mtime) = (at(since), at(mtime));
        for path in paths(&machine) {
            let log = super::log(path, &machine, since, mtime, &mut rng(3));
            check(&log, &machine, since, mtime, path);
            let times = times(&log, mtime);
            assert!(times[0] >= since && mtime - times[0] < TimeDelta::hours(5), "{log}");
            let longer = append(path, &machine, &log, mtime + TimeDelta::days(300), &mut rng(4)).unwrap();
            check(&longer, &machine, since, mtime + TimeDelta::days(300), path);
        }
    }
    assert_eq!(
        last_stamp("Feb 29 01:02:03 h x[1]: y", at("2031-01-01T00:00:00Z")),
        Some(at("2028-02-29T01:02:03Z"))
    );
    assert_eq!(
        last_stamp("Dec 31 23:59:59 h x[1]: y", at("2027-01-01T00:00:00Z")),
        Some(at("2026-12-31T23:59:59Z"))
    );
    assert_eq!(last_stamp("rubbish", at("2027-01-01T00:00:00Z")), None);
}

#[test]
fn cron_keeps_to_its_crontab() {
    for machine in machines() {
        let jobs = cron::jobs(&machine);
        assert!((4..=9).contains(&jobs.len()), "{jobs:?}");
        assert_eq!(jobs, cron::jobs(&machine));
        let mtime = at("2026-04-02T12:30:00.2Z");
        let log = super::log(CRON, &machine, mtime - TimeDelta::hours(20), mtime, &mut rng(9));
        for line in log.lines() {
            let known =
                jobs.iter().any(|(user, command)| line.ends_with(&format!("({user}) CMD ({command})")));
            assert!(known, "{line}");
        }
        let pids: Vec<u32> = log
            .lines()
            .filter_map(|line| line.split_once("CRON[")?.1.split(']').next()?.parse().ok())
            .collect();
        assert!(pids.windows(2).filter(|pair| pair[0] > pair[1]).count() <= 1, "{pids:?}");
    }
}

#[test]
fn process_ids_grow_from_start_to_start() {
    let machine = machine("09", Family::Debian, &[]);
    let begin = at("2026-01-01T00:00:00Z");
    let ids: Vec<u32> =
        (0..200_000).map(|step| pid(&machine, begin + TimeDelta::seconds(step * 37))).collect();
    let starts = ids.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!((1..=4).contains(&starts), "{starts}");
    assert!(ids.iter().all(|id| (1000..4_194_304).contains(id)));
}

#[test]
fn a_full_log_takes_nothing_more() {
    let machine = machine("08", Family::Debian, &["ssh"]);
    let line = "Mar  1 00:00:01 srv-08 CRON[1]: (root) CMD (x)\n";
    assert!(
        append(CRON, &machine, &line.repeat(LINES - 1), at("2026-03-01T00:00:09Z"), &mut rng(1)).is_some()
    );
    assert_eq!(append(CRON, &machine, &line.repeat(LINES), at("2026-03-01T00:00:09Z"), &mut rng(1)), None);
    assert_eq!(append(CRON, &machine, "not a log\n", at("2026-03-01T00:00:09Z"), &mut rng(1)), None);
}

#[test]
fn rotations_free_the_path() {
    let step = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert_eq!(rotation(CRON, &[]), (vec![step(CRON, "/var/log/cron.log.1")], None));
    let both = ["/var/log/cron.log.1", "/var/log/cron.log.2.gz"];
    let (moves, dropped) = rotation(CRON, &both);
    assert_eq!(dropped.as_deref(), Some(both[1]));
    assert_eq!(moves, [step(both[0], both[1]), step(CRON, both[0])]);
    let all = ["/l/syslog.1", "/l/syslog.2.gz", "/l/syslog.3.gz", "/l/syslog.4.gz"];
    let (moves, dropped) = rotation("/l/syslog", &all);
    assert_eq!(dropped.as_deref(), Some(all[3]));
    assert_eq!(moves.len(), 4);
    let (moves, dropped) = rotation("/l/syslog", &["/l/syslog.1", "/l/syslog.3.gz"]);
    assert_eq!((moves.len(), dropped), (2, None));
}

#[test]
fn paths_are_the_distributions() {
    let all = machines();
    assert!(paths(&all[0]).contains(&"/var/log/auth.log") && !paths(&all[0]).contains(&"/var/log/messages"));
    assert!(paths(&all[2]).contains(&"/var/log/secure") && !paths(&all[2]).contains(&"/var/log/syslog"));
    assert!(live_paths(Class::CacheTmp, &all[0]).is_empty() && live_paths(Class::Note, &all[0]).is_empty());
}

#[test]
fn caches_look_like_mkstemps() {
    let (path, body) = cache(&mut rng(1));
    let tail = path.strip_prefix("/tmp/.cache-").unwrap();
    assert!(tail.len() == 6 && tail.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    let value =
        std::str::from_utf8(&body).unwrap().strip_prefix("session=").unwrap().strip_suffix('\n').unwrap();
    assert!((64..=256).contains(&value.len()));
    assert!(value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
}

#[test]
fn gzip_reads_what_is_written() {
    let machine = machine("06", Family::Debian, &["ssh"]);
    let time = at("2026-03-05T04:05:06.7Z");
    let text = super::log("/var/log/syslog", &machine, time - TimeDelta::days(2), time, &mut rng(5));
    let packed = gzip(text.as_bytes(), time);
    assert_eq!(packed, gzip(text.as_bytes(), time));
    assert_eq!(packed[4..8], u32::try_from(time.timestamp()).unwrap().to_le_bytes());
    assert_eq!(packed[9], UNIX);
    let mut file = tempfile::Builder::new().suffix(".gz").tempfile().unwrap();
    file.write_all(&packed).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).arg(file.path()).env("TZ", "UTC").output()
    };
    let Ok(tested) = run("gzip", &["-t"]) else {
        println!("skipped: no gzip here");
        return;
    };
    assert!(tested.status.success(), "{tested:?}");
    assert_eq!(run("gzip", &["-dc"]).unwrap().stdout, text.as_bytes());
    if let Ok(kind) = run("file", &["-b"]) {
        let kind = String::from_utf8_lossy(&kind.stdout).into_owned();
        assert!(
            kind.contains("gzip compressed data") && kind.contains("from Unix") && kind.contains("2026"),
            "{kind}"
        );
    }
}

#[test]
#[ignore = "prints logs to look at"]
fn show() {
    for machine in machines() {
        for path in paths(&machine) {
            let mtime = at("2026-03-03T14:10:30.123456789Z");
            let log = super::log(path, &machine, mtime - TimeDelta::hours(30), mtime, &mut rng(41));
            println!("==== {} {path}", machine.host);
            for line in log.lines().rev().take(24).collect::<Vec<_>>().into_iter().rev() {
                println!("{line}");
            }
        }
    }
}
