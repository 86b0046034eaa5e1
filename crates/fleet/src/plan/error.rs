//! Why a deployment cannot be planned. All reasons in one go, each with the decky (and INI line) that it is about.

use std::{fmt, net::Ipv4Addr};

use decnet_core::DeckyName;
use ipnet::Ipv4Net;

use crate::{
    addressing::PoolError,
    catalogue::{Port, ServiceProblem, SettingProblem, known_archetypes, known_distros},
    spec::MAX_DECKIES,
};

/// Every reason why a deployment cannot be planned; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PlanErrors(pub Vec<PlanError>);

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError {
    /// The decky that it is about; `None` for the deployment as a whole.
    pub decky: Option<DeckyName>,
    /// Line of that decky's section in the INI.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: PlanProblem,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, &self.decky) {
            (Some(line), Some(decky)) => write!(f, "line {line} [{decky}]: {}", self.problem),
            (None, Some(decky)) => write!(f, "{decky}: {}", self.problem),
            (_, None) => write!(f, "{}", self.problem),
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanProblem {
    /// Nothing to deploy.
    #[error("no decky: name at least one")]
    NoDeckies,
    /// More than a host could bear.
    #[error("{0} deckies: at most {MAX_DECKIES} in one deployment")]
    TooMany(usize),
    /// Two deckies of one name.
    #[error("this name is used twice: give each decky its own")]
    DuplicateName,
    /// Two deckies of one address.
    #[error("address {ip} is also asked for by {other}: give each decky its own")]
    DuplicateAddress {
        /// The address.
        ip: Ipv4Addr,
        /// Who has it.
        other: DeckyName,
    },
    /// A named address that cannot be handed out.
    #[error("{0}")]
    Address(#[from] AddressProblem),
    /// A service that cannot be deployed.
    #[error("{0}")]
    Service(#[from] ServiceProblem),
    /// A setting that a service refuses.
    #[error("{service}.{problem}")]
    Setting {
        /// The service.
        service: String,
        /// What it refuses.
        problem: SettingProblem,
    },
    /// No such archetype.
    #[error("unknown archetype {0:?}: known are {known}", known = known_archetypes())]
    UnknownArchetype(String),
    /// None of an archetype's services is built yet.
    #[error(
        "none of the services of archetype {archetype} ({services}) is built yet: choose another, or list services"
    )]
    ArchetypeNotBuilt {
        /// The archetype.
        archetype: String,
        /// Its services.
        services: String,
    },
    /// No such distribution.
    #[error("unknown distribution {0:?}: known are {known}", known = known_distros())]
    UnknownDistro(String),
    /// No shell image of a distribution on the host.
    #[error(
        "it offers a login and there is no shell image of {0} on this host: make one with `decnet images build {0}`, name a distribution that has one, or leave ssh and telnet out"
    )]
    NoShellImage(String),
    /// Two services of one decky want one port.
    #[error("services {first} and {second} both listen on {port}: leave one out")]
    PortClash {
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// What both want.
        port: Port,
    },
    /// Too few addresses.
    #[error("{0}")]
    Pool(#[from] PoolError),
    /// Others have one address after the other.
    #[error(
        "one chosen address of {0} after the other turns out to be taken: name free ones with ip=, or begin elsewhere with --ip-start"
    )]
    CrowdedLan(Ipv4Net),
    /// No LAN known.
    #[error(
        "no subnet: none was named and none was detected; give --subnet and --interface, or net= and interface= in [general]"
    )]
    NoSubnet,
    /// A LAN under the process runtime.
    #[error(
        "the process runtime serves on loopback addresses only and {0} is none: leave the range and addresses out, name one inside 127.0.0.0/8, or use --runtime docker"
    )]
    NotLoopback(Ipv4Net),
    /// A custom image under the process runtime.
    #[error("service {0} is an image of yours and the process runtime runs none: use --runtime docker")]
    CustomNeedsDocker(String),
}

/// Why a named address cannot be handed out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressProblem {
    /// Not of the subnet.
    #[error("address {ip} is outside the subnet {subnet}")]
    Outside {
        /// The address.
        ip: Ipv4Addr,
        /// The subnet.
        subnet: Ipv4Net,
    },
    /// Somebody's by definition.
    #[error("address {ip} is reserved: it is {what}")]
    Reserved {
        /// The address.
        ip: Ipv4Addr,
        /// Whose.
        what: &'static str,
    },
    /// Somebody's by observation.
    #[error("address {0} is in use by another machine, topology or host: choose another")]
    InUse(Ipv4Addr),
}
