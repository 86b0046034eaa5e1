//! Whose certificates are trusted: those that the machine trusts (an operator's own CA is installed there), or the public
//! ones of Mozilla where the machine has no store, as in a small container.

use std::sync::Arc;

use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer, version};

use crate::CallError;

/// A set of trusted issuers. Clones share it.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// The machine's. Reads its certificate store: make one and share it.
    pub fn system() -> Result<Self, CallError> {
        let loaded = rustls_native_certs::load_native_certs();
        for error in &loaded.errors {
            tracing::debug!(%error, "a certificate of the machine cannot be read");
        }
        let mut roots = RootCertStore::empty();
        let (taken, _) = roots.add_parsable_certificates(loaded.certs);
        if taken == 0 {
            tracing::warn!(
                "this machine has no certificate store; only public issuers are trusted (install ca-certificates)"
            );
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Self::of(roots)
    }

    /// These issuers and no others.
    pub fn only(issuers: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, CallError> {
        let mut roots = RootCertStore::empty();
        for issuer in issuers {
            roots.add(CertificateDer::from(issuer)).map_err(|error| unusable(&error))?;
        }
        Self::of(roots)
    }

    fn of(roots: RootCertStore) -> Result<Self, CallError> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .map_err(|error| unusable(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

fn unusable(error: &dyn std::fmt::Display) -> CallError {
    CallError::Tls { host: "anyone".to_owned(), reason: error.to_string() }
}
