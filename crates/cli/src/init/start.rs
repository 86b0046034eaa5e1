//! The last steps: enable and start the target, wait until every unit is up, show the first password.

use std::{fs, time::Duration};

use anyhow::{Result, bail};
use decnet_deploy::{STATE, TARGET, target_units};
use tokio::time::Instant;

use super::{
    Run,
    ground::{Ground, Outcome},
};
use crate::block_on;

/// How long a unit that fell over at first may take to come up. The start itself waits for as long as the units say.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) fn all(run: &mut Run, no_start: bool) -> Result<()> {
    if no_start || run.ground.has_prefix() {
        let why = if no_start { "--no-start" } else { "a prefix" };
        return run.step("start", |_| {
            Ok(Outcome::Skip(format!("{why}: `systemctl enable --now {TARGET}` starts it")))
        });
    }
    let mut started = false;
    run.step("start", |ground| {
        let outcome = start(ground)?;
        started = matches!(outcome, Outcome::Done(_)) && !ground.dry_run();
        Ok(outcome)
    })?;
    if run.ground.dry_run() {
        return Ok(());
    }
    run.step("ready", |ground| wait(ground, started))?;
    if !started {
        return Ok(());
    }
    run.step("first login", |ground| {
        // The API makes it at its first start; once it is changed the file is gone.
        Ok(match fs::read_to_string(ground.at(&format!("{STATE}/api/admin-password"))) {
            Ok(password) => {
                Outcome::Done(format!("user admin, password {}; it must be changed at once", password.trim()))
            }
            Err(_) => Outcome::Skip("the password was set before".to_owned()),
        })
    })
}

fn start(ground: &Ground) -> Result<Outcome> {
    let enabled = ground.asks(&["is-enabled", "--quiet", TARGET]);
    let active = ground.asks(&["is-active", "--quiet", TARGET]);
    if !enabled {
        ground.system("systemctl", &["enable", "--quiet", TARGET])?;
    }
    match (active, ground.stale || ground.force()) {
        // Its members are part of it, and it waits for them.
        (true, true) => {
            ground.system("systemctl", &["restart", TARGET])?;
            Ok(Outcome::Done(format!("restarted {TARGET}")))
        }
        // Starting what runs is harmless and brings back what had fallen over.
        (true, false) if enabled && inactive(ground).is_empty() => {
            Ok(Outcome::Skip(format!("{TARGET} runs")))
        }
        _ => {
            ground.system("systemctl", &["start", TARGET])?;
            Ok(Outcome::Done(format!("enabled and started {TARGET}")))
        }
    }
}

fn inactive(ground: &Ground) -> Vec<String> {
    target_units().into_iter().filter(|unit| !ground.asks(&["is-active", "--quiet", unit])).collect()
}

/// Waits until every unit is active, which for workers means that they have said so.
fn wait(ground: &Ground, started: bool) -> Result<Outcome> {
    let left = block_on(async {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = inactive(ground);
            if left.is_empty() || Instant::now() > deadline {
                return Ok(left);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })?;
    let count = target_units().len();
    match left.as_slice() {
        [] if started => Ok(Outcome::Done(format!("all {count} units are active"))),
        [] => Ok(Outcome::Skip(format!("all {count} units are active"))),
        left => bail!(
            "not active after {} s: {}; see `systemctl status {}` and `journalctl -u {}`",
            PATIENCE.as_secs(),
            left.join(", "),
            left.join(" "),
            left.first().map_or("", String::as_str)
        ),
    }
}
