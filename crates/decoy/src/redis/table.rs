//! The commands that exist: arity, flags, keys, subcommands and since when, as COMMAND tells them.
//!
//! `commands.tsv` was printed by Debian's 7.0.15 and holds only what this decoy answers: a command that is listed
//! works, and one that is not listed looks as if it had been renamed away.

use std::sync::LazyLock;

use super::{
    call::{Call, Outcome},
    release::Release,
    reply::Reply,
};

/// A command.
#[derive(Debug)]
pub struct Entry {
    /// Name in lower case.
    pub name: &'static str,
    /// Words including the name; negative for "at least".
    pub arity: i64,
    flags: Vec<&'static str>,
    keys: [i64; 3],
    categories: Vec<&'static str>,
    since: &'static str,
    group: &'static str,
    subcommands: Vec<Subcommand>,
}

#[derive(Debug)]
struct Subcommand {
    name: &'static str,
    arity: i64,
    flags: Vec<&'static str>,
    level: u16,
}

static TABLE: LazyLock<Vec<Entry>> =
    LazyLock::new(|| include_str!("commands.tsv").lines().filter_map(read).collect());

fn list(text: &'static str) -> Vec<&'static str> {
    text.split(',').filter(|word| !word.is_empty()).collect()
}

fn read(line: &'static str) -> Option<Entry> {
    let mut columns = line.split('\t');
    let mut next = || columns.next();
    Some(Entry {
        name: next()?,
        arity: next()?.parse().ok()?,
        flags: list(next()?),
        keys: [next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?],
        categories: list(next()?),
        since: next()?,
        group: next()?,
        subcommands: next()?.split(';').filter_map(read_subcommand).collect(),
    })
}

fn read_subcommand(text: &'static str) -> Option<Subcommand> {
    let mut parts = text.split(':');
    Some(Subcommand {
        name: parts.next()?,
        arity: parts.next()?.parse().ok()?,
        flags: list(parts.next()?),
        level: Release::level_of(parts.next()?),
    })
}

/// The command of this name, if the release has it.
pub fn find(name: &str, release: &Release) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.name == name && release.since(Release::level_of(entry.since)))
}

/// `client|list` for commands with subcommands.
pub fn full_name(name: &str, second: Option<&[u8]>) -> String {
    let entry = TABLE.iter().find(|entry| entry.name == name);
    match (entry, second) {
        (Some(entry), Some(second)) => match entry.subcommand(second, u16::MAX) {
            Some((sub, _)) => format!("{name}|{sub}"),
            None => name.to_owned(),
        },
        (Some(_), None) => name.to_owned(),
        // Names of nothing are the sender's invention.
        (None, _) => "NULL".to_owned(),
    }
}

impl Entry {
    /// Name and arity of a subcommand.
    pub fn subcommand(&self, given: &[u8], level: u16) -> Option<(&'static str, i64)> {
        let found = self
            .subcommands
            .iter()
            .find(|sub| sub.level <= level && sub.name.as_bytes().eq_ignore_ascii_case(given))?;
        Some((found.name, found.arity))
    }

    /// Whether it is a container of subcommands only.
    pub fn has_subcommands(&self) -> bool {
        !self.subcommands.is_empty() && self.name != "command"
    }

    /// Whether it changes the keyspace.
    pub fn writes(&self) -> bool {
        self.flags.contains(&"write")
    }

    fn describe(&self, release: &Release) -> Reply {
        let words = |words: &[&'static str]| {
            Reply::Set(words.iter().map(|word| Reply::Simple((*word).to_owned())).collect())
        };
        let mut parts = vec![Reply::bulk(self.name), Reply::Int(self.arity), words(&self.flags)];
        parts.extend(self.keys.map(Reply::Int));
        if release.since(600) {
            parts.push(words(&self.categories));
        }
        if release.since(700) {
            parts.push(Reply::Array(Vec::new()));
            parts.push(Reply::Array(Vec::new()));
            let subs = self.subcommands.iter().filter(|sub| release.since(sub.level)).map(|sub| {
                let mut parts = vec![
                    Reply::bulk(format!("{}|{}", self.name, sub.name)),
                    Reply::Int(sub.arity),
                    words(&sub.flags),
                ];
                parts.extend([0, 0, 0].map(Reply::Int));
                parts.push(words(&self.categories));
                parts.extend([Reply::Array(Vec::new()), Reply::Array(Vec::new()), Reply::Array(Vec::new())]);
                Reply::Array(parts)
            });
            parts.push(Reply::Array(subs.collect()));
        }
        Reply::Array(parts)
    }

    fn docs(&self, release: &Release) -> Reply {
        let mut parts = vec![
            (Reply::bulk("since"), Reply::bulk(self.since)),
            (Reply::bulk("group"), Reply::bulk(self.group)),
        ];
        let subs: Vec<(Reply, Reply)> = self
            .subcommands
            .iter()
            .filter(|sub| release.since(sub.level))
            .map(|sub| {
                (
                    Reply::bulk(format!("{}|{}", self.name, sub.name)),
                    Reply::Map(vec![(Reply::bulk("group"), Reply::bulk(self.group))]),
                )
            })
            .collect();
        if !subs.is_empty() {
            parts.push((Reply::bulk("subcommands"), Reply::Map(subs)));
        }
        Reply::Map(parts)
    }
}

/// Runs COMMAND.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let release = call.shared.release.clone();
    let all = || TABLE.iter().filter(|entry| release.since(Release::level_of(entry.since)));
    let named = |at: usize| -> Vec<(Vec<u8>, Option<&'static Entry>)> {
        call.rest(at)
            .iter()
            .map(|name| (name.clone(), find(&String::from_utf8_lossy(name).to_lowercase(), &release)))
            .collect()
    };
    Ok(match (call.upper(1).as_str(), call.args.len()) {
        (_, 1) | ("INFO", 2) => Reply::Array(all().map(|entry| entry.describe(&release)).collect()),
        ("COUNT", 2) => Reply::count(all().count()),
        ("INFO", _) => Reply::Array(
            named(2)
                .into_iter()
                .map(|(_, entry)| entry.map_or(Reply::NullArray, |entry| entry.describe(&release)))
                .collect(),
        ),
        ("LIST", _) if release.since(700) => Reply::list(all().map(|entry| entry.name)),
        ("DOCS", 2) if release.since(700) => {
            Reply::Map(all().map(|entry| (Reply::bulk(entry.name), entry.docs(&release))).collect())
        }
        ("DOCS", _) if release.since(700) => Reply::Map(
            named(2)
                .into_iter()
                .filter_map(|(name, entry)| Some((Reply::Bulk(name), entry?.docs(&release))))
                .collect(),
        ),
        _ => return Err(Reply::Error(release.unknown_subcommand("command", call.arg(1)))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_releases_differ() {
        assert_eq!(TABLE.len(), include_str!("commands.tsv").lines().count());
        let seed = decnet_core::FleetSecret::from_number(1).seed();
        let (new, old) = (
            super::super::release::of_distro("debian", &seed),
            super::super::release::of_distro("centos7", &seed),
        );
        assert!(find("hello", &new).is_some() && find("hello", &old).is_none());
        assert_eq!(full_name("client", Some(b"LIST")), "client|list");
        assert_eq!(full_name("nope", None), "NULL");
    }
}
