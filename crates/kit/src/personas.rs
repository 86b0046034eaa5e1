//! The file of the host-wide pool of personas: where it is, reading it when it has changed, and replacing it whole.
//!
//! The orchestrator reads it, the API and `decnet realism import-personas` write it, a deployment takes its staff from it. What
//! a pool may hold is `decnet_realism`'s to say.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use decnet_fleet::persona::Person;
use decnet_realism::{
    Persona, Pool,
    persona::{Fault, PoolError, parse::lenient},
};
use rustix::fs::Access;

/// The folder of the machine's configuration.
const SYSTEM: &str = "/etc/decnet";
/// The file's name there and in a home.
const NAME: &str = "email_personas.json";
/// A pool is a few people: a larger file is a mistake.
pub const MAX_POOL: u64 = 1 << 20;
/// Language of personas that name none, in the host-wide pool.
pub const DEFAULT_LANGUAGE: &str = "en";

/// The file that holds the pool or would hold it: the setting, else `/etc/decnet/email_personas.json` if it is there or could be
/// made, else `~/.decnet/email_personas.json`. Nothing is read.
pub fn pool_path(setting: Option<&Path>) -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    choose(setting, Path::new(SYSTEM), home.as_deref())
}

fn choose(setting: Option<&Path>, system: &Path, home: Option<&Path>) -> PathBuf {
    if let Some(path) = setting.filter(|path| !path.as_os_str().is_empty()) {
        return path.to_owned();
    }
    let shared = system.join(NAME);
    let can_be_made = || rustix::fs::access(system, Access::WRITE_OK).is_ok();
    match home {
        Some(home) if !shared.exists() && !can_be_made() => home.join(".decnet").join(NAME),
        _ => shared,
    }
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PoolFileError {
    /// The system refuses.
    #[error("cannot {verb} the persona file {}: {source}; check that its folder is there and that this user may {verb} it, or name another file with DECNET_REALISM_PERSONAS", path.display())]
    Io {
        /// `read` or `write`.
        verb: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than [`MAX_POOL`].
    #[error("the persona file {} has more than {MAX_POOL} bytes: that is no list of people", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// It holds no pool.
    #[error("{}: {source}", path.display())]
    Bad {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: PoolError,
    },
}

/// Text of the file; `None` if there is none.
pub fn read_text(path: &Path) -> Result<Option<String>, PoolFileError> {
    let bad = |source| PoolFileError::Io { verb: "read", path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_POOL => return Err(PoolFileError::TooLarge { path: path.to_owned() }),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(bad(error)),
    }
    fs::read_to_string(path).map(Some).map_err(bad)
}

/// Replaces the file by `text`, whole or not at all; its folder is made where it is missing.
pub fn write_text(path: &Path, text: &str) -> Result<(), PoolFileError> {
    let bad = |source| PoolFileError::Io { verb: "write", path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(bad)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(bad)?;
    file.write_all(text.as_bytes()).map_err(bad)?;
    // Other workers read it, under users of their own; it holds nobody's secret.
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(bad)?;
    file.as_file().sync_all().map_err(bad)?;
    file.persist(path).map_err(|error| bad(error.error))?;
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(SystemTime, u64);

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = fs::metadata(path).ok()?;
    Some(Stamp(meta.modified().ok()?, meta.len()))
}

/// The pool as the file has it now.
#[derive(Debug)]
pub struct PoolFile {
    path: PathBuf,
    seen: Option<Stamp>,
    pool: Arc<Pool>,
}

impl PoolFile {
    /// The pool of this file, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: None, pool: Arc::default() }
    }

    /// Which file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The pool, read again if the file has changed. Bad entries are left out and told in the log, once a change; a file that
    /// cannot be read at all leaves the pool empty, and is tried again.
    pub fn current(&mut self) -> Arc<Pool> {
        let now = stamp(&self.path);
        if now.is_none() {
            self.seen = None;
            self.pool = Arc::default();
        } else if now != self.seen {
            match load(&self.path) {
                Ok(Some((pool, faults))) => {
                    for fault in &faults {
                        tracing::warn!(file = %self.path.display(), %fault, "a persona is left out");
                    }
                    self.pool = Arc::new(pool);
                    // Looked at before the reading: a change meanwhile is seen next time.
                    self.seen = now;
                }
                Ok(None) => self.pool = Arc::default(),
                Err(error) => {
                    tracing::warn!(%error, "no personas");
                    self.pool = Arc::default();
                    self.seen = now;
                }
            }
        }
        Arc::clone(&self.pool)
    }
}

/// The people of a pool file as a deployment's staff; empty if there is no file. A file that cannot be read is an error: a
/// deployment without the operator's people would not be what was asked for.
pub fn staff(path: &Path) -> Result<Vec<Person>, PoolFileError> {
    let (pool, faults) = load(path)?.unwrap_or_default();
    for fault in &faults {
        tracing::warn!(file = %path.display(), %fault, "a persona is left out");
    }
    let person = |persona: &Persona| Person {
        full_name: persona.name.clone(),
        login: persona.login.clone().unwrap_or_default(),
        email: persona.email.clone(),
    };
    Ok(pool.0.iter().map(person).collect())
}

/// The pool of a file, leniently, with what was left out; `None` if there is no file.
pub fn load(path: &Path) -> Result<Option<(Pool, Vec<Fault>)>, PoolFileError> {
    let Some(text) = read_text(path)? else { return Ok(None) };
    match lenient(text.as_bytes(), DEFAULT_LANGUAGE) {
        Ok(read) => Ok(Some((Pool::new(read.personas), read.warnings))),
        Err(source) => Err(PoolFileError::Bad { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_wins_then_the_machine_then_the_home() {
        let (system, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let named = Path::new("/somewhere/p.json");
        assert_eq!(choose(Some(named), system.path(), Some(home.path())), named);
        let shared = system.path().join(NAME);
        assert_eq!(choose(Some(Path::new("")), system.path(), Some(home.path())), shared);
        let missing = system.path().join("missing");
        assert_eq!(choose(None, &missing, Some(home.path())), home.path().join(".decnet").join(NAME));
        fs::write(&shared, "[]").unwrap();
        assert_eq!(choose(None, system.path(), Some(home.path())), shared);
    }

    #[test]
    fn a_change_is_seen_and_a_bad_file_is_an_empty_pool() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/pool.json");
        let mut pool = PoolFile::new(path.clone());
        assert!(pool.current().0.is_empty());
        let entry = |name: &str| {
            format!(r#"{{"name":"{name}","email":"{}@corp.example","role":"Ops"}}"#, name.to_lowercase())
        };
        write_text(&path, &format!("[{}]", entry("Ada"))).unwrap();
        assert_eq!(pool.current().0.len(), 1);
        write_text(&path, &format!("[{},{},7]", entry("Ada"), entry("Tom"))).unwrap();
        let read = pool.current();
        assert_eq!(read.0.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["Ada", "Tom"]);
        assert_eq!(read.0[0].language, DEFAULT_LANGUAGE);
        write_text(&path, "no json").unwrap();
        assert!(pool.current().0.is_empty());
        fs::remove_file(&path).unwrap();
        assert!(pool.current().0.is_empty());
        let error = load(folder.path()).unwrap_err();
        assert!(error.to_string().contains("cannot read"), "{error}");
    }
}
