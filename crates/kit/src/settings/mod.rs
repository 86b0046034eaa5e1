//! Settings: flags > environment > INI file > default, typed, each with its origin.
//!
//! Reads only; nothing here creates a file, a folder or a secret.

mod ini;
mod layer;
mod load;
mod secret;
mod table;
mod value;

#[cfg(test)]
mod tests;

pub use layer::Layer;
pub use load::{DEFAULT_FILE, Effective, FILE_VARIABLE, Loaded, Problem, SettingsError, Sources};
pub use secret::{Address, Secret};
pub use table::{SETTINGS, Setting, Settings, find};
pub use value::{LogFilter, LogFormat, Millis, Mode, RuntimeKind, Seconds, SettingValue};
