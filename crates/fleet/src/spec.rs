//! What the operator asked for, before addresses, names and faces are chosen. Made by [`crate::ini`] or
//! [`crate::flags`], changed by neither the plan nor the runtime.
//!
//! Choices left open stay open here (`Random`): the plan settles them from the fleet secret.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use decnet_core::DeckyName;
use ipnet::Ipv4Net;

use crate::{config::Mode, persona::Person};

/// Most deckies of one deployment; the budget of a host is far below.
pub const MAX_DECKIES: usize = 1000;

/// The service settings of one decky: service slug to key to value.
pub type ServiceSettings = BTreeMap<String, BTreeMap<String, String>>;

/// A whole deployment as the operator asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetSpec {
    /// One host or a swarm.
    pub mode: Mode,
    /// The LAN; `None` takes the detected one (or the keyed loopback range of the process runtime).
    pub subnet: Option<Ipv4Net>,
    /// Its gateway.
    pub gateway: Option<Ipv4Addr>,
    /// The parent interface.
    pub interface: Option<String>,
    /// First address to hand out.
    pub ip_start: Option<Ipv4Addr>,
    /// `ipvlan` instead of macvlan.
    pub ipvlan: bool,
    /// Minutes between mutations. The outer `None` takes the default, `Some(None)` means never.
    pub mutate_interval: Option<Option<u32>>,
    /// Forensic log file.
    pub log_file: Option<PathBuf>,
    /// The deckies, in order.
    pub deckies: Vec<DeckySpec>,
    /// Services that the operator brings as images.
    pub custom_services: Vec<CustomServiceSpec>,
    /// The operator's own people; empty = invented ones. Accounts of the deckies are theirs, and the domain of most of them is
    /// the company's.
    pub staff: Vec<Person>,
    /// What was ignored or looks unintended, for the operator to read.
    pub warnings: Vec<String>,
}

impl FleetSpec {
    /// True if a named address or range cannot be served on loopback, so only a container engine will do.
    pub fn needs_lan(&self) -> bool {
        let named = self.subnet.map(|net| net.network());
        let addresses = self.deckies.iter().filter_map(|d| d.ip);
        named.into_iter().chain(addresses).any(|ip| !ip.is_loopback()) || !self.custom_services.is_empty()
    }

    /// Addresses that the operator named.
    pub fn explicit_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.deckies.iter().filter_map(|d| d.ip.map(IpAddr::V4))
    }
}

/// One decky as the operator asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeckySpec {
    /// Its name.
    pub name: DeckyName,
    /// The group (`amount=`) that it is a member of.
    pub group: Option<DeckyName>,
    /// Its address, if named.
    pub ip: Option<Ipv4Addr>,
    /// What it serves.
    pub services: ServiceChoice,
    /// The bundle that it is made after.
    pub archetype: Option<String>,
    /// Its distribution.
    pub distro: DistroChoice,
    /// Settings by service.
    pub service_config: ServiceSettings,
    /// OS family of the network stack; `None` takes the archetype's.
    pub nmap_os: Option<String>,
    /// Minutes between mutations; `None` takes the fleet's.
    pub mutate_interval: Option<u32>,
    /// Line of its section in the INI.
    pub line: Option<usize>,
}

impl DeckySpec {
    /// A decky with everything left open.
    pub fn new(name: DeckyName) -> Self {
        Self {
            name,
            group: None,
            ip: None,
            services: ServiceChoice::Open,
            archetype: None,
            distro: DistroChoice::Rotate,
            service_config: ServiceSettings::new(),
            nmap_os: None,
            mutate_interval: None,
            line: None,
        }
    }
}

/// What a decky serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceChoice {
    /// These, in this order.
    Listed(Vec<String>),
    /// The archetype's; without one, one to three at random.
    Open,
}

/// Which distribution a decky shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DistroChoice {
    /// This one.
    Fixed(String),
    /// The archetype's list (or all) by index.
    Rotate,
    /// One of all, drawn from the fleet secret.
    Random,
}

/// A service that the operator brings as an image (`[custom-<name>]`). Containers only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomServiceSpec {
    /// The slug by which deckies name it.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Its command line, split at blanks.
    pub command: Vec<String>,
    /// Its TCP ports.
    pub ports: Vec<u16>,
    /// Line of its section in the INI.
    pub line: Option<usize>,
}
