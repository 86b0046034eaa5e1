//! The fleet secret and the keyed random tree below it.
//!
//! Everything that makes one fleet look unlike another (host keys, banners, names, bait, source ports) is drawn
//! from a node of this tree. A node is addressed by labels, so adding a choice never reshuffles the others, and
//! an intruder who reads this source and guesses a decky's name can still not recompute its choices.
//! Derivation is HKDF-SHA256 (RFC 5869): the parent is the input key, the label is the salt of its own extract.

use std::{fmt, io::Write, ops::RangeInclusive, path::Path};

use hkdf::Hkdf;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text is not 64 hexadecimal digits.
    #[error("a secret is 64 hexadecimal digits (32 bytes)")]
    Form,
    /// The secret's file cannot be read or written.
    #[error("fleet secret {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error(
        "fleet secret {path}: a secret is 64 hexadecimal digits (32 bytes); restore the file from a backup, since a new secret changes every decky"
    )]
    Content {
        /// The file.
        path: String,
    },
}

/// The root of a fleet's randomness: 32 bytes that never leave the operator's machine.
#[derive(Clone)]
pub struct FleetSecret([u8; 32]);

impl FleetSecret {
    /// A secret from its bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A secret from 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, SecretError> {
        parse_hex(text).map(Self)
    }

    /// A secret that anyone can recompute from a number: for dry runs, demonstrations and tests.
    pub fn from_number(seed: u64) -> Self {
        let mut bytes = [0; 32];
        ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// A fresh secret from the machine's randomness.
    pub fn generate() -> Self {
        Self(entropy())
    }

    /// Reads the secret from `path`, making it (mode 0600) if there is no such file.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretError> {
        let file_error = |source| SecretError::File { path: path.display().to_string(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => parse_hex(text.trim())
                .map(Self)
                .map_err(|_| SecretError::Content { path: path.display().to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let secret = Self::generate();
                match write_private(path, &hex::encode(secret.0)) {
                    Ok(()) => Ok(secret),
                    // Another process was quicker: its secret is the fleet's.
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                        Self::load_or_create(path)
                    }
                    Err(error) => Err(file_error(error)),
                }
            }
            Err(error) => Err(file_error(error)),
        }
    }

    /// The root node of the keyed tree.
    pub fn seed(&self) -> Seed {
        Seed(self.0)
    }
}

impl fmt::Debug for FleetSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FleetSecret(..)")
    }
}

/// 32 bytes of the machine's randomness, for secrets, nonces and salts that must never repeat.
pub fn entropy<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The process-wide generator is seeded from the kernel and cannot fail half-way.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for randomness")]
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A node of the keyed random tree. Whoever holds it can compute what is below it, not what is above or beside.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seed([u8; 32]);

impl Seed {
    /// A node from its 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, SecretError> {
        parse_hex(text).map(Self)
    }

    /// The node as 64 hexadecimal digits. It is a secret: mind where it goes.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The node below this one that `label` names.
    #[must_use]
    pub fn child(&self, label: impl AsRef<[u8]>) -> Self {
        Self(self.expand(label.as_ref(), b"decnet/1 node"))
    }

    /// `N` bytes of this node (at most 8160, the bound of HKDF-SHA256; longer arrays end in zeros).
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        self.expand(b"", b"decnet/1 bytes")
    }

    /// A generator for this node. Its stream is stable over versions (`ChaCha20`, RFC 8439).
    pub fn rng(&self) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(self.expand(b"", b"decnet/1 generator"))
    }

    /// A number of this node.
    pub fn u64(&self) -> u64 {
        u64::from_be_bytes(self.bytes())
    }

    /// A number of this node within `range`.
    pub fn range(&self, range: RangeInclusive<u64>) -> u64 {
        if range.is_empty() { *range.start() } else { self.rng().random_range(range) }
    }

    /// True with probability `p`.
    pub fn chance(&self, p: f64) -> bool {
        self.rng().random_bool(p.clamp(0.0, 1.0))
    }

    /// One of `items`, or `None` if there are none.
    pub fn pick<'a, T>(&self, items: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(items.len()).ok()?.checked_sub(1)?;
        items.get(usize::try_from(self.range(0..=last)).ok()?)
    }

    fn expand<const N: usize>(&self, salt: &[u8], info: &[u8]) -> [u8; N] {
        let mut out = [0; N];
        // Only an output over 8160 bytes is refused; it then stays zero, as documented on `bytes`.
        let _ = Hkdf::<Sha256>::new(Some(salt), &self.0).expand(info, &mut out);
        out
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

impl TryFrom<String> for Seed {
    type Error = SecretError;
    fn try_from(text: String) -> Result<Self, SecretError> {
        Self::from_hex(&text)
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> Self {
        seed.to_hex()
    }
}

fn parse_hex(text: &str) -> Result<[u8; 32], SecretError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| SecretError::Form)?;
    Ok(bytes)
}

/// Writes `text` to a new file that only its owner can read; fails if the file exists.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_differ_by_label_and_path_and_repeat() {
        let root = FleetSecret::from_number(1).seed();
        assert_eq!(root.child("a"), FleetSecret::from_number(1).seed().child("a"));
        assert_ne!(root.child("a"), root.child("b"));
        assert_ne!(root.child("a").child("b"), root.child("b").child("a"));
        assert_ne!(root.child("ab"), root.child("a").child("b"));
        assert_ne!(root.child("a"), FleetSecret::from_number(2).seed().child("a"));
    }

    /// Pins the derivation (the value was computed with Python's hmac module): a change here would rename every decky of every fleet in the field.
    #[test]
    fn derivation_is_stable() {
        let node = FleetSecret::from_bytes([1; 32]).seed().child("decky").child("local:web-01");
        assert_eq!(node.to_hex(), include_str!("../tests/derivation.hex").trim());
    }

    #[test]
    fn picks_stay_inside_and_cover_all() {
        let root = FleetSecret::from_number(3).seed();
        let items = [1, 2, 3];
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..100u32 {
            seen.insert(*root.child(i.to_be_bytes()).pick(&items).unwrap());
        }
        assert_eq!(seen.len(), 3);
        assert_eq!(root.pick::<u8>(&[]), None);
        assert_eq!(root.range(5..=5), 5);
    }

    #[test]
    fn the_file_is_private_and_made_once() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/fleet.secret");
        let first = FleetSecret::load_or_create(&path).unwrap();
        let again = FleetSecret::load_or_create(&path).unwrap();
        assert_eq!(first.seed(), again.seed());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "torn").unwrap();
        assert!(matches!(FleetSecret::load_or_create(&path), Err(SecretError::Content { .. })));
    }

    #[test]
    fn secrets_do_not_print() {
        let secret = FleetSecret::from_number(4);
        assert_eq!(format!("{secret:?} {:?}", secret.seed()), "FleetSecret(..) Seed(..)");
    }
}
