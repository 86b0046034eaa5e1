//! Shares of kinds and classes, the pace of deckies, days off.

use std::collections::HashMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, Timelike, Utc};
use decnet_realism::Persona;

use crate::{Report, Run, instant, text};

pub(crate) fn check(run: &Run, report: &mut Report) {
    check_mix(run, report);
    check_pace(run, report);
    check_days_off(run, report);
}

fn number(count: usize) -> f64 {
    count as f64
}

/// `count` of `all` within three standard deviations of `share`.
fn share(report: &mut Report, what: &str, count: usize, all: usize, share: f64) {
    let (count, all) = (number(count), number(all));
    let off = (count - all * share).abs();
    let allowed = 3.0 * (all * share * (1.0 - share)).sqrt() + 1.0;
    report.check(off <= allowed, "plan: shares", || {
        format!("{what}: {count} of {all}, that is {:.3} instead of {share:.3}", count / all)
    });
}

pub(crate) fn check_mix(run: &Run, report: &mut Report) {
    let count = |kind: &str| run.lines.iter().filter(|line| text(line, "kind") == kind).count();
    let (traffic, create, edit, email) = (count("traffic"), count("create"), count("edit"), count("email"));
    // Nine of ten decisions about files are seen.
    let all = traffic + create + edit + email;
    let seen = 0.45 + 0.45 * 0.9 + 0.10;
    share(report, "traffic", traffic, all, 0.45 / seen);
    share(report, "email", email, all, 0.10 / seen);
    share(report, "creates of files", create, create + edit, 2.0 / 3.0);
    let of = |kind: &str, classes: &[&str]| {
        let of_kind = run.lines.iter().filter(|line| text(line, "kind") == kind);
        of_kind.filter(|line| classes.contains(&text(line, "content_class"))).count()
    };
    let user = ["note", "todo", "draft", "script"];
    share(report, "people's creates", of("create", &user), create, 0.7);
    share(report, "people's edits", of("edit", &user), edit, 0.7);
    for (class, weight) in [("note", 30), ("todo", 20), ("draft", 15), ("script", 10)] {
        share(report, class, of("create", &[class]), of("create", &user), f64::from(weight) / 75.0);
    }
    let system = ["log_cron", "log_daemon", "cache_tmp"];
    for (class, weight) in [("log_cron", 12), ("log_daemon", 8), ("cache_tmp", 5)] {
        share(report, class, of("create", &[class]), of("create", &system), f64::from(weight) / 25.0);
    }
}

pub(crate) fn check_pace(run: &Run, report: &mut Report) {
    let mut by_decky: HashMap<&str, usize> = HashMap::new();
    for line in &run.lines {
        *by_decky.entry(text(line, "decky")).or_default() += 1;
    }
    report.check(by_decky.len() == run.deckies as usize, "plan: a decky without life", || {
        format!("{by_decky:?}")
    });
    for (decky, count) in by_decky {
        let pace = number(count) / f64::from(run.days);
        report.check((15.0..300.0).contains(&pace), "plan: pace", || format!("{decky}: {pace} a day"));
    }
}

/// The day that a moment of somebody's belongs to, and whether it is one of work.
fn day_of(persona: &Persona, at: DateTime<Utc>) -> (NaiveDate, bool) {
    let local = at.with_timezone(&persona.timezone.unwrap_or(chrono_tz::UTC));
    let now = local.time().num_seconds_from_midnight() / 60;
    let wraps = persona.hours().start > persona.hours().end;
    let yesterday = wraps && now < u32::from(persona.hours().end);
    let day = if yesterday { local.date_naive() - Days::new(1) } else { local.date_naive() };
    (day, persona.work_days.contains(&day.weekday()))
}

fn check_days_off(run: &Run, report: &mut Report) {
    let mut fleet: HashMap<NaiveDate, usize> = HashMap::new();
    let mut people: HashMap<&str, (usize, usize)> = HashMap::new();
    for line in &run.lines {
        *fleet.entry(instant(line, "at").date_naive()).or_default() += 1;
        if let Some(persona) = line["persona"].as_str().and_then(|name| run.persona(name)) {
            let (_, work) = day_of(persona, instant(line, "at"));
            let (at_work, off) = people.entry(&persona.name).or_default();
            *(if work { at_work } else { off }) += 1;
        }
    }
    // Saturdays, when nobody of the pools works, and Tuesdays, when everybody does.
    let busy = |day: chrono::Weekday| {
        let days: Vec<usize> =
            fleet.iter().filter(|(date, _)| date.weekday() == day).map(|(_, count)| *count).collect();
        number(days.iter().sum::<usize>()) / number(days.len().max(1))
    };
    let (off, work) = (busy(chrono::Weekday::Sat), busy(chrono::Weekday::Tue));
    report.check(off > 0.0 && off <= work / 3.0, "plan: days off", || {
        format!("{off} a Saturday, {work} a Tuesday")
    });
    for (name, (at_work, off)) in people {
        let persona = run.persona(name).unwrap();
        let days = persona.work_days.len();
        let (at_work, off) = (number(at_work) / number(days), number(off) / number(7 - days));
        report.check(off <= at_work / 3.0, "plan: days off", || format!("{name}: {off} to {at_work}"));
    }
}
