//! PostgreSQL and MariaDB for `cargo xtask test --all`: Debian's servers with their data in a temporary folder, on free
//! loopback ports, gone when this is dropped.

use std::{
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// How long a server may take to listen.
const START_BOUND: Duration = Duration::from_mins(1);

/// Running servers.
pub(crate) struct Databases {
    children: Vec<Child>,
    /// Variable and address, as the suites read them.
    urls: Vec<(&'static str, String)>,
    _folder: TempDir,
}

impl Databases {
    /// Starts both.
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // The servers refuse root and run as their own users, who must be able to pass through.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let base = folder.path().to_path_buf();
        let mut all = Self { children: Vec::new(), urls: Vec::new(), _folder: folder };
        all.start_postgres(&base.join("postgres"))?;
        all.start_mariadb(&base.join("mariadb"))?;
        Ok(all)
    }

    /// What the suites find in their environment.
    pub(crate) fn urls(&self) -> &[(&'static str, String)] {
        &self.urls
    }

    fn start_postgres(&mut self, data: &Path) -> Result<()> {
        let bin = newest("/usr/lib/postgresql")?.join("bin");
        let port = free_port()?;
        make_for("postgres", data)?;
        let made = as_user("postgres", &bin.join("initdb"))
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(data)
            .stdout(Stdio::null())
            .status()?;
        ensure!(made.success(), "initdb failed: {made}");
        let child = as_user("postgres", &bin.join("postgres"))
            .args(["-h", "127.0.0.1", "-c", "fsync=off", "-p", &port.to_string(), "-k"])
            .arg(data)
            .arg("-D")
            .arg(data)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(data.with_extension("log"))?)
            .spawn()?;
        self.children.push(child);
        wait_for(port, "PostgreSQL")?;
        self.urls
            .push(("DECNET_TEST_POSTGRES_URL", format!("postgres://postgres@127.0.0.1:{port}/postgres")));
        Ok(())
    }

    fn start_mariadb(&mut self, data: &Path) -> Result<()> {
        let port = free_port()?;
        make_for("mysql", data)?;
        let made = as_user("mysql", Path::new("/usr/bin/mariadb-install-db"))
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(made.success(), "mariadb-install-db failed: {made}");
        let child = as_user("mysql", Path::new("/usr/sbin/mariadbd"))
            .args(["--no-defaults", "--bind-address=127.0.0.1", &format!("--port={port}"), "--skip-log-bin"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", data.join("sock").display()))
            .arg(format!("--pid-file={}", data.join("pid").display()))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(data.with_extension("log"))?)
            .spawn()?;
        self.children.push(child);
        wait_for(port, "MariaDB")?;
        self.urls.push(("DECNET_TEST_MARIADB_URL", format!("mysql://root@127.0.0.1:{port}/mysql")));
        Ok(())
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        for child in &mut self.children {
            // `runuser` hands SIGTERM on to the server; the data is thrown away in any case.
            if let Some(pid) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            let _ = child.wait();
        }
    }
}

fn as_user(user: &str, binary: &Path) -> Command {
    let mut command = Command::new("runuser");
    command.args(["-u", user, "--"]).arg(binary).current_dir("/").stdin(Stdio::null());
    command
}

fn make_for(user: &str, folder: &Path) -> Result<()> {
    std::fs::create_dir(folder)?;
    let owned = Command::new("chown").arg(user).arg(folder).status()?;
    ensure!(owned.success(), "there is no user {user}: is the package installed?");
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    Ok(())
}

/// The folder of the newest version below `base`.
fn newest(base: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(base).with_context(|| format!("{base}: is postgresql installed?"))?;
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    entries.filter_map(|e| Some(e.ok()?.path())).max_by_key(version).context("no version of PostgreSQL")
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn wait_for(port: u16, name: &str) -> Result<()> {
    let start = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if start.elapsed() > START_BOUND {
            bail!("{name} does not listen on port {port}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
