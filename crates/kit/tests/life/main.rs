//! A worker's life against a real nats-server and a migrated SQLite file: in this process where that shows enough, else as a
//! process of its own (`examples/small_worker.rs`) that is signalled, frozen and killed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, also in its helper functions")]

mod ground;
mod inside;
mod process;
mod relay;
