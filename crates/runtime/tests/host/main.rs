//! The host's side of a decky on the real kernel: links and addresses, containment, captured files. Everything happens in
//! network namespaces and containers of the tests' own making. Needs root; what cannot run says why.

#![expect(clippy::unwrap_used, reason = "test code: a panic is the report")]

mod capture;
mod container;
mod containment;
mod containment_docker;
mod ground;
mod lan;
