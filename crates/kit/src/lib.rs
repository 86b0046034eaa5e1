//! The worker runtime.
pub mod args;
pub mod logging;
pub mod settings;
