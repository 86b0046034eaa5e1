//! INFO: the fields of the release in its order, with numbers that only grow and agree with the keyspace.
//!
//! `info.txt` holds the fields, each with the releases that print it. Load is invented (keyed rates times uptime)
//! on top of what really happened.

use std::{collections::BTreeMap, fmt::Write as _};

use decnet_core::Seed;

use super::{
    call::{Call, Outcome},
    load::{Counter, Load},
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
    /// What the machine's own applications do.
    pub load: Load,
    /// Used by an empty server.
    pub startup: u64,
    /// Keys in the snapshot that was loaded.
    pub loaded: usize,
}

impl Facts {
    /// Keyed facts of the server that came up with the machine at `booted` (Unix seconds).
    pub fn new(seed: &Seed, kernel: &str, port: u16, started: i64, booted: i64) -> Self {
        let seed = seed.child("facts");
        // A server that was started anew has other ids.
        let run = seed.child(format!("boot/{booted}"));
        Self {
            os: format!("Linux {kernel} x86_64"),
            run_id: hex::encode(run.child("run").bytes::<20>()),
            replid: hex::encode(run.child("replid").bytes::<20>()),
            repl_offset: 0,
            build_id: hex::encode(seed.child("build").bytes::<8>()).trim_start_matches('0').to_owned(),
            process_id: run.child("pid").range(380..=1900),
            port,
            system: [1_018_720u64, 2_030_592, 4_018_000, 8_148_344, 16_380_092]
                .get(usize::try_from(seed.child("memory").range(0..=4)).unwrap_or(2))
                .copied()
                .unwrap_or(4_018_000)
                * 1024,
            started,
            load: Load::new(&run),
            startup: seed.child("startup").range(107_600..=109_900) * 8,
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

/// Whole pages.
const fn pages(bytes: u64) -> u64 {
    bytes.div_ceil(4096) * 4096
}

#[expect(clippy::cast_precision_loss, reason = "ratios with two decimals")]
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / (b.max(1)) as f64
}

fn values(call: &Call<'_>) -> BTreeMap<&'static str, String> {
    let shared = &*call.shared;
    let (facts, release, stats) = (&shared.facts, &shared.release, &shared.stats);
    let load = &facts.load;
    let since = |from: i64| u64::try_from((call.now - from) / 1000).unwrap_or(0);
    let seconds = since(facts.started);
    // RESETSTAT forgets what was counted before it.
    let before = stats.reset_at.map_or(0, |at| seconds - since(at).min(seconds));
    let counted = |counter| load.total(counter, seconds) - load.total(counter, before);
    let commands = counted(Counter::Commands) + stats.commands;
    let clients = shared.clients.len() as u64;
    let clients_memory = 1_928 * clients;
    let startup = facts.startup;
    let keys: usize = (0..DATABASES).map(|db| shared.store.size(db).0).sum();
    let overhead = startup + clients_memory + 272 + 88 * keys as u64;
    let dataset = shared.store.bytes() as u64 + 21_000 + load.mix(1, 0) % 2_000 * 8;
    let memory = overhead + dataset;
    let peak = memory + 64_000 + load.mix(2, 0) % 90_000 * 8;
    let allocated = memory + 90_000 + load.mix(3, 0) % 40_000 * 8;
    let active = pages(allocated + 60_000 + load.mix(4, seconds / 900) % 200_000);
    let resident = pages(active + 2_300_000 + load.mix(5, seconds / 7200) % 900_000);
    let rss = pages(resident + 1_700_000 + load.mix(6, seconds / 7200) % 3_000_000);
    let maxmemory: u64 = shared.config.get("maxmemory").parse().unwrap_or(0);
    let saves = shared.auto_saves(call.now) + stats.saves;
    let micros = |micros: u64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let (sys, user) = (load.total(Counter::CpuSys, seconds), load.total(Counter::CpuUser, seconds));
    let children =
        |label, each: u64| micros(saves * (each + load.mix(label, 0) % each) + load.mix(label, saves) % each);
    let ops = load.per_second(Counter::Commands, seconds);
    let kbps = |counter| format!("{:.2}", ratio(load.per_second(counter, seconds), 1_024_000));
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
        (
            "now_usec",
            (call.now.unsigned_abs() * 1000 + load.mix(7, call.now.unsigned_abs()) % 1000).to_string(),
        ),
        ("uptime", seconds.to_string()),
        ("uptime_days", (seconds / 86_400).to_string()),
        ("lru_clock", ((call.now / 1000) & 0x00ff_ffff).to_string()),
        ("config_file", release.config_file.to_owned()),
        ("clients", clients.to_string()),
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
        ("allocated", allocated.to_string()),
        ("active", active.to_string()),
        ("resident", resident.to_string()),
        ("frag_ratio", format!("{:.2}", ratio(active, allocated))),
        ("frag_bytes", (active - allocated).to_string()),
        ("rss_ratio", format!("{:.2}", ratio(resident, active))),
        ("rss_bytes", (resident - active).to_string()),
        ("rss_over_ratio", format!("{:.2}", ratio(rss, resident))),
        ("rss_over_bytes", (rss - resident).to_string()),
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
        ("clients_memory", clients_memory.to_string()),
        ("allocator", release.allocator.to_owned()),
        ("dirty", shared.dirty(call.now).to_string()),
        ("last_save", (shared.last_save(call.now) / 1000).to_string()),
        ("bgsave_time", if saves > 0 { "0" } else { "-1" }.to_owned()),
        ("saves", saves.to_string()),
        ("cow", if saves > 0 { (4096 * (90 + load.mix(8, saves) % 70)).to_string() } else { "0".to_owned() }),
        ("loaded", facts.loaded.to_string()),
        ("connections", (counted(Counter::Connections) + stats.connections).to_string()),
        ("commands", commands.to_string()),
        ("ops", (ops / 1000).to_string()),
        ("net_in", (counted(Counter::BytesIn) + stats.bytes_in).to_string()),
        ("net_out", (counted(Counter::BytesOut) + stats.bytes_out).to_string()),
        ("in_kbps", kbps(Counter::BytesIn)),
        ("out_kbps", kbps(Counter::BytesOut)),
        ("expired", (counted(Counter::Expired) + shared.store.expired).to_string()),
        ("expire_cpu", counted(Counter::ExpireCpu).to_string()),
        ("hits", (counted(Counter::Hits) + shared.store.hits).to_string()),
        ("misses", (counted(Counter::Misses) + shared.store.misses).to_string()),
        ("fork_usec", if saves > 0 { (190 + load.mix(9, saves) % 700).to_string() } else { "0".to_owned() }),
        ("errors", stats.errors.values().sum::<u64>().to_string()),
        ("reads", (commands + counted(Counter::Connections) + stats.connections).to_string()),
        ("writes", commands.to_string()),
        ("shrinks", counted(Counter::Shrinks).to_string()),
        ("cpu_sys", micros(sys)),
        ("cpu_user", micros(user)),
        ("cpu_sys_main", micros(sys - sys / (40 + load.mix(10, 0) % 400))),
        ("cpu_user_main", micros(user - user / (60 + load.mix(11, 0) % 900))),
        ("cpu_sys_children", children(12, 900)),
        ("cpu_user_children", children(13, 1_700)),
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
