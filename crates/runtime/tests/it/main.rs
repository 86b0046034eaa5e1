//! The process runtime with the real decoy: supervision, adoption, output, files, probes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod life;
mod lines;
