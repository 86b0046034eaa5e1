//! CONFIG: the parameters of the package's configuration, and the tricks that are played with them.
//!
//! Values are those of Debian's 7.0.15 with the package's file; parameters that a release does not know are left
//! out. Changes live in memory and die with the process.

use std::collections::BTreeMap;

use super::{
    call::{Call, Fact, Outcome},
    glob::matches,
    release::Release,
    reply::Reply,
};

/// `name<TAB>value` of every parameter, as `CONFIG GET *` printed them.
const TABLE: &str = include_str!("config.tsv");
/// Parameters that came with a release.
const SINCE: &[(&str, u16)] = &[
    ("acl", 600),
    ("aclfile", 600),
    ("active-defrag", 400),
    ("activedefrag", 400),
    ("aof-use-rdb-preamble", 400),
    ("aof-disable-auto-gc", 700),
    ("aof-timestamp", 700),
    ("aof_rewrite_cpulist", 600),
    ("appenddirname", 700),
    ("bgsave_cpulist", 600),
    ("bind-source-addr", 700),
    ("bio_cpulist", 600),
    ("busy-reply", 700),
    ("client-query-buffer", 400),
    ("cluster-allow", 600),
    ("cluster-announce", 400),
    ("cluster-announce-hostname", 700),
    ("cluster-link", 700),
    ("cluster-port", 700),
    ("cluster-preferred", 700),
    ("cluster-replica", 500),
    ("crash-", 602),
    ("disable-thp", 602),
    ("dynamic-hz", 500),
    ("enable-", 700),
    ("hash-max-listpack", 700),
    ("ignore-warnings", 602),
    ("io-threads", 600),
    ("jemalloc", 600),
    ("latency-tracking", 700),
    ("lazyfree", 400),
    ("lazyfree-lazy-user", 602),
    ("lfu", 400),
    ("list-max-listpack", 700),
    ("masteruser", 600),
    ("maxmemory-clients", 700),
    ("maxmemory-eviction", 602),
    ("min-replicas", 500),
    ("oom-score", 602),
    ("proc-title", 602),
    ("propagation", 700),
    ("proto-max", 400),
    ("rdb-del", 600),
    ("rdb-save", 500),
    ("repl-diskless-load", 600),
    ("repl-diskless-sync-max", 700),
    ("repl-ping-replica", 500),
    ("replica", 500),
    ("replicaof", 500),
    ("sanitize", 602),
    ("server_cpulist", 600),
    ("set-proc", 602),
    ("shutdown", 700),
    ("socket-mark", 602),
    ("stream", 500),
    ("tls", 600),
    ("tracking", 600),
    ("zset-max-listpack", 700),
];
/// Folders that exist on the machine.
const FOLDERS: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/dev/shm",
    "/etc",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/init.d",
    "/etc/profile.d",
    "/etc/redis",
    "/etc/systemd/system",
    "/home",
    "/mnt",
    "/opt",
    "/root",
    "/root/.ssh",
    "/run",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local/bin",
    "/usr/share",
    "/var",
    "/var/lib",
    "/var/lib/redis",
    "/var/log",
    "/var/log/redis",
    "/var/spool",
    "/var/spool/cron",
    "/var/spool/cron/crontabs",
    "/var/tmp",
    "/var/www",
    "/var/www/html",
];

/// The parameters as they stand.
#[derive(Debug, Clone)]
pub struct Config {
    values: BTreeMap<String, String>,
    folders: Vec<String>,
}

/// `save` in the configuration files before 6.2.
const OLD_SAVE: &str = "900 1 300 10 60 10000";

impl Config {
    /// The package's configuration, made reachable from outside.
    pub fn new(
        release: &Release,
        port: u16,
        password: Option<&str>,
        permissive: bool,
        homes: &[String],
    ) -> Self {
        let known = |name: &str| {
            // The longest prefix decides.
            SINCE
                .iter()
                .filter(|(prefix, _)| name.starts_with(prefix))
                .max_by_key(|(prefix, _)| prefix.len())
                .is_none_or(|(_, level)| release.since(*level))
        };
        let mut values: BTreeMap<String, String> = TABLE
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .filter(|(name, _)| known(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let port = port.to_string();
        let bulk = super::request::BULK_MAX.to_string();
        let yes_no = if permissive { "yes" } else { "no" };
        for (name, value) in [
            ("bind", if release.since(602) { "* -::*" } else { "0.0.0.0" }),
            ("dir", "/var/lib/redis"),
            (
                "logfile",
                if release.since(500) {
                    "/var/log/redis/redis-server.log"
                } else {
                    "/var/log/redis/redis.log"
                },
            ),
            ("pidfile", "/run/redis/redis-server.pid"),
            ("port", port.as_str()),
            ("protected-mode", "no"),
            ("proto-max-bulk-len", bulk.as_str()),
            ("requirepass", password.unwrap_or_default()),
            ("supervised", "systemd"),
            ("enable-protected-configs", yes_no),
            ("enable-module-command", yes_no),
            // The packages' files say it, and for long they said this.
            ("save", if release.since(602) { "3600 1 300 100 60 10000" } else { OLD_SAVE }),
        ] {
            if let Some(old) = values.get_mut(name) {
                value.clone_into(old);
            }
        }
        let folders =
            FOLDERS.iter().map(|folder| (*folder).to_owned()).chain(homes.iter().cloned()).collect();
        Self { values, folders }
    }

    /// A value; empty if the release does not know the parameter.
    pub fn get(&self, name: &str) -> &str {
        self.values.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Where a save would go.
    pub fn dump_path(&self) -> String {
        format!("{}/{}", self.get("dir").trim_end_matches('/'), self.get("dbfilename"))
    }
}

/// Runs CONFIG.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let modern = call.shared.release.since(700);
    match (call.upper(1).as_str(), call.args.len()) {
        ("GET", 3..) if modern || call.args.len() == 3 => Ok(get(call)),
        ("SET", 4..) if modern || call.args.len() == 4 => set(call),
        ("GET", _) if modern => Err(Call::arity("config|get")),
        ("SET", _) if modern => Err(Call::arity("config|set")),
        ("RESETSTAT", 2) => {
            call.shared.reset_stats(call.now);
            Ok(Reply::ok())
        }
        // The file belongs to root and the server does not run as root.
        ("REWRITE", 2) => Err(Reply::err("Rewriting config file: Permission denied")),
        ("HELP", 2) if call.shared.release.since(500) => Ok(Reply::lines(&[
            "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
            "HELP",
            "    Prints this help.",
        ])),
        _ => Err(Reply::Error(call.shared.release.unknown_subcommand("config", call.arg(1)))),
    }
}

fn get(call: &Call<'_>) -> Reply {
    let patterns = call.rest(2);
    let hits = call
        .shared
        .config
        .values
        .iter()
        .filter(|(name, _)| patterns.iter().any(|pattern| matches(pattern, name.as_bytes(), true)));
    Reply::Map(hits.map(|(name, value)| (Reply::bulk(name.as_str()), Reply::bulk(value.as_str()))).collect())
}

fn set(call: &mut Call<'_>) -> Outcome {
    let given = call.rest(2);
    if !given.len().is_multiple_of(2) {
        return Err(Reply::err("syntax error"));
    }
    let mut wanted = Vec::new();
    for pair in given.chunks_exact(2) {
        let [name, value] = pair else { continue };
        let name_text = String::from_utf8_lossy(name).to_lowercase();
        let value = String::from_utf8_lossy(value).into_owned();
        note(call, &name_text, &value);
        if let Err(why) = check(call, &name_text, &value) {
            return Err(refusal(call, &String::from_utf8_lossy(name), &value, &why));
        }
        wanted.push((name_text, value));
    }
    for (name, value) in wanted {
        call.shared.config.values.insert(name, value);
    }
    Ok(Reply::ok())
}

/// Flags the steps of writing a file of one's own choosing.
fn note(call: &mut Call<'_>, name: &str, value: &str) {
    let technique = match name {
        "dir" if value != "/var/lib/redis" => "config_dir",
        "dbfilename" if value != "dump.rdb" => "config_dbfilename",
        "logfile" | "unixsocket" | "aclfile" => "config_file",
        "slave-read-only" | "replica-read-only" if value == "no" => "config_replica_write",
        "enable-module-command" | "enable-protected-configs" | "enable-debug-command" => "config_unlock",
        _ => return,
    };
    call.facts.push(Fact::Rce { technique, detail: format!("{name}={value}") });
}

/// Why a value is not taken.
enum Why {
    Unknown,
    Immutable,
    Protected,
    Value(&'static str),
    Folder,
}

fn check(call: &Call<'_>, name: &str, value: &str) -> Result<(), Why> {
    const PROTECTED: [&str; 2] = ["dir", "dbfilename"];
    const IMMUTABLE: [&str; 14] = [
        "enable-protected-configs",
        "enable-module-command",
        "enable-debug-command",
        "logfile",
        "unixsocket",
        "aclfile",
        "daemonize",
        "databases",
        "pidfile",
        "supervised",
        "io-threads",
        "cluster-enabled",
        "tcp-backlog",
        "appendfilename",
    ];
    let config = &call.shared.config;
    let old = config.values.get(name).ok_or(Why::Unknown)?;
    if IMMUTABLE.contains(&name) {
        return Err(Why::Immutable);
    }
    if PROTECTED.contains(&name)
        && call.shared.release.since(700)
        && config.get("enable-protected-configs") != "yes"
    {
        return Err(Why::Protected);
    }
    match name {
        "dir" => config
            .folders
            .iter()
            .any(|folder| folder == value.trim_end_matches('/') || folder == value)
            .then_some(())
            .ok_or(Why::Folder),
        "dbfilename" if value.contains('/') => Err(Why::Value("dbfilename can't be a path, just a filename")),
        "maxmemory" if memory(value).is_none() => Err(Why::Value("argument must be a memory value")),
        _ if matches!(old.as_str(), "yes" | "no") && !matches!(value, "yes" | "no") => {
            Err(Why::Value("argument must be 'yes' or 'no'"))
        }
        _ if super::request::number(old.as_bytes()).is_some() && memory(value).is_none() => {
            Err(Why::Value("argument couldn't be parsed into an integer"))
        }
        _ => Ok(()),
    }
}

/// `100mb` and the like.
fn memory(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..)?.to_lowercase();
    matches!(unit.as_str(), "" | "b" | "k" | "kb" | "m" | "mb" | "g" | "gb")
        .then(|| digits.parse().ok())
        .flatten()
}

fn refusal(call: &Call<'_>, name: &str, value: &str, why: &Why) -> Reply {
    let release = &call.shared.release;
    let modern = release.since(700);
    let failed = |text: &str| {
        Reply::err(format!("CONFIG SET failed (possibly related to argument '{name}') - {text}"))
    };
    match why {
        Why::Unknown if modern => {
            Reply::err(format!("Unknown option or number of arguments for CONFIG SET - '{name}'"))
        }
        Why::Unknown | Why::Immutable if !modern => {
            Reply::err(format!("Unsupported CONFIG parameter: {name}"))
        }
        Why::Unknown | Why::Immutable => failed("can't set immutable config"),
        Why::Protected => failed("can't set protected config"),
        Why::Folder if modern => failed("No such file or directory"),
        Why::Folder => Reply::err("Changing directory: No such file or directory"),
        Why::Value(text) if modern => failed(text),
        Why::Value(text) if release.since(500) => {
            Reply::err(format!("Invalid argument '{value}' for CONFIG SET '{name}' - {text}"))
        }
        Why::Value(_) => Reply::err(format!("Invalid argument '{value}' for CONFIG SET '{name}'")),
    }
}
