//! The worker runtime: what every worker gets, so that each worker's own crate is its arguments, its wiring and one loop.
//!
//! * [`settings`]: flags > environment > INI file > default, with origin.
//! * [`logging`]: text or JSON lines on standard error.
//! * [`run`]: bus, database, heartbeat, control, readiness, watchdog, and a stop that ends within a bound.
//! * [`Wakeups`]: passes by timer or event, bursts folded, own events ignored.
//! * [`outbox`]: events that were committed with the rows they speak of, published once the broker takes them.
//!
//! It deliberately knows no worker's business, opens no port, and never migrates a database or provisions a broker.
//! `examples/small_worker.rs` is a whole worker.

pub mod args;
mod control;
mod ctx;
mod database;
mod heartbeat;
mod life;
pub mod logging;
pub mod outbox;
pub mod personas;
pub mod progress;
mod readiness;
pub mod retry;
mod run;
pub mod settings;
mod signs;
mod wake;

pub use args::CommonArgs;
pub use control::ControlReply;
pub use ctx::Ctx;
pub use database::{Database, DatabaseError};
pub use heartbeat::Extra;
pub use life::run_in;
pub use outbox::Outbox;
pub use progress::{Notifier, Progress};
pub use retry::Backoff;
pub use run::{Exit, Parts, Timing, WorkerInfo, run};
pub use settings::Settings;
pub use wake::{Nudge, Wake, Wakeups};
