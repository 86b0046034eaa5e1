//! `decnet lab life`: what a fleet would do, on virtual time. Its output is a promise (`design/life-events.md`).
//!
//! Depends on nothing but its arguments and the persona file's content: no settings, no clock, no locale.

use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use decnet_logline::clean;
use decnet_realism::{
    Action, Planned, Pool,
    lab::{Life, Line},
    persona::{
        PoolError,
        parse::{Mode, Reading, strict},
    },
};

use crate::BadInput;

/// Language of personas that name none.
const LANGUAGE: &str = "en";
/// A persona file larger than this is something else.
const LARGEST: u64 = 16 << 20;
/// Years that a plan may lie in: what file times, gzip and mail can express.
const YEARS: std::ops::RangeInclusive<i32> = 1975..=2100;
/// Bounds of a plan.
const MOST_DECKIES: i64 = 100_000;
const MOST_DAYS: i64 = 3_660;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A JSON list of personas (docs/examples/personas.json)
    #[arg(long, value_name = "FILE")]
    personas: PathBuf,
    /// Number of machines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_DECKIES))]
    deckies: u32,
    /// Length of the plan, in times of 24 hours
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u32).range(1..=MOST_DAYS))]
    days: u32,
    /// The number that everything is drawn from
    #[arg(long, value_name = "S", value_parser = seed)]
    seed: u64,
    /// The plan's first instant
    #[arg(long, value_name = "RFC3339", value_parser = start)]
    start: DateTime<Utc>,
    /// One JSON object a line (otherwise lines to read)
    #[arg(long)]
    json: bool,
}

/// Decimal digits only: `u64` alone would take a sign.
fn seed(text: &str) -> Result<u64, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let why = || format!("it must be a whole number from 0 to {}", u64::MAX);
    text.parse().ok().filter(|_| digits).ok_or_else(why)
}

fn start(text: &str) -> Result<DateTime<Utc>, String> {
    let start = DateTime::parse_from_rfc3339(text)
        .map_err(|error| format!("it must be a time such as 2026-03-23T08:00:00+01:00: {error}"))?
        .with_timezone(&Utc);
    if YEARS.contains(&start.year()) {
        Ok(start)
    } else {
        Err(format!("the year must be from {} to {}", YEARS.start(), YEARS.end()))
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let end = args.start.checked_add_signed(TimeDelta::days(i64::from(args.days)));
    if end.is_none_or(|end| end.year() > *YEARS.end()) {
        let last = YEARS.end();
        return Err(
            BadInput(format!("--days {}: the plan would end after the year {last}", args.days)).into()
        );
    }
    let pool = read(&args.personas)?;
    let mut life = Life::new(&pool, args.deckies, args.days, args.seed, args.start);
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    while let Some(planned) = life.next() {
        if args.json {
            serde_json::to_writer(&mut out, &Line::of(&planned, life.fleet()))
                .map_err(std::io::Error::from)
                .context("stdout")?;
            out.write_all(b"\n").context("stdout")?;
        } else {
            writeln!(out, "{}", clean(&sentence(&planned))).context("stdout")?;
        }
    }
    out.flush().context("stdout")
}

/// The pool, or every fault of the file on stderr.
fn read(file: &Path) -> Result<Pool> {
    let named = |why: String| BadInput(format!("--personas {}: {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| named(error.to_string()))?.len();
    if size > LARGEST {
        return Err(named(format!("{size} bytes are too many for a list of personas")).into());
    }
    let text = std::fs::read(file).map_err(|error| named(error.to_string()))?;
    let Reading { personas, warnings } = strict(&text, LANGUAGE, Mode::Read).map_err(|error| {
        if let PoolError::Faults(faults) = &error {
            for fault in faults {
                eprintln!("{}", clean(&fault.to_string()));
            }
        }
        named(clean(&error.to_string()).into_owned())
    })?;
    if personas.is_empty() {
        return Err(named("there is nobody in it".to_owned()).into());
    }
    for warning in &warnings {
        eprintln!("warning: {}", clean(&warning.to_string()));
    }
    if let [_] = personas.as_slice() {
        eprintln!("warning: one persona alone has nobody to write to: there will be no mail");
    }
    Ok(Pool::new(personas))
}

/// An action in one line, for people.
fn sentence(planned: &Planned) -> String {
    let who = planned.persona.as_ref().map_or("-", |persona| persona.name.as_str());
    let what = match &planned.action {
        Action::Traffic { dst, protocol, port } => format!("{dst} {protocol}/{port}"),
        Action::Create(write) | Action::Edit { write, .. } => {
            format!("{} ({} bytes)", write.path, write.body.len())
        }
        Action::Rotate { path, to, .. } => format!("{path} to {to}"),
        Action::Delete { path, .. } => path.clone(),
        Action::Email(message) => format!("to {}: {}", message.to_name, message.subject),
    };
    let class = planned.class.map_or("-", decnet_realism::Class::as_str);
    let at = planned.at.format("%Y-%m-%d %H:%M:%S");
    format!("{at} {} {} {class} [{who}] {what}", planned.machine, planned.action.kind())
}
