//! The operations, one file per subject. Each handler names its role first; see [`crate::route`].

pub mod artifacts;
pub mod attackers;
pub mod auth;
pub mod credentials;
pub mod deckies;
pub mod deploy;
pub mod health;
pub mod life_stream;
pub mod logs;
pub mod orchestrator;
pub mod page;
pub mod realism;
pub mod sessions;
pub mod stats;
pub mod stream;
pub mod synthetic_files;
pub mod transcripts;
pub mod users;
pub mod webhooks;
pub mod workers;
