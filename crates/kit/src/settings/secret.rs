//! Values that must not show: secrets, and URLs that may carry one.
//!
//! Hides them from logs, reports and `Debug`; it does not wipe memory.

use std::fmt;

use super::SettingValue;

/// A value that is never printed. `expose` is the one way out, so that its uses can be found.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl SettingValue for Secret {
    fn read(text: &str) -> Result<Self, String> {
        Ok(Self::new(text))
    }
}

/// A service's URL, which may carry a password or token: printing it hides that part.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Wraps `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The whole URL, with what it carries.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a password or token stands in it.
    pub fn carries_secret(&self) -> bool {
        self.to_string() != self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One setting may name several servers: `nats://a:b@one,nats://two`.
        for (at, url) in self.0.split(',').enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
            let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            match authority.rsplit_once('@') {
                Some((user, _)) => {
                    let host = rest.get(user.len() + 1..).unwrap_or_default();
                    match user.split_once(':') {
                        Some((name, _)) => write!(f, "{comma}{scheme}{name}:***@{host}")?,
                        // NATS takes a lone user part as its token.
                        None if scheme.starts_with("nats") || scheme.starts_with("tls") => {
                            write!(f, "{comma}{scheme}***@{host}")?;
                        }
                        None => write!(f, "{comma}{url}")?,
                    }
                }
                None => write!(f, "{comma}{url}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl SettingValue for Address {
    fn read(text: &str) -> Result<Self, String> {
        if text.contains("://") || text.starts_with("sqlite:") {
            Ok(Self::new(text))
        } else {
            Err("give a URL with its scheme, such as sqlite:///var/lib/decnet/decnet.db or nats://127.0.0.1:4222"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_hides_passwords_and_tokens_and_nothing_else() {
        for (url, shown) in [
            ("sqlite:///var/lib/decnet/decnet.db?mode=rwc", "sqlite:///var/lib/decnet/decnet.db?mode=rwc"),
            ("postgres://decnet:p@ss:w0rd@db:5432/decnet", "postgres://decnet:***@db:5432/decnet"),
            ("postgres://decnet@db/decnet", "postgres://decnet@db/decnet"),
            ("nats://s3cret@127.0.0.1:4222", "nats://***@127.0.0.1:4222"),
            ("nats://a:b@one:4222,nats://two:4222", "nats://a:***@one:4222,nats://two:4222"),
            ("mysql://u:p@h/db?x=a@b", "mysql://u:***@h/db?x=a@b"),
        ] {
            assert_eq!(Address::new(url).to_string(), shown);
            assert_eq!(Address::new(url).carries_secret(), shown.contains("***"), "{url}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        assert!(!format!("{:?}", Secret::new("hunter2")).contains("hunter2"));
        assert!(!format!("{:?}", Address::new("nats://hunter2@h")).contains("hunter2"));
    }

    #[test]
    fn an_address_needs_its_scheme() {
        assert!(Address::read("localhost").is_err());
        assert!(Address::read("sqlite:decnet.db").is_ok());
    }
}
