//! The HTTP API: what the deception network saw, how its workers are, and the live stream.
//!
//! * [`router()`] is the whole of it: operations with their roles ([`route`]), limits, and [`openapi_json()`].
//! * [`App`] is what they share; it is made from a worker's surroundings by [`server`], or from parts in tests.
//!
//! It deliberately touches no container engine and no decky: what changes the fleet is planned, queued and left to the
//! agent. It decides nothing about what a captured line means: that is the collector's. Text that intruders sent leaves
//! it only inside JSON strings.

pub mod app;
pub mod auth;
mod cache;
mod evidence;
pub mod extract;
pub mod limits;
pub mod live;
pub mod mask;
pub mod problem;
pub mod registry;
pub mod route;
mod router;
pub mod routes;
pub mod server;
mod systemd;
pub mod tasks;

pub use app::{App, Config, Parts, Store};
pub use router::{openapi_json, router};
