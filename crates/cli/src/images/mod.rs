//! `decnet images build|import|list|remove`: the root file systems that intruders get a shell in, one
//! `<distribution>.tar` each in the folder of images.
//!
//! Files only: it never talks to an engine. The agent turns a file into an image when a deployment needs it.

mod age;
mod build;
mod import;
mod recipe;
mod store;

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Subcommand;
use decnet_fleet::catalogue;
use decnet_kit::args::CommonArgs;
use serde_json::json;

use self::store::Store;
use crate::{BadInput, config, render};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make one with debootstrap (as root; takes a minute or two and 1 GB while it works)
    Build(build::Args),
    /// Take one that you have: an uncompressed tar of a root file system, or `-` for stdin
    Import {
        /// Distribution (`decnet distros`)
        distro: String,
        /// The tar
        file: PathBuf,
    },
    /// What there is
    List(render::Format),
    /// Delete one; deckies that run keep what they have
    Remove {
        /// Distribution
        distro: String,
    },
}

pub(crate) fn run(common: &CommonArgs, verb: &Verb) -> Result<()> {
    let store = Store::at(&config::load(common)?.settings.images_dir);
    match verb {
        Verb::Build(args) => build::run(&store, args),
        Verb::Import { distro, file } => import::run(&store, known(distro)?, file),
        Verb::List(format) => list(&store, *format),
        Verb::Remove { distro } => remove(&store, distro),
    }
}

/// A distribution of the catalogue.
fn known(slug: &str) -> Result<&'static catalogue::Distro> {
    catalogue::distro(slug).ok_or_else(|| {
        let text = format!("there is no distribution {slug:?}; known are {}", catalogue::known_distros());
        anyhow!(BadInput(text))
    })
}

fn list(store: &Store, format: render::Format) -> Result<()> {
    let images = store.list()?;
    if format.json {
        let rows = images.iter().map(|image| {
            json!({
                "distro": image.slug, "bytes": image.bytes, "made": image.made.to_rfc3339(),
                "known": catalogue::distro(&image.slug).is_some(), "path": image.path,
            })
        });
        return render::json(&rows.collect::<Vec<_>>());
    }
    if images.is_empty() {
        eprintln!(
            "decnet: no images in {}; make one with `decnet images build debian`",
            store.folder().display()
        );
    }
    render::table(
        ["distro", "size", "made", "what it is"],
        images.iter().map(|image| {
            let name = catalogue::distro(&image.slug).map_or("not in the catalogue, never used", |d| d.name);
            let size = format!("{} MB", image.bytes.div_ceil(1_000_000));
            [image.slug.clone(), size, image.made.format("%Y-%m-%d %H:%M:%S").to_string(), name.to_owned()]
        }),
    )
}

fn remove(store: &Store, slug: &str) -> Result<()> {
    // Also one that the catalogue does not know (any more).
    let is_slug =
        (1..=32).contains(&slug.len()) && slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_slug {
        return Err(anyhow!(BadInput(format!("{slug:?} is no distribution; see `decnet images list`"))));
    }
    if store.lock()?.remove(slug)? {
        render::line(&format!("removed {slug}"))
    } else {
        Err(anyhow!("there is no image of {slug}; see `decnet images list`"))
    }
}
