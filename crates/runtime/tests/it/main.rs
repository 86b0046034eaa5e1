//! The runtimes with the real decoy: supervision, adoption, output, files, probes; on processes and on the real engine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod docker;
mod docker_bench;
mod docker_engine;
mod docker_files;
mod docker_life;
mod life;
mod lines;
