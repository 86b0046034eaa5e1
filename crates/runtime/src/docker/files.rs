//! Files of ours in a decky, and reading them back: as archives through the engine, so that no process is started in it and a
//! stopped decky can be written to as well.
//!
//! They belong where a login would find them (the shell container), except for what a service of the front serves.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;
use chrono::TimeDelta;
use decnet_fleet::plan::ContainerRole;

use super::{
    archive::{Content, Entry},
    decky::Decky,
};
use crate::{
    FileSpec, RuntimeError,
    error::{blocking, io_error},
};

/// What the front's services serve: the mail spool and the default site.
const OF_THE_FRONT: [&str; 2] = ["/var/spool/decnet-emails/", "/var/www/html/"];
/// The system's bound, `PATH_MAX`.
const MAX_PATH: usize = 4095;
const MAX_NAME: usize = 255;
/// What an archive needs beside the content of one file.
const OVERHEAD: usize = 16 * 1024;
/// Bits of a Go file mode.
const GO_FOLDER: u32 = 1 << 31;
const GO_LINK: u32 = 1 << 27;
/// Longest passwd file that is read to find whose a home is.
const MAX_PASSWD: usize = 1 << 20;

impl Decky {
    /// Puts files, each one whole or not at all; stops at the first that cannot be put.
    pub(super) async fn put_files(&self, files: &[FileSpec]) -> Result<(), RuntimeError> {
        let _one = self.alone().await;
        for file in files {
            check(&file.path)?;
            for container in self.targets(&file.path)? {
                self.put_file(&container, file).await.map_err(|error| error.of(&self.name))?;
            }
        }
        Ok(())
    }

    /// The first `max` bytes of a file; `None` if there is none.
    pub(super) async fn read_file(&self, path: &str, max: u64) -> Result<Option<Bytes>, RuntimeError> {
        check(path)?;
        let Some(container) = self.targets(path)?.into_iter().next() else { return Ok(None) };
        let limit = usize::try_from(max).unwrap_or(usize::MAX).saturating_add(OVERHEAD);
        let packed =
            self.host.download(&container, path, limit).await.map_err(|error| error.of(&self.name))?;
        let Some(packed) = packed else { return Ok(None) };
        match first(&packed, max).map_err(io_error("read", path))? {
            Some(Content::File(bytes)) => Ok(Some(bytes)),
            Some(Content::Link(target)) => {
                // The engine gives the link itself. One step, within the same container, is enough for what is planted.
                let target = resolve(path, &target);
                let packed = self.host.download(&container, &target, limit).await;
                let Some(packed) = packed.map_err(|error| error.of(&self.name))? else { return Ok(None) };
                match first(&packed, max).map_err(io_error("read", path))? {
                    Some(Content::File(bytes)) => Ok(Some(bytes)),
                    _ => Err(bad(path, "it is no regular file")),
                }
            }
            _ => Err(bad(path, "it is no regular file")),
        }
    }

    /// The containers that a file belongs in; the first one is where it is read.
    fn targets(&self, path: &str) -> Result<Vec<String>, RuntimeError> {
        let front = self.container(ContainerRole::Decky);
        let front = front.ok_or_else(|| RuntimeError::UnknownDecky(self.name.clone()))?;
        let shell = self.container(ContainerRole::Shell);
        Ok(match shell {
            Some(shell) if OF_THE_FRONT.iter().any(|folder| path.starts_with(folder)) => vec![front, shell],
            Some(shell) => vec![shell],
            None => vec![front],
        })
    }

    async fn put_file(&self, container: &str, file: &FileSpec) -> Result<(), RuntimeError> {
        let mut entries = self.missing_folders(container, file).await?;
        if let Some((mode, _)) = self.host.stat(container, &file.path).await?
            && mode & GO_FOLDER != 0
        {
            return Err(bad(&file.path, "it is a folder"));
        }
        entries.push(Entry {
            path: file.path.clone(),
            mode: file.mode & 0o7777,
            uid: file.uid,
            gid: file.gid,
            mtime: file.mtime,
            content: Content::File(file.content.clone()),
        });
        let (host, name, journal) = (Arc::clone(&self.host), self.name.clone(), self.paths.captured());
        let (path, mtime, size) = (file.path.clone(), file.mtime, file.content.len() as u64);
        blocking(move || {
            host.capture.placing(&name, &journal, Path::new(&path), mtime, size);
            Ok(())
        })
        .await?;
        self.host.put(container, &entries).await
    }

    /// The folders above a file that are not there: the file's owner's within a home of his, else root's, and a little older
    /// than the file.
    async fn missing_folders(&self, container: &str, file: &FileSpec) -> Result<Vec<Entry>, RuntimeError> {
        let above: Vec<&str> = file
            .path
            .char_indices()
            .filter(|(at, letter)| *letter == '/' && *at > 0)
            .filter_map(|(at, _)| file.path.get(..at))
            .collect();
        let mut missing = Vec::new();
        for folder in above.iter().rev() {
            match self.host.stat(container, folder).await? {
                Some((mode, _)) if mode & (GO_FOLDER | GO_LINK) != 0 => break,
                Some(_) => return Err(bad(&file.path, "a part of it is no folder")),
                None => missing.push(*folder),
            }
        }
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let owners = self.homes(container).await?;
        let age = TimeDelta::milliseconds(i64::from(file.mtime.timestamp_subsec_millis()) + 1);
        let made = missing.iter().rev().map(|folder| {
            let owner =
                owners.iter().find(|(home, _)| folder.starts_with(&format!("{home}/")) || folder == home);
            let (uid, gid) = owner.map_or((0, 0), |(_, ids)| *ids);
            Entry::folder(folder, 0o755, file.mtime - age).of(uid, gid)
        });
        Ok(made.collect())
    }

    /// Whose each home of a container is.
    async fn homes(&self, container: &str) -> Result<BTreeMap<String, (u32, u32)>, RuntimeError> {
        let packed = self.host.download(container, "/etc/passwd", MAX_PASSWD).await?.unwrap_or_default();
        let text = match first(&packed, MAX_PASSWD as u64) {
            Ok(Some(Content::File(bytes))) => String::from_utf8_lossy(&bytes).into_owned(),
            _ => String::new(),
        };
        let home = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            let [_, _, uid, gid, _, home, _] = fields.as_slice() else { return None };
            // A service's home, such as `/` or `/var/www`, is not his to make folders in.
            let is_home = home.starts_with("/home/") || *home == "/root";
            is_home.then_some(((*home).to_owned(), (uid.parse().ok()?, gid.parse().ok()?)))
        };
        Ok(text.lines().filter_map(home).collect())
    }
}

/// The first entry of an archive that may be cut off.
fn first(packed: &[u8], max: u64) -> std::io::Result<Option<Content>> {
    use std::io::Read;
    let mut archive = tar::Archive::new(packed);
    let Some(entry) = archive.entries()?.next() else { return Ok(None) };
    let mut entry = entry?;
    Ok(Some(match entry.header().entry_type() {
        tar::EntryType::Regular => {
            let mut bytes = Vec::new();
            entry.by_ref().take(max).read_to_end(&mut bytes)?;
            Content::File(bytes.into())
        }
        tar::EntryType::Symlink => {
            let target = entry.link_name()?.map(|target| target.to_string_lossy().into_owned());
            Content::Link(target.unwrap_or_default())
        }
        tar::EntryType::Directory => Content::Folder,
        _ => return Ok(None),
    }))
}

/// Where a link at `path` leads.
fn resolve(path: &str, target: &str) -> String {
    if target.starts_with('/') {
        return target.to_owned();
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{target}")
}

fn bad(path: &str, reason: &'static str) -> RuntimeError {
    RuntimeError::BadPath { path: path.chars().take(200).collect(), reason }
}

fn check(path: &str) -> Result<(), RuntimeError> {
    if !path.starts_with('/') {
        return Err(bad(path, "it does not begin with /"));
    }
    if path.len() > MAX_PATH || path.contains('\0') {
        return Err(bad(path, "it is too long or holds a NUL"));
    }
    if path.ends_with('/') {
        return Err(bad(path, "it names a folder"));
    }
    let mut parts = path.split('/').skip(1);
    if parts.any(|part| part.is_empty() || part == "." || part == ".." || part.len() > MAX_NAME) {
        return Err(bad(path, "a part of it is empty, dots or too long"));
    }
    Ok(())
}
