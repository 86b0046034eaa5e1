//! The key files of a broker: one nkey seed a holder, below one folder, readable by its owner only and kept over restarts.
//! The broker itself gets public keys only.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use decnet_core::secret::entropy;
use nkeys::{KeyPair, KeyPairType};

use crate::{Worker, permissions::holders};

/// Why a key file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file or its folder cannot be used.
    #[error("the broker key {path} cannot be used ({source}): check the folder and its owner")]
    File {
        /// Which file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{path} is no key of a NATS user ({reason}): remove it, and a new one is made")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The folder of the key files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFolder {
    path: PathBuf,
    mode: u32,
}

impl KeyFolder {
    /// Keys below `path`, mode 0600.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: 0o600 }
    }

    /// Keys below `path` that nobody writes to: a service manager hands them out.
    pub fn read_only(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: 0o400 }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a holder.
    pub fn file(&self, holder: Worker) -> PathBuf {
        self.path.join(format!("{holder}.nk"))
    }

    /// The public keys of all holders, making what is missing.
    pub fn load_or_create(&self) -> Result<Vec<(Worker, String)>, KeyError> {
        holders().map(|holder| Ok((holder, self.public_or_new(holder)?))).collect()
    }

    /// The public key in a holder's file; `None` where there is no file.
    pub fn public(&self, holder: Worker) -> Result<Option<String>, KeyError> {
        let path = self.file(holder);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeyError::File { path, source }),
        };
        let pair = KeyPair::from_seed(text.trim())
            .map_err(|error| KeyError::Content { path: path.clone(), reason: error.to_string() })?;
        match pair.key_pair_type() {
            KeyPairType::User => Ok(Some(pair.public_key())),
            _ => Err(KeyError::Content { path, reason: "it is a key of another kind".to_owned() }),
        }
    }

    /// Gives a holder a new key in place of its old one, and returns the public part.
    pub fn replace(&self, holder: Worker) -> Result<String, KeyError> {
        let path = self.file(holder);
        let bad = |reason: String| KeyError::Content { path: path.clone(), reason };
        let pair = KeyPair::new_from_raw(KeyPairType::User, entropy::<32>())
            .map_err(|error| bad(error.to_string()))?;
        let seed = pair.seed().map_err(|error| bad(error.to_string()))?;
        self.write(&path, &seed).map_err(|source| KeyError::File { path: path.clone(), source })?;
        Ok(pair.public_key())
    }

    fn public_or_new(&self, holder: Worker) -> Result<String, KeyError> {
        match self.public(holder)? {
            Some(public) => Ok(public),
            None => self.replace(holder),
        }
    }

    fn write(&self, path: &Path, seed: &str) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        let mut file = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(self.mode))
            .tempfile_in(&self.path)?;
        writeln!(file, "{seed}")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_are_private_and_can_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyFolder::new(folder.path().join("keys"));
        assert_eq!(keys.public(Worker::Api).unwrap(), None);
        let first = keys.load_or_create().unwrap();
        assert_eq!(keys.load_or_create().unwrap(), first);
        assert!(first.iter().all(|(_, public)| public.starts_with('U')));
        assert!(first.iter().any(|(holder, _)| *holder == Worker::Migrate));
        assert!(!first.iter().any(|(holder, _)| *holder == Worker::Bus), "the broker needs no key on itself");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&keys.file(Worker::Api)), 0o600);
        assert_eq!(mode(&folder.path().join("keys")), 0o700);
        let new = keys.replace(Worker::Api).unwrap();
        let second = keys.load_or_create().unwrap();
        for ((holder, before), (_, after)) in first.iter().zip(&second) {
            assert_eq!(before != after, *holder == Worker::Api, "{holder}");
        }
        assert!(second.contains(&(Worker::Api, new)));
        fs::write(keys.file(Worker::Agent), "SAAAA").unwrap();
        assert!(keys.load_or_create().unwrap_err().to_string().contains("agent.nk"));
    }
}
