//! Who calls: passwords, tokens, accounts, the roles as extractors, and the first administrator.

mod accounts;
mod first_admin;
mod guard;
pub mod key;
mod limiter;
mod password;
mod token;

pub use accounts::Accounts;
pub(crate) use accounts::shared;
pub use first_admin::{PASSWORD_FILE, forget_first_password, seed_first_admin};
pub use guard::{AdminUser, AnyUser, Caller, Public, StreamUser, ViewerUser};
pub use limiter::LoginLimiter;
pub use password::{MAX_PASSWORD, MIN_PASSWORD, Passwords};
pub use token::{Login, STREAM_TOKEN_SECONDS, Tokens, Verified};
