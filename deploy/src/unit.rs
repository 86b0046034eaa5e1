//! The units: one a worker, the broker, the one-shot that migrates, the target. Shut in as far as each row of the worker
//! table allows; every exception is a column there.

use std::fmt::Write;

use decnet_bus::{Grant, Stage, Worker};

use crate::{BIN, ETC, GROUP, KEYS, PERSONAS, STATE, TARGET, user_of};

/// Loudest score of `systemd-analyze security` that a plain unit may have, in tenths.
const PLAIN_EXPOSURE: u32 = 12;
/// The same for one with a capability or connections.
const GRANTED_EXPOSURE: u32 = 20;
/// The agent administers network and file-system marks of other namespaces: no filter makes that small.
const AGENT_EXPOSURE: u32 = 42;

/// The most that `systemd-analyze security --threshold` may report for this unit, in tenths.
pub const fn most_exposed(worker: Worker) -> u32 {
    let grant = worker.spec().grant;
    match worker {
        Worker::Agent => AGENT_EXPOSURE,
        _ if grant.is_plain() && !grant.artifacts => PLAIN_EXPOSURE,
        _ => GRANTED_EXPOSURE,
    }
}

/// Whether a unit has nothing beyond loopback and its own folder.
pub const fn is_plain(worker: Worker) -> bool {
    worker.spec().grant.is_plain()
}

/// A unit file in the making: sections, one directive a line.
struct Unit(String);

impl Unit {
    fn new(description: &str) -> Self {
        let mut unit =
            Self("# Written by decnet from the worker table: change it with `systemctl edit`.\n".to_owned());
        unit.section("Unit");
        unit.set("Description", description);
        unit
    }

    fn section(&mut self, name: &str) {
        let gap = if self.0.contains('[') { "\n" } else { "" };
        let _ = writeln!(self.0, "{gap}[{name}]");
    }

    fn set(&mut self, directive: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{directive}={value}");
    }
}

/// The unit of a worker.
pub fn worker_unit(worker: Worker) -> String {
    let spec = worker.spec();
    let grant = spec.grant;
    let mut unit = Unit::new(&format!("DECNET {worker}: {}", spec.doc.trim().trim_end_matches('.')));
    unit.set("PartOf", TARGET);
    unit.set("Requires", "decnet-migrate.service");
    unit.set("Wants", Worker::Bus.unit());
    unit.set("After", format!("{} decnet-migrate.service", Worker::Bus.unit()));
    if grant.docker {
        unit.set("After", "docker.service");
    }
    if grant.egress {
        unit.set("Wants", "network-online.target");
        unit.set("After", "network-online.target");
    }
    // A worker that falls over and over again is tried for ever: what it lacks may come back.
    unit.set("StartLimitIntervalSec", 0);

    unit.section("Service");
    unit.set("Type", "notify");
    unit.set("NotifyAccess", "main");
    unit.set("WatchdogSec", 60);
    unit.set("TimeoutStartSec", 120);
    unit.set("TimeoutStopSec", 20);
    restarts(&mut unit, 5);
    unit.set("ExecStart", format!("{BIN}/{}", worker.program()));
    account(&mut unit, worker);
    unit.set("LoadCredential", format!("nkey:{KEYS}/{worker}.nk"));
    unit.set("Environment", "DECNET_NATS_NKEY_FILE=%d/nkey");
    for (needed, name, folder, variable) in [
        (grant.fleet_secret, "fleet.secret", STATE, "DECNET_SECRET_FILE"),
        (grant.token_key, "jwt.secret", ETC, "DECNET_JWT_SECRET_FILE"),
        (grant.webhook_key, "webhook.key", STATE, "DECNET_WEBHOOK_KEY_FILE"),
    ] {
        if needed {
            unit.set("LoadCredential", format!("{name}:{folder}/{name}"));
            unit.set("Environment", format!("{variable}=%d/{name}"));
        }
    }
    places(&mut unit, worker, &grant);
    if grant.docker {
        // The process runtime's deckies are children that live on; its captured files are for the API to read.
        unit.set("KillMode", "process");
        unit.set("OOMPolicy", "continue");
    }
    shut_in(&mut unit, &grant);
    bounds(&mut unit, &grant, if grant.docker { 8192 } else { 256 });
    install(&mut unit);
    unit.0
}

/// The broker's unit. It is ready once it has its streams, so that nobody finds it without.
pub fn broker_unit() -> String {
    let worker = Worker::Bus;
    let grant = worker.spec().grant;
    let mut unit = Unit::new("DECNET broker: nats-server with one key a worker");
    unit.set("PartOf", TARGET);
    unit.set("StartLimitIntervalSec", 0);
    unit.section("Service");
    unit.set("Type", "exec");
    unit.set("ExecStart", format!("{BIN}/nats-server -c {KEYS}/nats.conf"));
    // The stream of last beats is in memory and dies with the server; a failure here must not take the broker down. As root
    // outside of the walls, because systemd (252) hands credentials to the main process only.
    unit.set("ExecStartPost", format!("-+{BIN}/decnet migrate --streams"));
    unit.set("ExecReload", "/bin/kill -HUP $MAINPID");
    unit.set("TimeoutStartSec", 120);
    unit.set("TimeoutStopSec", 30);
    restarts(&mut unit, 1);
    account(&mut unit, worker);
    unit.set("Environment", format!("DECNET_NATS_NKEY_FILE={KEYS}/{}.nk", Worker::Migrate));
    unit.set("Environment", format!("DECNET_STATE_DIR={STATE}/{}", worker.unit_stem()));
    unit.set("StateDirectory", format!("decnet/{}", worker.unit_stem()));
    unit.set("StateDirectoryMode", "0700");
    unit.set("UMask", "0077");
    hide(&mut unit, false, false);
    shut_in(&mut unit, &grant);
    bounds(&mut unit, &grant, 512);
    install(&mut unit);
    unit.0
}

/// The one-shot that brings database and streams up to date before any worker starts.
pub fn migrate_unit() -> String {
    let worker = Worker::Migrate;
    let grant = worker.spec().grant;
    let mut unit = Unit::new("DECNET migrate: database and streams of this version");
    unit.set("PartOf", TARGET);
    unit.set("Wants", Worker::Bus.unit());
    unit.set("After", Worker::Bus.unit());
    unit.section("Service");
    unit.set("Type", "oneshot");
    unit.set("RemainAfterExit", "yes");
    unit.set("TimeoutStartSec", 600);
    unit.set("ExecStart", format!("{BIN}/decnet migrate"));
    account(&mut unit, worker);
    unit.set("LoadCredential", format!("nkey:{KEYS}/{worker}.nk"));
    unit.set("Environment", "DECNET_NATS_NKEY_FILE=%d/nkey");
    places(&mut unit, worker, &grant);
    shut_in(&mut unit, &grant);
    bounds(&mut unit, &grant, 64);
    install(&mut unit);
    unit.0
}

/// What `decnet.target` wants: every unit of this release.
pub fn target_units() -> Vec<String> {
    let workers = Worker::BUILT_IN_START_ORDER.iter().map(|worker| worker.unit());
    let mut units: Vec<_> = workers.collect();
    let behind_the_broker =
        Worker::BUILT_IN_START_ORDER.iter().take_while(|w| w.spec().stage == Stage::Broker).count();
    units.insert(behind_the_broker, "decnet-migrate.service".to_owned());
    units
}

/// `decnet.target`. Its members are part of it, so stopping it stops them.
pub fn target() -> String {
    let mut unit = Unit::new("DECNET: everything of this machine");
    for member in target_units() {
        unit.set("Wants", member);
    }
    unit.section("Install");
    unit.set("WantedBy", "multi-user.target");
    unit.0
}

fn restarts(unit: &mut Unit, pause: u32) {
    unit.set("Restart", "on-failure");
    unit.set("RestartSec", pause);
    // EX_CONFIG: a schema that does not fit; a restart cannot help.
    unit.set("RestartPreventExitStatus", 78);
}

fn account(unit: &mut Unit, worker: Worker) {
    unit.set("User", user_of(worker));
    unit.set("Group", GROUP);
}

/// Its own folder, and what it may see and change of the shared ones.
fn places(unit: &mut Unit, worker: Worker, grant: &Grant) {
    let own = worker.unit_stem();
    unit.set("StateDirectory", format!("decnet/{own}"));
    unit.set("StateDirectoryMode", "0700");
    if grant.docker {
        unit.set("Environment", format!("DECNET_STATE_DIR={STATE}"));
        unit.set("ReadWritePaths", STATE);
        unit.set("UMask", "0027");
        return;
    }
    unit.set("Environment", format!("DECNET_STATE_DIR={STATE}/{own}"));
    unit.set("Environment", format!("DECNET_STATE_FILE={STATE}/decnet-state.json"));
    unit.set("Environment", format!("DECNET_ARTIFACTS_ROOT={STATE}/artifacts"));
    unit.set("UMask", "0077");
    if worker.spec().database {
        unit.set("ReadWritePaths", format!("-{STATE}/database"));
    }
    if worker == Worker::Api {
        unit.set("ReadWritePaths", format!("-{PERSONAS}"));
    }
    hide(unit, worker.spec().database, grant.artifacts);
}

/// The shared folders that are none of its business.
fn hide(unit: &mut Unit, database: bool, artifacts: bool) {
    let folders = [("database", database), ("artifacts", artifacts), ("deckies", false), ("agent", false)];
    for (folder, _) in folders.iter().filter(|(_, needed)| !needed) {
        unit.set("InaccessiblePaths", format!("-{STATE}/{folder}"));
    }
}

/// The walls. What a grant opens is opened, everything else stays shut.
fn shut_in(unit: &mut Unit, grant: &Grant) {
    let capabilities = grant.capabilities.join(" ");
    unit.set("CapabilityBoundingSet", &capabilities);
    // Root has what the bounding set leaves by itself.
    unit.set("AmbientCapabilities", if grant.docker { "" } else { &capabilities });
    for wall in [
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "ProtectKernelModules",
        "ProtectKernelLogs",
        "ProtectControlGroups",
        "ProtectClock",
        "ProtectHostname",
        "RestrictRealtime",
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "RemoveIPC",
    ] {
        unit.set(wall, "yes");
    }
    unit.set("ProtectSystem", "strict");
    // This filter cannot look into `openat2` and refuses it altogether, and that call is what keeps whoever opens an
    // intruder's files beneath their folder. Without it a worker could at most lend out its own user.
    unit.set("RestrictSUIDSGID", if grant.docker || grant.artifacts { "no" } else { "yes" });
    // A user namespace would make every capability one over nothing.
    unit.set("PrivateUsers", if grant.capabilities.is_empty() { "yes" } else { "no" });
    if grant.docker {
        // It looks into the processes of containers and enters their network namespaces.
        unit.set("ProtectProc", "default");
        unit.set("ProcSubset", "all");
        unit.set("RestrictNamespaces", "net mnt");
        // The host's link among the deckies must not speak IPv6, which only a file of /proc/sys can tell it.
        unit.set("ProtectKernelTunables", "no");
    } else {
        unit.set("ProtectProc", "invisible");
        unit.set("ProcSubset", "pid");
        unit.set("RestrictNamespaces", "yes");
        unit.set("ProtectKernelTunables", "yes");
    }
    let families: Vec<_> = ["AF_UNIX", "AF_INET", "AF_INET6"].iter().chain(grant.families).copied().collect();
    unit.set("RestrictAddressFamilies", families.join(" "));
    if !grant.egress {
        unit.set("IPAddressDeny", "any");
        unit.set("IPAddressAllow", "localhost");
    }
    unit.set("SystemCallArchitectures", "native");
    if grant.docker {
        unit.set("SystemCallFilter", "@system-service fanotify_init fanotify_mark umount2");
        unit.set("SystemCallFilter", "~@resources");
    } else {
        unit.set("SystemCallFilter", "@system-service");
        unit.set("SystemCallFilter", "~@privileged @resources");
    }
    unit.set("SystemCallErrorNumber", "EPERM");
}

fn bounds(unit: &mut Unit, grant: &Grant, tasks: u32) {
    unit.set("MemoryMax", format!("{}M", grant.memory_mib));
    unit.set("TasksMax", tasks);
    unit.set("LimitNOFILE", 16384);
}

fn install(unit: &mut Unit) {
    unit.section("Install");
    unit.set("WantedBy", TARGET);
}
