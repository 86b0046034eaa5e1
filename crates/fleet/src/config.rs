//! The runtime record of a deployment as consumers without a database read it: [`DecnetConfig`] and its
//! [`DeckyConfig`]s (spec 1.2, 1.3), the shapes of the state file and of the `decky_config` column.
//!
//! Nothing here is secret: seeds and planted people are in the plan only.

use std::{collections::BTreeMap, net::IpAddr};

use decnet_core::{DeckyName, HostId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Minutes between mutations where nothing else is said.
pub const DEFAULT_MUTATE_INTERVAL: u32 = 30;

/// One host alone, or a master with enrolled hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Everything on this host.
    #[default]
    Unihost,
    /// Deckies are spread over enrolled hosts.
    Swarm,
}

/// The runtime record of one decky.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeckyConfig {
    /// The decky.
    pub name: DeckyName,
    /// Its address.
    pub ip: IpAddr,
    /// Slugs of what it serves, at least one.
    pub services: Vec<String>,
    /// Distribution slug.
    pub distro: String,
    /// Image of the address-holding container in layout *split*.
    pub base_image: String,
    /// Image that service builds of the original started from; kept for its readers.
    #[serde(default = "default_build_base")]
    pub build_base: String,
    /// What the machine calls itself.
    pub hostname: String,
    /// Archetype slug.
    #[serde(default)]
    pub archetype: Option<String>,
    /// Settings by service. Values are text with us; the original also wrote other JSON.
    #[serde(default)]
    pub service_config: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
    /// OS family for stack spoofing.
    #[serde(default = "default_nmap_os")]
    pub nmap_os: String,
    /// Minutes between mutations; `None` takes the fleet's.
    #[serde(default)]
    pub mutate_interval: Option<u32>,
    /// Seconds since 1970 of the last mutation, 0 for never.
    #[serde(default)]
    pub last_mutated: f64,
    /// Written by nothing, read by old consumers.
    #[serde(default)]
    pub last_login_attempt: f64,
    /// The enrolled host that runs it; `None` on a fleet of one host.
    #[serde(default)]
    pub host_uuid: Option<HostId>,
}

impl DeckyConfig {
    /// The host that runs it.
    pub fn host(&self) -> HostId {
        self.host_uuid.clone().unwrap_or_default()
    }

    /// The shape of the canary baseline: Windows-like paths or not (spec 6.4).
    pub fn is_windows(&self) -> bool {
        self.nmap_os.to_ascii_lowercase().starts_with("win")
    }
}

/// The runtime record of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecnetConfig {
    /// One host or a swarm.
    pub mode: Mode,
    /// The LAN interface; `lo` under the process runtime.
    pub interface: String,
    /// The LAN.
    pub subnet: IpNet,
    /// Its gateway; `None` on loopback ranges. The original always wrote one.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// The deckies, at least one.
    pub deckies: Vec<DeckyConfig>,
    /// Forensic log file, if the operator named one.
    #[serde(default)]
    pub log_file: Option<String>,
    /// `ipvlan` instead of macvlan.
    #[serde(default)]
    pub ipvlan: bool,
    /// Minutes between mutations; `None` for never.
    #[serde(default = "default_mutate_interval")]
    pub mutate_interval: Option<u32>,
}

impl DecnetConfig {
    /// The decky of this name.
    pub fn decky(&self, name: &str) -> Option<&DeckyConfig> {
        self.deckies.iter().find(|d| d.name.as_str() == name)
    }
}

fn default_build_base() -> String {
    "debian:bookworm-slim".to_owned()
}

fn default_nmap_os() -> String {
    "linux".to_owned()
}

// The field is nullable, so its default must be one too.
#[expect(clippy::unnecessary_wraps, reason = "serde's default must have the field's type")]
fn default_mutate_interval() -> Option<u32> {
    Some(DEFAULT_MUTATE_INTERVAL)
}
