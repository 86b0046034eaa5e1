//! The machine's host keys, drawn from its node of the keyed tree: different on every decky, the same after a
//! restart, written nowhere.

use decnet_core::Seed;
use russh::keys::{
    EcdsaCurve, PrivateKey,
    ssh_key::{
        self,
        private::{EcdsaKeypair, Ed25519Keypair, RsaKeypair},
    },
};

/// What `ssh-keygen -A` of every release since OpenSSH 7.8 makes.
const RSA_BITS: usize = 3072;

/// The three keys in the order of `sshd_config`: RSA, ECDSA, Ed25519.
///
/// The RSA primes take around a second, so this runs once at the start, away from the runtime's threads.
pub(super) fn derive(seed: &Seed) -> Result<Vec<PrivateKey>, ssh_key::Error> {
    // A label of its own for each: adding a key type later leaves these as they are.
    let rsa = RsaKeypair::random(&mut seed.child("rsa").rng(), RSA_BITS)?;
    let ecdsa = EcdsaKeypair::random(&mut seed.child("ecdsa").rng(), EcdsaCurve::NistP256)?;
    let ed25519 = Ed25519Keypair::from_seed(&seed.child("ed25519").bytes());
    Ok(vec![PrivateKey::from(rsa), PrivateKey::from(ecdsa), PrivateKey::from(ed25519)])
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;
    use russh::keys::HashAlg;

    use super::*;

    fn fingerprints(number: u64) -> Vec<String> {
        let keys = derive(&FleetSecret::from_number(number).seed()).unwrap();
        keys.iter().map(|key| key.fingerprint(HashAlg::Sha256).to_string()).collect()
    }

    #[test]
    fn keys_are_stable_and_differ_between_deckies() {
        let first = fingerprints(1);
        assert_eq!(first, fingerprints(1));
        let second = fingerprints(2);
        assert!(first.iter().all(|fingerprint| !second.contains(fingerprint)));
    }

    /// A change of these means that an upgrade would change the host keys of every running fleet: an intruder who
    /// comes back would be warned by his client. If a new version of a crate draws primes differently, keep the old
    /// way for existing fleets.
    #[test]
    fn an_upgrade_keeps_the_keys() {
        assert_eq!(
            fingerprints(1),
            [
                "SHA256:liw6B3RqcGH5g/CFuyNrzgS4nPlUBivYBX7fnZx2xl0",
                "SHA256:sQEKNcoaVXpauM1N4goA2K6xe5JUSEuZqhvOKKkLBes",
                "SHA256:0bpDW0uqPZKA36DHiNGoQkT7SGvpNvavUal7UijhoaI",
            ]
        );
    }
}
