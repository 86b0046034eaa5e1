//! The worker as a process, with a real broker, a migrated SQLite file and real receivers. Only its pauses are shorter.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by failing")]

mod answers;
mod changes;
mod outages;
mod receiver;
mod trial;
mod world;
