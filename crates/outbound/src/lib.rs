//! The one checked HTTP client of the house: whatever calls an address that somebody typed in calls through here.
//!
//! * `http` and `https` only, no redirects, no proxies of the environment, one bound on time, one on what is read.
//! * A name is resolved once; every address it has must be public, or within the ranges that were allowed by hand; the
//!   connection goes to the address that was checked, with the name kept for `Host`, SNI and certificate. A name that answers
//!   differently a moment later changes nothing.
//! * Plain `http` only to addresses that were allowed by hand.
//!
//! Deliberately not here: retries, signatures, and any opinion about an answer.

mod client;
mod connect;
mod error;
mod guard;
mod resolve;
mod tls;

pub use client::{Client, MAX_BODY, Options, Response, TIMEOUT};
pub use error::CallError;
pub use guard::{Guard, is_public};
pub use resolve::{Resolve, SystemResolver};
pub use tls::Trust;
