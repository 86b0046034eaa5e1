//! What runs deckies on one host: the trait [`HostRuntime`]; [`DockerRuntime`], containers with a MAC and an address of the
//! LAN; and [`ProcessRuntime`], which needs neither an engine nor root: decoys as child processes on loopback addresses.
//!
//! It executes and reports. It decides nothing about the fleet, keeps no state file, and speaks on no bus: that is
//! the agent's, the only program that holds a runtime.

pub mod capture;
pub mod containment;
mod docker;
mod error;
mod host_runtime;
pub mod lan;
mod output;
mod process;
mod readable;
mod talk;
mod tree;

pub use docker::{DockerOptions, DockerRuntime, engine_answers};
pub use error::RuntimeError;
pub use host_runtime::{
    DeckyStatus, Deployed, Diverged, Expect, FileRead, FileSpec, FileStat, HostAbilities, HostRuntime,
    MAX_OUTPUT_LINE, OutputItem, OutputLine, OutputRef, OutputStream, Placed, PortChooser, Position, Probe,
    Tidy, TidyOutcome,
};
pub use process::{DEFAULT_PORT_OFFSET, ProcessOptions, ProcessRuntime};
