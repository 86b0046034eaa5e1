//! Secrets at rest: sealed with a key that lies in a file beside the database, so that a copy of the database alone tells
//! none of them. AES-256-GCM; the row a secret belongs to is bound in, so that a sealed text cannot be moved to another row.

use std::{
    fmt,
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use aes_gcm::{
    Aes256Gcm, Key, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use base64::{Engine, engine::general_purpose::STANDARD};

/// What a sealed text begins with: the way it was made.
const FORM: &str = "g1:";
const NONCE: usize = 12;

/// Why a secret cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key's file cannot be read or written.
    #[error("the key file {path}: {source}; it must be readable by its user, who also owns the state folder")]
    File {
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key's file holds something else, or is open to everyone.
    #[error("the key file {path} {reason}")]
    Unfit {
        /// Which file.
        path: String,
        /// What is wrong and what to do.
        reason: &'static str,
    },
    /// Sealed with another key, or damaged.
    #[error(
        "a sealed secret cannot be opened with the key file at hand: restore the file (DECNET_WEBHOOK_KEY_FILE), or set the secret anew"
    )]
    Closed,
}

/// The key.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(redacted)")
    }
}

impl SealKey {
    /// A key from its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the key from `path`, making it (mode 0600) if there is no such file.
    pub fn load_or_create(path: &Path) -> Result<Self, SealError> {
        match Self::load(path) {
            Err(SealError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
                let bytes = decnet_core::secret::entropy::<32>();
                match write_whole(path, &hex::encode(bytes)) {
                    // Another process was quicker: its key counts.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::load(path),
                    Err(source) => Err(SealError::File { path: path.display().to_string(), source }),
                    Ok(()) => Ok(Self(bytes)),
                }
            }
            outcome => outcome,
        }
    }

    fn load(path: &Path) -> Result<Self, SealError> {
        let name = || path.display().to_string();
        let unfit = |reason| SealError::Unfit { path: name(), reason };
        let file_error = |source| SealError::File { path: name(), source };
        let text = std::fs::read_to_string(path).map_err(file_error)?;
        let mode = std::fs::metadata(path).map_err(file_error)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(unfit(
                "can be read by everyone on this machine: take that right away (chmod o= FILE)",
            ));
        }
        let bytes = hex::decode(text.trim())
            .map_err(|_| unfit("does not hold 64 hexadecimal digits: restore it from a backup"))?;
        let bytes = bytes
            .try_into()
            .map_err(|_| unfit("does not hold 64 hexadecimal digits: restore it from a backup"))?;
        Ok(Self(bytes))
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&Key::<Aes256Gcm>::from(self.0))
    }

    /// Seals `plain` for the row that `owner` names.
    pub fn seal(&self, owner: &str, plain: &str) -> Result<String, SealError> {
        let nonce = decnet_core::secret::entropy::<NONCE>();
        let payload = Payload { msg: plain.as_bytes(), aad: owner.as_bytes() };
        let sealed = self.cipher().encrypt(&Nonce::from(nonce), payload).map_err(|_| SealError::Closed)?;
        Ok(format!("{FORM}{}", STANDARD.encode([&nonce[..], &sealed].concat())))
    }

    /// Opens what was sealed for `owner`.
    pub fn open(&self, owner: &str, sealed: &str) -> Result<String, SealError> {
        let bytes =
            sealed.strip_prefix(FORM).and_then(|text| STANDARD.decode(text).ok()).ok_or(SealError::Closed)?;
        let (nonce, message) = bytes.split_first_chunk::<NONCE>().ok_or(SealError::Closed)?;
        let payload = Payload { msg: message, aad: owner.as_bytes() };
        let plain = self.cipher().decrypt(&Nonce::from(*nonce), payload).map_err(|_| SealError::Closed)?;
        String::from_utf8(plain).map_err(|_| SealError::Closed)
    }
}

/// Makes a file that is whole from the moment it has its name. An existing one is an error.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_extension(format!("{}.new", hex::encode(decnet_core::secret::entropy::<8>())));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = writeln!(file, "{text}").and_then(|()| file.sync_all());
    let named = written.and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft)?;
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_owner_and_with_its_key_only() {
        let key = SealKey::from_bytes([7; 32]);
        let sealed = key.seal("webhook:a", "correct horse battery").unwrap();
        assert!(
            !sealed.contains("horse") && sealed != key.seal("webhook:a", "correct horse battery").unwrap()
        );
        assert_eq!(key.open("webhook:a", &sealed).unwrap(), "correct horse battery");
        assert!(key.open("webhook:b", &sealed).is_err(), "moved to another row");
        assert!(SealKey::from_bytes([8; 32]).open("webhook:a", &sealed).is_err());
        for odd in ["", "g1:", "g1:AAAA", "x1:AAAA", &sealed.replace("g1:", ""), &sealed[..sealed.len() - 4]]
        {
            assert!(matches!(key.open("webhook:a", odd), Err(SealError::Closed)), "{odd:?}");
        }
        assert_eq!(format!("{key:?}"), "SealKey(redacted)");
    }

    #[test]
    fn the_key_file_is_made_once_by_whoever_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("webhook.key");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| SealKey::load_or_create(&path).unwrap().0)).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no drafts are left");

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(SealKey::load_or_create(&path), Err(SealError::Unfit { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        SealKey::load_or_create(&path).unwrap();
        std::fs::write(&path, "something else").unwrap();
        assert!(matches!(SealKey::load_or_create(&path), Err(SealError::Unfit { .. })));
        let nowhere = folder.path().join("no/such/folder.key");
        assert!(matches!(SealKey::load_or_create(&nowhere), Err(SealError::File { .. })));
    }
}
