//! From captured lines to rows: one batch is one transaction, and the same batch twice is the same as once.
//!
//! The collector parses lines and decides what they mean; this family stores them, folds them into attackers, sessions
//! and credentials, and writes the events that follow into the outbox.

mod batch;
mod facts;
mod types;

pub(crate) use batch::lock;
pub use facts::{CapturedCredential, IngestFacts, NewAttacker};
pub use types::{
    IngestBatch, IngestOutcome, NewCredential, NewLog, Origin, RawLine, RejectedLine, SessionFacts,
};
