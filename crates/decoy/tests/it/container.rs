//! A shell container of the tests' own making: a busybox tree imported as an image, no network but its own loopback,
//! and everything removed again.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use decnet_core::shell::{SESSION_VARIABLE, SHELL_PROGRAM};

use crate::scene::{LOGIN, tool};

/// What the plan gives a shell container.
const RIGHTS: [&str; 11] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Container {
    name: String,
    /// Of its process 1, on the host.
    pub(crate) pid: u32,
    pub(crate) has_sftp: bool,
}

/// The static build, or `None` after saying that the test is skipped.
pub(crate) fn static_decoy() -> Option<PathBuf> {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/decoy-static/decnet-decoy");
    let program = std::env::var_os("DECNET_STATIC_DECOY").map_or(usual, PathBuf::from);
    if program.is_file() {
        return Some(program);
    }
    eprintln!("skipped: no static decoy at {} (set DECNET_STATIC_DECOY)", program.display());
    None
}

/// The host's `sftp-server`.
pub(crate) fn sftp_server() -> Option<PathBuf> {
    ["/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server"]
        .map(PathBuf::from)
        .into_iter()
        .find(|file| file.is_file())
}

fn docker(args: &[&str]) -> Output {
    Command::new("docker").args(args).stdin(Stdio::null()).output().unwrap()
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Container {
    /// Started with these files; `None` after saying that the test is skipped.
    pub(crate) fn create(files: &[(&str, &[u8], u32)]) -> Option<Self> {
        let busybox = tool("busybox", "busybox-static")?;
        let required = std::env::var_os("DECNET_REQUIRE_DOCKER").is_some_and(|value| value == "1");
        let why = if !rustix::process::geteuid().is_root() {
            Some("not root, which nsenter needs")
        } else if tool("docker", "docker.io").is_none() || !docker(&["version"]).status.success() {
            Some("no docker engine answers")
        } else {
            None
        };
        if let Some(why) = why {
            assert!(!required, "{why}, and DECNET_REQUIRE_DOCKER=1");
            eprintln!("skipped: {why}");
            return None;
        }
        let name = format!("decoy-it-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let has_sftp = import(&name, &busybox);
        // From here on it is removed whatever happens.
        let mut container = Self { name: name.clone(), pid: 0, has_sftp };
        let mut args =
            vec!["create", "--name", &name, "--network", "none", "--hostname", "web-01", "--cap-drop", "ALL"];
        for right in RIGHTS {
            args.extend(["--cap-add", right]);
        }
        let image = format!("{name}:1");
        args.extend([image.as_str(), SHELL_PROGRAM, "shell-server"]);
        done(&docker(&args));
        let upload = tempfile::tempdir().unwrap();
        for (path, bytes, mode) in files {
            let file = upload.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, bytes).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(*mode)).unwrap();
            done(&docker(&["cp", "-a", file.to_str().unwrap(), &format!("{name}:{path}")]));
        }
        done(&docker(&["start", &name]));
        container.pid = done(&docker(&["inspect", "-f", "{{.State.Pid}}", &name])).parse().unwrap();
        let up = Command::new("nsenter")
            .args(["-t", &container.pid.to_string(), "-n", "ip", "link", "set", "lo", "up"])
            .status();
        assert!(up.unwrap().success());
        Some(container)
    }

    /// What its processes say for the engine to keep.
    pub(crate) fn log(&self) -> String {
        let output = docker(&["logs", &self.name]);
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Its processes as the host sees them.
    pub(crate) fn processes(&self) -> String {
        done(&docker(&["top", &self.name, "-eo", "pid,user,args"]))
    }

    /// The mark of the one session at a terminal, read from the host.
    pub(crate) fn session(&self) -> String {
        let processes = self.processes();
        let line = processes.lines().find(|line| line.contains("@pts/")).unwrap();
        let pid = line.split_whitespace().next().unwrap();
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap();
        let prefix = format!("{SESSION_VARIABLE}=");
        let mark = environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(prefix.as_bytes()));
        String::from_utf8(mark.expect("no mark").to_vec()).unwrap()
    }

    pub(crate) fn stop(&self) {
        done(&docker(&["stop", "-t", "20", &self.name]));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.name]);
        docker(&["rmi", "-f", &format!("{}:1", self.name)]);
    }
}

/// Makes the image; says whether it has an `sftp-server`.
fn import(name: &str, busybox: &Path) -> bool {
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path();
    for folder in [
        "bin", "dev", "etc/ssh", "home", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/sbin",
        "var/log", "lib64", "lib",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::copy(busybox, root.join("bin/busybox")).unwrap();
    let applets = done(&Command::new(busybox).arg("--list").output().unwrap());
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        symlink("/bin/busybox", root.join("bin").join(applet)).unwrap();
    }
    let home = root.join("home").join(LOGIN);
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(1100), Some(1100)).unwrap();
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    let passwd = format!("root:x:0:0:root:/root:/bin/sh\n{LOGIN}:x:1100:1100::/home/{LOGIN}:/bin/sh\n");
    fs::write(root.join("etc/passwd"), passwd).unwrap();
    fs::write(root.join("etc/group"), format!("root:x:0:\ntty:x:5:\nutmp:x:43:\n{LOGIN}:x:1100:\n")).unwrap();
    let sftp = sftp_server();
    if let Some(server) = &sftp {
        let libraries = done(&Command::new("ldd").arg(server).output().unwrap());
        let files = libraries.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
        for file in files.chain([server.clone()]) {
            let to = root.join(file.strip_prefix("/").unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&file, to).unwrap();
        }
        fs::write(root.join("etc/ssh/sshd_config"), format!("Subsystem sftp {}\n", server.display()))
            .unwrap();
    }
    let mut tar =
        Command::new("tar").arg("-C").arg(root).args(["-c", "."]).stdout(Stdio::piped()).spawn().unwrap();
    let output = Command::new("docker")
        .args(["import", "-", &format!("{name}:1")])
        .stdin(tar.stdout.take().unwrap())
        .output()
        .unwrap();
    done(&output);
    assert!(tar.wait().unwrap().success());
    sftp.is_some()
}
