//! `decnet images build`: debootstrap into a folder of its own, everything taken away that tells of it, and one tar.
//!
//! debootstrap works in a mount name space of its own, so whatever it mounts is gone when it ends, however it ends.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead, BufReader, IsTerminal},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use chrono::TimeDelta;
use decnet_core::{Clock, SystemClock};
use indicatif::ProgressBar;

use super::{
    age, known,
    recipe::{Recipe, recipe},
    store::{Locked, Store},
};
use crate::{BadInput, render};

/// Lines of debootstrap that are shown when it fails.
const LAST_WORDS: usize = 12;
/// Below the root: what a build leaves behind, and what each machine must have of its own. Patterns end a path.
const TRACES: [&str; 22] = [
    "debootstrap",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
    "etc/ssh/ssh_host_*",
    "root/.bash_history",
    "root/.wget-hsts",
    "run/*",
    "tmp/*",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*.deb",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
    "var/lib/systemd/random-seed",
    "var/log/*.log",
    "var/log/apt/*",
    "var/log/journal/*",
    "var/tmp/*",
    "usr/sbin/policy-rc.d",
    "var/lib/dbus/machine-id",
];

/// A folder of apt's own package, which only loses its content: `dpkg --verify` would miss it.
const KEPT: &str = "partial";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Distribution: debian, ubuntu22, ubuntu20 or kali
    distro: String,
    /// Another release of it than the catalogue's
    #[arg(long)]
    release: Option<String>,
    /// Where its packages come from
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// The keys that its packages are signed with
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// More packages, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "PACKAGES")]
    include: Vec<String>,
}

pub(super) fn run(store: &Store, args: &Args) -> Result<()> {
    let recipe = recipe(known(&args.distro)?).map_err(|text| anyhow!(BadInput(text)))?;
    let (release, mirror, keyring) = check(args, &recipe)?;
    if let Some(release) = &args.release {
        eprintln!(
            "decnet: the persona of {} is {}'s; a shell with {release} will contradict it",
            recipe.slug, recipe.release
        );
    }
    ensure!(
        rustix::process::geteuid().is_root(),
        "debootstrap makes files of other users: run this as root (sudo)"
    );
    for (program, package) in [("debootstrap", "debootstrap"), ("unshare", "util-linux"), ("tar", "tar")] {
        ensure!(on_path(program), "{program} is missing; install it (on Debian: apt-get install {package})");
    }
    ensure!(
        keyring.is_file(),
        "the keys of {} are not on this machine ({}): install the package {}, or name the file with --keyring",
        recipe.slug,
        keyring.display(),
        recipe.keyring_package
    );
    let locked = store.lock()?;
    let work = locked.work_folder()?;
    let root = work.path().join("root");
    let packages: Vec<&str> =
        recipe.packages.iter().copied().chain(args.include.iter().map(String::as_str)).collect();
    let bar = progress();
    bar.set_message(format!("{release} from {mirror}"));
    // File systems tell the time in steps of some milliseconds.
    let began = SystemClock.now() - TimeDelta::seconds(1);
    let mut command = isolated("debootstrap");
    command.arg(format!("--keyring={}", keyring.display())).arg(format!("--include={}", packages.join(",")));
    follow(command.arg(&release).arg(&root).arg(&mirror), &bar).with_context(|| {
        format!(
            "debootstrap could not make {release}; is {mirror} reachable, and does it carry that release?"
        )
    })?;
    bar.set_message("cleaning");
    dress(&root, recipe.sources, &release)?;
    clean(&root)?;
    age::settle(&root, i128::from(began.timestamp()) * 1_000_000_000)?;
    bar.set_message("writing the tar");
    let path = pack(&locked, &root, recipe.slug)?;
    bar.finish_and_clear();
    let size = fs::metadata(&path)?.len().div_ceil(1_000_000);
    render::line(&format!("{}: {size} MB", path.display()))
}

/// Everything of the command line that goes to other programs, checked.
fn check(args: &Args, recipe: &Recipe) -> Result<(String, String, PathBuf)> {
    let bad = |text: String| anyhow!(BadInput(text));
    let release = args.release.as_deref().unwrap_or(recipe.release);
    let is_release = release.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && release.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_release {
        return Err(bad(format!("--release {release:?}: give a code name such as {}", recipe.release)));
    }
    let mirror = args.mirror.as_deref().unwrap_or(recipe.mirror);
    let is_url = ["http://", "https://", "file:///"].iter().any(|scheme| mirror.starts_with(scheme));
    if !is_url || mirror.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
        return Err(bad(format!(
            "--mirror {mirror:?}: give an http, https or file URL such as {}",
            recipe.mirror
        )));
    }
    if let Some(name) = args.include.iter().find(|name| !is_package(name)) {
        return Err(bad(format!("--include {name:?}: that is no name of a package")));
    }
    let keyring = args.keyring.clone().unwrap_or_else(|| recipe.keyring.into());
    Ok((release.to_owned(), mirror.to_owned(), keyring))
}

/// A name after Debian's policy.
pub(super) fn is_package(name: &str) -> bool {
    name.len() >= 2
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'))
}

fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|folder| folder.join(name).is_file())
}

/// A program in a mount name space of its own, with nothing of the caller's surroundings.
fn isolated(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--", program]).env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    for name in ["http_proxy", "https_proxy", "no_proxy"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if std::io::stderr().is_terminal() {
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
    }
    bar
}

/// Runs a program, shows its lines one over the other, and its last ones if it fails.
fn follow(command: &mut Command, bar: &ProgressBar) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let (reader, writer) = std::io::pipe()?;
    let mut child = command
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    // The command holds the other end of the pipe as well; without letting go, it would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut last = VecDeque::with_capacity(LAST_WORDS);
    for line in BufReader::new(reader).split(b'\n') {
        let line = decnet_logline::clean_bytes(&line?);
        bar.set_message(line.trim_start_matches("I: ").to_owned());
        if last.len() == LAST_WORDS {
            last.pop_front();
        }
        last.push_back(line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{status}\n{}", last.into_iter().collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

/// What an installer does after the packages.
fn dress(root: &Path, sources: &str, release: &str) -> Result<()> {
    fs::write(root.join("etc/apt/sources.list"), sources.replace("{release}", release))?;
    let locales = root.join("etc/locale.gen");
    if locales.exists() {
        let text = fs::read_to_string(&locales)?.replace("# en_US.UTF-8 UTF-8", "en_US.UTF-8 UTF-8");
        fs::write(&locales, text)?;
        let made = isolated("chroot")
            .arg(root)
            .arg("locale-gen")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(made.success(), "locale-gen in the new system: {made}");
        fs::write(root.join("etc/default/locale"), "LANG=en_US.UTF-8\n")?;
    }
    Ok(())
}

/// Takes away what would tell that this was not installed, and what no two machines share.
fn clean(root: &Path) -> Result<()> {
    for trace in TRACES {
        let path = root.join(trace);
        let (Some(folder), Some(pattern)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
        else {
            continue;
        };
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let entry = entry?;
            if !matches(pattern, &entry.file_name().to_string_lossy()) {
                continue;
            }
            let removed = if entry.file_name() == KEPT {
                fs::read_dir(entry.path())?.try_for_each(|inside| fs::remove_file(inside?.path()))
            } else if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())
            } else {
                fs::remove_file(entry.path())
            };
            removed.with_context(|| entry.path().display().to_string())?;
        }
    }
    // An empty one is filled at the first start; a missing one is not made.
    fs::write(root.join("etc/machine-id"), "")?;
    Ok(())
}

/// One `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, tail)) => {
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        }
        None => name == pattern,
    }
}

/// GNU tar: it knows hard links. Capabilities of files are left out: the kernel refuses to run a program with one that the
/// shell's container has not (`ping` has `cap_net_raw`), and without it `ping` takes the sockets that everybody may have.
fn pack(locked: &Locked<'_>, root: &Path, slug: &str) -> Result<PathBuf> {
    let file = locked.work_file()?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--numeric-owner", "--sort=name", "--one-file-system", "--no-xattrs"])
        .args(["--format=pax", "--pax-option=delete=atime,delete=ctime", "--exclude=./dev/*", "--directory"])
        .arg(root)
        .arg(".")
        .stdin(Stdio::null())
        .stdout(file.as_file().try_clone()?);
    let made = tar.status().context("cannot start tar")?;
    ensure!(made.success(), "tar: {made}; is the disk full?");
    locked.finish(slug, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_go_and_the_rest_stays() {
        let root = tempfile::tempdir().unwrap();
        let touch = |below: &str| {
            let path = root.path().join(below);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        };
        let traces = [
            "debootstrap/debootstrap.log",
            "etc/ssh/ssh_host_rsa_key.pub",
            "var/log/bootstrap.log",
            "var/log/apt/history.log",
            "var/cache/apt/archives/x_1.deb",
            "var/lib/apt/lists/partial/x",
            "etc/hostname",
            "etc/resolv.conf",
        ];
        let kept = [
            "etc/ssh/sshd_config",
            "etc/machine-id",
            "var/log/wtmp",
            "etc/passwd",
            "var/cache/apt/archives/lock",
        ];
        traces.iter().chain(&kept).for_each(|below| touch(below));
        clean(root.path()).unwrap();
        assert!(traces.iter().all(|below| !root.path().join(below).exists()));
        assert!(kept.iter().all(|below| root.path().join(below).exists()));
        assert!(root.path().join("var/lib/apt/lists/partial").is_dir());
        assert_eq!(fs::read(root.path().join("etc/machine-id")).unwrap(), b"");
    }

    #[test]
    fn no_right_of_a_file_goes_into_the_tar() {
        let (folder, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(root.path().join("ping"), "x").unwrap();
        // CAP_NET_RAW, permitted and effective, in the form of the second version (capabilities(7)).
        let right = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let flags = rustix::fs::XattrFlags::empty();
        if let Err(error) =
            rustix::fs::setxattr(root.path().join("ping"), "security.capability", &right, flags)
        {
            println!("skipped: no rights may be given to files here ({error})");
            return;
        }
        let store = Store::at(folder.path());
        let path = pack(&store.lock().unwrap(), root.path(), "debian").unwrap();
        let bytes = fs::read(path).unwrap();
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(has(b"./ping") && !has(b"security.capability"));
    }

    #[test]
    fn nothing_of_the_command_line_passes_for_an_option() {
        let args = |release: Option<&str>, mirror: Option<&str>, include: &str| Args {
            distro: "debian".to_owned(),
            release: release.map(str::to_owned),
            mirror: mirror.map(str::to_owned),
            keyring: None,
            include: vec![include.to_owned()],
        };
        let recipe = recipe(known("debian").unwrap()).unwrap();
        assert!(check(&args(Some("trixie"), Some("https://mirror.example/debian"), "htop"), &recipe).is_ok());
        for bad in [
            args(Some("--foreign"), None, "htop"),
            args(Some("../x"), None, "htop"),
            args(None, Some("--print-debs"), "htop"),
            args(None, Some("http://a b"), "htop"),
            args(None, Some("/srv/mirror"), "htop"),
            args(None, None, "--x"),
            args(None, None, "a b"),
        ] {
            let error = check(&bad, &recipe).unwrap_err();
            assert!(error.is::<BadInput>(), "{bad:?}");
        }
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let bar = ProgressBar::hidden();
        let said =
            follow(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]), &bar).unwrap_err();
        assert!(said.to_string().contains("one\ntwo") && said.to_string().contains('3'), "{said}");
        follow(&mut Command::new("true"), &bar).unwrap();
    }
}
