//! The one JSON document that a decoy is given: who it pretends to be and what it serves.
//!
//! `fleet` writes it, the `decoy` binary reads it. It carries the decky's own node of the keyed tree and never
//! the fleet secret: whoever breaks the box learns this one machine.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{DeckyName, Seed, ShellLink};

/// What one decoy process is and serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoyConfig {
    /// HOSTNAME of every log line.
    pub decky: DeckyName,
    /// The machine that all services pretend to be.
    pub persona: HostPersona,
    /// This decky's node of the keyed tree.
    pub seed: Seed,
    /// What listens.
    pub services: Vec<ServiceEntry>,
    /// Where oversize values and captured files go; `None` keeps only their digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<PathBuf>,
    /// The folder that stands for `/` of the decky.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// How to reach the container where logins end; `None` where accounts have no shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<ShellLink>,
}

/// One service of a decoy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceEntry {
    /// Slug of the catalogue, such as `ssh`.
    pub slug: String,
    /// Addresses to listen on.
    pub bind: Vec<IpAddr>,
    /// Added to each of the service's standard ports; 0 where those are allowed.
    #[serde(default)]
    pub port_base: u16,
    /// The service's settings, checked against the catalogue by `fleet`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

/// One host, one story: what every service of a decky says about the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostPersona {
    /// Host name without the domain.
    pub hostname: String,
    /// DNS domain of the invented company.
    pub domain: String,
    /// The invented company.
    pub company: String,
    /// IANA time zone.
    pub timezone: String,
    /// Distribution slug of the catalogue, such as `debian`.
    pub distro: String,
    /// `PRETTY_NAME` of os-release.
    pub os_pretty: String,
    /// `uname -r`.
    pub kernel: String,
    /// Family of the network stack: `linux`, `windows`, ...
    pub os_family: String,
    /// Phase of the machine's boots within their period, in seconds: with the clock it gives the time of the last boot, so
    /// that a restart of the decoy does not set the uptime back.
    pub boot_offset_s: u64,
    /// People with an account on it.
    pub accounts: Vec<Account>,
}

/// A planted account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Login name.
    pub login: String,
    /// Name of the invented person.
    pub full_name: String,
    /// The password that works.
    pub password: String,
    /// Numeric user id.
    pub uid: u32,
    /// Mail address.
    pub email: String,
}
