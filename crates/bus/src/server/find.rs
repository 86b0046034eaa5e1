//! Finding a nats-server that is new enough.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use super::ServerError;

/// The oldest server that is accepted: 2.9 silently ignores the filters of a consumer.
pub const MIN_VERSION: Version = Version { major: 2, minor: 10, patch: 0 };

/// Name of the program.
const BINARY: &str = "nats-server";
/// Where `cargo xtask setup` puts it, below the checkout.
const TOOLS: &str = ".tools/bin";

/// Version of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
    /// Patch.
    pub patch: u32,
}

impl Version {
    /// Reads `2.15.1`, `v2.15.1` or `2.12.0-beta.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let core = text.strip_prefix('v').unwrap_or(text).split(['-', '+']).next()?;
        let mut parts = core.split('.').map(|part| part.parse().ok());
        let (major, minor, patch) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
        Some(Self { major, minor, patch })
    }

    /// Whether we can work with it.
    pub fn is_supported(self) -> bool {
        self >= MIN_VERSION
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A server binary that is new enough: `$DECNET_NATS_SERVER` and nothing else where that is set, else the first
/// fit one of `PATH`, `./.tools/bin`, the folder of this program, and `.tools/bin` of each folder above it.
pub async fn find() -> Result<PathBuf, ServerError> {
    if let Some(path) = env::var_os("DECNET_NATS_SERVER").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        check(&path).await?;
        return Ok(path);
    }
    first_fit(candidates()).await
}

/// The first candidate that exists, runs and is new enough. Where none is, says why for the first that exists:
/// distributions still ship 2.9.
pub(super) async fn first_fit(candidates: Vec<PathBuf>) -> Result<PathBuf, ServerError> {
    let mut reason = ServerError::NotFound;
    for path in candidates.into_iter().filter(|path| path.is_file()) {
        match check(&path).await {
            Ok(_) => return Ok(path),
            Err(error) if matches!(reason, ServerError::NotFound) => reason = error,
            Err(_) => {}
        }
    }
    Err(reason)
}

fn candidates() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = env::var_os("PATH")
        .map(|paths| env::split_paths(&paths).map(|folder| folder.join(BINARY)).collect())
        .unwrap_or_default();
    found.push(Path::new(TOOLS).join(BINARY));
    if let Ok(program) = env::current_exe() {
        found.extend(program.parent().map(|folder| folder.join(BINARY)));
        found.extend(program.ancestors().skip(1).map(|folder| folder.join(TOOLS).join(BINARY)));
    }
    found
}

/// Runs `nats-server --version` and refuses what is too old.
pub async fn check(binary: &Path) -> Result<Version, ServerError> {
    let broken = |reason: String| ServerError::NotRunnable { path: binary.to_owned(), reason };
    let asking = tokio::process::Command::new(binary).arg("--version").kill_on_drop(true).output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(10), asking)
        .await
        .map_err(|_| broken("it does not answer --version".to_owned()))?
        .map_err(|error| broken(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .split_whitespace()
        .last()
        .and_then(Version::parse)
        .ok_or_else(|| broken("its answer to --version names no version".to_owned()))?;
    if version.is_supported() {
        Ok(version)
    } else {
        Err(ServerError::TooOld { path: binary.to_owned(), version })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn fake(folder: &Path, name: &str, answer: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn versions_are_read_and_compared() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("v2.9.10") < MIN_VERSION);
        assert!(version("2.10.0").is_supported() && version("2.15.1").is_supported());
        assert!(version("2.12.0-beta.1").is_supported() && version("3.0").is_supported());
        assert_eq!(version("v2.10.29").to_string(), "2.10.29");
        for odd in ["", "v", "2", "two.ten.zero", "2..1", "2.10.x"] {
            assert_eq!(Version::parse(odd), None, "{odd}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_too_old_is_refused_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        let old = fake(folder.path(), "old", "nats-server: v2.9.10");
        let error = check(&old).await.unwrap_err();
        assert!(matches!(error, ServerError::TooOld { .. }));
        let text = error.to_string();
        assert!(
            text.contains("2.9.10") && text.contains("2.10") && text.contains("cargo xtask setup"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn an_old_one_in_front_does_not_hide_a_good_one_behind() {
        let folder = tempfile::tempdir().unwrap();
        let old = fake(folder.path(), "old", "nats-server: v2.9.10");
        let good = fake(folder.path(), "good", "nats-server: v2.11.3");
        let odd = fake(folder.path(), "odd", "hello");
        let missing = folder.path().join("missing");
        let found = first_fit(vec![missing.clone(), odd.clone(), old.clone(), good.clone()]).await.unwrap();
        assert_eq!(found, good);
        assert!(matches!(first_fit(vec![missing, old, odd]).await, Err(ServerError::TooOld { .. })));
        assert!(matches!(first_fit(Vec::new()).await, Err(ServerError::NotFound)));
    }
}
