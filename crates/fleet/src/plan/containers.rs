//! The containers of a decky: names, labels, limits and rights (spec 5.2, 20.3).
//!
//! Only the shape: which image tag a kind of image has, and how to create it, is the runtime's affair. The process
//! runtime reads nothing but the role.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DeckyPlan, RuntimeKind, ServicePlan};
use crate::{config::DeckyConfig, spec::CustomServiceSpec};

const MIB: u64 = 1024 * 1024;
const LOGS: LogLimits = LogLimits { max_size: 10 * MIB, max_files: 5 };

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerRole {
    /// Holds the address and serves every built-in service.
    Decky,
    /// The file system and shell behind an interactive login.
    Shell,
    /// One service of its own: an image of the operator.
    Service,
}

/// What a container is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Image {
    /// No image: a child process of the agent.
    HostProcess,
    /// The decoy binary and a few static tools.
    Tiny,
    /// A whole distribution with the decoy on top.
    Full {
        /// Distribution slug.
        distro: String,
    },
    /// An image of the operator.
    Custom {
        /// Its reference.
        reference: String,
    },
}

/// How a container is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum NetworkJoin {
    /// An endpoint of its own, with the decky's address and MAC.
    Own {
        /// Network of the plan.
        network: String,
    },
    /// The network namespace of another container.
    SharedWith {
        /// Its name.
        container: String,
    },
}

/// What a container may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: u64,
    /// Billionths of a processor.
    pub nano_cpus: u64,
    /// Processes and threads.
    pub pids: u32,
}

/// How much of its output the engine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLimits {
    /// Bytes of one file.
    pub max_size: u64,
    /// Files.
    pub max_files: u32,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerPlan {
    /// Its name: the decky's, or `<decky>-<service with _ as ->`.
    pub name: String,
    /// What it is for.
    pub role: ContainerRole,
    /// What it is made from.
    pub image: Image,
    /// Its command, if not the image's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// How it is connected.
    pub network: NetworkJoin,
    /// Labels: how we find it again.
    pub labels: BTreeMap<String, String>,
    /// What it may use up.
    pub limits: Limits,
    /// How much of its output is kept.
    pub logs: LogLimits,
    /// Rights that it has; all others are dropped.
    pub cap_add: Vec<String>,
    /// True if setuid files give no rights.
    pub no_new_privileges: bool,
}

/// Where a decoy container finds its document.
pub const CONFIG_PATH: &str = "/etc/decoy.json";

/// The container of a decky in which commands and files of ours belong: the one with the shell, else the one that serves.
pub fn exec_target<S: AsRef<str>>(decky: &str, services: &[S]) -> String {
    let has = |slug: &str| services.iter().any(|s| s.as_ref() == slug);
    match ["ssh", "telnet"].into_iter().find(|slug| has(slug)) {
        Some(login) => format!("{decky}-{login}"),
        None => decky.to_owned(),
    }
}

/// What the shell container may: an intruder who is root in it may do to its own files and processes what root may, and the
/// shell server (process 1) has more than it passes on (`SETPCAP`, to take rights out of reach for good, and those that it
/// then takes), so that root in the shell may not look into it. Nothing that reaches the host, its devices, its network
/// settings or other processes' memory: no `SYS_ADMIN`, `SYS_PTRACE`, `NET_ADMIN`, `NET_RAW`, `MKNOD`, `SYS_MODULE`.
const SHELL_RIGHTS: [&str; 11] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// The containers of a decky, without labels. The first one holds the address.
pub(super) fn of(
    runtime: RuntimeKind,
    config: &DeckyConfig,
    services: &[ServicePlan],
    custom: &BTreeMap<String, CustomServiceSpec>,
    network: &str,
) -> Vec<ContainerPlan> {
    let name = config.name.as_str();
    let first = ContainerPlan {
        name: name.to_owned(),
        role: ContainerRole::Decky,
        image: match runtime {
            RuntimeKind::Process => Image::HostProcess,
            RuntimeKind::Docker => Image::Tiny,
        },
        command: Vec::new(),
        env: BTreeMap::new(),
        network: NetworkJoin::Own { network: network.to_owned() },
        labels: BTreeMap::new(),
        limits: Limits { memory: 64 * MIB, nano_cpus: 500_000_000, pids: 256 },
        logs: LOGS,
        cap_add: vec!["NET_BIND_SERVICE".to_owned()],
        no_new_privileges: true,
    };
    let beside = |suffix: &str, role, image| ContainerPlan {
        name: format!("{name}-{}", suffix.replace('_', "-")),
        role,
        image,
        network: NetworkJoin::SharedWith { container: name.to_owned() },
        ..first.clone()
    };
    let mut containers = vec![first.clone()];
    // Named after ssh where both are there: one shell serves both.
    let login =
        ["ssh", "telnet"].iter().find_map(|slug| services.iter().find(|s| s.slug == *slug && !s.custom));
    if let (RuntimeKind::Docker, Some(login)) = (runtime, login) {
        containers.push(ContainerPlan {
            limits: Limits { memory: 256 * MIB, ..first.limits },
            cap_add: SHELL_RIGHTS.map(str::to_owned).to_vec(),
            // `su` and `sudo` must work as on the real machine.
            no_new_privileges: false,
            ..beside(&login.slug, ContainerRole::Shell, Image::Full { distro: config.distro.clone() })
        });
    }
    for service in services {
        let Some(spec) = custom.get(&service.slug) else { continue };
        let image = Image::Custom { reference: spec.image.clone() };
        containers.push(ContainerPlan {
            command: spec.command.clone(),
            env: BTreeMap::from([
                ("NODE_NAME".to_owned(), name.to_owned()),
                ("HOSTNAME".to_owned(), config.hostname.clone()),
            ]),
            limits: Limits { memory: 256 * MIB, ..first.limits },
            ..beside(&service.slug, ContainerRole::Service, image)
        });
    }
    containers
}

/// Puts the labels on, once the hash is known. Everything that is ours is found by label, never by name.
pub(super) fn label(decky: &mut DeckyPlan, generation: u64, fleet: &str) {
    let built_in: Vec<&str> = decky.services.iter().filter(|s| !s.custom).map(|s| s.slug.as_str()).collect();
    let built_in = built_in.join(",");
    for container in &mut decky.containers {
        let prefix = format!("{}-", decky.config.name);
        let own = container.name.strip_prefix(&prefix).unwrap_or(&container.name);
        let slug = decky.services.iter().map(|s| s.slug.as_str()).find(|s| s.replace('_', "-") == own);
        let service = match container.role {
            ContainerRole::Decky => built_in.as_str(),
            ContainerRole::Shell | ContainerRole::Service => slug.unwrap_or(own),
        };
        let labels = [
            ("decnet.fleet", fleet),
            ("decnet.fleet.service", "true"),
            ("decnet.fleet.decky", decky.config.name.as_str()),
            ("decnet.fleet.service_name", service),
            ("decnet.scope", "fleet"),
            ("decnet.host_uuid", decky.id.host.as_str()),
            ("decnet.generation", &generation.to_string()),
            ("decnet.plan_hash", &decky.plan_hash),
            ("decnet.layout", decky.layout.as_str()),
        ];
        container.labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    }
}
