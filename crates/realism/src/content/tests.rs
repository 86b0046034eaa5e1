//! The properties that files of people have, measured over thousands of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Write as _,
    process::{Command, Stdio},
};

use chrono::{Duration, TimeZone, Utc};
use decnet_core::FleetSecret;
use rand::RngExt;

use super::*;
use crate::words;

const USER: [Class; 4] = [Class::Note, Class::Todo, Class::Draft, Class::Script];

/// Twelve people as a pool has them.
const STAFF: [(&str, &str, &str); 12] = [
    ("Ada Park", "Systems Administrator", "technical"),
    ("Tom Reyes", "Financial Controller", "formal"),
    ("Julia Brandt", "Sales Manager", "casual"),
    ("Marek Nowak", "Backend Developer", "direct"),
    ("Sophie Laurent", "HR Manager", "formal"),
    ("Ivo Keller", "Office Manager", "casual"),
    ("Nina Berg", "Accountant", "direct"),
    ("Paul Okafor", "Network Engineer", "technical"),
    ("Lea Simon", "Key Account Manager", "casual"),
    ("Jan de Vries", "Software Engineer", "technical"),
    ("Carla Ruiz", "Receptionist", "formal"),
    ("Max Hahn", "Managing Director", "direct"),
];

struct Company {
    residents: Vec<Resident>,
    everyone: Vec<Arc<Persona>>,
    hosts: Vec<String>,
}

impl Company {
    fn new(language: &str) -> Self {
        let residents: Vec<Resident> = STAFF
            .iter()
            .map(|(name, role, tone)| {
                let login = name.to_lowercase().replace(' ', "");
                let persona = serde_json::from_value(serde_json::json!({
                    "name": name, "email": format!("{login}@nova.example"), "role": role, "tone": tone, "language": language,
                }))
                .unwrap();
                Resident { persona: Arc::new(persona), home: format!("/home/{login}"), login, uid: 1000, gid: 1000 }
            })
            .collect();
        let everyone = residents.iter().map(|resident| Arc::clone(&resident.persona)).collect();
        let hosts =
            ["web-17", "srv-nova-42", "db-03", "files-02", "mx-01", "app-09"].map(str::to_owned).into();
        Self { residents, everyone, hosts }
    }

    fn pen(&self, index: usize, day: i64) -> Pen<'_> {
        let when = Utc.with_ymd_and_hms(2026, 1, 5, 9, 30, 0).unwrap() + Duration::days(day);
        Pen {
            resident: &self.residents[index % self.residents.len()],
            colleagues: &self.everyone,
            hosts: &self.hosts,
            when: when.with_timezone(&chrono_tz::Tz::UTC),
        }
    }

    /// New files of a class: path and body.
    fn files(&self, class: Class, count: usize, seed: u64) -> Vec<(String, String)> {
        let mut rng = FleetSecret::from_number(seed).seed().rng();
        let mut taken = BTreeSet::new();
        (0..count)
            .map(|index| {
                let pen =
                    self.pen(index, i64::try_from(index).unwrap() * 250 / i64::try_from(count).unwrap());
                let path =
                    path(class, &pen, &|path| taken.contains(path), &mut rng).unwrap().expect("a free name");
                taken.insert(path.clone());
                let body = body(class, &path, &pen, &mut rng).unwrap();
                (path, body)
            })
            .collect()
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn codes() -> impl Iterator<Item = &'static str> {
    words::ALL.iter().map(|lexicon| lexicon.code)
}

#[test]
fn names_are_many_and_each_of_one_class() {
    let mut classes: HashMap<String, Class> = HashMap::new();
    for code in codes() {
        let company = Company::new(code);
        for class in USER {
            let mut of_one = BTreeSet::new();
            for (path, _) in company.files(class, 2400, 5) {
                let name = base(&path);
                assert!(path.starts_with("/home/") && !path.contains("//") && path.is_ascii(), "{path}");
                let known = classes.insert(name.to_owned(), class);
                assert!(known.is_none_or(|known| known == class), "{name} is a {known:?} and a {class}");
                let longest =
                    name.split(|letter: char| !letter.is_ascii_digit()).map(str::len).max().unwrap_or(0);
                assert!(longest < 8, "{name}");
                assert_eq!(names::classes(name), [class], "{name}");
                if path.starts_with("/home/adapark/") {
                    of_one.insert(path);
                }
            }
            assert_eq!(of_one.len(), 200, "{code} {class}");
        }
    }
    assert!(classes.len() >= 4000, "{}", classes.len());
}

#[test]
fn one_person_does_not_run_out_of_names_and_keeps_his_habits() {
    let company = Company::new("en");
    let mut rng = FleetSecret::from_number(6).seed().rng();
    for index in 0..STAFF.len() {
        let mut taken = BTreeSet::new();
        let mut folders = BTreeSet::new();
        let mut separators = BTreeMap::new();
        for day in 0..1500 {
            let pen = company.pen(index, day / 3);
            let path = path(Class::Note, &pen, &|path| taken.contains(path), &mut rng)
                .unwrap()
                .expect("a free name");
            folders.insert(path.rsplit_once('/').unwrap().0.to_owned());
            for separator in ['-', '_', ' '] {
                *separators.entry(separator).or_insert(0) += usize::from(base(&path).contains(separator));
            }
            taken.insert(path);
        }
        assert!(folders.len() <= 6, "{folders:?}");
        let most = separators.values().max().unwrap();
        assert!(separators.values().filter(|count| *count * 2 > *most).count() == 1, "{separators:?}");
    }
    let full = |_: &str| true;
    assert_eq!(path(Class::Note, &company.pen(0, 0), &full, &mut rng), Ok(None));
}

#[test]
fn only_what_people_write_is_written() {
    let company = Company::new("en");
    let pen = company.pen(0, 0);
    let mut rng = FleetSecret::from_number(7).seed().rng();
    for class in Class::ALL.iter().copied().filter(|class| !class.is_user()) {
        assert_eq!(path(class, &pen, &|_| false, &mut rng), Err(NotWritten(class)));
        assert_eq!(body(class, "/x", &pen, &mut rng), Err(NotWritten(class)));
        assert_eq!(edit(class, "/x", "a\n", &pen, &mut rng), Err(NotWritten(class)));
    }
    assert_eq!((mode(Class::Script), mode(Class::Note)), (0o755, 0o644));
}

#[test]
fn bodies_have_the_shape_of_their_class() {
    for code in codes() {
        let company = Company::new(code);
        for class in USER {
            for (path, body) in company.files(class, 300, 8) {
                assert!(
                    body.ends_with('\n') && !body.ends_with("\n\n") && !body.contains('\r'),
                    "{path}: {body:?}"
                );
                assert!(
                    !body.contains(['\u{2013}', '\u{2014}', '\u{2026}', '\u{2019}', '\u{201c}']),
                    "{path}: {body}"
                );
                let lines: Vec<&str> = body.lines().collect();
                let distinct: BTreeSet<&&str> = lines.iter().collect();
                match class {
                    Class::Note => {
                        assert!((2..=5).contains(&lines.len()), "{body}");
                        assert_eq!(distinct.len(), lines.len(), "{body}");
                    }
                    Class::Todo => {
                        assert!((3..=7).contains(&lines.len()) && distinct.len() == lines.len(), "{body}");
                        assert!(
                            lines.iter().all(|line| line.starts_with("- [ ] ") || line.starts_with("- [x] ")),
                            "{body}"
                        );
                    }
                    Class::Draft => {
                        let blocks = body.split("\n\n").count();
                        assert!((3..=5).contains(&blocks), "{body}");
                    }
                    _ => {
                        let shebang = match path.rsplit_once('.') {
                            Some((_, "py")) => "python3",
                            Some((_, "sh")) => "bash",
                            _ => "",
                        };
                        assert!(lines[0].starts_with("#!/") && lines[0].contains(shebang), "{path}: {body}");
                        assert!(!body.contains('`') && lines.len() > 6, "{body}");
                    }
                }
            }
        }
    }
}

/// Lines that are the same in many files of a class, with their share.
fn common(bodies: &[(String, String)], above: f64, keep: impl Fn(&str) -> bool) -> Vec<(String, f64)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (_, body) in bodies {
        let lines: BTreeSet<String> = body
            .lines()
            .map(|line| line.trim().trim_start_matches("- [ ] ").trim_start_matches("- [x] ").to_lowercase())
            .filter(|line| keep(line))
            .collect();
        for line in lines {
            *counts.entry(line).or_default() += 1;
        }
    }
    let all = bodies.len();
    let share =
        |count: usize| f64::from(u32::try_from(count).unwrap()) / f64::from(u32::try_from(all).unwrap());
    counts.into_iter().map(|(line, count)| (line, share(count))).filter(|(_, share)| *share > above).collect()
}

#[test]
fn no_line_gives_a_fleet_away_and_no_two_files_are_alike() {
    for code in codes() {
        let company = Company::new(code);
        for class in USER {
            let count = if class == Class::Script { 1500 } else { 3000 };
            let files = company.files(class, count, 9);
            let bodies: BTreeSet<&str> = files.iter().map(|(_, body)| body.as_str()).collect();
            assert_eq!(bodies.len(), files.len(), "{code} {class}: two bodies are alike");
            if class == Class::Script {
                let plain = |line: &str| !line.is_empty() && !BOILERPLATE.contains(&line);
                let often = common(&files, 0.05, plain);
                assert!(often.is_empty(), "{code}: {often:#?}");
                continue;
            }
            let often = common(&files, 0.02, |line| line.split_whitespace().count() > 3);
            assert!(often.is_empty(), "{code} {class}: {often:#?}");
            let short = common(&files, 0.04, |line| !line.is_empty());
            assert!(short.is_empty(), "{code} {class}: {short:#?}");
        }
    }
}

/// What every program of its kind has.
const BOILERPLATE: [&str; 32] = [
    "try:",
    "if __name__ == '__main__':",
    "#!/bin/bash",
    "#!/usr/bin/env bash",
    "#!/usr/bin/bash",
    "#!/usr/bin/env python3",
    "#!/usr/bin/python3",
    "# -*- coding: utf-8 -*-",
    "set -euo pipefail",
    "set -eu",
    "set -eu -o pipefail",
    "set -o errexit -o nounset",
    "ifs=$'\\n\\t'",
    "fi",
    "done",
    "}",
    "else",
    "exit 0",
    "exit 1",
    "continue",
    "import sys",
    "import os",
    "import csv",
    "import re",
    "import time",
    "import json",
    "import socket",
    "def main():",
    "main()",
    "sys.exit(main())",
    "raise systemexit(main())",
    "if __name__ == \"__main__\":",
];

/// The sentences of drafts too, wherever their lines are broken.
#[test]
fn sentences_of_drafts_vary() {
    for code in codes() {
        let files: Vec<(String, String)> = Company::new(code)
            .files(Class::Draft, 3000, 10)
            .into_iter()
            .map(|(path, body)| {
                (
                    path,
                    body.replace("\n\n", "\u{1}")
                        .replace('\n', " ")
                        .replace(['\u{1}'], "\n")
                        .replace(". ", ".\n"),
                )
            })
            .collect();
        let often = common(&files, 0.02, |line| line.split_whitespace().count() > 3);
        assert!(often.is_empty(), "{code}: {often:#?}");
    }
}

#[test]
fn edits_keep_the_rules_of_their_class_for_a_hundred_rounds() {
    for code in codes() {
        let company = Company::new(code);
        let mut rng = FleetSecret::from_number(11).seed().rng();
        for class in USER {
            for (index, (path, first)) in company.files(class, 36, 12).into_iter().enumerate() {
                let mut text = first;
                let mut comments = 0;
                for round in 0..100 {
                    let pen = company.pen(index, 100 + round);
                    let Some(next) = edit(class, &path, &text, &pen, &mut rng).unwrap() else {
                        assert!(class != Class::Todo, "a list goes on for ever: {text}");
                        break;
                    };
                    assert!(
                        next != text && next.ends_with('\n') && !next.ends_with("\n\n"),
                        "{class}: {next:?}"
                    );
                    let lines: Vec<&str> = next.lines().collect();
                    let distinct: BTreeSet<&&str> = lines.iter().collect();
                    match class {
                        Class::Note => {
                            assert!(next.starts_with(&text) && lines.len() == text.lines().count() + 1);
                            assert!(lines.len() <= 40 && distinct.len() == lines.len(), "{next}");
                        }
                        Class::Todo => {
                            assert!(lines.len() <= 25, "{next}");
                            assert!(
                                lines.len() >= text.lines().count() || text.lines().count() == 25,
                                "{text}\n{next}"
                            );
                            let items: BTreeSet<&str> = lines.iter().map(|line| &line[6..]).collect();
                            assert_eq!(items.len(), lines.len(), "{next}");
                            assert!(
                                lines
                                    .iter()
                                    .all(|line| line.starts_with("- [ ] ") || line.starts_with("- [x] ")),
                                "{next}"
                            );
                            for open in text.lines().filter(|line| line.starts_with("- [ ] ")) {
                                assert!(items.contains(&open[6..]), "{open} left {next}");
                            }
                        }
                        Class::Draft => {
                            assert!(next.starts_with(&text) && next.split("\n\n").count() <= 6, "{next}");
                        }
                        _ => {
                            comments += 1;
                            assert!(comments <= 3);
                            let code_of = |text: &str| -> Vec<String> {
                                text.lines()
                                    .enumerate()
                                    .filter(|(at, line)| *at == 0 || !line.starts_with("# "))
                                    .map(|(_, line)| line.to_owned())
                                    .collect()
                            };
                            assert_eq!(code_of(&next), code_of(&text));
                            assert_eq!(next.lines().count(), text.lines().count() + 1);
                        }
                    }
                    text = next;
                }
            }
        }
        // A text without a newline at its end keeps what it has.
        let pen = company.pen(0, 5);
        let next = edit(Class::Note, "/x", "call Tom", &pen, &mut rng).unwrap().unwrap();
        assert!(next.starts_with("call Tom\n"), "{next:?}");
    }
}

#[test]
fn the_same_seed_writes_the_same() {
    let company = Company::new("en");
    for class in USER {
        assert_eq!(company.files(class, 40, 13), company.files(class, 40, 13));
        assert_ne!(company.files(class, 40, 13), company.files(class, 40, 14));
    }
}

/// Whether a program can be started here.
fn is_here(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn scripts_are_valid_programs() {
    let company = Company::new("en");
    let mut rng = FleetSecret::from_number(15).seed().rng();
    let mut files = company.files(Class::Script, 700, 16);
    for (index, (path, body)) in files.iter_mut().enumerate() {
        for _ in 0..rng.random_range(0..4) {
            if let Some(next) = edit(Class::Script, path, body, &company.pen(index, 300), &mut rng).unwrap() {
                *body = next;
            }
        }
    }
    for (program, flag, python) in [("bash", "-n", false), ("python3", "-", true)] {
        if !is_here(program) {
            eprintln!("skipped: no {program} here");
            continue;
        }
        let of_kind: Vec<&str> = files
            .iter()
            .map(|(_, body)| body.as_str())
            .filter(|body| body.lines().next().unwrap().contains("python") == python)
            .collect();
        assert!(of_kind.len() > 100, "{}", of_kind.len());
        if python {
            // One interpreter for all: it compiles each and names what it cannot.
            let checker = "import json, sys, warnings\nwarnings.simplefilter('error')\nfor text in json.load(open(sys.argv[1])):\n    try:\n        compile(text, 'x', 'exec')\n    except (SyntaxError, Warning) as exc:\n        print(exc, text, sep='\\n')\n        sys.exit(1)\n";
            let folder = tempfile::tempdir().unwrap();
            let list = folder.path().join("list.json");
            std::fs::write(&list, serde_json::to_vec(&of_kind).unwrap()).unwrap();
            let output = Command::new(program).args(["-c", checker]).arg(&list).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
            continue;
        }
        for body in of_kind {
            let mut child =
                Command::new(program).arg(flag).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(
                output.status.success() && output.stderr.is_empty(),
                "{}\n{body}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

#[test]
fn a_history_is_of_commands_on_his_own_files() {
    let company = Company::new("en");
    let mut rng = FleetSecret::from_number(17).seed().rng();
    for index in 0..STAFF.len() {
        let pen = company.pen(index, 40);
        let files: Vec<String> = ["notes/vpn mar.txt", "bin/backup-web", "todo.md", "work/atlas/sum.py"]
            .iter()
            .map(|name| format!("{}/{name}", pen.resident.home))
            .collect();
        let text = shell_history(&pen, &files, &mut rng);
        let lines: Vec<&str> = text.lines().collect();
        assert!((20..=80).contains(&lines.len()) && text.ends_with('\n') && text.is_ascii(), "{text}");
        assert!(lines.windows(2).all(|pair| pair[0] != pair[1]) && !text.contains(['{', '}']), "{text}");
        assert!(["vpn", "backup-web", "todo.md", "sum.py"].iter().any(|name| text.contains(name)), "{text}");
    }
    assert!(!shell_history(&company.pen(0, 0), &[], &mut rng).is_empty());
}
