//! The webhook worker: one durable consumer of `SIEM`, one task and one HTTP client a subscription, so that a dead receiver
//! stops only itself. What a receiver does not take waits in the stream; what it refuses for good becomes a dead letter.
//!
//! * [`run`]: which subscriptions there are; starts, tells and ends their tasks.
//! * `deliver`: the task of one subscription. `post`: one try. `letters`: dead letters that shall be sent again.
//! * `trial`: answers those who want to try a receiver, because only this worker may call out.
//!
//! It deliberately decides neither what is wished for nor what an answer means (`alerts`), nor which addresses may be called
//! (`outbound`), and it changes no setting of a subscription.

mod deliver;
mod health;
mod job;
mod letters;
mod pace;
mod post;
mod supervise;
mod trial;

pub use pace::Pace;
pub use supervise::run;
