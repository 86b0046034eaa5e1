//! INFO: the fields of the release in its order, with numbers that only grow and agree with the keyspace.
//!
//! `info.txt` holds the fields, each with the releases that print it. Load is invented (keyed rates times uptime)
//! on top of what really happened.

use std::{collections::BTreeMap, fmt::Write as _};

use decnet_core::Seed;

use super::{
    call::{Call, Outcome},
    reply::Reply,
    shared::{Role, Shared},
    store::DATABASES,
};

const TEMPLATE: &str = include_str!("info.txt");

/// What does not change while the process runs.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `os`.
    pub os: String,
    /// `run_id`.
    pub run_id: String,
    /// `master_replid`.
    pub replid: String,
    /// `master_repl_offset`.
    pub repl_offset: i64,
    /// `redis_build_id`.
    pub build_id: String,
    /// Process id.
    pub process_id: u64,
    /// Port.
    pub port: u16,
    /// Memory of the machine.
    pub system: u64,
    /// Server started at, Unix milliseconds.
    pub started: i64,
    /// Invented commands a second, in thousandths.
    pub rate: u64,
    /// Keys in the snapshot that was loaded.
    pub loaded: usize,
}

impl Facts {
    /// Keyed facts.
    pub fn new(seed: &Seed, kernel: &str, port: u16, started: i64) -> Self {
        let seed = seed.child("facts");
        Self {
            os: format!("Linux {kernel} x86_64"),
            run_id: hex::encode(seed.child("run").bytes::<20>()),
            replid: hex::encode(seed.child("replid").bytes::<20>()),
            repl_offset: 0,
            build_id: hex::encode(seed.child("build").bytes::<8>()).trim_start_matches('0').to_owned(),
            process_id: seed.child("pid").range(380..=1900),
            port,
            system: [1_018_720u64, 2_030_592, 4_018_000, 8_148_344, 16_380_092]
                .get(usize::try_from(seed.child("memory").range(0..=4)).unwrap_or(2))
                .copied()
                .unwrap_or(4_018_000)
                * 1024,
            started,
            rate: seed.child("rate").range(400..=9000),
            loaded: 0,
        }
    }
}

/// Runs INFO.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let release = call.shared.release.clone();
    if call.args.len() > 2 && !release.since(700) {
        return Err(Reply::err("syntax error"));
    }
    let wanted: Vec<String> =
        call.rest(1).iter().map(|word| String::from_utf8_lossy(word).to_lowercase()).collect();
    let all = wanted.is_empty()
        || wanted.iter().any(|word| matches!(word.as_str(), "default" | "all" | "everything"));
    let stats = wanted.iter().any(|word| matches!(word.as_str(), "all" | "everything" | "commandstats"));
    let values = values(call);
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in TEMPLATE.lines() {
        let text = match line {
            "{replication}" => replication(call.shared, call.now),
            "{errorstats}" if release.since(602) => call
                .shared
                .stats
                .errors
                .iter()
                .map(|(name, count)| format!("errorstat_{name}:count={count}\r\n"))
                .collect::<Vec<_>>()
                .concat(),
            "{errorstats}" => String::new(),
            "{keyspace}" => keyspace(call.shared, call.now),
            _ => {
                let (levels, text) = line.split_once(' ').unwrap_or((line, ""));
                let (from, to) = levels.split_once('-').unwrap_or((levels, "9999"));
                let within =
                    release.since(from.parse().unwrap_or(0)) && release.level <= to.parse().unwrap_or(9999);
                // Fields of Valkey only.
                if !within
                    || (text.contains("{valkey_version}") || text.contains("{server_name}"))
                        && release.valkey.is_none()
                {
                    continue;
                }
                if text.is_empty() { String::new() } else { format!("{}\r\n", fill(text, &values)) }
            }
        };
        if let Some(title) = text.strip_prefix("# ") {
            sections.push((title.trim_end().to_lowercase(), text));
        } else if let Some((_, body)) = sections.last_mut() {
            body.push_str(&text);
        }
    }
    let shown: Vec<String> = sections
        .into_iter()
        .filter(|(title, _)| all || wanted.contains(title))
        .map(|(_, body)| body)
        .collect();
    let mut text = shown.join("\r\n");
    if stats {
        let per_call = |name: &String, count: &u64| {
            let tail = if release.since(602) { ",rejected_calls=0,failed_calls=0" } else { "" };
            format!("cmdstat_{name}:calls={count},usec={},usec_per_call=4.00{tail}\r\n", count * 4)
        };
        let lines: String = call
            .shared
            .stats
            .calls
            .iter()
            .map(|(name, count)| per_call(name, count))
            .collect::<Vec<_>>()
            .concat();
        let _ = write!(text, "{}# Commandstats\r\n{lines}", if text.is_empty() { "" } else { "\r\n" });
    }
    Ok(Reply::Verbatim(text))
}

fn fill(text: &str, values: &BTreeMap<&'static str, String>) -> String {
    let mut out = text.to_owned();
    while let Some((start, end)) = out.find('{').and_then(|start| Some((start, out.find('}')?))) {
        let name = out.get(start + 1..end).unwrap_or_default().to_owned();
        let value = values.get(name.as_str()).map(String::as_str).unwrap_or_default().to_owned();
        out.replace_range(start..=end, &value);
    }
    out
}

/// Bytes for people, as `bytesToHuman` prints them.
#[expect(clippy::cast_precision_loss, reason = "two decimals of a size")]
fn human(bytes: u64) -> String {
    const UNIT: f64 = 1024.0;
    let value = bytes as f64;
    match bytes {
        0..1024 => format!("{bytes}B"),
        1024..1_048_576 => format!("{:.2}K", value / UNIT),
        1_048_576..1_073_741_824 => format!("{:.2}M", value / UNIT / UNIT),
        _ => format!("{:.2}G", value / UNIT / UNIT / UNIT),
    }
}

#[expect(clippy::cast_precision_loss, reason = "ratios with two decimals")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / (b.max(1)) as f64
}

fn values(call: &Call<'_>) -> BTreeMap<&'static str, String> {
    let shared = &*call.shared;
    let (facts, release, stats) = (&shared.facts, &shared.release, &shared.stats);
    let seconds = u64::try_from((call.now - facts.started) / 1000).unwrap_or(0);
    let counted_from = stats.reset_at.unwrap_or(facts.started);
    let counted = u64::try_from((call.now - counted_from) / 1000).unwrap_or(0);
    // Invented load since the counters began, on top of the real one.
    let load = counted * facts.rate / 1000;
    let commands = load + stats.commands;
    let startup = 860_000 + facts.process_id * 8;
    let dataset = shared.store.bytes() as u64 + 21_000;
    let overhead = startup + 20_000 * shared.clients.len() as u64;
    let memory = overhead + dataset;
    let peak = memory + 180_000 + facts.process_id * 40;
    let rss = memory + 6_900_000 + facts.process_id * 1024;
    let hits = load * 7 / 10 + shared.store.hits;
    let maxmemory: u64 = shared.config.get("maxmemory").parse().unwrap_or(0);
    let saves = seconds / 3600 + stats.saves;
    let cpu = |thousandths: u64| {
        format!("{}.{:06}", seconds * thousandths / 1000, (seconds * thousandths % 1000) * 1000 + 317)
    };
    BTreeMap::from([
        ("version", release.version.clone()),
        ("server_name", "valkey".to_owned()),
        ("valkey_version", release.valkey.unwrap_or_default().to_owned()),
        ("mode_name", if release.valkey.is_some() { "server_mode" } else { "redis_mode" }.to_owned()),
        ("binary", if release.valkey.is_some() { "valkey-server" } else { "redis-server" }.to_owned()),
        ("build_id", facts.build_id.clone()),
        ("os", facts.os.clone()),
        ("atomicvar", if release.since(602) { "c11-builtin" } else { "atomic-builtin" }.to_owned()),
        ("gcc", release.gcc.to_owned()),
        ("process_id", facts.process_id.to_string()),
        ("run_id", facts.run_id.clone()),
        ("port", facts.port.to_string()),
        ("now_usec", (call.now * 1000 + 217).to_string()),
        ("uptime", seconds.to_string()),
        ("uptime_days", (seconds / 86_400).to_string()),
        ("lru_clock", ((call.now / 1000) & 0x00ff_ffff).to_string()),
        ("config_file", release.config_file.to_owned()),
        ("clients", shared.clients.len().to_string()),
        ("memory", memory.to_string()),
        ("memory_human", human(memory)),
        ("rss", rss.to_string()),
        ("rss_human", human(rss)),
        ("peak", peak.to_string()),
        ("peak_human", human(peak)),
        ("peak_perc", format!("{:.2}", ratio(memory * 100, peak))),
        ("overhead", overhead.to_string()),
        ("startup", startup.to_string()),
        ("dataset", dataset.to_string()),
        ("dataset_perc", format!("{:.2}", ratio(dataset * 100, memory - startup))),
        ("allocated", (memory + 150_000).to_string()),
        ("active", (memory + 400_000).to_string()),
        ("resident", (memory + 3_100_000).to_string()),
        ("system", facts.system.to_string()),
        ("system_human", human(facts.system)),
        ("lua", if release.since(700) { "32768" } else { "37888" }.to_owned()),
        ("lua_human", if release.since(700) { "32.00K" } else { "37.00K" }.to_owned()),
        ("scripts", shared.scripts.len().to_string()),
        (
            "scripts_bytes",
            shared.scripts.values().map(|script| script.len() + 160).sum::<usize>().to_string(),
        ),
        ("maxmemory", maxmemory.to_string()),
        ("maxmemory_human", human(maxmemory)),
        ("policy", shared.config.get("maxmemory-policy").to_owned()),
        ("fragmentation", format!("{:.2}", ratio(rss, memory))),
        ("fragmentation_bytes", (rss - memory).to_string()),
        ("clients_memory", (1_928 * shared.clients.len()).to_string()),
        ("allocator", release.allocator.to_owned()),
        ("dirty", shared.store.dirty.to_string()),
        ("last_save", (shared.saved_at / 1000).to_string()),
        ("bgsave_time", if saves > 0 { "0" } else { "-1" }.to_owned()),
        ("saves", saves.to_string()),
        ("cow", if saves > 0 { "430080" } else { "0" }.to_owned()),
        ("loaded", facts.loaded.to_string()),
        ("connections", (counted / 37 + stats.connections).to_string()),
        ("commands", commands.to_string()),
        ("ops", (facts.rate / 1000).to_string()),
        ("net_in", (load * 61 + stats.bytes_in).to_string()),
        ("net_out", (load * 143 + stats.bytes_out).to_string()),
        ("in_kbps", format!("{:.2}", ratio(facts.rate * 61, 1_024_000))),
        ("out_kbps", format!("{:.2}", ratio(facts.rate * 143, 1_024_000))),
        ("expired", (counted / 911 + shared.store.expired).to_string()),
        ("expire_cpu", (counted / 29).to_string()),
        ("hits", hits.to_string()),
        ("misses", (load / 11 + shared.store.misses).to_string()),
        ("fork_usec", if saves > 0 { (200 + facts.process_id).to_string() } else { "0".to_owned() }),
        ("errors", stats.errors.values().sum::<u64>().to_string()),
        ("reads", (commands + stats.connections).to_string()),
        ("writes", commands.to_string()),
        ("shrinks", (counted / 40).to_string()),
        ("cpu_sys", cpu(2)),
        ("cpu_user", cpu(1)),
    ])
}

fn replication(shared: &Shared, now: i64) -> String {
    let release = &shared.release;
    let mut text = match &shared.role {
        Role::Master => "role:master\r\n".to_owned(),
        Role::Replica { host, port, since } => format!(
            "role:slave\r\nmaster_host:{}\r\nmaster_port:{port}\r\nmaster_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\nmaster_sync_in_progress:0\r\n{}slave_repl_offset:0\r\nmaster_link_down_since_seconds:{}\r\nslave_priority:100\r\nslave_read_only:1\r\n",
            host.replace(['\r', '\n'], ""),
            if release.since(700) { "slave_read_repl_offset:0\r\n" } else { "" },
            (now - since) / 1000
        ),
    };
    text.push_str("connected_slaves:0\r\n");
    if release.since(602) {
        text.push_str("master_failover_state:no-failover\r\n");
    }
    if release.since(400) {
        let _ =
            write!(text, "master_replid:{}\r\nmaster_replid2:{}\r\n", shared.facts.replid, "0".repeat(40));
    }
    let _ = write!(text, "master_repl_offset:{}\r\n", shared.facts.repl_offset);
    if release.since(400) {
        text.push_str("second_repl_offset:-1\r\n");
    }
    text.push_str("repl_backlog_active:0\r\nrepl_backlog_size:1048576\r\nrepl_backlog_first_byte_offset:0\r\nrepl_backlog_histlen:0\r\n");
    text
}

fn keyspace(shared: &Shared, now: i64) -> String {
    let mut text = String::new();
    for db in 0..DATABASES {
        let (keys, expires) = shared.store.size(db);
        if keys > 0 {
            let _ = write!(
                text,
                "db{db}:keys={keys},expires={expires},avg_ttl={}\r\n",
                shared.store.mean_ttl(db, now)
            );
        }
    }
    text
}
