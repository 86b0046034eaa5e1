//! Which OpenSSH server a root file system holds, in the words of its own greeting: `dpkg -l` and `ssh -V` in the shell, and
//! the first line of the front, must say the same.
//!
//! Knows dpkg's database. Of a distribution that has another one, the front says what the catalogue knows.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use tar::EntryType;

/// The package, as it is in dpkg's database.
const PACKAGE: &str = "openssh-server";
/// Where that is.
const STATUS: &str = "var/lib/dpkg/status";
/// Most bytes of it.
const MAX_STATUS: u64 = 64 << 20;
/// Longest version that is believed.
const MAX_VERSION: usize = 64;

/// What the server in the tar at `path` calls itself after `SSH-2.0-`; `None` where none is known. Blocks.
pub(super) fn of(path: &Path) -> io::Result<Option<String>> {
    let file = BufReader::with_capacity(256 * 1024, File::open(path)?);
    let mut vendor = "Debian";
    let mut version = None;
    // Not every file is looked into: what is skipped is not read.
    for entry in tar::Archive::new(file).entries_with_seek()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        let name = path.to_string_lossy();
        match name.trim_start_matches("./") {
            STATUS if entry.header().entry_type() == EntryType::Regular => {
                let mut status = Vec::new();
                entry.take(MAX_STATUS).read_to_end(&mut status)?;
                version = version_in(&String::from_utf8_lossy(&status));
            }
            // dpkg's vendor, which the package writes into the greeting.
            "etc/dpkg/origins/ubuntu" => vendor = "Ubuntu",
            _ => {}
        }
    }
    Ok(version.and_then(|version| greeting(&version, vendor)))
}

/// The version of the installed package.
fn version_in(status: &str) -> Option<String> {
    let installed = status.split("\n\n").find(|paragraph| {
        let has = |wanted: &str| paragraph.lines().any(|line| line == wanted);
        has(&format!("Package: {PACKAGE}")) && has("Status: install ok installed")
    })?;
    installed.lines().find_map(|line| line.strip_prefix("Version: ")).map(str::to_owned)
}

/// `1:9.2p1-2+deb12u10` as its server says it (debian/rules: the upstream version, then vendor and revision).
fn greeting(version: &str, vendor: &str) -> Option<String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '~' | '-' | ':');
    if version.len() > MAX_VERSION || !version.chars().all(sound) {
        return None;
    }
    let version = version.split_once(':').map_or(version, |(_epoch, rest)| rest);
    let (upstream, revision) = version.rsplit_once('-')?;
    upstream
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| format!("OpenSSH_{upstream} {vendor}-{revision}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_become_greetings() {
        for (version, vendor, said) in [
            ("1:9.2p1-2+deb12u10", "Debian", "OpenSSH_9.2p1 Debian-2+deb12u10"),
            ("1:8.9p1-3ubuntu0.13", "Ubuntu", "OpenSSH_8.9p1 Ubuntu-3ubuntu0.13"),
            ("1:9.9p1-3", "Debian", "OpenSSH_9.9p1 Debian-3"),
        ] {
            assert_eq!(greeting(version, vendor).as_deref(), Some(said));
        }
        for bad in ["", "1:", "9.2p1", "1:9.2p1-2\r\nx", "1:evil-2", &"9".repeat(100)] {
            assert_eq!(greeting(bad, "Debian"), None, "{bad:?}");
        }
    }

    #[test]
    fn it_is_read_from_the_database_of_a_tar() {
        let status = "Package: openssh-client\nStatus: install ok installed\nVersion: 1:1p1-1\n\n\
            Package: openssh-server\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:9.2p1-2+deb12u10\n\n";
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |status: &str, more: &str| {
            let mut builder = tar::Builder::new(File::create(file.path()).unwrap());
            for (path, text) in [("./etc/hostname", "x"), ("./var/lib/dpkg/status", status), (more, "x")] {
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                header.set_mode(0o644);
                builder.append_data(&mut header, path, text.as_bytes()).unwrap();
            }
            builder.finish().unwrap();
        };
        write(status, "x");
        assert_eq!(of(file.path()).unwrap().as_deref(), Some("OpenSSH_9.2p1 Debian-2+deb12u10"));
        write(status, "./etc/dpkg/origins/ubuntu");
        assert_eq!(of(file.path()).unwrap().as_deref(), Some("OpenSSH_9.2p1 Ubuntu-2+deb12u10"));
        write(&status.replace("install ok installed\nArch", "deinstall ok config-files\nArch"), "x");
        assert_eq!(of(file.path()).unwrap(), None, "removed, but for its settings");
    }
}
