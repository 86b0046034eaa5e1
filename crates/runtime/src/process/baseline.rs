//! The files that every machine has: people, names, release. What container images bring with them, this runtime puts.
//!
//! Only identity files. Whatever makes a machine look used is the orchestrator's to plant.

use std::fmt::Write;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use decnet_fleet::{DeckyPlan, catalogue};

use crate::FileSpec;

/// Accounts of the system, as in Debian's base-passwd; the people follow.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
    daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
    bin:x:2:2:bin:/bin:/usr/sbin/nologin\n\
    sys:x:3:3:sys:/dev:/usr/sbin/nologin\n\
    mail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n\
    www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n\
    backup:x:34:34:backup:/var/backups:/usr/sbin/nologin\n\
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\nmail:x:8:\nwww-data:x:33:\nbackup:x:34:\nusers:x:100:\nnogroup:x:65534:\n";

/// The identity files of `plan`; none for a machine that would not have them.
pub(super) fn files(plan: &DeckyPlan, now: DateTime<Utc>) -> Vec<FileSpec> {
    if plan.config.is_windows() {
        return Vec::new();
    }
    let persona = &plan.persona;
    let (mut passwd, mut group) = (PASSWD.to_owned(), GROUP.to_owned());
    for person in &persona.accounts {
        let (login, uid) = (&person.login, person.uid);
        // Logins end at once in this runtime, as this shell makes them. Writing to a String does not fail.
        let _ =
            writeln!(passwd, "{login}:x:{uid}:{uid}:{},,,:/home/{login}:/usr/sbin/nologin", person.full_name);
        let _ = writeln!(group, "{login}:x:{uid}:");
    }
    if plan.services.iter().any(|service| matches!(service.slug.as_str(), "imap" | "pop3")) {
        passwd.push_str("vmail:x:5000:5000::/var/mail:/usr/sbin/nologin\n");
        group.push_str("vmail:x:5000:\n");
    }
    let (host, domain) = (&persona.hostname, &persona.domain);
    let id = catalogue::distro(&persona.distro).map_or(persona.distro.as_str(), |distro| distro.id);
    let hosts =
        format!("127.0.0.1\tlocalhost\n127.0.1.1\t{host}.{domain}\t{host}\n{}\t{host}.{domain}\n", plan.ip());
    let installed = installed(plan, now);
    let file = |path: &str, content: String| FileSpec {
        path: path.to_owned(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: installed,
        content: Bytes::from(content),
        expect: None,
    };
    vec![
        file("/etc/passwd", passwd),
        file("/etc/group", group),
        file("/etc/hostname", format!("{host}\n")),
        file("/etc/hosts", hosts),
        file("/etc/os-release", format!("PRETTY_NAME=\"{}\"\nID={id}\n", persona.os_pretty)),
    ]
}

/// When the machine was installed: some day before the last boot (which is at most 46 days ago), its own for each machine.
pub(crate) fn installed(plan: &DeckyPlan, now: DateTime<Utc>) -> DateTime<Utc> {
    let days = plan.seed.child("baseline/installed").range(60..=700);
    now - TimeDelta::seconds(i64::try_from(plan.persona.boot_offset_s).unwrap_or(0))
        - TimeDelta::days(i64::try_from(days).unwrap_or(60))
}
