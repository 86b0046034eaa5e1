//! Files as they come, change, move and go on every machine, and what each change may do to its text.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    io::Read,
};

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::{Report, Run, body, instant, text};

/// A file on a machine.
struct File {
    class: String,
    mtime: DateTime<Utc>,
    content: Vec<u8>,
}

pub(crate) fn check(run: &Run, report: &mut Report) {
    let mut disks: HashMap<&str, BTreeMap<String, File>> = HashMap::new();
    let mut contents: HashSet<Vec<u8>> = HashSet::new();
    let mut names: HashMap<String, String> = HashMap::new();
    let mut logins: HashMap<&str, String> = HashMap::new();
    for line in &run.lines {
        let whole = || line.to_string();
        let kind = text(line, "kind");
        let class = text(line, "content_class");
        let path = text(line, "path");
        let disk = disks.entry(text(line, "decky")).or_default();
        match kind {
            "create" | "edit" => {
                place(line, path, class, &mut names, &mut logins, report);
                let Some(content) = body(line) else {
                    report.fault("plan: no content", whole());
                    continue;
                };
                let plain = std::str::from_utf8(&content).is_ok();
                report.check(plain == line["body"].is_string(), "plan: body or body_b64", whole);
                report.check(contents.insert(content.clone()), "plan: two files alike", whole);
                let before = disk.get(path);
                if kind == "create" {
                    report.check(before.is_none(), "plan: a create over a file", whole);
                    report.check(!rotated(path), "plan: a create of a rotated log", whole);
                } else if let Some(before) = before {
                    report.check(before.class == class, "plan: an edit changes the class", whole);
                    report.check(!rotated(path), "plan: an edit of a rotated log", whole);
                    changed(class, &before.content, &content, line, report);
                } else {
                    report.fault("plan: an edit of nothing", whole());
                }
                shape(class, path, &content, line, report);
                let mtime = instant(line, "mtime");
                disk.insert(path.to_owned(), File { class: class.to_owned(), mtime, content });
            }
            "rotate" => {
                let to = text(line, "to");
                let Some(mut file) = disk.remove(path) else {
                    report.fault("plan: a rotation of nothing", whole());
                    continue;
                };
                report.check(rotated(to) && file.class == class, "logs: where a rotation goes", whole);
                if compressed(to) {
                    let gz = body(line).unwrap_or_default();
                    gzip(&gz, &file, path, line, report);
                    file.content = gz;
                } else {
                    report.check(body(line).is_none(), "plan: a plain rotation with a body", whole);
                }
                // Along one path times go up, rotations included.
                let older = disk.get(to).is_none_or(|old| old.mtime < file.mtime);
                report.check(older, "logs: a rotation over something newer", whole);
                disk.insert(to.to_owned(), file);
            }
            "delete" => {
                let gone = disk.remove(path);
                report.check(
                    gone.is_some_and(|file| file.class == class),
                    "plan: a delete of nothing",
                    whole,
                );
            }
            _ => {}
        }
    }
    let logins: BTreeSet<&String> = logins.values().collect();
    report.check(
        logins.len() <= run.pool.0.len() && logins.iter().all(|login| !login.is_empty()),
        "plan: logins",
        String::new,
    );
}

fn compressed(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, end)| end == "gz")
}

fn rotated(path: &str) -> bool {
    compressed(path) || path.rsplit_once('.').is_some_and(|(_, end)| end.bytes().all(|b| b.is_ascii_digit()))
}

/// Where a file of its class may lie, and what it may be called.
fn place<'l>(
    line: &'l Value,
    path: &str,
    class: &str,
    names: &mut HashMap<String, String>,
    logins: &mut HashMap<&'l str, String>,
    report: &mut Report,
) {
    let base = path.rsplit('/').next().unwrap_or_default();
    let mut digits = base.split(|c: char| !c.is_ascii_digit()).map(str::len);
    report.check(digits.all(|run| run < 8), "content: eight digits in a name", || path.to_owned());
    let sane = path.starts_with('/') && !path.contains("//") && !path.contains("/../") && !base.is_empty();
    report.check(sane && path.len() < 512, "content: a path", || path.to_owned());
    let first = names.entry(base.to_owned()).or_insert_with(|| class.to_owned());
    report.check(first == class, "content: a base name of two classes", || {
        format!("{base}: {first} and {class}")
    });
    match class {
        "log_cron" => {
            let known =
                ["/var/log/cron.log", "/var/log/cron.log.1", "/var/log/cron.log.2.gz"].contains(&path);
            report.check(known, "logs: a path of cron's", || path.to_owned());
        }
        "log_daemon" => {
            report.check(path.starts_with("/var/log/"), "logs: a path of a daemon's", || path.to_owned());
        }
        "cache_tmp" => {
            let tail = path.strip_prefix("/tmp/.cache-").unwrap_or_default();
            let fits = tail.len() == 6 && tail.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            report.check(fits, "logs: a path of a cache", || path.to_owned());
        }
        _ => {
            let login =
                path.strip_prefix("/home/").and_then(|rest| rest.split_once('/')).map(|(login, _)| login);
            let login = login.unwrap_or_default().to_owned();
            let known =
                logins.entry(line["persona"].as_str().unwrap_or_default()).or_insert_with(|| login.clone());
            report.check(*known == login && !login.is_empty(), "plan: one persona, one login", || {
                path.to_owned()
            });
        }
    }
}

/// What every content of a class is like.
fn shape(class: &str, path: &str, content: &[u8], line: &Value, report: &mut Report) {
    let whole = || format!("{path}: {}", String::from_utf8_lossy(content));
    let Ok(text) = std::str::from_utf8(content) else {
        report.fault("content: not text", whole());
        return;
    };
    report.check(text.ends_with('\n') && !text.trim().is_empty(), "content: no newline at the end", whole);
    report.check(!text.contains('\r'), "content: a carriage return", whole);
    let lines: Vec<&str> = text.lines().collect();
    match class {
        "note" | "todo" => {
            let mut seen = HashSet::new();
            let item = |line: &str| line.trim_start_matches("- [x] ").trim_start_matches("- [ ] ").to_owned();
            let twice =
                lines.iter().filter(|line| !line.trim().is_empty()).find(|line| !seen.insert(item(line)));
            report.check(twice.is_none(), "content: a line twice", || format!("{twice:?} in {}", whole()));
            let most = if class == "todo" { 25 } else { 40 };
            report.check(lines.len() <= most, "content: too long", whole);
            if class == "todo" {
                let boxes = lines.iter().all(|line| line.starts_with("- [ ] ") || line.starts_with("- [x] "));
                report.check(boxes, "content: a list without boxes", whole);
            }
        }
        "script" => report.check(text.starts_with("#!"), "content: a script without shebang", whole),
        "log_cron" | "log_daemon" => log(class, &lines, line, report),
        _ => {}
    }
}

/// `Mon DD HH:MM:SS host proc[pid]: text`, in order, the last shortly before the file's time.
fn log(class: &str, lines: &[&str], line: &Value, report: &mut Report) {
    let mtime = instant(line, "mtime");
    let host = line["host"].as_str().unwrap_or(text(line, "decky"));
    let mut last: Option<DateTime<Utc>> = None;
    for entry in lines {
        let Some(at) = stamp(entry, mtime) else {
            report.fault("logs: no time", *entry);
            return;
        };
        report.check(last.is_none_or(|last| last <= at), "logs: time goes back", || {
            format!("{last:?}, then {entry}")
        });
        last = Some(at);
        let rest = entry.get(16..).unwrap_or_default();
        let Some((name, message)) = rest.split_once(' ') else {
            report.fault("logs: no host", *entry);
            continue;
        };
        report.check(name == host, "logs: another host", || (*entry).to_owned());
        let tag = message.split(": ").next().unwrap_or_default();
        report.check(!tag.is_empty() && !tag.contains(' '), "logs: no process", || (*entry).to_owned());
        if class == "log_cron" {
            let grammar = tag.starts_with("CRON[") && message.contains(") CMD (") && message.ends_with(')');
            report.check(grammar, "logs: not cron's grammar", || (*entry).to_owned());
        }
    }
    let Some(last) = last else {
        report.fault("logs: empty", line.to_string());
        return;
    };
    let near = last <= mtime && mtime - last <= TimeDelta::hours(2);
    report.check(near, "logs: the last line is not near the file's time", || format!("{last} {mtime}"));
}

/// The time of a log line; it has no year, so the latest one before `mtime` is meant.
fn stamp(line: &str, mtime: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = line.get(..15)?;
    let year = |year: i32| {
        let found = NaiveDateTime::parse_from_str(&format!("{year} {text}"), "%Y %b %e %H:%M:%S").ok()?;
        Some(found.and_utc())
    };
    let this = year(mtime.year())?;
    if this > mtime + TimeDelta::days(2) { year(mtime.year() - 1) } else { Some(this) }
}

fn gzip(gz: &[u8], file: &File, path: &str, line: &Value, report: &mut Report) {
    let whole = || line.to_string();
    if compressed(path) {
        report.check(gz == file.content, "logs: a compressed log that changes", whole);
        return;
    }
    let mut reader = flate2::read::GzDecoder::new(gz);
    let mut inside = Vec::new();
    let inflates = reader.read_to_end(&mut inside).is_ok();
    report.check(inflates && inside == file.content, "logs: gzip does not hold the text", whole);
    let header = reader.header().map(flate2::GzHeader::mtime).unwrap_or_default();
    let fits = i64::from(header) <= file.mtime.timestamp();
    report.check(fits, "logs: the time in the gzip header", || format!("{header} {}", file.mtime));
}

/// What an edit may do.
fn changed(class: &str, before: &[u8], after: &[u8], line: &Value, report: &mut Report) {
    let (Ok(before), Ok(after)) = (std::str::from_utf8(before), std::str::from_utf8(after)) else { return };
    let whole = || format!("{before:?} became {after:?} in {}", text(line, "path"));
    report.check(before != after, "content: an edit that changes nothing", whole);
    match class {
        "note" | "draft" => {
            report.check(after.starts_with(before.trim_end()), "content: the old text is no prefix", whole);
        }
        "log_cron" | "log_daemon" => {
            let one = after.lines().count() == before.lines().count() + 1;
            report.check(
                after.starts_with(before.trim_end()) && one,
                "logs: an edit is one line more",
                whole,
            );
        }
        "script" => {
            let mut new = after.lines().peekable();
            for old in before.lines() {
                while new.peek().is_some_and(|line| *line != old) {
                    let added = new.next().unwrap_or_default();
                    report.check(
                        added.trim_start().starts_with('#'),
                        "content: a script gains more than comments",
                        whole,
                    );
                }
                report.check(new.next().is_some(), "content: a script loses lines", whole);
            }
            let rest = new.all(|line| line.trim_start().starts_with('#') || line.trim().is_empty());
            report.check(rest, "content: a script gains more than comments", whole);
        }
        "todo" => {
            let items = |text: &str| -> Vec<(bool, String)> {
                text.lines()
                    .filter_map(|line| Some((line.starts_with("- [x]"), line.get(6..)?.to_owned())))
                    .collect()
            };
            let (old, new) = (items(before), items(after));
            for (done, item) in &old {
                let kept = new.iter().find(|(_, other)| other == item);
                let may_leave = *done && new.len() >= 10;
                report.check(kept.is_some() || may_leave, "content: an item is lost", whole);
                report.check(
                    !(*done && kept.is_some_and(|(still, _)| !still)),
                    "content: a done item is undone",
                    whole,
                );
            }
        }
        _ => {}
    }
}
