//! The plan of a deployment: every decky with its address, MAC, host name, people, services and containers.
//!
//! [`plan`] is a pure function of its request. A plan carries each decky's own node of the keyed tree (whoever runs
//! the decky needs it) and never the fleet secret. [`Plan::redacted`] is what people and logs get to see.

mod build;
mod containers;
mod diff;
mod draft;
mod error;
mod hash;
mod lan;
mod network;
mod services;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
    path::PathBuf,
};

use decnet_core::{DeckyId, DeckyName, DecoyConfig, FleetSecret, HostId, HostPersona, Seed, ServiceEntry};
use serde::{Deserialize, Serialize};

pub use build::plan;
pub use containers::{
    CONFIG_PATH, ContainerPlan, ContainerRole, Image, Limits, LogLimits, NetworkJoin, exec_target,
};
pub use diff::PlanDiff;
pub use draft::{Draft, Step};
pub use error::{AddressProblem, PlanError, PlanErrors, PlanProblem};
pub use network::{HostFacts, HostNetwork, NetworkDriver, NetworkPlan};

use crate::{
    catalogue::{OsFamily, Port},
    config::{DeckyConfig, DecnetConfig, Mode},
    spec::FleetSpec,
};

/// Version of the plan's shape.
pub const PLAN_SCHEMA: u32 = 1;

/// What runs the deckies of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// Child processes on loopback addresses: low interaction, no root, no container engine.
    Process,
    /// Containers with a MAC and an address of the LAN.
    Docker,
}

impl RuntimeKind {
    /// The runtime of `auto`: containers if an engine answers or the wishes can be met by nothing else.
    pub fn auto(spec: &FleetSpec, engine_answers: bool) -> Self {
        if engine_answers || spec.needs_lan() { Self::Docker } else { Self::Process }
    }

    /// The runtime of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Process, Self::Docker].into_iter().find(|kind| kind.as_str() == word)
    }

    /// The word in settings and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Docker => "docker",
        }
    }
}

/// How a decky is laid out in containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One container for all services, and a shell container beside it where there is an interactive login.
    Single,
    /// The same, and one container for each image of the operator.
    Split,
}

impl Layout {
    /// The word in labels and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Split => "split",
        }
    }
}

/// What tells the containers, networks and host links of one fleet from another's on the same host: eight hexadecimal
/// digits that say nothing of the secret.
pub fn fleet_tag(fleet: &Seed) -> String {
    hex::encode(fleet.child("fleet/tag").bytes::<4>())
}

/// Everything that a plan is a function of.
#[derive(Debug, Clone, Copy)]
pub struct PlanRequest<'a> {
    /// What the operator asked for.
    pub spec: &'a FleetSpec,
    /// The fleet secret; only nodes below it reach the plan.
    pub secret: &'a FleetSecret,
    /// What will run it.
    pub runtime: RuntimeKind,
    /// Number of this deployment, one more than the last.
    pub generation: u64,
    /// The host that will run it.
    pub host: &'a HostId,
    /// What was detected of the host's LAN; `None` under the process runtime.
    pub detected: Option<&'a HostNetwork>,
    /// Addresses that others have (other topologies, shards, responders): never handed out.
    pub used: &'a HashSet<IpAddr>,
    /// The deployment that this one replaces: a decky of the same name keeps its address, distribution and drawn services
    /// where the wishes leave them open.
    pub previous: Option<&'a DecnetConfig>,
    /// Distributions that the host has a shell image for; `None` where nobody knows (a dry run). Deckies with a login get
    /// one of them where the wishes leave it open. Means nothing to the process runtime.
    pub shells: Option<&'a BTreeSet<String>>,
}

/// A whole deployment, ready to be carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_SCHEMA`].
    pub schema: u32,
    /// Number of this deployment.
    pub generation: u64,
    /// The host that runs it.
    pub host: HostId,
    /// [`fleet_tag`]; empty in a plan file of a version that knew none.
    #[serde(default)]
    pub fleet: String,
    /// What runs it.
    pub runtime: RuntimeKind,
    /// One host or a swarm.
    pub mode: Mode,
    /// Networks to make or reuse.
    pub networks: Vec<NetworkPlan>,
    /// Minutes between mutations; `None` for never.
    pub mutate_interval: Option<u32>,
    /// Forensic log file.
    pub log_file: Option<PathBuf>,
    /// The deckies, in the operator's order.
    pub deckies: Vec<DeckyPlan>,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// One decky, ready to be started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeckyPlan {
    /// `<host>:<name>`.
    pub id: DeckyId,
    /// SHA-256 of everything that would need a restart if it changed.
    pub plan_hash: String,
    /// Its record for the state file and the tables.
    pub config: DeckyConfig,
    /// Its hardware address, in the vendor's range.
    pub mac: String,
    /// OS family whose stack it shows.
    pub os_family: OsFamily,
    /// Kernel settings of that stack.
    pub sysctls: BTreeMap<String, String>,
    /// Who it pretends to be, planted people included.
    pub persona: HostPersona,
    /// This decky's node of the keyed tree.
    pub seed: Seed,
    /// What listens where.
    pub services: Vec<ServicePlan>,
    /// How its containers are laid out.
    pub layout: Layout,
    /// Its containers; the first holds the address. Under the process runtime, its process.
    pub containers: Vec<ContainerPlan>,
}

/// One service of a decky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePlan {
    /// Slug of the catalogue or of a custom service.
    pub slug: String,
    /// The ports that it really listens on.
    pub ports: Vec<Port>,
    /// Its settings, checked against the catalogue.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// True if an image of the operator serves it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub custom: bool,
}

/// Where a runtime puts a decoy: what the plan cannot know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DecoyPlacement {
    /// Addresses to listen on; empty takes the decky's own.
    pub bind: Vec<IpAddr>,
    /// Added to each standard port.
    pub port_base: u16,
    /// Folder for captured files.
    pub artifacts: Option<PathBuf>,
    /// Folder that stands for `/`.
    pub root: Option<PathBuf>,
    /// True if the decky's shell container runs beside it.
    pub shell: bool,
}

impl ServicePlan {
    /// Whether it is a built-in service that offers an interactive login.
    pub fn is_login(&self) -> bool {
        !self.custom && matches!(self.slug.as_str(), "ssh" | "telnet")
    }
}

impl DeckyPlan {
    /// The decky's name.
    pub fn name(&self) -> &DeckyName {
        &self.config.name
    }

    /// The decky's address.
    pub fn ip(&self) -> IpAddr {
        self.config.ip
    }

    /// The document to start its decoy with.
    pub fn decoy_config(&self, placement: &DecoyPlacement) -> DecoyConfig {
        let bind = if placement.bind.is_empty() { vec![self.config.ip] } else { placement.bind.clone() };
        let services = self.services.iter().filter(|s| !s.custom);
        DecoyConfig {
            decky: self.config.name.clone(),
            persona: self.persona.clone(),
            seed: self.seed.clone(),
            services: services
                .map(|service| ServiceEntry {
                    slug: service.slug.clone(),
                    bind: bind.clone(),
                    port_base: placement.port_base,
                    settings: service.settings.clone(),
                })
                .collect(),
            artifacts: placement.artifacts.clone(),
            root: placement.root.clone(),
            shell: placement.shell.then(|| decnet_core::ShellLink::of(&self.seed)),
        }
    }
}

impl Plan {
    /// The decky of this name.
    pub fn decky(&self, name: &str) -> Option<&DeckyPlan> {
        self.deckies.iter().find(|d| d.name().as_str() == name)
    }

    /// The record for the state file and the tables.
    pub fn config(&self) -> DecnetConfig {
        let network = self.networks.first();
        DecnetConfig {
            mode: self.mode,
            interface: network.and_then(|n| n.parent.clone()).unwrap_or_else(|| "lo".to_owned()),
            subnet: network.map_or_else(network::nowhere, |n| n.subnet.into()),
            gateway: network.and_then(|n| n.gateway).map(IpAddr::V4),
            deckies: self.deckies.iter().map(|d| d.config.clone()).collect(),
            log_file: self.log_file.as_ref().map(|p| p.display().to_string()),
            ipvlan: network.is_some_and(|n| n.driver == NetworkDriver::Ipvlan),
            mutate_interval: self.mutate_interval,
        }
    }

    /// The plan for eyes and logs: decky seeds are blanked out. Planted passwords stay, the operator needs them.
    pub fn redacted(&self) -> serde_json::Result<serde_json::Value> {
        let mut value = serde_json::to_value(self)?;
        for decky in value["deckies"].as_array_mut().into_iter().flatten() {
            decky["seed"] = serde_json::Value::from("redacted");
        }
        Ok(value)
    }

    /// What carrying out `self` changes about `old`.
    pub fn diff(&self, old: Option<&Self>) -> PlanDiff {
        diff::diff(old, self)
    }

    /// Takes the decky of this name out, with its host route. True if there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(at) = self.deckies.iter().position(|d| d.name().as_str() == name) else { return false };
        let ip = self.deckies.remove(at).ip();
        for network in &mut self.networks {
            network.routes.retain(|route| IpAddr::V4(route.addr()) != ip);
        }
        true
    }
}
