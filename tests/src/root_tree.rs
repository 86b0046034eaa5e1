//! A root file system that is made in a moment: busybox as a small Alpine, for tests of shells that need no whole
//! distribution. An operator's come from `decnet images`.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tar::{Builder, EntryType, Header};

/// Places of the static busybox.
const BUSYBOX: [&str; 2] = ["/bin/busybox", "/usr/bin/busybox"];
/// What `sftp` and `scp` talk to; this machine's, with the libraries that it wants.
const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";
/// 2024-01-26: when Alpine 3.19.1 came out. Nothing of a fresh installation is younger than its files.
const MADE: u64 = 1_706_227_200;

const FOLDERS: [(&str, u32); 27] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("etc/apk", 0o755),
    ("etc/init.d", 0o755),
    ("etc/ssh", 0o755),
    ("home", 0o755),
    ("lib", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sbin", 0o755),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/sbin", 0o755),
    ("usr/lib", 0o755),
    ("var", 0o755),
    ("var/log", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
    ("var/www", 0o755),
];

const FILES: [(&str, u32, &str); 10] = [
    ("etc/alpine-release", 0o644, "3.19.1\n"),
    (
        "etc/os-release",
        0o644,
        "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.19.1\nPRETTY_NAME=\"Alpine Linux v3.19\"\nHOME_URL=\"https://alpinelinux.org/\"\n",
    ),
    (
        "etc/passwd",
        0o644,
        "root:x:0:0:root:/root:/bin/ash\nbin:x:1:1:bin:/bin:/sbin/nologin\ndaemon:x:2:2:daemon:/sbin:/sbin/nologin\nsshd:x:22:22:sshd:/dev/null:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
    ),
    (
        "etc/group",
        0o644,
        "root:x:0:root\nbin:x:1:root,bin\ndaemon:x:2:root,bin\nwheel:x:10:root\nsshd:x:22:\nnobody:x:65534:\n",
    ),
    (
        "etc/shadow",
        0o640,
        "root:*:19748:0:::::\nbin:!::0:::::\ndaemon:!::0:::::\nsshd:!::0:::::\nnobody:!::0:::::\n",
    ),
    ("etc/shells", 0o644, "/bin/sh\n/bin/ash\n"),
    (
        "etc/profile",
        0o644,
        "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nexport PS1='\\h:\\w\\$ '\numask 022\n",
    ),
    ("etc/motd", 0o644, "Welcome to Alpine!\n"),
    ("etc/apk/repositories", 0o644, "https://dl-cdn.alpinelinux.org/alpine/v3.19/main\n"),
    (
        "etc/ssh/sshd_config",
        0o644,
        "AuthorizedKeysFile .ssh/authorized_keys\nSubsystem sftp /usr/lib/ssh/sftp-server\n",
    ),
];

/// Writes `alpine.tar` into `folder` and returns its path.
pub fn write_alpine(folder: &Path) -> Result<PathBuf> {
    let busybox = BUSYBOX.iter().find(|path| Path::new(path).is_file());
    let busybox = *busybox.context("busybox is missing; `cargo xtask setup` installs busybox-static")?;
    let listed = Command::new(busybox).arg("--list-full").output()?;
    ensure!(listed.status.success(), "busybox --list-full: {}", listed.status);
    let path = folder.join("alpine.tar");
    let mut tar = Builder::new(File::create(&path)?);
    for (name, mode) in FOLDERS {
        tar.append_data(&mut header(EntryType::Directory, mode, 0), name, std::io::empty())?;
    }
    let bytes = std::fs::read(busybox)?;
    tar.append_data(&mut header(EntryType::Regular, 0o755, bytes.len()), "bin/busybox", bytes.as_slice())?;
    for (name, mode, text) in FILES {
        tar.append_data(&mut header(EntryType::Regular, mode, text.len()), name, text.as_bytes())?;
    }
    for applet in String::from_utf8(listed.stdout)?.lines().filter(|name| *name != "bin/busybox") {
        // Those without a folder of their own belong to busybox's init.
        if applet.contains('/') {
            tar.append_link(&mut header(EntryType::Symlink, 0o777, 0), applet, "/bin/busybox")?;
        }
    }
    tar.append_link(&mut header(EntryType::Symlink, 0o777, 0), "var/run", "/run")?;
    put_program(&mut tar, SFTP_SERVER, "usr/lib/ssh/sftp-server")?;
    tar.into_inner()?.sync_all()?;
    Ok(path)
}

/// A program of this machine, and its libraries where its loader looks for them.
fn put_program(tar: &mut Builder<File>, program: &str, place: &str) -> Result<()> {
    let listed = Command::new("ldd").arg(program).output()?;
    ensure!(
        listed.status.success(),
        "{program} is missing; `cargo xtask setup` installs it: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let listed = String::from_utf8(listed.stdout)?;
    // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x..)`, and the loader without an arrow.
    let libraries = listed.lines().filter_map(|line| {
        let path = line.rsplit_once("=>").map_or(line, |(_, path)| path).split_whitespace().next()?;
        path.starts_with('/').then_some(path)
    });
    for (from, to) in std::iter::once((program, place)).chain(libraries.map(|path| (path, &path[1..]))) {
        let bytes = std::fs::read(from).with_context(|| from.to_owned())?;
        tar.append_data(&mut header(EntryType::Regular, 0o755, bytes.len()), to, bytes.as_slice())?;
    }
    Ok(())
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MADE);
    header.set_size(size as u64);
    header
}
