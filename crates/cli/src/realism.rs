//! `decnet realism`: the invented people of the fleet.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;
use decnet_kit::{args::CommonArgs, personas};
use decnet_realism::{
    Pool,
    persona::{
        PoolError,
        parse::{Mode, strict},
        to_json,
    },
};

use crate::{BadInput, config, gate, render};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Check a file of personas and make it the fleet's pool; nothing is written unless all of it is good
    ImportPersonas {
        /// A JSON list of personas (docs/examples/personas.json)
        file: PathBuf,
        /// Write here instead of to the fleet's pool
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// The pool as the orchestrator reads it, and its file
    Personas(render::Format),
}

pub(crate) fn run(common: &CommonArgs, verb: &Verb) -> Result<()> {
    let loaded = config::load(common)?;
    gate::master_only(&loaded.settings)?;
    let pool = personas::pool_path(loaded.settings.realism_personas.as_deref());
    match verb {
        Verb::ImportPersonas { file, output } => import(file, output.as_deref().unwrap_or(&pool)),
        Verb::Personas(format) => list(&pool, format.json),
    }
}

/// Reads strictly, writes whole.
fn import(file: &Path, target: &Path) -> Result<()> {
    let text = personas::read_text(file)?;
    let text = text.with_context(|| format!("there is no file {}", file.display()))?;
    let read = strict(text.as_bytes(), personas::DEFAULT_LANGUAGE, Mode::Write);
    // With the logins that the order of the list gives: they must not change when the list does.
    let people = Pool::new(read.map_err(|error| explain(file, &error))?.personas).0;
    match people.len() {
        0 => {
            return Err(anyhow::anyhow!(
                "{}: there is nobody in it; the pool was not changed",
                file.display()
            ));
        }
        1 => eprintln!("decnet: warning: one persona alone has nobody to write to: there will be no mail"),
        _ => {}
    }
    personas::write_text(target, &to_json(&people))?;
    render::line(&format!("{} personas written to {}", people.len(), target.display()))?;
    render::line("the next deployment takes its staff from them; the orchestrator reads them at once")
}

/// Every fault on a line of its own, named by place.
fn explain(file: &Path, error: &PoolError) -> anyhow::Error {
    let text = match error {
        PoolError::Faults(faults) => {
            let lines: Vec<String> =
                faults.iter().map(|fault| decnet_logline::clean(&fault.to_string()).into_owned()).collect();
            format!("{}: nothing was written\n{}", file.display(), lines.join("\n"))
        }
        other => format!("{}: {}", file.display(), decnet_logline::clean(&other.to_string())),
    };
    // The reference system's scripts know exit code 1 for a file that cannot be imported (spec 15).
    anyhow::anyhow!(text)
}

fn list(path: &Path, json: bool) -> Result<()> {
    let found = personas::load(path).map_err(|error| BadInput(error.to_string()))?;
    let exists = found.is_some();
    let (pool, faults) = found.unwrap_or_default();
    for fault in &faults {
        eprintln!("decnet: warning: {}", decnet_logline::clean(&format!("{fault}; it is left out")));
    }
    if json {
        return render::json(&serde_json::json!({ "path": path.display().to_string(), "personas": pool.0 }));
    }
    let rows = pool.0.iter().map(|persona| {
        [
            persona.name.clone(),
            persona.login.clone().unwrap_or_default(),
            persona.email.clone(),
            persona.role.clone(),
            persona.language.clone(),
            persona.active_hours.clone(),
            persona.tz().to_string(),
        ]
    });
    render::table(["name", "login", "email", "role", "language", "hours", "zone"], rows)?;
    let note = if exists { "" } else { " (it is not there: the accounts' own people live on the deckies)" };
    render::line(&format!("file: {}{note}", path.display()))
}
