//! The deployment INI (spec 3.2). Being written.

use crate::spec::FleetSpec;

/// The deployment that an INI describes, or everything that is wrong with it.
pub fn parse(_text: &[u8]) -> Result<FleetSpec, IniErrors> {
    Err(IniErrors(Vec::new()))
}

/// Everything that is wrong with an INI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} errors", .0.len())]
pub struct IniErrors(pub Vec<String>);
