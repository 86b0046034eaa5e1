//! How far each output was shipped: one small file per output, replaced whole.
//!
//! Not forced to the disk: after a power cut an older cursor (or none) only ships lines again, which are stored once.

use std::{
    collections::HashSet,
    fs,
    io::{self, Write},
    path::PathBuf,
};

use decnet_runtime::{OutputRef, Position};

/// The cursors of a host.
pub(super) struct Cursors {
    folder: PathBuf,
}

impl Cursors {
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// The cursor of an output; `None` if there is none that can be read.
    pub(super) fn load(&self, source: &str) -> Option<Position> {
        let text = fs::read(self.path(source)).ok()?;
        serde_json::from_slice(&text)
            .inspect_err(
                |error| tracing::warn!(source, %error, "a cursor cannot be read: lines are shipped again"),
            )
            .ok()
    }

    pub(super) fn store(&self, source: &str, position: Position) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".cursor-").tempfile_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(&position)?)?;
        file.persist(self.path(source))?;
        Ok(())
    }

    pub(super) fn delete(&self, source: &str) -> io::Result<()> {
        match fs::remove_file(self.path(source)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Deletes the cursors of outputs that are gone, and what a killed agent left half written.
    pub(super) fn keep_only(&self, outputs: &[OutputRef]) {
        let known: HashSet<PathBuf> = outputs.iter().map(|output| self.path(&output.source)).collect();
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten().filter(|entry| !known.contains(&entry.path())) {
            // A leftover does no harm and is tried again at the next start.
            let _ = fs::remove_file(entry.path());
        }
    }

    fn path(&self, source: &str) -> PathBuf {
        self.folder.join(format!("{source}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_and_a_torn_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let cursors = Cursors::open(folder.path().join("cursors")).unwrap();
        assert_eq!(cursors.load("a"), None);
        let position = Position { offset: 77, within_line: true };
        cursors.store("a", position).unwrap();
        cursors.store("b", Position::default()).unwrap();
        assert_eq!(cursors.load("a"), Some(position));
        fs::write(cursors.path("b"), b"{\"off").unwrap();
        assert_eq!(cursors.load("b"), None);
        let output = OutputRef { decky: "web".parse().unwrap(), source: "a".into(), ended: false };
        cursors.keep_only(&[output]);
        assert_eq!(fs::read_dir(&cursors.folder).unwrap().count(), 1);
        cursors.delete("a").unwrap();
        cursors.delete("a").unwrap();
        assert_eq!(cursors.load("a"), None);
    }
}
