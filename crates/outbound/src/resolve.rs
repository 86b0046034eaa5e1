//! Names to addresses. A trait, so that a test can be the name server that changes its answer.

use std::{io, net::IpAddr};

use async_trait::async_trait;

/// Whoever knows the addresses of a name.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a host.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in tokio::net::lookup_host((host, 0)).await? {
            if !addresses.contains(&address.ip()) {
                addresses.push(address.ip());
            }
        }
        Ok(addresses)
    }
}
