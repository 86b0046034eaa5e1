//! What the machine's SSH server is: the OpenSSH release of its distribution and how its administrator set it up.
//!
//! russh has neither `sntrup761x25519` nor the `umac` codes, so a distribution's stock lists cannot be offered
//! honestly. Every decky is therefore a *hardened* server: the lists below are those of well-known hardening guides,
//! which a real `sshd` with that configuration sends byte for byte (a test compares them). See `docs/fidelity.md`.

use std::{borrow::Cow, time::Duration};

use decnet_core::{HostPersona, Seed};
use russh::{
    MethodKind, MethodSet, Preferred, cipher, compression, kex,
    keys::{Algorithm, EcdsaCurve, HashAlg},
    mac,
};

/// One distribution's server.
struct Release {
    distro: &'static str,
    /// What follows `SSH-2.0-`, one for each patch level that is in the field.
    versions: &'static [&'static str],
    guides: &'static [&'static Guide],
    /// Whether its default also offers keyboard-interactive.
    keyboard_interactive: bool,
    /// Whether the package knows strict key exchange (CVE-2023-48795).
    strict_kex: bool,
}

/// How the administrator set the server up.
#[derive(Debug)]
pub(super) struct Guide {
    pub(super) kex: &'static [kex::Name],
    pub(super) ciphers: &'static [cipher::Name],
    pub(super) macs: &'static [mac::Name],
    pub(super) max_tries: u32,
    pub(super) grace: Duration,
}

/// The CIS benchmarks for Debian and Ubuntu.
pub(super) const CIS: Guide = Guide {
    kex: &[
        kex::CURVE25519,
        kex::CURVE25519_PRE_RFC_8731,
        kex::DH_G14_SHA256,
        kex::DH_G16_SHA512,
        kex::DH_G18_SHA512,
        kex::ECDH_SHA2_NISTP521,
        kex::ECDH_SHA2_NISTP384,
        kex::ECDH_SHA2_NISTP256,
        kex::DH_GEX_SHA256,
    ],
    ciphers: &[
        cipher::CHACHA20_POLY1305,
        cipher::AES_256_GCM,
        cipher::AES_128_GCM,
        cipher::AES_256_CTR,
        cipher::AES_192_CTR,
        cipher::AES_128_CTR,
    ],
    macs: &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM, mac::HMAC_SHA512, mac::HMAC_SHA256],
    max_tries: 6,
    grace: Duration::from_mins(2),
};

/// The CIS benchmark for Red Hat's family.
pub(super) const CIS_EL: Guide = Guide {
    kex: &[
        kex::CURVE25519,
        kex::CURVE25519_PRE_RFC_8731,
        kex::ECDH_SHA2_NISTP521,
        kex::ECDH_SHA2_NISTP384,
        kex::ECDH_SHA2_NISTP256,
        kex::DH_GEX_SHA256,
    ],
    ..CIS
};

/// The security guide (STIG) for Ubuntu 22.04.
pub(super) const STIG: Guide = Guide {
    kex: &[kex::ECDH_SHA2_NISTP256, kex::ECDH_SHA2_NISTP384, kex::ECDH_SHA2_NISTP521, kex::DH_GEX_SHA256],
    ciphers: &[
        cipher::AES_256_CTR,
        cipher::AES_256_GCM,
        cipher::AES_192_CTR,
        cipher::AES_128_CTR,
        cipher::AES_128_GCM,
    ],
    macs: &[mac::HMAC_SHA512, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA256_ETM],
    max_tries: 6,
    grace: Duration::from_mins(2),
};

/// The FIPS policy of Red Hat's family.
pub(super) const FIPS: Guide = Guide {
    kex: &[
        kex::ECDH_SHA2_NISTP256,
        kex::ECDH_SHA2_NISTP384,
        kex::ECDH_SHA2_NISTP521,
        kex::DH_GEX_SHA256,
        kex::DH_G14_SHA256,
        kex::DH_G16_SHA512,
        kex::DH_G18_SHA512,
    ],
    ciphers: &[cipher::AES_256_GCM, cipher::AES_256_CTR, cipher::AES_128_GCM, cipher::AES_128_CTR],
    macs: &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512],
    max_tries: 6,
    grace: Duration::from_mins(2),
};

const RELEASES: &[Release] = &[
    Release {
        distro: "debian",
        versions: &[
            "OpenSSH_9.2p1 Debian-2+deb12u3",
            "OpenSSH_9.2p1 Debian-2+deb12u4",
            "OpenSSH_9.2p1 Debian-2+deb12u5",
            "OpenSSH_9.2p1 Debian-2+deb12u6",
            "OpenSSH_9.2p1 Debian-2+deb12u7",
        ],
        guides: &[&CIS],
        keyboard_interactive: false,
        strict_kex: true,
    },
    Release {
        distro: "ubuntu22",
        versions: &[
            "OpenSSH_8.9p1 Ubuntu-3ubuntu0.10",
            "OpenSSH_8.9p1 Ubuntu-3ubuntu0.11",
            "OpenSSH_8.9p1 Ubuntu-3ubuntu0.13",
        ],
        guides: &[&CIS, &STIG],
        keyboard_interactive: false,
        strict_kex: true,
    },
    Release {
        distro: "ubuntu20",
        versions: &[
            "OpenSSH_8.2p1 Ubuntu-4ubuntu0.11",
            "OpenSSH_8.2p1 Ubuntu-4ubuntu0.12",
            "OpenSSH_8.2p1 Ubuntu-4ubuntu0.13",
        ],
        guides: &[&CIS],
        keyboard_interactive: false,
        strict_kex: true,
    },
    Release {
        distro: "rocky9",
        versions: &["OpenSSH_8.7"],
        guides: &[&FIPS],
        keyboard_interactive: false,
        strict_kex: true,
    },
    Release {
        distro: "centos7",
        versions: &["OpenSSH_7.4"],
        guides: &[&CIS_EL, &FIPS],
        keyboard_interactive: false,
        strict_kex: false,
    },
    Release {
        distro: "fedora",
        versions: &["OpenSSH_9.3"],
        guides: &[&FIPS],
        keyboard_interactive: false,
        strict_kex: true,
    },
    Release {
        distro: "alpine",
        versions: &["OpenSSH_9.6"],
        guides: &[&CIS],
        keyboard_interactive: true,
        strict_kex: true,
    },
    Release {
        distro: "kali",
        versions: &["OpenSSH_9.9p1 Debian-3", "OpenSSH_9.6p1 Debian-4"],
        guides: &[&CIS],
        keyboard_interactive: false,
        strict_kex: true,
    },
    Release {
        distro: "arch",
        versions: &["OpenSSH_9.8", "OpenSSH_9.9"],
        guides: &[&CIS],
        keyboard_interactive: false,
        strict_kex: true,
    },
];

/// Longest release: the whole line has at most 255 bytes.
const RELEASE_MAX: usize = 200;

/// Order in which a server with these three keys offers them.
const KEY_ALGORITHMS: &[Algorithm] = &[
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ed25519,
    // Only announced as acceptable for clients' keys, not offered: there are no host keys of these kinds.
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::SkEd25519,
    Algorithm::SkEcdsaSha2NistP256,
];

/// What the client of a distribution calls itself; machines of other names have other updates.
pub(super) fn client(distro: &str, name: &str) -> &'static str {
    let release = RELEASES.iter().find(|r| r.distro == distro).unwrap_or(&RELEASES[0]);
    let number = name.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    release.versions.get(number % release.versions.len().max(1)).copied().unwrap_or("OpenSSH_9.2p1")
}

/// The server of one machine.
#[derive(Debug)]
pub(super) struct Server {
    /// Identification string without its line end.
    pub(super) ident: String,
    /// Its set-up.
    pub(super) guide: &'static Guide,
    /// Ways to log in, in the order of the answer.
    pub(super) methods: MethodSet,
    strict_kex: bool,
}

impl Server {
    /// The server of this persona; `seed` chooses among what is in the field.
    pub(super) fn of(persona: &HostPersona, seed: &Seed) -> Self {
        // An unknown distribution is taken for the first: Debian, the most common.
        let release = RELEASES.iter().find(|r| r.distro == persona.distro).unwrap_or(&RELEASES[0]);
        let version = seed.child("version").pick(release.versions).copied().unwrap_or("OpenSSH_9.2p1");
        let mut methods = vec![MethodKind::PublicKey, MethodKind::Password];
        if release.keyboard_interactive {
            methods.push(MethodKind::KeyboardInteractive);
        }
        Self {
            ident: format!("SSH-2.0-{version}"),
            guide: seed.child("guide").pick(release.guides).copied().unwrap_or(&CIS),
            methods: MethodSet::from(methods.as_slice()),
            strict_kex: release.strict_kex,
        }
    }

    /// Lets it greet as the package in the decky's shell does, such as `OpenSSH_9.2p1 Debian-2+deb12u7`.
    pub(super) fn say(&mut self, release: &str) -> Result<(), String> {
        // RFC 4253, 4.2: software version, then comments; nothing else on the line.
        let sound = release.starts_with("OpenSSH_")
            && release.len() <= RELEASE_MAX
            && release.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if !sound {
            return Err(format!(
                "its setting release ({}) is no OpenSSH version: give one such as \"OpenSSH_9.2p1 Debian-2+deb12u7\"",
                decnet_logline::clean(release)
            ));
        }
        self.ident = format!("SSH-2.0-{release}");
        Ok(())
    }

    /// The lists of the KEXINIT.
    pub(super) fn preferred(&self) -> Preferred {
        let mut kex = self.guide.kex.to_vec();
        if self.strict_kex {
            kex.push(kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER);
        }
        Preferred {
            kex: Cow::Owned(kex),
            key: Cow::Borrowed(KEY_ALGORITHMS),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(self.guide.ciphers),
            mac: Cow::Borrowed(self.guide.macs),
            compression: Cow::Borrowed(&[compression::NONE, compression::ZLIB_LEGACY]),
        }
    }
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;
    use crate::persona;

    #[test]
    fn the_banner_follows_the_distribution_and_stays() {
        let seed = FleetSecret::from_number(4).seed();
        let mut persona = persona::standalone(&seed);
        for release in RELEASES {
            release.distro.clone_into(&mut persona.distro);
            let server = Server::of(&persona, &seed);
            let version = server.ident.strip_prefix("SSH-2.0-").unwrap();
            assert!(release.versions.contains(&version), "{version} on {}", release.distro);
            assert_eq!(server.ident, Server::of(&persona, &seed).ident);
        }
        "no-such".clone_into(&mut persona.distro);
        assert!(Server::of(&persona, &seed).ident.contains("Debian-2+deb12u"));
    }

    #[test]
    fn the_release_of_the_shells_package_is_greeted_with_and_nothing_else_is() {
        let seed = FleetSecret::from_number(4).seed();
        let mut server = Server::of(&persona::standalone(&seed), &seed);
        server.say("OpenSSH_9.2p1 Debian-2+deb12u10").unwrap();
        assert_eq!(server.ident, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10");
        let long = format!("OpenSSH_{}", "9".repeat(250));
        for bad in ["", "dropbear_2022.83", "OpenSSH_9\r\nInjected", "OpenSSH_9\0", "OpenSSH_\u{e9}", &long] {
            assert!(server.say(bad).is_err(), "{bad:?}");
        }
        assert_eq!(server.ident, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10");
    }

    #[test]
    fn a_release_without_the_strict_fix_does_not_claim_it() {
        let seed = FleetSecret::from_number(4).seed();
        let mut persona = persona::standalone(&seed);
        let claims = |persona: &HostPersona| {
            let preferred = Server::of(persona, &seed).preferred();
            preferred.kex.contains(&kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER)
        };
        "centos7".clone_into(&mut persona.distro);
        assert!(!claims(&persona));
        "debian".clone_into(&mut persona.distro);
        assert!(claims(&persona));
    }
}
