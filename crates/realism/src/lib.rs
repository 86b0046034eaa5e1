//! What the invented people and machines of a fleet do, and what they leave behind: personas and their hours, a clock of its
//! own for every decky, the planner, file names, texts, logs, mail, and how a language model is asked and believed.
//!
//! Pure: everything comes from a seed, a time and the state that the caller hands in. Nothing here reads a clock, a file or
//! a database, and nothing acts: the orchestrator does, and `decnet lab life` prints the same plan on virtual time.

pub mod action;
pub mod class;
pub mod content;
pub mod hours;
pub mod lab;
pub mod logs;
pub mod mail;
pub mod model;
pub mod mtime;
pub mod persona;
pub mod plan;
pub mod scene;
pub mod words;

/// The generator of every draw here: its stream stays the same over versions.
pub use rand_chacha::ChaCha20Rng as Draw;

pub use self::{
    action::{Action, FileWrite, Planned},
    class::Class,
    persona::{Persona, Pool},
    scene::{Machine, Resident},
};
