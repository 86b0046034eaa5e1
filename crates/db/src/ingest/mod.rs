//! From captured lines to rows: one batch is one transaction, and the same batch twice is the same as once.
//!
//! The collector parses lines and decides what they mean; this family stores them, folds them into attackers, sessions
//! and credentials, and writes the events that follow into the outbox.
//!
//! Batches of all processes pass one after the other (`BEGIN IMMEDIATE` on SQLite, one locked row elsewhere). So a batch
//! may read what exists, add in memory, and write the sums back: no twins, no lost counts, and few round trips.

mod batch;
mod credentials;
mod facts;
mod fold;
mod lines;
mod lookup;
mod save;
mod sums;
mod types;

pub(crate) use batch::lock;
pub use facts::{CapturedCredential, IngestFacts, NewAttacker};
pub use types::{
    IngestBatch, IngestOutcome, NewCredential, NewLog, Origin, RawLine, RejectedLine, SessionFacts,
};
