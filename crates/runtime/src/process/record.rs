//! Small JSON files that only the agent reads, replaced whole or not at all.

use std::{fs::Permissions, io::Write, os::unix::fs::PermissionsExt, path::Path};

use serde::{Serialize, de::DeserializeOwned};

use crate::{RuntimeError, error::io_error};

/// Reads a record; `None` if there is none, or none that can be understood (which is reported: the caller goes on
/// without it and never deletes anything because of that).
pub(crate) fn read_record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RuntimeError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path)(error)),
    };
    match serde_json::from_slice(&bytes) {
        Ok(record) => Ok(Some(record)),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a record cannot be understood and is made anew");
            Ok(None)
        }
    }
}

/// Replaces a record. Mode 0600: records hold seeds and planted passwords.
pub(crate) fn write_record<T: Serialize>(path: &Path, record: &T) -> Result<(), RuntimeError> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".record-")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        // A power cut must not leave an empty record behind the rename.
        file.as_file().sync_data()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(io_error("write", path))
}
