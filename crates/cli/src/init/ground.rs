//! The machine under an installation: files that are written only where they differ, folders, owners, programs of the
//! system. With a prefix or in a dry run the same questions are asked and less is done.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use decnet_deploy::{Group, InstalledFile, InstalledFolder};
use rustix::fs::{Gid, Uid};

/// How a step ended.
pub(super) enum Outcome {
    /// Something was done.
    Done(String),
    /// It was so already.
    Skip(String),
}

impl Outcome {
    /// Done if anything of `changed` happened.
    pub(super) fn of(changed: &[String], done: &str, skip: &str) -> Self {
        match changed {
            [] => Self::Skip(skip.to_owned()),
            [one] => Self::Done(format!("{done} {one}")),
            [one, rest @ ..] => Self::Done(format!("{done} {one} and {} more", rest.len())),
        }
    }
}

/// Where and how.
pub(super) struct Ground {
    prefix: Option<PathBuf>,
    dry_run: bool,
    force: bool,
    /// A binary, unit or configuration changed: running units are of the old kind.
    pub(super) stale: bool,
}

impl Ground {
    pub(super) const fn new(prefix: Option<PathBuf>, dry_run: bool, force: bool) -> Self {
        Self { prefix, dry_run, force, stale: false }
    }

    pub(super) const fn dry_run(&self) -> bool {
        self.dry_run
    }

    pub(super) const fn force(&self) -> bool {
        self.force
    }

    /// The running system is left alone.
    pub(super) const fn has_prefix(&self) -> bool {
        self.prefix.is_some()
    }

    /// Where a path of the installation is.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        match &self.prefix {
            Some(prefix) => prefix.join(path.trim_start_matches('/')),
            None => PathBuf::from(path),
        }
    }

    /// Writes a file where it differs; `true` if it did (or would).
    pub(super) fn put(&self, file: &InstalledFile) -> Result<bool> {
        let path = self.at(&file.path);
        let context = || format!("cannot write {}", path.display());
        let same = match fs::read(&path) {
            Ok(_) if file.keep => true,
            Ok(old) => old == file.text.as_bytes() && !self.force,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error).with_context(context),
        };
        let right = same && self.is_as(&path, file.mode, None, file.group)?;
        if right || self.dry_run {
            return Ok(!right);
        }
        if same {
            self.own(&path, file.mode, None, file.group)?;
            return Ok(true);
        }
        replace(&path, file.mode, |out| out.write_all(file.text.as_bytes())).with_context(context)?;
        self.own(&path, file.mode, None, file.group)?;
        Ok(true)
    }

    /// Copies a program where it differs; `true` if it did (or would).
    pub(super) fn copy(&self, from: &Path, to: &str) -> Result<bool> {
        let path = self.at(to);
        if fs::canonicalize(from).ok() == fs::canonicalize(&path).ok() && path.exists() {
            return Ok(false);
        }
        if !self.force && same_content(from, &path).unwrap_or(false) {
            return Ok(false);
        }
        if self.dry_run {
            return Ok(true);
        }
        let copying = |out: &mut fs::File| io::copy(&mut fs::File::open(from)?, out).map(drop);
        replace(&path, 0o755, copying)
            .with_context(|| format!("cannot copy {} to {}", from.display(), path.display()))?;
        Ok(true)
    }

    /// Makes a folder, or gives it the owner and mode that it should have; `true` if it did (or would).
    pub(super) fn folder(&self, folder: &InstalledFolder) -> Result<bool> {
        let path = self.at(&folder.path);
        let context = || format!("cannot make {}", path.display());
        let owner = Some(folder.owner.as_str());
        if path.is_dir() && self.is_as(&path, folder.mode, owner, folder.group)? {
            return Ok(false);
        }
        if self.dry_run {
            return Ok(true);
        }
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&path).with_context(context)?;
        self.own(&path, folder.mode, owner, folder.group)?;
        Ok(true)
    }

    fn is_as(&self, path: &Path, mode: u32, owner: Option<&str>, group: Group) -> Result<bool> {
        let data = fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
        if data.mode() & 0o7777 != mode {
            return Ok(false);
        }
        if self.has_prefix() {
            return Ok(true);
        }
        // In a dry run on a fresh machine the users are not there yet.
        let (Ok(uid), Ok(gid)) = (self.uid(owner.unwrap_or("root")), self.gid(group)) else {
            return Ok(false);
        };
        Ok(data.uid() == uid && data.gid() == gid)
    }

    fn own(&self, path: &Path, mode: u32, owner: Option<&str>, group: Group) -> Result<()> {
        let context = || format!("cannot set the owner of {}", path.display());
        if !self.has_prefix() {
            let (uid, gid) = (self.uid(owner.unwrap_or("root"))?, self.gid(group)?);
            rustix::fs::chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .with_context(context)?;
        }
        // After the owner: a change of it takes the set-group-id bit away.
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(context)
    }

    pub(super) fn uid(&self, user: &str) -> Result<u32> {
        number(&self.at("/etc/passwd"), user)
    }

    fn gid(&self, group: Group) -> Result<u32> {
        match group {
            Group::Root => Ok(0),
            Group::Workers => number(&self.at("/etc/group"), decnet_deploy::GROUP),
        }
    }

    /// Runs a program of the system; its complaint is the error. Does nothing with a prefix or in a dry run.
    pub(super) fn system(&self, program: &str, arguments: &[&str]) -> Result<()> {
        if self.has_prefix() || self.dry_run {
            return Ok(());
        }
        let output = Command::new(program)
            .args(arguments)
            .output()
            .with_context(|| format!("{program} cannot be run; is this machine run by systemd?"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = decnet_logline::clean_bytes(&output.stderr);
        bail!("{program} {}: {} ({})", arguments.join(" "), said.trim(), output.status)
    }

    /// Asks systemd a yes-or-no question.
    pub(super) fn asks(&self, arguments: &[&str]) -> bool {
        !self.has_prefix()
            && Command::new("systemctl").args(arguments).output().is_ok_and(|output| output.status.success())
    }
}

/// In one step, so that a program that runs and a reader see the old or the new.
fn replace(path: &Path, mode: u32, write: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    let mut file =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(mode)).tempfile_in(folder)?;
    write(file.as_file_mut())?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// The number of a name in `/etc/passwd` or `/etc/group`.
fn number(file: &Path, name: &str) -> Result<u32> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name));
    line.and_then(|line| line.split(':').nth(2)?.parse().ok())
        .with_context(|| format!("{} has no {name}", file.display()))
}

fn same_content(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (fs::File::open(one)?, fs::File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() || other.metadata()?.mode() & 0o777 != 0o755 {
        return Ok(false);
    }
    let (mut one, mut other) = (io::BufReader::new(one), io::BufReader::new(other));
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let read = one.read(&mut left)?;
        if read == 0 {
            return Ok(true);
        }
        let (Some(left), Some(right)) = (left.get(..read), right.get_mut(..read)) else { return Ok(false) };
        other.read_exact(right)?;
        if left != &*right {
            return Ok(false);
        }
    }
}
