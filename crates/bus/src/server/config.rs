//! The configuration file of a nats-server: loopback, a key or a token for each client, JetStream below our own folder.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use crate::{
    permissions::ACCOUNT,
    streams::{FULL_STORAGE, LEAST_STORAGE},
};

/// Largest message, as the envelope's and ingest's limits assume.
const MAX_PAYLOAD: usize = 1024 * 1024;
/// For the streams in memory.
const MAX_MEMORY: usize = 64 * 1024 * 1024;
const FILE_LIMIT: &str = "max_file_store:";

pub(super) struct Settings<'a> {
    pub(super) dir: &'a Path,
    /// `None`: the server picks one and says which in a file of this folder.
    pub(super) port: Option<u16>,
    pub(super) access: &'a Access,
    pub(super) sync_always: bool,
    pub(super) max_storage: Option<u64>,
}

/// Who is let in.
#[derive(Debug, Clone)]
pub(super) enum Access {
    /// Whoever shows this token may do everything: for tests.
    Token(String),
    /// The configuration's accounts, each user with a key and rights of its own.
    Accounts(String),
}

/// The configuration of a broker that a service manager runs: fixed places, no limit but the streams' own.
#[derive(Debug, Clone, Copy)]
pub struct ServiceConfig<'a> {
    /// Port on 127.0.0.1.
    pub port: u16,
    /// The folder of the streams.
    pub store: &'a Path,
    /// The accounts, as [`crate::render_accounts`] writes them.
    pub accounts: &'a str,
    /// Most bytes for streams. Never left to the server, which takes three quarters of what is free at each start: on a disk that
    /// fills, the streams of yesterday would not fit any more.
    pub max_storage: u64,
}

impl ServiceConfig<'_> {
    /// The limit for streams beside which `dir` lies: what the file said `before`, else half of what is free.
    pub fn storage(dir: &Path, before: &str) -> io::Result<u64> {
        promised(before).map_or_else(|| storage_limit(dir, ""), Ok)
    }

    /// The file's text. It holds no secret: public keys only.
    pub fn render(&self) -> io::Result<String> {
        Ok(format!(
            "# Written by decnet: changes here are lost at the next `decnet init`.\n\
             server_name: \"decnet\"\n\
             host: \"127.0.0.1\"\n\
             port: {port}\n\
             max_payload: {MAX_PAYLOAD}\n\
             jetstream {{\n  \
               store_dir: {store}\n  \
               max_memory_store: {MAX_MEMORY}\n  \
               {FILE_LIMIT} {limit}\n  \
               sync_interval: always\n\
             }}\n\
             {accounts}",
            port = self.port,
            store = quoted(self.store)?,
            limit = self.max_storage,
            accounts = self.accounts,
        ))
    }
}

fn quoted(path: &Path) -> io::Result<String> {
    let text = path.to_str().ok_or_else(|| io::Error::other(format!("{} is not UTF-8", path.display())))?;
    serde_json::to_string(text).map_err(io::Error::other)
}

/// Makes the folder, for us alone.
pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Gives what a server without accounts kept to the account of all workers: lines that wait there are evidence.
pub(super) fn adopt_store(dir: &Path) -> io::Result<()> {
    let store = dir.join("jetstream/jetstream");
    let (before, after) = (store.join("$G"), store.join(ACCOUNT));
    if before.is_dir() && !after.exists() { fs::rename(before, after) } else { Ok(()) }
}

/// Writes the file (mode 0600: it may hold a token) in one step.
pub(super) fn write(path: &Path, settings: &Settings<'_>) -> io::Result<()> {
    let before = fs::read_to_string(path).unwrap_or_default();
    let limit = settings.max_storage.map_or_else(|| storage_limit(settings.dir, &before), Ok)?;
    let text = render(settings, limit)?;
    let mut file = tempfile::NamedTempFile::new_in(settings.dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Half of what is free, but never less than at the last start: streams that were promised more would not open.
fn storage_limit(dir: &Path, before: &str) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    Ok((free / 2).clamp(LEAST_STORAGE, FULL_STORAGE).max(promised(before).unwrap_or(0)))
}

/// The limit that a file has.
fn promised(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.trim().strip_prefix(FILE_LIMIT)?.trim().parse().ok())
}

fn render(settings: &Settings<'_>, limit: u64) -> io::Result<String> {
    let (dir, store) = (quoted(settings.dir)?, quoted(&settings.dir.join("jetstream"))?);
    let access = match settings.access {
        Access::Token(token) => {
            let token = serde_json::to_string(token).map_err(io::Error::other)?;
            format!("authorization {{ token: {token} }}\n")
        }
        Access::Accounts(accounts) => accounts.clone(),
    };
    let port = settings.port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
    let sync = if settings.sync_always { "  sync_interval: always\n" } else { "" };
    Ok(format!(
        "# Written by decnet at each start of the broker: changes here are lost.\n\
         server_name: \"decnet\"\n\
         host: \"127.0.0.1\"\n\
         port: {port}\n\
         ports_file_dir: {dir}\n\
         pid_file: {pid}\n\
         max_payload: {MAX_PAYLOAD}\n\
         jetstream {{\n  \
           store_dir: {store}\n  \
           max_memory_store: {MAX_MEMORY}\n  \
           {FILE_LIMIT} {limit}\n\
         {sync}}}\n\
         {access}",
        pid = quoted(&settings.dir.join("nats-server.pid"))?,
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_private_and_a_promise_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nats.conf");
        let access = Access::Token("to\"ken".to_owned());
        let settings = |max_storage| Settings {
            dir: folder.path(),
            port: None,
            access: &access,
            sync_always: true,
            max_storage,
        };
        write(&path, &settings(Some(9_000_000_000_000))).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        write(&path, &settings(None)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("max_file_store: 9000000000000"), "{text}");
        assert!(text.contains(r#"token: "to\"ken""#) && text.contains("sync_interval: always"), "{text}");
    }
}
