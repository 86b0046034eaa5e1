//! The bus against a real nats-server, and its twin in memory against the same assertions.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by failing")]

mod broker;
mod incidents;
mod net;
mod rights;
mod siem;
mod twin;
