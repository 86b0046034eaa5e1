//! The bus against a real nats-server, and its twin in memory against the same assertions.

mod broker;
mod incidents;
mod net;
mod twin;
