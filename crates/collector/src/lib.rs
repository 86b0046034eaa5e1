//! The collector's parts: reading a line ([`read`]), the events that follow from a batch ([`events`]), and the loop.
//!
//! Reading is pure: it takes bytes and a clock and decides; only the loop knows bus and database.

mod collect;
pub mod events;
mod own;
pub mod read;

pub use collect::collect;
