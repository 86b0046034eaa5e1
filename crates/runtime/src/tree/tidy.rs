//! Renames or removes one file that is still what it is expected to be. Its folder has the time of that, as it happens now.

use std::io;

use rustix::{
    fs::{AtFlags, FileType, renameat, statat, unlinkat},
    io::Errno,
};

use super::{Batch, Tree, bad, batch::Maker, look::There, mtime, place};
use crate::{Diverged, Expect, FileStat, RuntimeError, Tidy, error::io_error};

/// What became of a step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tidied {
    /// It is made.
    Done,
    /// Something else is there.
    Diverged(Diverged),
}

impl Tree {
    /// Makes one step. `before` is told of what is about to have another name.
    pub(crate) fn tidy(
        &self,
        step: &Tidy,
        before: &mut dyn FnMut(&str, &FileStat),
    ) -> Result<Tidied, RuntimeError> {
        self.make(step, Some(&step.expect), before)
    }

    /// Makes one step with whatever file is there.
    pub(crate) fn tidy_anything(&self, step: &Tidy) -> Result<Tidied, RuntimeError> {
        self.make(step, None, &mut |_, _| ())
    }

    fn make(
        &self,
        step: &Tidy,
        expect: Option<&Expect>,
        before: &mut dyn FnMut(&str, &FileStat),
    ) -> Result<Tidied, RuntimeError> {
        let (parents, name) = place(&step.path)?;
        let fail = |error: Errno| io_error("tidy", &step.path)(io::Error::from(error));
        let diverged = |found: Option<&str>| {
            let found = found.map(str::to_owned);
            Ok(Tidied::Diverged(Diverged { path: step.path.clone(), found }))
        };
        let mut batch = Batch::default();
        let folder = match batch.enter(self, &parents, None, &step.path) {
            Ok(Some(folder)) => folder,
            Ok(None) => return diverged(None),
            Err(RuntimeError::BadPath { .. }) => return diverged(Some("something in its way")),
            Err(error) => return Err(error),
        };
        let mut there = There::look(self, batch.open(&folder)?, name).map_err(fail)?;
        if let Some(expect) = expect {
            let found = there.against(expect, &step.path, 0).map_err(io_error("tidy", &step.path))?;
            if let Err(diverged) = found {
                return Ok(Tidied::Diverged(diverged));
            }
        }
        // What is to be gone is gone.
        let There::File(found) = there else { return Ok(Tidied::Done) };
        let Some(to) = &step.to else {
            unlinkat(batch.open(&folder)?, name, AtFlags::empty()).map_err(fail)?;
            return Ok(Tidied::Done);
        };
        let (to_parents, to_name) = place(to)?;
        let maker = Maker { uid: found.stat.st_uid, gid: found.stat.st_gid, mtime: mtime(&found.stat) };
        let target = match batch.enter(self, &to_parents, Some(maker), to) {
            Ok(Some(target)) => target,
            Ok(None) => return Err(fail(Errno::NOENT)),
            Err(RuntimeError::BadPath { .. }) => {
                return diverged(Some("something in the way of its new place"));
            }
            Err(error) => return Err(error),
        };
        if statat(batch.open(&target)?, to_name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
        {
            return Err(bad(to, "it is a folder"));
        }
        batch.leave_times();
        before(to, &super::of_stat(&found.stat));
        renameat(batch.open(&folder)?, name, batch.open(&target)?, to_name).map_err(fail)?;
        Ok(Tidied::Done)
    }
}
