//! Life injection in its smallest honest form: connections between deckies and files that their people leave behind.
//!
//! Deciding ([`decide`]) is pure: it takes the deckies, a node of the keyed tree and a time, and returns one action.
//! Acting goes through the agent. Edits, mail, work hours and language models are a later issue's.

pub mod content;
pub mod decide;
mod orchestrate;

pub use orchestrate::orchestrate;
