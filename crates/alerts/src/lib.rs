//! Webhook subscriptions as data: which events they want, what is sent, how it is signed, and what follows from the answer.
//!
//! * [`Pattern`], [`SimpleEvent`], [`Selection`]: the wishes of a subscription against the table of public topics.
//! * [`Draft`]: everything about a subscription that can be wrong, told at once.
//! * [`body`], [`sign`]: the bytes of an event and the headers that vouch for them.
//! * [`Outcome`], [`retry_delay`], [`Breaker`]: what follows from a receiver's answer.
//!
//! Deliberately not here: sending (`outbound`), positions in the stream (`bus`), rows (`db`), the loop (`webhook`). Nothing here
//! reads a clock or draws a random number.

mod breaker;
mod dialect;
mod draft;
mod pattern;
mod retry;
mod selection;
mod sign;
mod simple;

pub use breaker::{Breaker, BreakerState, PROBE_AFTER, Permit, THRESHOLD};
pub use dialect::{Dialect, Event, body};
pub use draft::{Draft, Fault, MAX_NAME, MAX_PATTERNS, SECRET_LENGTH, Target, check_secret};
pub use pattern::{MAX_PATTERN, Pattern, PatternError};
pub use retry::{MAX_RETRY_AFTER, Outcome, TRIES_OF_A_ROUND, retry_delay};
pub use selection::{Choice, KnownTopic, Matches, Selection, merge};
pub use sign::{Signed, USER_AGENT, sign};
pub use simple::SimpleEvent;
