//! The ground that every crate stands on: typed names, the clock and id source as parameters, the
//! keyed random tree that makes one fleet differ from the next, and the document that a decoy reads.
//!
//! Deliberately without I/O except for reading the fleet secret, and without any protocol, bus or database.

pub mod clock;
pub mod decoy_config;
pub mod ids;
pub mod names;
pub mod secret;
pub mod shell;
pub mod traffic;

pub use clock::{Clock, ManualClock, SystemClock};
pub use decoy_config::{Account, DecoyConfig, HostPersona, ServiceEntry};
pub use ids::{IdSource, SeededIds, SystemIds};
pub use names::{DeckyId, DeckyName, HostId, NameError};
pub use secret::{FleetSecret, SecretError, Seed};
pub use shell::{SessionMark, ShellConfig, ShellLink};
