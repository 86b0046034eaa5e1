//! The repositories against real databases: SQLite always, PostgreSQL and MariaDB/MySQL when
//! `DECNET_TEST_POSTGRES_URL` and `DECNET_TEST_MARIADB_URL` name a server on which databases may be made.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod access;
mod concurrency;
mod fleet;
mod ingest;
mod life;
mod lines;
mod logs;
mod outbox;
mod place;
mod schema;
mod webhooks;
