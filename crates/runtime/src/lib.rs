//! What runs deckies on one host: the trait [`HostRuntime`], shaped for a container engine as well, and
//! [`ProcessRuntime`], which needs neither an engine nor root: decoys as child processes on loopback addresses.
//!
//! It executes and reports. It decides nothing about the fleet, keeps no state file, and speaks on no bus: that is
//! the agent's, the only program that holds a runtime.

pub mod capture;
pub mod containment;
mod error;
mod host_runtime;
pub mod lan;
mod output;
mod process;
mod readable;

pub use error::RuntimeError;
pub use host_runtime::{
    DeckyStatus, Deployed, FileSpec, HostAbilities, HostRuntime, MAX_OUTPUT_LINE, OutputItem, OutputLine,
    OutputRef, OutputStream, PortChooser, Position, Probe,
};
pub use process::{DEFAULT_PORT_OFFSET, ProcessOptions, ProcessRuntime};
