//! The orchestrator with a real broker, database, agent and decoys; its clock is set by hand.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod crashes;
mod day;
mod ground;
mod mishaps;
