//! A decky in this process with its lines in memory, and what tests ask of it.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use decnet_core::{Account, DeckyName, DecoyConfig, FleetSecret, ServiceEntry};
use decnet_decoy::{
    host::{Decoy, Surroundings},
    persona,
};
use decnet_logline::{Record, scan};

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const LOGIN: &str = "mkeller";
pub(crate) const PASSWORD: &str = "Winter 2024!]\"\\";

/// Everything the decoy wrote.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// All records so far; a line that does not parse fails the test.
    pub(crate) fn records(&self) -> Vec<Record> {
        let bytes = self.0.lock().unwrap().clone();
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| scan(line).unwrap_or_else(|e| panic!("{e} in {}", String::from_utf8_lossy(line))))
            .collect()
    }

    /// Records of this type.
    pub(crate) fn of(&self, event_type: &str) -> Vec<Record> {
        self.records().into_iter().filter(|record| record.msgid == event_type).collect()
    }

    /// Waits until `found` finds something among the records.
    pub(crate) async fn until<T>(&self, what: &str, found: impl Fn(&[Record]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let records = self.records();
            if let Some(value) = found(&records) {
                return value;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}; lines: {records:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the `n`-th record of this type.
    pub(crate) async fn nth(&self, event_type: &str, n: usize) -> Record {
        self.until(event_type, |records| {
            records.iter().filter(|record| record.msgid == event_type).nth(n).cloned()
        })
        .await
    }
}

/// A field that must be there.
pub(crate) fn field<'a>(record: &'a Record, name: &str) -> &'a str {
    record.fields.get(name).unwrap_or_else(|| panic!("no {name} in {record:?}"))
}

/// The document of a decky that serves `slugs`, machine number `number`.
pub(crate) fn document(slugs: &[&str], number: u64) -> DecoyConfig {
    let seed = FleetSecret::from_number(number).seed();
    let mut persona = persona::standalone(&seed.child("persona"));
    "debian".clone_into(&mut persona.distro);
    persona.accounts.push(Account {
        login: LOGIN.to_owned(),
        full_name: "Marta Keller".to_owned(),
        password: PASSWORD.to_owned(),
        uid: 1100,
        email: "mkeller@example".to_owned(),
    });
    let services = slugs
        .iter()
        .map(|slug| ServiceEntry {
            slug: (*slug).to_owned(),
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            port_base: 0,
            settings: std::collections::BTreeMap::new(),
        })
        .collect();
    DecoyConfig {
        decky: DeckyName::parse("web-01").unwrap(),
        persona,
        seed,
        services,
        artifacts: None,
        root: None,
        shell: None,
    }
}

/// A running decky.
pub(crate) struct Scene {
    pub(crate) lines: Lines,
    pub(crate) decoy: Decoy,
    pub(crate) folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) async fn start(slugs: &[&str]) -> Self {
        Self::of(document(slugs, 1)).await
    }

    pub(crate) async fn of(mut config: DecoyConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        config.artifacts = Some(folder.path().join("artifacts"));
        let lines = Lines::default();
        let surroundings = Surroundings { any_port: true, ..Surroundings::default() };
        let decoy = Decoy::start(config, surroundings, lines.clone()).await.unwrap();
        Self { lines, decoy, folder }
    }

    pub(crate) fn address(&self, slug: &str) -> SocketAddr {
        let addresses = self.decoy.addresses();
        addresses.iter().find(|(of, _)| *of == slug).map(|(_, address)| *address).unwrap()
    }

    pub(crate) fn artifact(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join("artifacts").join(name)).unwrap()
    }
}

/// The program's path, or `None` after saying that the test is skipped.
pub(crate) fn tool(name: &str, package: &str) -> Option<PathBuf> {
    let found = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .chain([Path::new("/usr/sbin").to_owned()])
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
    });
    if found.is_none() {
        eprintln!("skipped: {name} is not installed (apt-get install {package})");
    }
    found
}

/// Runs a client to its end.
pub(crate) async fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}
