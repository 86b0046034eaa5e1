//! `decnet logs`: what deckies saw, oldest first, from the database; `-f` goes on as lines come in.

use std::time::Duration;

use anyhow::Result;
use decnet_db::{LogQuery, LogRow, Paging, Search};
use decnet_kit::args::CommonArgs;

use crate::{BadInput, attackers::open, block_on, config, render};

/// How often the database is asked for new lines.
const POLL: Duration = Duration::from_millis(300);
/// Lines of one answer.
const CHUNK: u64 = 500;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Go on as lines come in
    #[arg(short, long)]
    follow: bool,
    /// How many lines of the past
    #[arg(short = 'n', long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=1000))]
    lines: u64,
    /// What to look for, such as `decky:web-01 event:auth_attempt root`
    #[arg(value_name = "SEARCH")]
    search: Vec<String>,
}

pub(crate) fn run(common: &CommonArgs, args: &Args) -> Result<()> {
    let search: Search =
        Search::parse(&args.search.join(" ")).map_err(|error| BadInput(format!("search: {error}")))?;
    let loaded = config::load(common)?;
    block_on(async {
        let db = open(&loaded.settings).await?;
        let mut last = db.logs().last_id().await?;
        if args.lines > 0 {
            let query = LogQuery {
                search: search.clone(),
                before_id: Some(last.saturating_add(1)),
                paging: Paging { limit: args.lines, ..Paging::default() },
                ..LogQuery::default()
            };
            for row in db.logs().page(&query).await?.data.iter().rev() {
                show(row, args.json)?;
            }
        }
        if !args.follow {
            return Ok(());
        }
        loop {
            let rows = db.logs().after_id(last, &search, CHUNK).await?;
            for row in &rows {
                show(row, args.json)?;
                last = last.max(row.id);
            }
            if rows.is_empty() {
                tokio::time::sleep(POLL).await;
            }
        }
    })
}

fn show(row: &LogRow, json: bool) -> Result<()> {
    if json {
        return render::json_line(row);
    }
    let skipped = ["src_ip", "src_port", "dst_ip", "dst_port", "conn_id", "seq", "secret_b64"];
    let fields: String = row
        .fields
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !skipped.contains(&name.as_str()))
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!(" {name}={text:.120}"),
            None => format!(" {name}={value:.120}"),
        })
        .collect();
    let mark = if row.forged { " FORGED" } else { "" };
    render::line(&format!(
        "{} {} {} {} {}{mark}{fields}",
        row.timestamp.format("%Y-%m-%d %H:%M:%S%.3f"),
        row.decky,
        row.service,
        row.event_type,
        row.attacker_ip,
    ))
}
