//! The disks of deckies, looked at from the host, beside what the API tells of them. It changes nothing.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use decnet_tests::{Api, engine::Engine, eventually};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Where disks are.
pub(crate) enum Disks<'a> {
    /// A folder each, below this one.
    Host(PathBuf),
    /// Shell containers of the system in this folder.
    Shells(&'a Engine, &'a Path),
}

impl<'a> Disks<'a> {
    pub(crate) fn shells(engine: &'a Engine, folder: &'a Path) -> Self {
        Self::Shells(engine, folder)
    }

    /// The id of a decky's shell container.
    pub(crate) fn shell(&self, decky: &str) -> Result<String> {
        let Self::Shells(engine, folder) = self else { anyhow::bail!("a process has no container") };
        let all = engine.containers_of(folder)?;
        let is = |c: &&decnet_tests::engine::Container| {
            c.label("decnet.fleet.decky") == Some(decky) && c.label("decnet.role") == Some("shell")
        };
        all.iter().find(is).map(|c| c.id.clone()).with_context(|| format!("{decky} has no shell"))
    }

    /// The root of its file system.
    pub(crate) fn root(&self, decky: &str) -> Result<PathBuf> {
        match self {
            Self::Host(folder) => Ok(folder.join(decky).join("root")),
            Self::Shells(engine, _) => {
                Ok(PathBuf::from(format!("/proc/{}/root", engine.pid(&self.shell(decky)?)?)))
            }
        }
    }

    /// Whether owners are real: without containers a disk is only a folder.
    fn has_owners(&self) -> bool {
        matches!(self, Self::Shells(..))
    }
}

pub(crate) fn at(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Rows of files that should be there as we left them.
pub(crate) async fn files(api: &Api, decky: &str) -> Result<Vec<Value>> {
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let offset = rows.len();
        let path =
            format!("/realism/synthetic-files?decky_uuid={decky}&state=planted&limit=500&offset={offset}");
        let mut page = api.get(&path).await?;
        match page["data"].take() {
            Value::Array(data) if !data.is_empty() => rows.extend(data),
            _ => return Ok(rows),
        }
    }
}

/// Paths, times and sizes of all files in homes, logs and the folder of temporary files.
pub(crate) fn manifest(root: &Path) -> Result<BTreeMap<PathBuf, (i64, i64, u64)>> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, (i64, i64, u64)>) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            if meta.is_dir() {
                walk(&entry.path(), found)?;
            }
            found.insert(entry.path(), (meta.mtime(), meta.mtime_nsec(), meta.len()));
        }
        Ok(())
    }
    let mut found = BTreeMap::new();
    for folder in ["home", "var/log", "tmp"] {
        walk(&root.join(folder), &mut found)?;
    }
    // The terminal's own doing: its device's log of logins.
    found.retain(|path, _| !["wtmp", "btmp", "lastlog", "utmp"].iter().any(|name| path.ends_with(name)));
    Ok(found)
}

/// Every file is as its row tells: content, time to the nanosecond, mode, owner.
pub(crate) async fn is_as_told(api: &Api, disks: &Disks<'_>, decky: &str) -> Result<()> {
    // Life goes on meanwhile: a row that was read a moment ago may be of yesterday.
    let compared = eventually("disk and rows being alike", Duration::from_secs(20), || async {
        let root = disks.root(decky)?;
        let rows = files(api, &format!("local:{decky}")).await?;
        ensure!(rows.len() > 30, "{decky}: {} files", rows.len());
        for row in &rows {
            compare(&root, row, disks.has_owners()).with_context(|| format!("{decky}: {row}"))?;
        }
        Ok(Some(rows.len()))
    })
    .await?;
    println!("{decky}: {compared} files are as the rows have them");
    Ok(())
}

fn compare(root: &Path, row: &Value, has_owners: bool) -> Result<()> {
    let path = at(root, row["path"].as_str().context("path")?);
    let meta = std::fs::symlink_metadata(&path).context("not there")?;
    let bytes = std::fs::read(&path)?;
    ensure!(row["content_hash"] == sha256(&bytes).as_str(), "another content");
    let told = row["planted_mtime"].as_str().context("time")?;
    ensure!(told.contains(&format!(".{:09}", meta.mtime_nsec())), "its time has .{:09}", meta.mtime_nsec());
    ensure!(meta.mtime_nsec() % 1000 != 0, "whole microseconds");
    ensure!(row["mode"] == format!("{:04o}", meta.mode() & 0o7777).as_str(), "mode {:o}", meta.mode());
    if has_owners {
        ensure!(row["uid"] == meta.uid() && row["gid"] == meta.gid(), "owner {}:{}", meta.uid(), meta.gid());
        let folder = std::fs::symlink_metadata(path.parent().context("a folder")?)?;
        let is_home = row["path"].as_str().is_some_and(|path| path.starts_with("/home/"));
        ensure!(!is_home || folder.uid() == meta.uid(), "its folder belongs to {}", folder.uid());
        ensure!(folder.mtime_nsec() != 0 || !is_home, "its folder's time has whole seconds");
    }
    Ok(())
}
