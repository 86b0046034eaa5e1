//! The decoy against real clients and hostile input, on loopback addresses.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in its helpers")]

mod container;
mod framework;
mod http;
mod imap;
mod mail;
mod pop3;
mod probe;
mod redis;
mod scene;
mod shell;
mod ssh;
mod terminal;
mod variety;
