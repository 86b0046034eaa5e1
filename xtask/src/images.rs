//! `cargo xtask images`: the decoy as one static file, as it goes into containers that hold nothing else.
//!
//! It has a target folder of its own, because the flag that makes a file static would otherwise rebuild everything for
//! everyone. What containers are made of beside it is the agent's business; root file systems for shells are made by
//! `decnet images`.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result, ensure};

use crate::shell::{self, cargo, output, program, target};

/// Where tests, demo and bench find the static decoy.
pub(crate) const VARIABLE: &str = "DECNET_STATIC_DECOY";
/// The target triple: named, so that the flag below does not reach build scripts and macros, which cannot be static.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// How it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quickly, for tests.
    Dev,
    /// For use.
    Release,
}

/// Where the finished file is.
pub(crate) fn static_decoy() -> PathBuf {
    target().join("decoy-static").join("decnet-decoy")
}

pub(crate) fn run() -> Result<()> {
    let path = build(Profile::Release)?;
    println!("images: the static decoy is {}", path.display());
    println!("images: set {VARIABLE} for tests, or DECNET_DECOY_BIN for an agent");
    println!(
        "images: root file systems for shells are made by `decnet images build debian` (see docs/images.md)"
    );
    Ok(())
}

/// Builds it if anything has changed and returns its path.
pub(crate) fn build(profile: Profile) -> Result<PathBuf> {
    ensure!(cfg!(target_arch = "x86_64"), "the static decoy is built on x86-64 only so far");
    let started = Instant::now();
    let folder = target().join("static");
    let mut command = cargo(["build", "--quiet", "--package", "decnet-decoy", "--target", TRIPLE]);
    command
        // Names and line numbers are no use inside a decky, and tell an intruder what he looks at.
        .args(["--config", "profile.dev.strip=true", "--config", "profile.release.strip=true"])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_TARGET_DIR", &folder);
    let built = match profile {
        Profile::Dev => folder.join(TRIPLE).join("debug"),
        Profile::Release => {
            command.arg("--release");
            folder.join(TRIPLE).join("release")
        }
    };
    shell::run(&mut command)?;
    let (built, path) = (built.join("decnet-decoy"), static_decoy());
    check(&built)?;
    replace(&built, &path)?;
    if started.elapsed().as_secs() >= 5 {
        println!("images: the static decoy took {} s", started.elapsed().as_secs());
    }
    Ok(path)
}

/// A file that still wants a loader would not start in a container that has none.
fn check(path: &std::path::Path) -> Result<()> {
    let headers = output(program("readelf", ["--program-headers", "--wide"]).arg(path))?;
    ensure!(
        !headers.contains("INTERP"),
        "{} is not static: it names an interpreter; is RUSTFLAGS set in a cargo configuration?",
        path.display()
    );
    Ok(())
}

/// Copies under another name and renames, so that a decoy that runs from the old file goes on.
fn replace(built: &std::path::Path, path: &std::path::Path) -> Result<()> {
    let age =
        |path: &std::path::Path| std::fs::metadata(path).and_then(|m| Ok((m.len(), m.modified()?))).ok();
    if let (Some((size, made)), Some((old_size, copied))) = (age(built), age(path))
        && size == old_size
        && copied >= made
    {
        return Ok(());
    }
    let folder = path.parent().context("folder of the static decoy")?;
    std::fs::create_dir_all(folder)?;
    let part = folder.join("decnet-decoy.part");
    std::fs::copy(built, &part).with_context(|| part.display().to_string())?;
    std::fs::rename(&part, path)?;
    Ok(())
}
