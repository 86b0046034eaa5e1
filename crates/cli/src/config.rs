//! `decnet config check`: the settings in force and where each came from.

use anyhow::{Result, anyhow};
use clap::Subcommand;
use decnet_kit::args::CommonArgs;
use serde_json::json;

use crate::{BadInput, render};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show every setting with its value and its origin; secrets are hidden
    Check(render::Format),
}

pub(crate) fn run(common: &CommonArgs, verb: &Verb) -> Result<()> {
    let Verb::Check(format) = verb;
    let loaded = load(common)?;
    if format.json {
        return render::json(&json!({ "settings": loaded.effective, "warnings": loaded.warnings }));
    }
    render::table(
        ["setting", "value", "origin", "variable"],
        loaded.effective.iter().map(|row| {
            [
                row.key.to_owned(),
                row.value.clone().unwrap_or_else(|| "-".to_owned()),
                row.origin.clone(),
                row.env.to_owned(),
            ]
        }),
    )
}

/// The settings of this machine; what is wrong with them is the operator's to mend.
pub(crate) fn load(common: &CommonArgs) -> Result<decnet_kit::settings::Loaded> {
    let loaded = common.load().map_err(|error| anyhow!(BadInput(error.to_string())))?;
    for warning in &loaded.warnings {
        eprintln!("decnet: warning: {}", decnet_logline::clean(warning));
    }
    Ok(loaded)
}
