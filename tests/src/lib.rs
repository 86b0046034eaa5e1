//! The test kit: the real system, on this machine's loopback or on a LAN of its own, and real clients that break into it.
//!
//! Used by the end-to-end suite (`tests/it`), by `cargo xtask demo` and by `cargo xtask bench`. It knows DECNET only from
//! outside: programs, their output, the API.

pub mod api;
pub mod engine;
pub mod intruder;
pub mod lan;
pub mod receiver;
pub mod root_tree;
pub mod stack;
pub mod wait;

pub use api::Api;
pub use stack::Stack;
pub use wait::eventually;
