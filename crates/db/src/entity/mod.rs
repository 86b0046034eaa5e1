//! The rows as the tables have them: private to this crate, so that a column may move without its readers noticing.

pub(crate) mod attacker;
pub(crate) mod attacker_command;
pub(crate) mod attacker_decky;
pub(crate) mod attacker_service;
pub(crate) mod content_pool;
pub(crate) mod credential;
pub(crate) mod fleet_decky;
pub(crate) mod life_state;
pub(crate) mod log;
pub(crate) mod orchestrator_email;
pub(crate) mod orchestrator_event;
pub(crate) mod orchestrator_intent;
pub(crate) mod outbox;
pub(crate) mod rejected_line;
pub(crate) mod revoked_token;
pub(crate) mod session;
pub(crate) mod state;
pub(crate) mod synthetic_file;
pub(crate) mod user;
pub(crate) mod webhook;
pub(crate) mod webhook_deadletter;
