//! The steps that bring an installation's files: binaries, users, folders, settings, secrets, keys, units.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use decnet_bus::{KeyFolder, Worker, holders, server::ServiceConfig};
use decnet_core::{FleetSecret, HostId};
use decnet_deploy::{BIN, ETC, Group, InstalledFile, KEYS, STATE, UNITS};

use super::{
    Run,
    ground::{Ground, Outcome},
};
use crate::block_on;

/// Programs of the system that an installation needs.
const TOOLS: [&str; 2] = ["systemctl", "systemd-sysusers"];

pub(super) fn all(run: &mut Run, bin_dir: Option<&Path>) -> Result<()> {
    run.step("system", |ground| system(ground))?;
    run.step("binaries", |ground| binaries(ground, bin_dir))?;
    run.step("users", users)?;
    run.step("folders", |ground| {
        let made = collect(&decnet_deploy::folders(), |folder| {
            Ok(ground.folder(folder)?.then(|| folder.path.clone()))
        })?;
        Ok(Outcome::of(&made, "made", "all there"))
    })?;
    run.step("settings", |ground| {
        let file = decnet_deploy::settings_file();
        let made = ground.put(&file)?;
        let path = ground.at(&file.path).display().to_string();
        Ok(if made {
            Outcome::Done(format!("wrote {path}"))
        } else {
            Outcome::Skip(format!("{path} stays as it is"))
        })
    })?;
    run.step("secrets", |ground| secrets(ground))?;
    run.step("keys", keys)?;
    run.step("broker", broker)?;
    run.step("units", units)
}

/// The paths for which `work` says that something was done.
fn collect<T>(items: &[T], mut work: impl FnMut(&T) -> Result<Option<String>>) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for item in items {
        done.extend(work(item)?);
    }
    Ok(done)
}

fn system(ground: &Ground) -> Result<Outcome> {
    if ground.has_prefix() {
        return Ok(Outcome::Skip("a prefix: the running system is left alone".to_owned()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |tool: &&str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    let missing: Vec<_> = TOOLS.into_iter().filter(|tool| !there(tool)).collect();
    if !missing.is_empty() {
        bail!("not found: {}; on machines without systemd use `decnet up`", missing.join(", "));
    }
    if !Path::new("/run/systemd/system").is_dir() && !ground.dry_run() {
        bail!("systemd does not run this machine; use `decnet up`, or --prefix DIR to look at the files");
    }
    Ok(Outcome::Skip("systemd runs this machine".to_owned()))
}

/// Every program of an installation: ours, the decoy, and the broker.
fn programs(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let ours = Worker::BUILT.iter().filter(|worker| **worker != Worker::Bus).map(|worker| worker.program());
    let names: Vec<_> = ours.chain(["decnet".to_owned(), "decnet-decoy".to_owned()]).collect();
    let missing: Vec<_> =
        names.iter().filter(|name| !folder.join(name).is_file()).map(String::as_str).collect();
    if !missing.is_empty() {
        bail!(
            "{} lacks {}; build them (`cargo build --release --workspace --bins`) or name their folder with --bin-dir",
            folder.display(),
            missing.join(", ")
        );
    }
    let mut all: Vec<_> = names.iter().map(|name| (folder.join(name), format!("{BIN}/{name}"))).collect();
    let beside = folder.join("nats-server");
    let broker = if beside.is_file() {
        block_on(async { Ok(decnet_bus::server::check(&beside).await?) })?;
        beside
    } else {
        block_on(async { Ok(decnet_bus::server::find().await?) })?
    };
    all.push((broker, format!("{BIN}/nats-server")));
    Ok(all)
}

fn binaries(ground: &mut Ground, bin_dir: Option<&Path>) -> Result<Outcome> {
    let own = std::env::current_exe().context("cannot find my own program file")?;
    let folder = bin_dir.or(own.parent()).unwrap_or(Path::new(".")).to_path_buf();
    let copied = collect(&programs(&folder)?, |(from, to)| Ok(ground.copy(from, to)?.then(|| to.clone())))?;
    ground.stale |= !copied.is_empty();
    Ok(Outcome::of(&copied, "installed", "all current"))
}

fn users(ground: &mut Ground) -> Result<Outcome> {
    let file = rendered("/etc/sysusers.d/decnet.conf")?;
    let written = ground.put(&file)?;
    let wanted: Vec<_> =
        file.text.lines().filter_map(|line| line.strip_prefix("u ")?.split(' ').next()).collect();
    let all_there = || wanted.iter().all(|user| ground.uid(user).is_ok());
    if ground.has_prefix() {
        let text = format!("wrote {} (makes {} users)", ground.at(&file.path).display(), wanted.len());
        return Ok(if written { Outcome::Done(text) } else { Outcome::Skip("described".to_owned()) });
    }
    if !written && all_there() {
        return Ok(Outcome::Skip("all there".to_owned()));
    }
    ground.system("systemd-sysusers", &[&file.path])?;
    if !ground.dry_run() && !all_there() {
        bail!("systemd-sysusers made no users; see `systemd-sysusers {}`", file.path);
    }
    Ok(Outcome::Done(format!("group {} and {} users", decnet_deploy::GROUP, wanted.len())))
}

/// The fleet secret, the key of access tokens, the key that seals webhook secrets: made once, never replaced.
fn secrets(ground: &Ground) -> Result<Outcome> {
    let fleet = format!("{STATE}/fleet.secret");
    let random = [format!("{ETC}/jwt.secret"), format!("{STATE}/webhook.key")];
    let missing: Vec<String> =
        [&fleet].into_iter().chain(&random).filter(|path| !ground.at(path).exists()).cloned().collect();
    if !ground.dry_run() {
        if missing.contains(&fleet) {
            FleetSecret::load_or_create(&ground.at(&fleet)).context("the fleet secret")?;
        }
        for path in random {
            let text = format!("{}\n", FleetSecret::generate().seed().to_hex());
            ground.put(&InstalledFile { path, text, mode: 0o400, group: Group::Root, keep: true })?;
        }
    }
    Ok(Outcome::of(&missing, "made", "all there; back up the fleet secret"))
}

fn keys(ground: &mut Ground) -> Result<Outcome> {
    let folder = KeyFolder::read_only(ground.at(KEYS));
    let missing: Vec<String> = holders()
        .filter(|holder| !folder.file(*holder).exists())
        .map(|holder| folder.file(holder).display().to_string())
        .collect();
    if !ground.dry_run() {
        // Also reads those that are there, so that a spoilt one is found now.
        folder.load_or_create()?;
    }
    ground.stale |= !missing.is_empty();
    Ok(Outcome::of(&missing, "made", "all there"))
}

fn broker(ground: &mut Ground) -> Result<Outcome> {
    let folder = KeyFolder::read_only(ground.at(KEYS));
    let users: Vec<_> = holders()
        .filter_map(|holder| {
            folder.public(holder).transpose().map(|public| public.map(|public| (holder, public)))
        })
        .collect::<Result<_, _>>()?;
    let path = format!("{KEYS}/nats.conf");
    let before = fs::read_to_string(ground.at(&path)).unwrap_or_default();
    // In a dry run the folder may not be there yet; its disk is.
    let mut disk = ground.at(STATE);
    while !disk.exists() && disk.pop() {}
    let storage = ServiceConfig::storage(&disk, &before).context("the disk of the streams")?;
    let text = decnet_deploy::broker_config(&users, &HostId::default(), storage)?;
    let file = InstalledFile::public(path, text);
    let changed = ground.put(&file)?;
    ground.stale |= changed;
    let path = ground.at(&file.path).display().to_string();
    Ok(if changed {
        Outcome::Done(format!("wrote {path}"))
    } else {
        Outcome::Skip(format!("{path} is current"))
    })
}

fn units(ground: &mut Ground) -> Result<Outcome> {
    let changed = collect(&decnet_deploy::files(), |file| {
        Ok(ground.put(file)?.then(|| ground.at(&file.path).display().to_string()))
    })?;
    if changed.iter().any(|path| path.contains(UNITS)) {
        ground.stale = true;
    }
    if !changed.is_empty() {
        ground.system("systemctl", &["daemon-reload"])?;
    }
    Ok(Outcome::of(&changed, "wrote", "units, target, polkit rule and tmpfiles are current"))
}

fn rendered(path: &str) -> Result<InstalledFile> {
    decnet_deploy::files()
        .into_iter()
        .find(|file| file.path == path)
        .with_context(|| format!("no {path} is rendered"))
}

/// Writes the broker's configuration again after a key changed; `true` if it differs.
pub(crate) fn rewrite_broker() -> Result<bool> {
    let mut ground = Ground::new(None, false, false);
    Ok(matches!(broker(&mut ground)?, Outcome::Done(_)))
}

/// The folders that hold files of ours, for the removal.
pub(super) fn own_files(ground: &Ground) -> Vec<PathBuf> {
    let mut all: Vec<_> = decnet_deploy::files().iter().map(|file| ground.at(&file.path)).collect();
    all.push(ground.at(&decnet_deploy::settings_file().path));
    all.push(ground.at(&format!("{KEYS}/nats.conf")));
    all.push(ground.at(&format!("{ETC}/jwt.secret")));
    all.extend(holders().map(|holder| KeyFolder::read_only(ground.at(KEYS)).file(holder)));
    let programs = Worker::ALL.iter().map(|worker| worker.program()).chain(["decnet-decoy".to_owned()]);
    all.extend(programs.map(|name| ground.at(&format!("{BIN}/{name}"))));
    all.sort();
    all.dedup();
    all.retain(|path| fs::symlink_metadata(path).is_ok());
    all
}
