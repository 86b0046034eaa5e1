//! How the text of a setting becomes a typed value, and the value types that settings need beyond the plain ones.
//!
//! Knows nothing of where the text came from: a refusal is a plain sentence, its key and origin are added by the loader.

use std::{net::IpAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use decnet_bus::BusType;
use decnet_core::HostId;
use tracing_subscriber::EnvFilter;

/// A type that a setting's text can be read into.
pub trait SettingValue: Sized {
    /// Reads `text`; the error says what would have been right.
    fn read(text: &str) -> Result<Self, String>;

    /// The value of a setting that is not given at all; `None` when there must be one.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    fn read(text: &str) -> Result<Self, String> {
        T::read(text).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl SettingValue for String {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl SettingValue for PathBuf {
    fn read(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl SettingValue for bool {
    fn read(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("say true or false".to_owned()),
        }
    }
}

impl SettingValue for u16 {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "give a whole number from 0 to 65535".to_owned())
    }
}

impl SettingValue for NonZeroU32 {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "give a whole number from 1 up".to_owned())
    }
}

impl SettingValue for IpAddr {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "give an IPv4 or IPv6 address, such as 127.0.0.1".to_owned())
    }
}

impl SettingValue for HostId {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|e: decnet_core::NameError| e.to_string())
    }
}

impl SettingValue for Vec<String> {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect())
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

/// A span of time given in whole or decimal seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(Duration);

impl Seconds {
    /// The span.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl SettingValue for Seconds {
    fn read(text: &str) -> Result<Self, String> {
        let seconds: f64 = text.parse().map_err(|_| "give a number of seconds, such as 60".to_owned())?;
        match Duration::try_from_secs_f64(seconds) {
            Ok(span) if !span.is_zero() && span <= Duration::from_hours(24 * 365) => Ok(Self(span)),
            _ => Err("give a number of seconds above 0 and at most a year".to_owned()),
        }
    }
}

/// A span of time given in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millis(Duration);

impl Millis {
    /// The span.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl SettingValue for Millis {
    fn read(text: &str) -> Result<Self, String> {
        match text.parse::<u32>() {
            Ok(ms) if ms > 0 => Ok(Self(Duration::from_millis(u64::from(ms)))),
            _ => Err("give a whole number of milliseconds above 0".to_owned()),
        }
    }
}

/// A filter for log lines in the form of `tracing_subscriber::EnvFilter`: `info`, `warn,decnet_bus=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SettingValue for LogFilter {
    fn read(text: &str) -> Result<Self, String> {
        match EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(e) => Err(format!("give a level or target=level list, such as info,decnet_bus=debug ({e})")),
        }
    }
}

/// Declares an enum whose variants are the words that a setting accepts.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $first:literal $(| $more:literal)*),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl SettingValue for $name {
            fn read(text: &str) -> Result<Self, String> {
                match text.to_ascii_lowercase().as_str() {
                    $($first $(| $more)* => Ok(Self::$variant),)+
                    _ => Err(concat!("say one of:", $(" ", $first),+).to_owned()),
                }
            }
        }
    };
}

words! {
    /// What this machine is in the fleet.
    Mode {
        /// Runs the database, the API and every worker.
        Master = "master",
        /// Runs deckies for a master elsewhere.
        Agent = "agent",
    }
}

impl SettingValue for BusType {
    fn read(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "nats" => Ok(Self::Nats),
            "fake" | "memory" => Ok(Self::Fake),
            _ => Err("say one of: nats fake".to_owned()),
        }
    }
}

words! {
    /// What runs the deckies.
    RuntimeKind {
        /// Docker when an engine answers, else processes.
        Auto = "auto",
        /// Containers.
        Docker = "docker",
        /// Child processes on loopback addresses.
        Process = "process",
    }
}

words! {
    /// The shape of log lines on standard error.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_or_refused_with_advice() {
        assert_eq!(bool::read("Off"), Ok(false));
        assert!(bool::read("maybe").unwrap_err().contains("true or false"));
        assert_eq!(Seconds::read("0.5").unwrap().duration(), Duration::from_millis(500));
        for bad in ["0", "-1", "NaN", "inf", "1e300", "soon"] {
            assert!(Seconds::read(bad).is_err(), "{bad}");
        }
        assert_eq!(Vec::<String>::read(" a, ,b "), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(RuntimeKind::read("Docker"), Ok(RuntimeKind::Docker));
        assert!(RuntimeKind::read("podman").unwrap_err().contains("auto docker process"));
        assert!(LogFilter::read("info,decnet_bus=debug").is_ok());
        assert!(LogFilter::read("decnet_bus=loud").is_err());
    }
}
