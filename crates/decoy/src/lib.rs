//! The decoy: one static binary inside a decky that serves all its protocols.
//!
//! Its only ways out are its lines (RFC 5424, on stdout or in a file) and one artifact folder. It deliberately knows no
//! bus, no database and no container engine: it lives in the hostile box. Names are never resolved.
//!
//! The same binary is process 1 of the container where an intruder's shell runs ([`shell`]); the two meet at a socket.

mod accept;
pub mod admission;
pub mod catalogue;
pub mod cli;
pub mod connection;
pub mod document;
pub mod health;
pub mod host;
pub mod http;
pub mod imap;
pub mod listener;
mod machine;
pub mod mail;
pub mod output;
pub mod persona;
pub mod pop3;
pub mod probe;
pub mod redis;
pub mod report;
pub mod service;
mod session;
pub mod shell;
pub mod ssh;
pub mod stream;

pub use connection::Connection;
pub use report::Report;
pub use service::{Build, BuildError, Service, ServiceContext, SessionError};
pub use stream::Stream;
