//! Files of ours in a running decky, reading them back, and tidying them: on its disk as the host sees it (`tree`), so that no
//! process is started in it, no engine carries them, and times are exact, those of folders included.
//!
//! They belong where a login would find them (the shell container). What a service of the front serves is there as well; what
//! is expected, read and told is the shell's copy, which is the one that an intruder can change.

use std::{os::fd::OwnedFd, path::Path, sync::Arc};

use decnet_fleet::plan::ContainerRole;
use rustix::fs::{Mode, OFlags, open, openat};

use super::{decky::Decky, engine::pid, identity::VMAIL};
use crate::{
    FileRead, FileSpec, Placed, RuntimeError, Tidy, TidyOutcome,
    error::{blocking, io_error},
    tree::{Batch, Kind, MAILBOXES, Put, Tidied, Tree},
};

/// What the front's services serve: the mailboxes and the default site.
const OF_THE_FRONT: [&str; 2] = [MAILBOXES, "/var/www/html/"];
/// Files put at once. Between them others may work on the decky.
const AT_ONCE: usize = 128;

/// The trees of a decky that runs.
struct Trees {
    /// Where a login ends up; without one, the front's.
    first: Tree,
    /// The front's, where that is another one and is asked for.
    front: Option<Tree>,
    /// Whether the first is the front's.
    is_front: bool,
}

impl Decky {
    /// Puts files, each one whole or not at all; stops at the first that cannot be put.
    pub(super) async fn put_files(&self, files: &[FileSpec]) -> Result<Placed, RuntimeError> {
        let mut placed = Placed::default();
        for files in files.chunks(AT_ONCE) {
            let _one = self.alone().await;
            let trees = self.trees(files.iter().any(|file| is_served(&file.path))).await?;
            let (host, name, journal) = (Arc::clone(&self.host), self.name.clone(), self.paths.captured());
            let files = files.to_vec();
            let done = blocking(move || {
                let ours =
                    files.iter().map(|file| (file.path.as_str(), file.mtime, file.content.len() as u64));
                host.capture.placing(&name, &journal, ours);
                trees.put(&files).map_err(|error| error.of(&name))
            })
            .await?;
            placed.written += done.written;
            placed.diverged.extend(done.diverged);
        }
        Ok(placed)
    }

    /// Makes the steps up to the first that meets something else than expected.
    pub(super) async fn tidy_files(&self, steps: &[Tidy]) -> Result<TidyOutcome, RuntimeError> {
        let _one = self.alone().await;
        let with_front = steps.iter().any(|step| is_served(&step.path));
        let trees = self.trees(with_front).await?;
        let (host, name, journal) = (Arc::clone(&self.host), self.name.clone(), self.paths.captured());
        let steps = steps.to_vec();
        blocking(move || {
            let mut outcome = TidyOutcome::default();
            for step in &steps {
                let tidied = trees.first.tidy(step, &mut |to, stat| {
                    host.capture.placing(&name, &journal, [(to, stat.mtime, stat.size)]);
                });
                match tidied.map_err(|error| error.of(&name))? {
                    Tidied::Done => outcome.done += 1,
                    Tidied::Diverged(diverged) => {
                        outcome.diverged = Some(diverged);
                        break;
                    }
                }
                if let Some(front) = &trees.front
                    && is_served(&step.path)
                {
                    follow(front, step);
                }
            }
            Ok(outcome)
        })
        .await
    }

    /// The first `max` bytes of a file; `None` if there is none.
    pub(super) async fn read_file(&self, path: &str, max: u64) -> Result<Option<FileRead>, RuntimeError> {
        let trees = self.trees(false).await?;
        let (path, name) = (path.to_owned(), self.name.clone());
        blocking(move || {
            let read = trees.first.read(&path, max).map_err(|error| error.of(&name))?;
            Ok(read.map(|(content, mut stat)| {
                if trees.is_front && path.starts_with(MAILBOXES) {
                    (stat.uid, stat.gid) = (VMAIL, VMAIL);
                }
                FileRead { content, stat }
            }))
        })
        .await
    }

    async fn trees(&self, with_front: bool) -> Result<Trees, RuntimeError> {
        let front = self.container(ContainerRole::Decky);
        let front = front.ok_or_else(|| RuntimeError::UnknownDecky(self.name.clone()))?;
        let Some(shell) = self.container(ContainerRole::Shell) else {
            return Ok(Trees { first: self.tree(&front).await?, front: None, is_front: true });
        };
        let front = if with_front { Some(self.tree(&front).await?) } else { None };
        Ok(Trees { first: self.tree(&shell).await?, front, is_front: false })
    }

    /// The disk of a container that runs.
    async fn tree(&self, container: &str) -> Result<Tree, RuntimeError> {
        let down = || RuntimeError::Down { container: container.to_owned() }.of(&self.name);
        let running = async || {
            let found = self.host.engine.inspect(container).await.map_err(|error| error.of(&self.name))?;
            found.as_ref().and_then(pid).ok_or_else(down)
        };
        let number = running().await?;
        let Some(process) = process(number) else { return Err(down()) };
        // Still that one: the folder that is open is this container's process and nobody else's who has got its number.
        if running().await? != number {
            return Err(down());
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(&process, "root", flags, Mode::empty())
            .map_err(|error| io_error("open", format!("/proc/{number}/root"))(error.into()))?;
        Ok(Tree::new(root, Kind::Container))
    }
}

/// The folder of a process, which stays that process's.
fn process(pid: u32) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(Path::new(&format!("/proc/{pid}")), flags, Mode::empty()).ok()
}

impl Trees {
    fn put(&self, files: &[FileSpec]) -> Result<Placed, RuntimeError> {
        let mut placed = Placed::default();
        let (mut first, mut second) = (Batch::of(files), Batch::of(files));
        for file in files {
            // The decoy is a root without rights over others' files.
            let of_the_front = || FileSpec { uid: 0, gid: 0, ..file.clone() };
            let put = if self.is_front && is_served(&file.path) {
                self.first.put(&mut first, &of_the_front())?
            } else {
                self.first.put(&mut first, file)?
            };
            match put {
                Put::Written { .. } => placed.written += 1,
                Put::Diverged(diverged) => {
                    placed.diverged.push(diverged);
                    continue;
                }
            }
            if let Some(front) = &self.front
                && is_served(&file.path)
            {
                front.put(&mut second, &FileSpec { expect: None, ..of_the_front() })?;
            }
        }
        Ok(placed)
    }
}

/// Makes a step in the front as well, whatever is there: the shell's copy is the one that counts.
fn follow(front: &Tree, step: &Tidy) {
    if let Err(error) = front.tidy_anything(step) {
        tracing::warn!(path = step.path, %error, "what a front serves is not tidied as its shell is");
    }
}

fn is_served(path: &str) -> bool {
    OF_THE_FRONT.iter().any(|folder| path.starts_with(folder))
}
