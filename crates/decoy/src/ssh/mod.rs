//! The ssh service.

use std::sync::Arc;

use crate::service::{BuildError, Service, ServiceContext};

/// Makes the service.
pub fn build(_context: &ServiceContext) -> Result<Arc<dyn Service>, BuildError> {
    Err(BuildError { slug: "ssh", reason: "not yet".to_owned() })
}
