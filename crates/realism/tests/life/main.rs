//! Every sentence of `design/life-events.md` that can be checked, against the lines of whole fleets: read as an outsider would,
//! with rules of its own for hours, logs, mail and files.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking; its numbers are counts and seconds"
)]

mod content;
mod files;
mod mail;
mod pools;
mod shares;
mod times;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
};

use chrono::{DateTime, TimeDelta, Utc};
use decnet_realism::{
    Persona, Pool,
    lab::{Life, Line},
};
use serde_json::Value;

/// Violations of one rule that are shown.
const SHOWN: usize = 3;

/// What was found wrong, by rule; a rule begins with the part of the crate that it is about.
#[derive(Default)]
pub(crate) struct Report {
    found: BTreeMap<&'static str, (u32, Vec<String>)>,
}

impl Report {
    pub(crate) fn fault(&mut self, rule: &'static str, what: impl Into<String>) {
        let (count, shown) = self.found.entry(rule).or_default();
        *count += 1;
        if shown.len() < SHOWN {
            let what: String = what.into();
            shown.push(what.escape_debug().take(500).collect());
        }
    }

    pub(crate) fn check(&mut self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) {
        if !holds {
            self.fault(rule, what());
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (rule, (count, shown)) in &self.found {
            let _ = write!(text, "\n{count} x {rule}\n    {}", shown.join("\n    "));
        }
        text
    }
}

/// A fleet's lines with what they were made from.
pub(crate) struct Run {
    pub(crate) pool: Pool,
    pub(crate) deckies: u32,
    pub(crate) days: u32,
    pub(crate) start: DateTime<Utc>,
    pub(crate) lines: Vec<Value>,
    /// Moments at which nothing could be done.
    pub(crate) passed_over: u64,
}

impl Run {
    fn new(list: &Value, deckies: u32, days: u32, seed: u64, start: &str) -> Self {
        let pool = pools::pool(list);
        let start: DateTime<Utc> = start.parse().unwrap();
        let mut life = Life::new(&pool, deckies, days, seed, start);
        let mut lines = Vec::new();
        while let Some(planned) = life.next() {
            lines.push(serde_json::to_value(Line::of(&planned, life.fleet())).unwrap());
        }
        let passed_over = life.passed_over();
        Self { pool, deckies, days, start, lines, passed_over }
    }

    pub(crate) fn end(&self) -> DateTime<Utc> {
        self.start + TimeDelta::days(i64::from(self.days))
    }

    pub(crate) fn persona(&self, name: &str) -> Option<&Persona> {
        self.pool.0.iter().find(|persona| persona.name == name)
    }

    /// Everything about single lines and their order, files and mail.
    fn checked(&self) -> Report {
        let mut report = Report::default();
        let passed_over = usize::try_from(self.passed_over).unwrap();
        report.check(passed_over * 200 <= self.lines.len(), "plan: nothing done", || passed_over.to_string());
        times::check(self, &mut report);
        files::check(self, &mut report);
        mail::check(self, &mut report);
        content::check(self, &mut report);
        report
    }
}

pub(crate) fn text<'v>(line: &'v Value, field: &str) -> &'v str {
    line[field].as_str().unwrap_or_default()
}

pub(crate) fn instant(line: &Value, field: &str) -> DateTime<Utc> {
    text(line, field).parse().unwrap_or_default()
}

/// The content of a line, whichever way it is given.
pub(crate) fn body(line: &Value) -> Option<Vec<u8>> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let plain = line["body"].as_str().map(|body| body.as_bytes().to_vec());
    plain.or_else(|| STANDARD.decode(line["body_b64"].as_str()?).ok())
}

const WEEKS: &str = "2026-03-20T00:00:00Z"; // a Friday; clocks change in New York before, in Europe on the 29th

#[test]
fn twelve_people_on_eight_machines_over_two_weeks() {
    let mut faults = String::new();
    for seed in [7, 20_260_323] {
        let run = Run::new(&pools::twelve(), 8, 14, seed, WEEKS);
        let mut report = run.checked();
        shares::check(&run, &mut report);
        faults.push_str(&report.text());
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn small_and_odd_fleets() {
    let mut faults = String::new();
    for (list, deckies, days, seed) in [
        (pools::three(), 3, 7, 1),
        (pools::three(), 1, 7, 2),
        (pools::alone(), 3, 7, 3),
        (pools::part_time(), 4, 14, 4),
        (pools::twelve(), 1, 7, 5),
        (pools::twelve(), 2, 7, 6),
        (pools::alone(), 1, 7, 7),
    ] {
        let run = Run::new(&list, deckies, days, seed, "2026-10-19T00:00:00Z");
        let mut report = run.checked();
        shares::check_pace(&run, &mut report);
        if !report.found.is_empty() {
            let _ = write!(faults, "\n== {deckies} machines, {} people{}", run.pool.0.len(), report.text());
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn one_day_keeps_the_shares() {
    let mut faults = String::new();
    for (seed, start) in
        [(11, "2026-03-23T00:00:00Z"), (12, "2026-03-25T22:00:00Z"), (13, "2026-06-02T13:37:11.5Z")]
    {
        for list in [pools::twelve(), pools::three()] {
            let run = Run::new(&list, 10, 1, seed, start);
            let mut report = Report::default();
            shares::check_mix(&run, &mut report);
            faults.push_str(&report.text());
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn the_same_again_and_another_with_another_seed() {
    let of = |seed| Run::new(&pools::twelve(), 3, 3, seed, WEEKS).lines;
    let (one, same, other) = (of(5), of(5), of(6));
    assert!(!one.is_empty());
    assert_eq!(one, same);
    assert_ne!(one, other);
    // The start is the plan's, whatever offset it is written with.
    let start = Run::new(&pools::twelve(), 3, 3, 5, "2026-03-20T05:30:00+05:30").lines;
    assert_eq!(one, start);
}

#[test]
fn a_fleet_of_twice_the_size_does_twice_as_much() {
    let count = |deckies| Run::new(&pools::twelve(), deckies, 3, 9, "2026-03-23T00:00:00Z").lines.len();
    let (small, large) = (count(6), count(12));
    let ratio = f64::from(u32::try_from(large).unwrap()) / f64::from(u32::try_from(small).unwrap());
    assert!((1.6..2.5).contains(&ratio), "{small} lines, then {large}");
}

/// The gaps between a decky's actions have no beat: no lag of their autocorrelation stands out.
#[test]
fn there_is_no_beat() {
    let run = Run::new(&pools::twelve(), 4, 7, 21, "2026-03-23T00:00:00Z");
    let mut by_decky: HashMap<&str, Vec<f64>> = HashMap::new();
    for line in &run.lines {
        let at = instant(line, "at");
        let seconds = at.timestamp_micros() as f64 / 1e6;
        by_decky.entry(text(line, "decky")).or_default().push(seconds);
    }
    for (decky, times) in by_decky {
        let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).max(1e-3).ln()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let power = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>();
        for lag in 2..gaps.len().min(60) {
            let product: f64 =
                gaps.iter().zip(&gaps[lag..]).map(|(one, other)| (one - mean) * (other - mean)).sum();
            assert!(product / power < 0.45, "{decky}: gaps repeat after {lag}");
        }
        // Nor is one gap the usual one: no tenth of a second holds more than a few of them.
        let mut rounded: Vec<i64> =
            times.windows(2).map(|pair| ((pair[1] - pair[0]) * 10.0) as i64).collect();
        rounded.sort_unstable();
        let zero = rounded.iter().filter(|gap| **gap == 0).count();
        let most =
            rounded.chunk_by(|one, other| one == other).filter(|same| same[0] != 0).map(<[i64]>::len).max();
        assert!(most.unwrap_or_default() <= 4, "{decky}: a gap comes {most:?} times");
        // Only housekeeping shares its moment with what it makes room for.
        assert!(zero < rounded.len() / 5, "{decky}: {zero} of {} gaps are nothing", rounded.len());
    }
}

/// Lines as an outsider reads them: the order of fields is that of the examples.
#[test]
fn fields_come_in_the_promised_order() {
    let pool = pools::pool(&pools::twelve());
    let mut life = Life::new(&pool, 4, 5, 3, WEEKS.parse().unwrap());
    let mut seen = BTreeSet::new();
    while let Some(planned) = life.next() {
        let line = serde_json::to_string(&Line::of(&planned, life.fleet())).unwrap();
        let mut at = 0;
        let rest: &[&str] = match planned.action.kind() {
            "traffic" => &["dst", "protocol", "port"],
            "create" | "edit" => &["path", "mtime", "mode", "body"],
            "rotate" => &["path", "to"],
            "delete" => &["path"],
            _ => &[
                "path",
                "mtime",
                "mode",
                "subject",
                "to",
                "message_id",
                "in_reply_to",
                "references",
                "thread",
                "body",
            ],
        };
        for field in ["at", "decky", "kind", "persona", "content_class"].iter().chain(rest) {
            let found = line[at..].find(&format!("\"{field}"));
            at += found.unwrap_or_else(|| panic!("{field} is not where it should be: {line}"));
        }
        seen.insert(planned.action.kind());
    }
    for kind in ["traffic", "create", "edit", "email"] {
        assert!(seen.contains(kind), "no {kind}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 24, failure_persistence: None, ..proptest::prelude::ProptestConfig::default()
    })]

    /// Whoever the people are, what is planned keeps the promise; only the mix needs more days than these.
    #[test]
    fn any_pool_lives(dice in proptest::collection::vec(0u32..1_000_000, 1..7), machines in 1u32..4, start in 0i64..700) {
        let start = "2026-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(start * 13);
        let run = Run::new(&pools::random(&dice), machines, 3, 1, &start.to_rfc3339());
        let report = run.checked();
        proptest::prop_assert!(report.found.is_empty(), "{}", report.text());
    }
}
