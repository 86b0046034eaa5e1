//! `decnet lab`: the parts by themselves, for people who check our work. No broker, no database, no settings.

mod life;

use std::io::{BufRead, BufReader, Read, Write};

use anyhow::{Context, Result};
use clap::Subcommand;
use decnet_logline::{MAX_SCAN, TypedEvent, scan};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Read RFC 5424 lines from stdin and print what they mean, one JSON object a line
    Lines {
        /// JSON (the only form there is)
        #[arg(long)]
        json: bool,
    },
    /// Plan the life of an invented fleet on virtual time, one action a line
    Life(life::Args),
}

pub(crate) fn run(verb: &Verb) -> Result<()> {
    match verb {
        Verb::Lines { json: _ } => lines(std::io::stdin().lock(), std::io::stdout().lock()),
        Verb::Life(args) => life::run(args),
    }
}

/// One object for every line of input, also for one that is no record: the run never stops because of a line.
fn lines(input: impl Read, out: impl Write) -> Result<()> {
    let mut input = BufReader::new(input);
    let mut out = std::io::BufWriter::new(out);
    let mut number = 0u64;
    while let Some(line) = next_line(&mut input).context("stdin")? {
        number += 1;
        match scan(&line) {
            Ok(record) => serde_json::to_writer(&mut out, &TypedEvent::from(&record))?,
            Err(error) => serde_json::to_writer(
                &mut out,
                &json!({"error": error.reason, "offset": error.offset, "line": number}),
            )?,
        }
        out.write_all(b"\n")?;
        // A reader at the other end of a pipe should not wait for a full buffer when the input pauses.
        if input.buffer().is_empty() {
            out.flush()?;
        }
    }
    out.flush()?;
    Ok(())
}

/// The next line without its end; of an overlong one only as much as the scanner needs to refuse it is kept.
fn next_line(input: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut any = false;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any.then_some(line));
        }
        any = true;
        let end = buffer.iter().position(|b| *b == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(buffer);
        let room = (MAX_SCAN + 1).saturating_sub(line.len());
        line.extend(part.iter().take(room));
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(input: &[u8]) -> Vec<serde_json::Value> {
        let mut out = Vec::new();
        lines(input, &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    #[test]
    fn a_bad_line_is_an_object_and_stops_nothing() {
        let good = b"<134>1 2026-03-23T09:14:07Z web-01 ssh - auth_attempt [relay@55555 src_ip=\"203.0.113.9\" username=\"root\" secret_b64=\"dG9vcg==\"]\n";
        let mut input = good.to_vec();
        input.extend(b"rubbish\n\xff\n\n");
        input.extend(vec![b'a'; MAX_SCAN * 2]);
        input.extend(b"\n");
        input.extend(good);
        let out = typed(&input);
        assert_eq!(out.len(), 6);
        assert_eq!(out[0]["credential"]["principal"], "root");
        assert_eq!(out[0]["attacker_ip"], "203.0.113.9");
        for bad in &out[1..5] {
            assert!(bad["error"].is_string() && bad["offset"].is_u64(), "{bad}");
        }
        assert_eq!(out[4]["line"], 5);
        assert_eq!(out[5], out[0]);
    }

    #[test]
    fn nothing_in_nothing_out() {
        assert!(typed(b"").is_empty());
    }
}
