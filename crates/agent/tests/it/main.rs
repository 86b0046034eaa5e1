//! The agent as a process, with a real broker, database and decoys.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod drift;
mod ground;
mod life;
mod lines;
mod verbs;
