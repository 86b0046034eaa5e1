//! The API over real HTTP: a router bound on 127.0.0.1, a migrated SQLite file, and a real nats-server where events matter.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the words of tests stand outside of test functions"
)]

mod auth;
mod degraded;
mod document;
mod evidence;
mod life;
mod lists;
mod roles;
mod stream;
mod users;
mod webhooks;
mod workers;
mod world;
