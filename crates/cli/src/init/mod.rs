//! `decnet init`: turns a machine with systemd into an installation: binaries, users, folders, keys, settings, units; then
//! starts it and looks whether everything came up. Repeating it changes nothing but what differs.
//!
//! What is written is rendered by `decnet-deploy`. With `--prefix` the same files land below a folder, and nothing of the
//! running system is touched.

pub(crate) use self::install::rewrite_broker;

mod ground;
mod install;
mod remove;
mod start;

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use decnet_kit::args::CommonArgs;

use self::ground::{Ground, Outcome};
use crate::{BadInput, config, gate, render};

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Args {
    /// Write everything below this folder and leave the running system alone (for packages and tests)
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Neither enable nor start the units
    #[arg(long)]
    no_start: bool,
    /// Write and restart also what is unchanged (settings, keys and secrets stay)
    #[arg(long)]
    force: bool,
    /// Folder of the binaries to install (else the folder of this program)
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Take the installation away again; state and users stay
    #[arg(long)]
    deinit: bool,
    /// With --deinit: state and users too. What was captured is gone afterwards
    #[arg(long, requires = "deinit")]
    purge: bool,
}

pub(crate) fn run(common: &CommonArgs, args: &Args) -> Result<()> {
    gate::master_only(&config::load(common)?.settings)?;
    if args.prefix.as_ref().is_some_and(|prefix| !prefix.is_absolute()) {
        return Err(anyhow!(BadInput("--prefix needs an absolute path".to_owned())));
    }
    if args.prefix.is_none() && !args.dry_run && !rustix::process::geteuid().is_root() {
        bail!(
            "this needs root: run it with sudo, or look at what it would do with --dry-run or --prefix DIR"
        );
    }
    let ground = Ground::new(args.prefix.clone(), args.dry_run, args.force);
    let mut run = Run { ground };
    if args.deinit {
        return remove::all(&mut run, args.purge);
    }
    install::all(&mut run, args.bin_dir.as_deref())?;
    start::all(&mut run, args.no_start)
}

/// One run: its steps, one line each.
struct Run {
    ground: Ground,
}

impl Run {
    /// Does one step. The first that fails ends the run.
    fn step(&mut self, name: &str, work: impl FnOnce(&mut Ground) -> Result<Outcome>) -> Result<()> {
        match work(&mut self.ground) {
            Ok(Outcome::Done(text)) if self.ground.dry_run() => {
                render::line(&format!("[PLAN] {name}: {text}"))
            }
            Ok(Outcome::Done(text)) => render::line(&format!("[ OK ] {name}: {text}")),
            Ok(Outcome::Skip(text)) => render::line(&format!("[SKIP] {name}: {text}")),
            Err(error) => {
                render::line(&format!("[FAIL] {name}: {}", render::chain(&error)))?;
                bail!(
                    "stopped at the step `{name}`; what came before it is done, so mend it and run this again"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
