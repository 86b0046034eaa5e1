//! `decnet init --deinit`: takes away what `init` brought. State, captured files and users stay unless `--purge` is given.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use decnet_deploy::{BIN, ETC, GROUP, KEYS, STATE, TARGET, target_units};

use super::{
    Run,
    ground::{Ground, Outcome},
    install,
};

pub(super) fn all(run: &mut Run, purge: bool) -> Result<()> {
    run.step("deckies", |ground| deckies(ground))?;
    run.step("stop", |ground| stop(ground))?;
    run.step("files", |ground| {
        let files = install::own_files(ground);
        for file in files.iter().filter(|_| !ground.dry_run()) {
            fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
        if !files.is_empty() {
            ground.system("systemctl", &["daemon-reload"])?;
        }
        let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        Ok(Outcome::of(&names, "removed", "none there"))
    })?;
    if purge {
        run.step("state", |ground| state(ground))?;
        run.step("users", |ground| users(ground))?;
    }
    run.step("folders", |ground| {
        let gone = empty_folders(ground)?;
        Ok(Outcome::of(&gone, "removed", "none is empty"))
    })?;
    if !purge {
        run.step("state", |ground| {
            let path = ground.at(STATE);
            Ok(Outcome::Skip(format!("{} and the users stay; --purge removes them", path.display())))
        })?;
    }
    Ok(())
}

/// Deckies would go on without anybody who watches them.
fn deckies(ground: &Ground) -> Result<Outcome> {
    let file = ground.at(&format!("{STATE}/decnet-state.json"));
    match decnet_fleet::StateStore::new(&file).load() {
        Ok(Some(_)) if !ground.force() => bail!(
            "deckies are deployed and would go on unwatched: run `decnet teardown --all` first, or give --force"
        ),
        Ok(None) => Ok(Outcome::Skip("none are deployed".to_owned())),
        _ => Ok(Outcome::Skip("left as they are (--force, or the state file cannot be read)".to_owned())),
    }
}

fn stop(ground: &Ground) -> Result<Outcome> {
    if ground.has_prefix() {
        return Ok(Outcome::Skip("a prefix: the running system is left alone".to_owned()));
    }
    let enabled = ground.asks(&["is-enabled", "--quiet", TARGET]);
    let units = target_units();
    let running = units.iter().any(|unit| ground.asks(&["is-active", "--quiet", unit]));
    if !enabled && !running {
        return Ok(Outcome::Skip("nothing runs".to_owned()));
    }
    if enabled {
        ground.system("systemctl", &["disable", "--quiet", TARGET])?;
    }
    let mut arguments = vec!["stop", TARGET];
    arguments.extend(units.iter().map(String::as_str));
    ground.system("systemctl", &arguments)?;
    Ok(Outcome::Done(format!("stopped and disabled {TARGET}")))
}

fn state(ground: &Ground) -> Result<Outcome> {
    let path = ground.at(STATE);
    if !path.exists() {
        return Ok(Outcome::Skip("none there".to_owned()));
    }
    if !ground.dry_run() {
        fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(Outcome::Done(format!("removed {}", path.display())))
}

fn users(ground: &Ground) -> Result<Outcome> {
    if ground.has_prefix() {
        return Ok(Outcome::Skip("a prefix: the running system is left alone".to_owned()));
    }
    let text = decnet_deploy::sysusers();
    let named = text.lines().filter_map(|line| line.strip_prefix("u ")?.split(' ').next());
    let there: Vec<String> = named.filter(|user| ground.uid(user).is_ok()).map(str::to_owned).collect();
    for user in &there {
        ground.system("userdel", &[user])?;
    }
    // Gone with its last member on some systems.
    let groups = fs::read_to_string(ground.at("/etc/group")).unwrap_or_default();
    if groups.lines().any(|line| line.split(':').next() == Some(GROUP)) {
        ground.system("groupdel", &[GROUP])?;
    }
    Ok(Outcome::of(&there, "removed", "none there"))
}

/// Removes our folders as far as they are empty, inner ones first.
fn empty_folders(ground: &Ground) -> Result<Vec<String>> {
    let parents = |path: &str| Path::new(path).parent().map(Path::to_path_buf).unwrap_or_default();
    let mut gone = Vec::new();
    let folders: Vec<PathBuf> = [BIN, KEYS, ETC].iter().map(|path| ground.at(path)).collect();
    for folder in folders.into_iter().chain([ground.at(&parents(BIN).to_string_lossy())]) {
        if ground.dry_run() {
            continue;
        }
        match fs::remove_dir(&folder) {
            Ok(()) => gone.push(folder.display().to_string()),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot remove {}", folder.display())),
        }
    }
    Ok(gone)
}
