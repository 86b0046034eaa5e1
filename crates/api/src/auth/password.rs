//! Password hashes: argon2id, m = 19 MiB, t = 2, p = 1 (OWASP), off the event loop and at most four at a time.
//!
//! An unknown user costs as much as a wrong password: the given text is verified against a fixed hash.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
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
const OUTPUT: usize = 32;
/// A stored hash that asks for more is not ours.
const MOST_MEMORY_KIB: u32 = 64 * 1024;

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

fn params() -> Result<Params, Failure> {
    Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT)).map_err(Failure::internal)
}

/// The memory that one hash works in.
///
/// It is asked for larger than glibc's greatest threshold for returning memory at once (32 MiB): smaller blocks would stay
/// with the thread that hashed, 19 MiB for each of them, for the life of the process. What is not touched costs nothing.
fn working_memory(blocks: usize) -> Vec<Block> {
    const BEYOND_THRESHOLD: usize = 33 * 1024 * 1024 / Block::SIZE;
    let mut memory = Vec::with_capacity(blocks.max(BEYOND_THRESHOLD));
    memory.resize(blocks, Block::new());
    memory
}

fn compute(params: Params, password: &[u8], salt: &[u8]) -> Result<Output, argon2::Error> {
    let mut memory = working_memory(params.block_count());
    let mut out = [0; OUTPUT];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into_with_memory(password, salt, &mut out, &mut memory)?;
    Output::new(&out).map_err(|_| argon2::Error::OutputTooLong)
}

fn hash_now(password: &[u8]) -> Result<String, Failure> {
    let salt = decnet_core::secret::entropy::<16>();
    let params = params()?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(Failure::internal)?,
        salt: Some(Salt::new(&salt).map_err(Failure::internal)?),
        hash: Some(compute(params, password, &salt).map_err(Failure::internal)?),
    };
    Ok(hash.to_string())
}

/// A hash of another kind or shape fits no password: nothing but this file writes them.
fn verify_now(password: &[u8], stored: &str) -> Verdict {
    let check = || {
        let hash = PasswordHash::new(stored).ok()?;
        let known =
            hash.algorithm == Algorithm::Argon2id.ident() && hash.version == Some(Version::V0x13.into());
        let (salt, expected) = (hash.salt?, hash.hash?);
        // The output's length decides the algorithm's result, so it is part of the parameters.
        let params =
            Params::try_from(&hash).ok().filter(|params| known && params.m_cost() <= MOST_MEMORY_KIB)?;
        // The comparison takes the same time wherever the two differ.
        Some(compute(params, password, &salt).ok()? == expected)
    };
    let today = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
    Verdict { right: check().unwrap_or(false), outdated: !stored.starts_with(&today) }
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

    /// Made with the reference implementation in C (through argon2-cffi), salt `somesaltsomesalt`.
    #[tokio::test]
    async fn hashes_of_the_reference_implementation_are_read() {
        let passwords = Passwords::new().unwrap();
        let foreign = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$k9ohroejZy1PN5E1SbHNPug6vB8eQAahb5SOAp6iGF4";
        let verdict = passwords.verify("correct horse", Some(foreign)).await.unwrap();
        assert_eq!(verdict, Verdict { right: true, outdated: false });
        let weaker = "$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$+jQGvnLH9sd/RHpVFdneZ1pWEi8VDK30k/E/IE+o3IE";
        let verdict = passwords.verify("correct horse", Some(weaker)).await.unwrap();
        assert_eq!(verdict, Verdict { right: true, outdated: true });
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        let passwords = Passwords::new().unwrap();
        assert!(!passwords.verify("", None).await.unwrap().right);
    }
}
