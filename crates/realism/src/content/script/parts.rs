//! What skeletons draw from: names, folders, limits, patterns.

use rand::RngExt;

use crate::{
    Draw,
    words::{Voice, pick},
};

#[rustfmt::skip]
const NAMES: &[(&str, &[&str])] = &[
    ("src", &["src", "source", "from_dir", "base_dir", "base", "data_dir", "in_dir", "root", "top", "tree", "start", "origin", "folder"]),
    ("dst", &["dst", "dest", "target", "out_dir", "backup_dir", "store", "to_dir", "archive", "vault", "sink", "keep_dir", "outbox"]),
    ("lim", &["limit", "max", "threshold", "warn_at", "level", "max_pct", "alarm", "cap", "bound", "ceiling", "upper", "tolerance"]),
    ("age", &["days", "keep_days", "keep", "max_age", "age", "retention", "old_after", "retain", "min_age", "expire", "older"]),
    ("log", &["log", "logfile", "log_file", "in_log", "lf", "source_log", "input", "infile", "logs", "trace"]),
    ("pat", &["pattern", "pat", "needle", "wanted", "search", "expr", "what", "regex", "look_for", "filter"]),
    ("srv", &["host", "server", "remote", "box", "peer", "node", "machine", "system", "name", "h"]),
    ("list", &["hosts", "servers", "machines", "boxes", "nodes", "targets", "all_hosts", "systems", "fleet"]),
    ("tag", &["label", "tag", "prefix", "job", "title", "ident", "stem", "kind", "project", "topic"]),
    ("f", &["f", "file", "path", "entry", "item", "doc", "cur", "p", "one", "this", "found", "candidate"]),
    ("n", &["n", "count", "num", "total", "hits", "cnt", "seen", "c", "done_so_far", "k", "matched", "amount"]),
    ("ts", &["stamp", "today", "now", "ts", "day", "date_tag", "suffix", "run_id", "d", "timestamp", "mark"]),
    ("tmp", &["tmp", "work", "scratch", "buf", "tmpfile", "stage", "temp", "wd", "spool", "draft", "part"]),
    ("ln", &["line", "row", "rec", "l", "record", "text", "ln", "raw", "entry_line", "cells"]),
    ("pct", &["used", "use", "pct", "full", "percent", "filled", "u", "load", "ratio", "fill"]),
    ("fs", &["fs", "mnt", "dev", "vol", "mount_point", "disk", "volume", "where", "partition", "location"]),
    ("fun", &["check", "run", "handle", "process", "do_one", "work_on", "step", "report", "scan", "examine", "treat", "visit", "apply"]),
    ("say", &["say", "info", "note", "msg", "out", "tell", "logmsg", "show", "emit", "put"]),
    ("old", &["old", "outdated", "stale", "expired", "victims", "leftover", "aged", "past", "gone", "surplus"]),
    ("new", &["new", "newname", "renamed", "clean", "fixed", "to", "better", "result", "goal", "final_name"]),
    ("key", &["key", "k", "user", "group", "who", "field", "col", "owner", "bucket", "part_of"]),
    ("val", &["value", "val", "v", "number", "figure", "qty", "size", "weight", "x", "measure"]),
    ("res", &["result", "totals", "sums", "per_key", "acc", "table", "stats", "tally", "groups", "report_data"]),
    ("arg", &["args", "opts", "options", "ns", "cli", "params", "a", "conf", "settings", "given"]),
    ("rd", &["reader", "rows", "lines", "data", "records", "inp", "src_rows", "content", "entries", "feed"]),
    ("wr", &["writer", "w", "out", "csvout", "outp", "sheet", "dest_rows", "printer", "target_csv", "wtr"]),
    ("fh", &["fh", "handle", "f", "src_file", "stream", "infile", "fd", "inp_file", "doc", "source_fh"]),
    ("rc", &["rc", "status", "err", "code", "failed", "bad", "problems", "exit_code", "errors", "ret"]),
    // Words and numbers of programs.
    ("ext", &["csv", "pdf", "log", "txt", "jpg", "xml", "json", "xlsx", "docx", "png", "sql", "tsv", "bak", "tif"]),
    ("word", &["error", "timeout", "refused", "denied", "failed", "warning", "reset", "fatal", "unreachable", "retry", "overflow", "invalid", "segfault", "oom", "expired", "rejected"]),
    ("col", &["amount", "total", "price", "quantity", "net", "gross", "hours", "cost", "sum", "value", "paid", "open", "vat", "units", "balance", "minutes"]),
    ("grp", &["customer", "supplier", "project", "account", "month", "department", "user", "city", "item", "order", "team", "country", "status", "owner", "category"]),
    ("svc", &["nginx", "postfix", "dovecot", "postgresql", "mariadb", "redis-server", "smbd", "cron", "named", "rsyslog", "haproxy", "apache2", "chrony", "ssh", "grafana-server"]),
    ("leaf", &["reports", "export", "in", "out", "scans", "data", "dumps", "files", "upload", "invoices", "media", "old", "share", "images", "queue", "drop", "monthly", "raw"]),
    ("top", &["/srv", "/data", "/srv/share", "/opt", "/var/lib", "/mnt/data", "/srv/files", "/home/shared", "/mnt/nas", "/export", "/var/local", "/srv/storage"]),
    ("logname", &[
        "/var/log/syslog", "/var/log/nginx/access.log", "/var/log/nginx/error.log", "/var/log/mail.log", "/var/log/auth.log", "/var/log/apache2/error.log",
        "/var/log/postgresql/main.log", "/var/log/haproxy.log", "/var/log/samba/log.smbd", "/var/log/dpkg.log", "/var/log/kern.log", "/var/log/daemon.log",
        "/var/log/cron.log", "/var/log/redis/redis.log", "/var/log/app/server.log", "/var/log/app/worker.log",
    ]),
    ("outcome", &["ok", "fine", "all good", "nothing to do", "within limits", "finished", "ready", "clean", "passed", "no change", "good", "up to date"]),
    ("alarm", &["too full", "over limit", "above threshold", "needs space", "check this", "attention", "nearly full", "running out", "look here", "high"]),
    ("fmt", &["%F", "%Y-%m-%d", "%y%m%d", "%F_%H%M", "%Y-%m", "%d%m", "%j", "%Y-%m-%d_%H%M", "%G-w%V", "%b%d", "%F-%H"]),
];

/// Something of the list `name`.
pub(super) fn draw(name: &str, voice: &Voice<'_>, rng: &mut Draw) -> String {
    if let Some((_, list)) = NAMES.iter().find(|(known, _)| *known == name) {
        return pick(list, rng).unwrap_or("x").to_owned();
    }
    let project = |rng: &mut Draw| voice.house.project(rng);
    match name {
        "dir" => match rng.random_range(0..4) {
            0 => format!("{}/{}", draw("top", voice, rng), project(rng)),
            1 => format!("{}/{}", draw("top", voice, rng), draw("leaf", voice, rng)),
            _ => format!("{}/{}/{}", draw("top", voice, rng), project(rng), draw("leaf", voice, rng)),
        },
        "home" => match rng.random_range(0..5) {
            0 => format!("work/{}", project(rng)),
            1 => format!("work/{}/{}", project(rng), draw("leaf", voice, rng)),
            2 => format!("{}-{}", project(rng), draw("leaf", voice, rng)),
            3 => format!("{}/{}", draw("leaf", voice, rng), project(rng)),
            _ => format!("Documents/{}", project(rng)),
        },
        "project" => project(rng).to_owned(),
        "stem" => format!("{}-{}", project(rng), draw("leaf", voice, rng)),
        "host" => voice.fill("{host}", rng),
        "url" => format!("https://{}/{}", voice.fill("{host}", rng), draw("leaf", voice, rng)),
        "full" => rng.random_range(70..97).to_string(),
        "days" => [3, 5, 7, 10, 14, 21, 28, 30, 31, 40, 45, 60, 90, 120, 180, 365][rng.random_range(0..16)]
            .to_string(),
        "few" => rng.random_range(2..15).to_string(),
        "secs" => [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30][rng.random_range(0..12)].to_string(),
        "mb" => (rng.random_range(1..40_u32) * 25).to_string(),
        "column" => rng.random_range(1..9).to_string(),
        "width" => rng.random_range(9..40).to_string(),
        "port" => [
            22, 25, 53, 80, 110, 143, 389, 443, 445, 465, 587, 636, 993, 3306, 5432, 6379, 8080, 8443, 9090,
            9100,
        ][rng.random_range(0..20)]
        .to_string(),
        "hosts" => {
            let mut hosts: Vec<String> =
                (0..rng.random_range(2..5)).map(|_| voice.fill("{host}", rng)).collect();
            hosts.sort();
            hosts.dedup();
            hosts.join(" ")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
pub(super) fn knows(name: &str) -> bool {
    const MADE: [&str; 14] = [
        "dir", "home", "project", "stem", "host", "url", "full", "days", "few", "secs", "mb", "column",
        "width", "port",
    ];
    name == "hosts" || MADE.contains(&name) || NAMES.iter().any(|(known, _)| *known == name)
}
