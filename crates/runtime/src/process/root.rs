//! The folder that stands for `/` of a decky: putting and reading files in it, and never outside of it (`tree`).
//!
//! A file is completed outside the root and renamed into it: nobody in the decky sees half of one, or a temporary name.
//!
//! Owner and set-id bits: without root, a file belongs to the agent's user. What the file system does not hold is in
//! `owners.json` beside the root, for whoever shows the decky's files to an intruder.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{folder::Folder, read_record, write_record};
use crate::{
    FileRead, FileSpec, Placed, RuntimeError, Tidy, TidyOutcome,
    tree::{Batch, PLAIN_MODE, Put, Tidied, Tree, plain},
};

/// What the file system does not hold of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

type Owners = BTreeMap<String, Owner>;

/// A decky's root. All methods block.
pub(super) struct Root {
    folder: Folder,
    tree: Tree,
}

impl Root {
    pub(super) fn open(folder: &Folder) -> Result<Self, RuntimeError> {
        let tree = Tree::of_folder(&folder.root(), folder.staging())?;
        Ok(Self { folder: folder.clone(), tree })
    }

    /// Puts each file whole or not at all; stops at the first that cannot be put.
    pub(super) fn put(&self, files: &[FileSpec]) -> Result<Placed, RuntimeError> {
        self.with_owners(|owners| {
            let mut batch = Batch::of(files);
            let mut placed = Placed::default();
            for file in files {
                match self.tree.put(&mut batch, file)? {
                    Put::Written { is_owned } => {
                        placed.written += 1;
                        let key = plain(&file.path)?;
                        if is_owned && file.mode & 0o7777 & !PLAIN_MODE == 0 {
                            owners.remove(&key);
                        } else {
                            let (uid, gid, mode) = (file.uid, file.gid, file.mode & 0o7777);
                            owners.insert(key, Owner { uid, gid, mode });
                        }
                    }
                    Put::Diverged(diverged) => placed.diverged.push(diverged),
                }
            }
            Ok(placed)
        })
    }

    /// Makes the steps up to the first that meets something else than expected.
    pub(super) fn tidy(&self, steps: &[Tidy]) -> Result<TidyOutcome, RuntimeError> {
        self.with_owners(|owners| {
            let mut outcome = TidyOutcome::default();
            for step in steps {
                match self.tree.tidy(step, &mut |_, _| ())? {
                    Tidied::Done => outcome.done += 1,
                    Tidied::Diverged(diverged) => {
                        outcome.diverged = Some(diverged);
                        break;
                    }
                }
                let owner = owners.remove(&plain(&step.path)?);
                if let Some(to) = &step.to {
                    let to = plain(to)?;
                    match owner {
                        Some(owner) => owners.insert(to, owner),
                        None => owners.remove(&to),
                    };
                }
            }
            Ok(outcome)
        })
    }

    /// The first `max` bytes of a file; `None` if there is none.
    pub(super) fn read(&self, path: &str, max: u64) -> Result<Option<FileRead>, RuntimeError> {
        let Some((content, mut stat)) = self.tree.read(path, max)? else { return Ok(None) };
        let owners: Owners = read_record(&self.folder.owners())?.unwrap_or_default();
        if let Some(owner) = owners.get(&plain(path)?) {
            (stat.uid, stat.gid, stat.mode) = (owner.uid, owner.gid, owner.mode);
        }
        Ok(Some(FileRead { content, stat }))
    }

    /// Works with the record of owners, which is written down also if the work ends half-way.
    fn with_owners<T>(
        &self,
        work: impl FnOnce(&mut Owners) -> Result<T, RuntimeError>,
    ) -> Result<T, RuntimeError> {
        let path = self.folder.owners();
        let before: Owners = read_record(&path)?.unwrap_or_default();
        let mut owners = before.clone();
        let outcome = work(&mut owners);
        if owners != before {
            write_record(&path, &owners)?;
        }
        outcome
    }
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
