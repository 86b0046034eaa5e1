//! The key that signs access tokens: from the settings, else from a file that is made once (mode 0600).

use std::{
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, bail};

/// Shortest key that is taken, in characters.
pub const MIN_KEY: usize = 32;

/// Keys that stand in examples on the Internet.
const KNOWN: &[&str] = &["changeme", "secret", "your-256-bit-secret", "fallback-secret", "decnet", "jwt"];

/// Refuses keys that are too short, known, or no keys at all.
pub fn check(key: &str) -> anyhow::Result<()> {
    if key.chars().count() < MIN_KEY {
        bail!(
            "the key that signs access tokens is shorter than {MIN_KEY} characters: set DECNET_JWT_SECRET to a longer random text, or unset it to use the key file"
        );
    }
    let lower = key.to_ascii_lowercase();
    let distinct = key.chars().collect::<std::collections::BTreeSet<_>>().len();
    let known = KNOWN
        .iter()
        .any(|known| lower.replace(known, "").chars().filter(|c| c.is_alphanumeric()).count() < 8);
    if known || distinct < 8 {
        bail!(
            "the key that signs access tokens is a known or trivial one: set DECNET_JWT_SECRET to a random text, or unset it to use the key file"
        );
    }
    Ok(())
}

/// Reads the key from `path`, making it if there is no such file.
pub fn load_or_create(path: &Path) -> anyhow::Result<String> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let key = text.trim().to_owned();
            check(&key).with_context(|| format!("key file {}", path.display()))?;
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = random_hex();
            match write_private(path, &key) {
                Ok(()) => Ok(key),
                // Another process was quicker: its key counts.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => load_or_create(path),
                Err(error) => Err(error).with_context(|| {
                    format!(
                        "cannot write the key file {}; check DECNET_STATE_DIR and its owner",
                        path.display()
                    )
                }),
            }
        }
        Err(error) => Err(error).with_context(|| {
            format!("cannot read the key file {}; it must be readable by the API's user", path.display())
        }),
    }
}

/// 64 hexadecimal digits of the machine's randomness.
fn random_hex() -> String {
    use std::fmt::Write as _;
    decnet_core::secret::entropy::<32>().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes a new file that only its owner can read. An existing file is an error.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn weak_keys_are_refused() {
        for weak in
            ["", "short", &"a".repeat(64), "your-256-bit-secret-your-256-bit-secret", &"changeme".repeat(8)]
        {
            assert!(check(weak).is_err(), "{weak:?}");
        }
        assert!(check("4f1c9b7e2a6d8035c1e4f7a9b2d6083e").is_ok());
    }

    #[test]
    fn the_key_file_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jwt.secret");
        let first = load_or_create(&path).unwrap();
        assert_eq!(load_or_create(&path).unwrap(), first);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "secret").unwrap();
        assert!(load_or_create(&path).is_err());
    }
}
