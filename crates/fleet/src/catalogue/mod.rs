//! Everything that a decky can be made of, as data: services, archetypes, distributions, stack profiles, vendors.
//!
//! Tables are constants checked by the compiler (no archetype with a port clash) and by golden tests. What a
//! service does behind its port is the decoy's affair.

mod archetype;
mod distro;
mod hostname;
mod os_profile;
mod port;
mod service;
mod setting;
mod system;
mod vendor;

pub use archetype::{Archetype, archetype, archetypes, known_archetypes};
pub use distro::{Distro, distro, distros, known_distros};
pub use hostname::{HostStyle, host_name};
pub use os_profile::{OsFamily, sysctls};
pub use port::{Port, PortInfo, Proto, listening_ports, port_clashes};
pub use service::{
    Service, ServiceProblem, available_services, known_services, require_built, service, services,
};
pub use setting::{CheckedSettings, Setting, SettingKind, SettingProblem, check_settings};
pub use system::face;
pub use vendor::{Vendor, mac_address};
