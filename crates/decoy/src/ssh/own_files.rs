//! What the server says about itself in the files of its container: host keys, and the administrator's hardening that
//! explains the lists which it offers.

use std::fmt::Write;

use russh::keys::{
    PrivateKey,
    ssh_key::{self, LineEnding},
};

use super::release::Server;
use crate::shell::frame::OwnFile;

/// The files of this server.
pub(super) fn of(
    keys: &[PrivateKey],
    server: &Server,
    hostname: &str,
) -> Result<Vec<OwnFile>, ssh_key::Error> {
    let mut files = Vec::new();
    for (key, kind) in keys.iter().zip(["rsa", "ecdsa", "ed25519"]) {
        let mut key = key.clone();
        key.set_comment(format!("root@{hostname}"));
        let path = format!("/etc/ssh/ssh_host_{kind}_key");
        let public = format!("{}\n", key.public_key().to_openssh()?);
        files.push(OwnFile { path: format!("{path}.pub"), mode: 0o644, text: public });
        files.push(OwnFile { path, mode: 0o600, text: key.to_openssh(LineEnding::LF)?.to_string() });
    }
    files.push(OwnFile {
        path: "/etc/ssh/sshd_config.d/10-hardening.conf".to_owned(),
        mode: 0o644,
        text: settings(server),
    });
    Ok(files)
}

fn settings(server: &Server) -> String {
    let guide = server.guide;
    let list = |names: Vec<&str>| names.join(",");
    let mut text = String::new();
    for (key, value) in [
        ("KexAlgorithms", list(guide.kex.iter().map(AsRef::as_ref).collect())),
        ("Ciphers", list(guide.ciphers.iter().map(AsRef::as_ref).collect())),
        ("MACs", list(guide.macs.iter().map(AsRef::as_ref).collect())),
        ("MaxAuthTries", guide.max_tries.to_string()),
        ("LoginGraceTime", guide.grace.as_secs().to_string()),
        ("AllowTcpForwarding", "no".to_owned()),
        ("AllowAgentForwarding", "no".to_owned()),
        ("X11Forwarding", "no".to_owned()),
    ] {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{key} {value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;
    use crate::{persona, ssh::hostkeys};

    #[test]
    fn the_files_hold_the_keys_that_are_shown() {
        let seed = FleetSecret::from_number(3).seed();
        let keys = hostkeys::derive(&seed).unwrap();
        let server = Server::of(&persona::standalone(&seed), &seed);
        let files = of(&keys, &server, "web-01").unwrap();
        assert_eq!(files.len(), 7);
        for (key, pair) in keys.iter().zip(files.chunks(2)) {
            let public = ssh_key::PublicKey::from_openssh(&pair[0].text).unwrap();
            assert_eq!(public.key_data(), key.public_key().key_data());
            assert!(pair[0].text.ends_with(" root@web-01\n"));
            let private = PrivateKey::from_openssh(&pair[1].text).unwrap();
            assert_eq!(private.public_key().key_data(), key.public_key().key_data());
            assert_eq!(pair[1].mode, 0o600);
        }
        assert!(files[6].text.starts_with("KexAlgorithms "));
    }
}
