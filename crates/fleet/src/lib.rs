//! What a fleet is: the catalogue, the operator's wishes (INI or flags), addressing, the plan of a deployment,
//! the state file, and the rules that turn what runs into one state per decky and into the rows of the mirror.
//!
//! A plan is a pure function of its request: no clock, no randomness of the machine, no network. The only I/O is
//! the state file ([`state`]). Starting containers or processes is the runtime's affair, not ours.

pub mod addressing;
pub mod catalogue;
pub mod config;
pub mod flags;
pub mod health;
pub mod ini;
pub mod persona;
pub mod plan;
pub mod reconcile;
pub mod spec;
pub mod state;

pub use config::{DeckyConfig, DecnetConfig, Mode};
pub use flags::{FlagError, FlagOptions, from_flags};
pub use health::{DeckyState, ServiceState, aggregate};
pub use ini::{IniError, IniErrors};
pub use plan::{
    DeckyPlan, DecoyPlacement, Draft, HostFacts, HostNetwork, Plan, PlanDiff, PlanError, PlanErrors,
    PlanRequest, RuntimeKind, exec_target, fleet_tag, plan,
};
pub use spec::{DeckySpec, FleetSpec};
pub use state::{StateError, StateFile, StateStore};
