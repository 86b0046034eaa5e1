//! How the tool shows things: tables for people, JSON for programs, and never a control character of an intruder's.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use comfy_table::{ContentArrangement, Table, TableStyle};
use serde::Serialize;

/// The flag that every listing has.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Format {
    /// JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints one JSON document.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Prints one JSON object on one line.
pub(crate) fn json_line(value: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Prints a table; every cell is cleaned.
pub(crate) fn table<const N: usize>(
    heads: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<()> {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(heads.map(str::to_uppercase));
    for row in rows {
        table.add_row(row.map(|cell| decnet_logline::clean(&cell).into_owned()));
    }
    let mut out = std::io::stdout().lock();
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Prints one line of text, cleaned.
pub(crate) fn line(text: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{}", decnet_logline::clean(text))?;
    Ok(())
}

/// What went wrong and why, cleaned. Many of our errors tell their cause themselves; nothing is said twice.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    decnet_logline::clean(&told).replace("\\u000A", "\n")
}

/// Whether the error is only that nobody reads any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or(json) == Some(std::io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn an_error_is_told_once_and_without_controls() {
        let inner = anyhow!("no such file");
        let error = inner.context("cannot open a\u{1b}[31m: no such file").context("the database");
        assert_eq!(chain(&error), "the database: cannot open a\\u001B[31m: no such file");
        assert_eq!(chain(&anyhow!("line 1\nline 2")), "line 1\nline 2");
    }
}
