//! The reconciler: looks at what should run, what runs and what the database says, and writes what has drifted (spec 8).
//!
//! It reads the state file, asks the agent what runs, and writes rows with their events; it starts and removes nothing itself.
//! The comparison is `decnet_fleet::reconcile`'s.

mod pass;
mod sight;

pub use pass::{Reconciler, Report};
pub use sight::{Sight, observation};
