//! Password hashes: argon2id, m = 19 MiB, t = 2, p = 1 (OWASP), off the event loop and at most four at a time.
//!
//! An unknown user costs as much as a wrong password: the given text is verified against a fixed hash.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash::phc::PasswordHash,
};
use tokio::sync::Semaphore;

use crate::problem::Failure;

/// Shortest password, in characters.
pub const MIN_PASSWORD: usize = 12;
/// Longest password, in bytes.
pub const MAX_PASSWORD: usize = 72;
/// Hashes computed at the same time: 19 MiB each.
const AT_ONCE: usize = 4;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Computes and checks hashes.
#[derive(Clone)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    dummy: Arc<str>,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The password is right.
    pub right: bool,
    /// The hash was made with other parameters than today's.
    pub outdated: bool,
}

impl Passwords {
    /// Prepares the hash that unknown users are checked against.
    pub fn new() -> Result<Self, Failure> {
        let dummy = hash_now(&decnet_core::secret::entropy::<24>())?;
        Ok(Self { slots: Arc::new(Semaphore::new(AT_ONCE)), dummy: dummy.into() })
    }

    /// The PHC string of a password.
    pub async fn hash(&self, password: &str) -> Result<String, Failure> {
        let password = password.to_owned();
        self.off_loop(move || hash_now(password.as_bytes())).await?
    }

    /// Checks a password against the stored hash, or against the dummy for an unknown user.
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<Verdict, Failure> {
        let known = stored.is_some();
        let hash: Arc<str> = stored.map_or_else(|| self.dummy.clone(), Arc::from);
        let password = password.to_owned();
        let verdict = self.off_loop(move || verify_now(password.as_bytes(), &hash)).await?;
        Ok(Verdict { right: verdict.right && known, ..verdict })
    }

    async fn off_loop<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        // The slot moves into the thread: a client that hangs up must not free it while the work runs.
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(Failure::internal)?;
        let task = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(slot);
            done
        });
        task.await.map_err(Failure::internal)
    }
}

fn argon() -> Result<Argon2<'static>, Failure> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(Failure::internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_now(password: &[u8]) -> Result<String, Failure> {
    let salt = decnet_core::secret::entropy::<16>();
    let hash: PasswordHash = argon()?.hash_password_with_salt(password, &salt).map_err(Failure::internal)?;
    Ok(hash.to_string())
}

fn verify_now(password: &[u8], stored: &str) -> Verdict {
    let Ok(hash) = PasswordHash::new(stored) else { return Verdict { right: false, outdated: false } };
    let Ok(argon) = argon() else { return Verdict { right: false, outdated: false } };
    let right = argon.verify_password(password, &hash).is_ok();
    let today = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
    Verdict { right, outdated: !stored.starts_with(&today) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hashes_carry_today_s_parameters_and_verify() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse").await.unwrap(), "salted");
        let good = passwords.verify("correct horse", Some(&hash)).await.unwrap();
        assert_eq!(good, Verdict { right: true, outdated: false });
        assert!(!passwords.verify("battery staple", Some(&hash)).await.unwrap().right);
        assert!(!passwords.verify("correct horse", Some("not a hash")).await.unwrap().right);
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        let passwords = Passwords::new().unwrap();
        assert!(!passwords.verify("", None).await.unwrap().right);
    }
}
