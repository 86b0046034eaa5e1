//! Settings: flags > environment > INI file > default, typed, each with its origin.
//!
//! Reads only; nothing here creates a file, a folder or a secret.

mod ini;
mod load;
mod table;
mod value;

#[cfg(test)]
mod tests;

pub use load::{DEFAULT_FILE, Effective, FILE_VARIABLE, Layer, Loaded, Problem, SettingsError, Sources};
pub use table::{SETTINGS, Setting, Settings, find};
pub use value::{Address, LogFilter, LogFormat, Millis, Mode, RuntimeKind, Seconds, Secret, SettingValue};
