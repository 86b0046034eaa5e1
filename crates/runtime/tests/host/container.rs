//! A shell container in miniature: its process 1 starts a session for each job that appears in a folder of the host's. A
//! session's process runs the same program as process 1 and carries the mark; the intruder's commands run another one.

use std::{
    fs,
    io::Write,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use decnet_core::shell::SessionMark;
use decnet_tests::engine::docker_or_skip;

use crate::ground::{sh, tag, until};

/// Process 1: every job that appears is moved away and run. `/sbin/busybox2` stands for our own program: it writes books
/// of its own before and after a session, whose last stage becomes the intruder's program.
const INIT: &str = r#"
while :; do
  for job in /jobs/*.sh; do
    [ -e "$job" ] || continue
    name=${job%.sh}
    /bin/busybox mv "$job" "$name.run"
    SESSION="$(/bin/busybox cat "$name.json")" /sbin/busybox2 sh -c '
      echo key > /etc/ssh/ssh_host_ed25519_key; /bin/busybox touch -r /etc/ssh/sshd_config /etc/ssh/ssh_host_ed25519_key
      /sbin/busybox2 sh -c "exec /bin/busybox env -u SESSION /bin/busybox sh \"\$0\"" "$0"
      echo bye > /var/log/wtmp' "$name.run" &
  done
  /bin/busybox sleep 0.05
done
"#;

/// An image of this test's own. It goes with the last container that is made from it.
struct Image(String);

impl Image {
    fn of_this_run() -> Arc<Self> {
        static IMAGE: Mutex<Weak<Image>> = Mutex::new(Weak::new());
        let mut shared = IMAGE.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let image = Arc::new(Self::import());
            *shared = Arc::downgrade(&image);
            image
        })
    }

    fn import() -> Self {
        let tree = tempfile::tempdir().unwrap();
        for folder in
            ["bin", "sbin", "tmp", "root", "etc/ssh", "dev", "proc", "sys", "jobs", "var/log", "run"]
        {
            fs::create_dir_all(tree.path().join(folder)).unwrap();
        }
        fs::write(tree.path().join("etc/ssh/sshd_config"), "Port 22\n").unwrap();
        let busybox = sh("which", &["busybox"]);
        for copy in ["bin/busybox", "sbin/busybox2"] {
            fs::copy(&busybox, tree.path().join(copy)).unwrap();
        }
        let archive = tempfile::NamedTempFile::new().unwrap();
        let archive_path = archive.path().display().to_string();
        sh("tar", &["-C", &tree.path().display().to_string(), "-cf", &archive_path, "."]);
        let image = Self(format!("ht{}:1", tag()));
        sh("docker", &["import", &archive_path, &image.0]);
        image
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", &self.0]).output();
    }
}

/// A running container. Dropping it removes it.
pub(crate) struct Shell {
    pub(crate) name: String,
    pub(crate) pid: u32,
    jobs: tempfile::TempDir,
    image: Arc<Image>,
}

impl Shell {
    /// `None`: skipped, and the reason was printed.
    pub(crate) fn start(options: &[&str]) -> Option<Self> {
        let engine = docker_or_skip().unwrap()?;
        let image = Image::of_this_run();
        let jobs = tempfile::tempdir().unwrap();
        let name = format!("ht{}", tag());
        let mut shell = Self { name: name.clone(), pid: 0, jobs, image };
        let bind = format!("{}:/jobs", shell.jobs.path().display());
        let fixed = ["run", "-d", "--name", &name, "-v", &bind, "--cap-drop", "NET_RAW"];
        let command = [shell.image.0.as_str(), "/sbin/busybox2", "sh", "-c", INIT];
        let args: Vec<&str> = fixed.iter().chain(options).chain(&command).copied().collect();
        sh("docker", &args);
        shell.pid = engine.pid(&name).unwrap();
        Some(shell)
    }

    /// Runs a script in a session of its own.
    pub(crate) fn session(&self, mark: &SessionMark, script: &str) {
        let base = self.jobs.path().join(&mark.sid);
        fs::write(base.with_extension("json"), serde_json::to_vec(mark).unwrap()).unwrap();
        // The script must be whole when it appears.
        fs::write(base.with_extension("part"), script).unwrap();
        fs::rename(base.with_extension("part"), base.with_extension("sh")).unwrap();
    }

    /// `docker exec`.
    pub(crate) fn exec(&self, script: &str) -> String {
        sh("docker", &["exec", &self.name, "/bin/busybox", "sh", "-c", script])
    }

    /// `docker cp` into it.
    pub(crate) fn put(&self, content: &[u8], path: &str) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        sh("docker", &["cp", &file.path().display().to_string(), &format!("{}:{path}", self.name)]);
    }

    /// Waits until there is that file in the folder of jobs (`/jobs` within).
    pub(crate) fn done(&self, name: &str) -> PathBuf {
        let path = self.jobs.path().join(name);
        until("the script comes to its end", || Path::exists(&path).then_some(path.clone()))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", "-v", &self.name]).output();
    }
}

/// A session of an intruder.
pub(crate) fn mark(sid: &str, last: u8) -> SessionMark {
    SessionMark {
        conn_id: format!("conn-{sid}"),
        sid: sid.to_owned(),
        src_ip: IpAddr::from([203, 0, 113, last]),
        src_port: 40_000 + u16::from(last),
        dst_port: 22,
        user: "root".to_owned(),
    }
}
