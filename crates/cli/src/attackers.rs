//! `decnet attackers`: who was seen, straight from the database.

use std::path::Path;

use anyhow::{Context, Result, bail};
use decnet_db::{AttackerQuery, AttackerSort, Db, DbOptions, Paging};
use decnet_kit::{args::CommonArgs, settings::Settings};

use crate::{block_on, config, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    format: render::Format,
    /// Only addresses that contain this text
    #[arg(long)]
    search: Option<String>,
    /// Only those who touched this service
    #[arg(long)]
    service: Option<String>,
    /// Order: last seen first, or most events first
    #[arg(long, value_parser = ["recent", "active"], default_value = "recent")]
    sort: String,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
}

pub(crate) fn run(common: &CommonArgs, args: &Args) -> Result<()> {
    let loaded = config::load(common)?;
    block_on(async {
        let db = open(&loaded.settings).await?;
        let query = AttackerQuery {
            search: args.search.clone(),
            service: args.service.clone(),
            sort: if args.sort == "active" { AttackerSort::Active } else { AttackerSort::Recent },
            paging: Paging { limit: args.limit, ..Paging::default() },
        };
        let page = db.attackers().page(&query).await?;
        let mut rows = Vec::with_capacity(page.data.len());
        for attacker in page.data {
            // Services and deckies are in child tables; a page of them is small.
            rows.push(
                db.attackers().get(attacker.uuid).await?.context("an attacker vanished while being read")?,
            );
        }
        if args.format.json {
            return render::json(&rows);
        }
        render::table(
            ["address", "last seen", "events", "sessions", "credentials", "services", "deckies"],
            rows.iter().map(|row| {
                let services: Vec<_> = row
                    .services
                    .iter()
                    .map(|s| if s.interacted { s.service.clone() } else { format!("({})", s.service) })
                    .collect();
                let deckies: Vec<_> = row.deckies.iter().map(|d| d.decky.as_str()).collect();
                [
                    row.attacker.ip.clone(),
                    row.attacker.last_seen.format("%Y-%m-%d %H:%M:%S").to_string(),
                    row.attacker.event_count.to_string(),
                    row.attacker.session_count.to_string(),
                    row.attacker.credential_count.to_string(),
                    services.join(", "),
                    deckies.join(", "),
                ]
            }),
        )
    })
}

/// The database of these settings, of the schema that this program knows.
pub(crate) async fn open(settings: &Settings) -> Result<Db> {
    let hint = "the database does not open; has `decnet up` or `decnet migrate` made it?";
    let url = settings.db_url.expose();
    // Whoever only looks makes no database: an empty one would hide that the address is wrong.
    if let Some(file) =
        url.strip_prefix("sqlite://").map(|rest| rest.split_once('?').map_or(rest, |(file, _)| file))
        && !file.starts_with(':')
        && !Path::new(file).exists()
    {
        bail!("{hint} There is no file {file}");
    }
    let db = Db::connect(url, DbOptions::default()).await.context(hint)?;
    db.check_schema().await?;
    Ok(db)
}
