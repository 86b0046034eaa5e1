//! Which Redis a distribution ships, and how its releases differ in words and abilities.
//!
//! Versions come from the package lists; the words of 7.0 from Debian's own package, those of other releases from
//! their documentation (docs/fidelity.md says which differences are not reproduced).

use decnet_core::Seed;

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `redis_version`.
    pub version: String,
    /// `major * 100 + minor`, for comparisons.
    pub level: u16,
    /// `redis_build_id`, which all machines with this package share; `None` where it is not known.
    pub build: Option<&'static str>,
    /// `gcc_version`.
    pub gcc: &'static str,
    /// Configuration file of the package.
    pub config_file: &'static str,
    /// `mem_allocator`.
    pub allocator: &'static str,
    /// Valkey's own version, where the distribution replaced Redis.
    pub valkey: Option<&'static str>,
}

/// The release of a distribution.
pub fn of_distro(distro: &str, seed: &Seed) -> Release {
    let debian = |version: &str, level, gcc, allocator, build| Release {
        build: Some(build),
        version: version.to_owned(),
        level,
        gcc,
        config_file: "/etc/redis/redis.conf",
        allocator,
        valkey: None,
    };
    match distro {
        "ubuntu22" => debian("6.0.16", 600, "11.2.0", "jemalloc-5.2.1", "a3fdef44459b3ad6"),
        "ubuntu20" => debian("5.0.7", 500, "9.3.0", "jemalloc-5.2.1", "66bd629f924ac924"),
        "rocky9" => {
            let version =
                seed.child("version").pick(&["6.2.18", "6.2.17", "6.2.7"]).copied().unwrap_or("6.2.18");
            Release {
                version: version.to_owned(),
                level: 602,
                build: None,
                gcc: "11.5.0",
                config_file: "/etc/redis/redis.conf",
                allocator: "jemalloc-5.1.0",
                valkey: None,
            }
        }
        "centos7" => Release {
            version: "3.2.12".to_owned(),
            level: 302,
            build: Some("7897e7d0e13773f"),
            gcc: "4.8.5",
            config_file: "/etc/redis.conf",
            allocator: "jemalloc-3.6.0",
            valkey: None,
        },
        "alpine" => Release {
            version: "7.2.9".to_owned(),
            level: 702,
            build: None,
            gcc: "13.2.1",
            config_file: "/etc/redis.conf",
            allocator: "libc",
            valkey: None,
        },
        "fedora" => Release {
            version: "7.2.6".to_owned(),
            level: 702,
            build: None,
            gcc: "13.3.1",
            config_file: "/etc/redis/redis.conf",
            allocator: "jemalloc-5.3.0",
            valkey: None,
        },
        "arch" => Release {
            version: "7.2.4".to_owned(),
            level: 702,
            build: None,
            gcc: "15.1.1",
            config_file: "/etc/valkey/valkey.conf",
            allocator: "jemalloc-5.3.0",
            valkey: Some("8.1.3"),
        },
        _ => debian("7.0.15", 700, "12.2.0", "jemalloc-5.3.0", "ae4d7c971a948f0"),
    }
}

impl Release {
    /// The same package in another version, such as `7.0.11`; `None` if that is no version.
    #[must_use]
    pub fn in_version(self, text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        let plain = (2..=3).contains(&parts.len())
            && parts
                .iter()
                .all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
        // Valkey's number is another one: an explicit version means Redis.
        plain.then(|| Self {
            version: text.to_owned(),
            level: Self::level_of(text),
            valkey: None,
            build: None,
            ..self
        })
    }

    /// Level of a version text such as `6.2.0`.
    pub fn level_of(text: &str) -> u16 {
        let mut parts = text.split('.').map(|part| part.parse::<u16>().unwrap_or(0));
        let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        major.saturating_mul(100).saturating_add(minor)
    }

    /// At least this level.
    pub fn since(&self, level: u16) -> bool {
        self.level >= level
    }

    /// `unknown command` in the release's words.
    pub fn unknown_command(&self, args: &[Vec<u8>]) -> String {
        let quote = |bytes: &[u8], max: usize| {
            String::from_utf8_lossy(bytes.get(..bytes.len().min(max)).unwrap_or_default()).into_owned()
        };
        let name = quote(args.first().map(Vec::as_slice).unwrap_or_default(), 128);
        if !self.since(500) {
            return format!("ERR unknown command '{name}'");
        }
        let mut shown = String::new();
        for arg in args.iter().skip(1) {
            if shown.len() >= 128 {
                break;
            }
            let arg = quote(arg, 128 - shown.len());
            let (before, after) = if self.since(700) { ("'", "' ") } else { ("`", "`, ") };
            shown.extend([before, &arg, after]);
        }
        if self.since(700) {
            format!("ERR unknown command '{name}', with args beginning with: {shown}")
        } else {
            format!("ERR unknown command `{name}`, with args beginning with: {shown}")
        }
    }

    /// `unknown subcommand` in the release's words.
    pub fn unknown_subcommand(&self, command: &str, sub: &[u8]) -> String {
        let sub = String::from_utf8_lossy(sub.get(..sub.len().min(128)).unwrap_or_default()).into_owned();
        let command = command.to_uppercase();
        if self.since(700) {
            format!("ERR unknown subcommand '{sub}'. Try {command} HELP.")
        } else {
            format!("ERR Unknown subcommand or wrong number of arguments for '{sub}'. Try {command} HELP.")
        }
    }

    /// What AUTH says when no password is set.
    pub fn no_password(&self) -> &'static str {
        if self.since(600) {
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
        } else {
            "ERR Client sent AUTH, but no password is set"
        }
    }

    /// What AUTH says to a wrong password.
    pub fn wrong_password(&self) -> &'static str {
        if self.since(602) {
            "WRONGPASS invalid username-password pair or user is disabled."
        } else if self.since(600) {
            "WRONGPASS invalid username-password pair"
        } else {
            "ERR invalid password"
        }
    }

    /// `invalid expire time` in the release's words.
    pub fn invalid_expire(&self, command: &str) -> String {
        if self.since(700) {
            format!("ERR invalid expire time in '{command}' command")
        } else {
            format!("ERR invalid expire time in {command}")
        }
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;

    #[test]
    fn words_change_with_the_release() {
        let seed = FleetSecret::from_number(1).seed();
        let args = [b"FOO".to_vec(), b"bar".to_vec(), b"baz x".to_vec()];
        let debian = of_distro("debian", &seed);
        // Copied from Debian's redis-server 7.0.15.
        assert_eq!(
            debian.unknown_command(&args),
            "ERR unknown command 'FOO', with args beginning with: 'bar' 'baz x' "
        );
        assert_eq!(
            debian.unknown_subcommand("config", b"FOO"),
            "ERR unknown subcommand 'FOO'. Try CONFIG HELP."
        );
        assert_eq!(
            of_distro("ubuntu20", &seed).unknown_command(&args),
            "ERR unknown command `FOO`, with args beginning with: `bar`, `baz x`, "
        );
        assert_eq!(of_distro("centos7", &seed).unknown_command(&args), "ERR unknown command 'FOO'");
        assert_eq!(of_distro("centos7", &seed).wrong_password(), "ERR invalid password");
        assert_eq!(Release::level_of("6.2.0"), 602);
        assert_eq!(debian.clone().in_version("5.0.14").unwrap().wrong_password(), "ERR invalid password");
        for bad in ["", "7", "7.x", "7.0.0.0", "7.0 ", "1234.0"] {
            assert_eq!(debian.clone().in_version(bad), None, "{bad:?}");
        }
    }
}
