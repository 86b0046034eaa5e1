//! The test kit: the real system on this machine's loopback, and real clients that break into it.
//!
//! Used by the end-to-end suite (`tests/it`), by `cargo xtask demo` and by `cargo xtask bench`. It knows DECNET only from
//! outside: programs, their output, the API.

pub mod api;
pub mod intruder;
pub mod stack;
pub mod wait;

pub use api::Api;
pub use stack::Stack;
pub use wait::eventually;
