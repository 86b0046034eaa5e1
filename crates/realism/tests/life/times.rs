//! Times, names and people of single lines.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use decnet_realism::Persona;

use crate::{Report, Run, instant, text};

const USER: [&str; 4] = ["note", "todo", "draft", "script"];
const SYSTEM: [&str; 3] = ["log_cron", "log_daemon", "cache_tmp"];

/// Hours by a reading of their own: the local clock, minute by minute.
pub(crate) fn is_in(persona: &Persona, at: DateTime<Utc>) -> bool {
    let minutes = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        let valid = text.len() == 5 && hours.len() == 2;
        let (hours, minutes) = (hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?);
        (valid && hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
    };
    let Some((start, end)) =
        persona.active_hours.split_once('-').and_then(|(start, end)| Some((minutes(start)?, minutes(end)?)))
    else {
        return true;
    };
    let local = at.with_timezone(&persona.timezone.unwrap_or(chrono_tz::UTC));
    let now = local.hour() * 60 + local.minute();
    match start.cmp(&end) {
        std::cmp::Ordering::Equal => true,
        std::cmp::Ordering::Less => now >= start && now < end,
        std::cmp::Ordering::Greater => now >= start || now < end,
    }
}

pub(crate) fn check(run: &Run, report: &mut Report) {
    let mut last = DateTime::<Utc>::MIN_UTC;
    let deckies: BTreeSet<&str> = run.lines.iter().map(|line| text(line, "decky")).collect();
    report.check(deckies.len() <= run.deckies as usize, "plan: more deckies than asked for", String::new);
    let mut written: HashMap<(String, String), DateTime<Utc>> = HashMap::new();
    for line in &run.lines {
        let whole = line.to_string();
        let at = instant(line, "at");
        let kind = text(line, "kind");
        report.check(at >= last, "plan: at goes back", || whole.clone());
        report.check(at >= run.start && at < run.end(), "plan: at outside the plan", || whole.clone());
        last = at;
        for field in ["at", "mtime"] {
            let Some(time) = line[field].as_str() else { continue };
            let form = time.len() == 30 && time.ends_with('Z') && time.as_bytes()[19] == b'.';
            report.check(form, "plan: a time without nine digits", || time.to_owned());
        }
        let decky = text(line, "decky");
        let name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
        };
        report.check(name(decky), "plan: a decky's name", || decky.to_owned());
        let class = line["content_class"].as_str();
        let persona = line["persona"].as_str().map(|name| run.persona(name));
        report.check(persona != Some(None), "plan: an unknown persona", || whole.clone());
        let persona = persona.flatten();
        let fits = match (kind, class) {
            ("traffic", None) => {
                let dst = text(line, "dst");
                let port = line["port"].as_u64().unwrap_or_default();
                // Machines that never act first are none of the lines' deckies; here every one acts.
                dst != decky
                    && deckies.contains(dst)
                    && (1..65536).contains(&port)
                    && !text(line, "protocol").is_empty()
            }
            ("create" | "edit", Some(class)) => {
                USER.contains(&class) && persona.is_some()
                    || SYSTEM.contains(&class) && line["persona"].is_null()
            }
            ("rotate" | "delete", Some(class)) => SYSTEM.contains(&class) && line["persona"].is_null(),
            ("email", Some("email")) => persona.is_some(),
            _ => false,
        };
        report.check(fits, "plan: kind, class, persona or target do not fit", || whole.clone());
        if let Some(persona) = persona {
            report.check(is_in(persona, at), "plan: at outside the hours", || whole.clone());
        }
        if line["mtime"].is_null() {
            continue;
        }
        let mtime = instant(line, "mtime");
        let nanos = mtime.timestamp_subsec_nanos();
        let owner = if kind == "email" { "mail: mtime" } else { "plan: mtime" };
        report.check(!nanos.is_multiple_of(1000), owner, || format!("no true nanoseconds: {whole}"));
        report.check(mtime <= at && at - mtime <= TimeDelta::days(14), owner, || {
            format!("not in its 14 days: {whole}")
        });
        if let Some(persona) = persona {
            report.check(is_in(persona, mtime), owner, || format!("outside the hours: {whole}"));
        }
        let before = written.insert((decky.to_owned(), text(line, "path").to_owned()), mtime);
        report.check(before.is_none_or(|before| before < mtime), owner, || {
            format!("not after {before:?}: {whole}")
        });
        let mode = text(line, "mode");
        let octal = mode.len() == 4 && mode.bytes().all(|b| (b'0'..b'8').contains(&b));
        let executable = class != Some("script") || mode.ends_with('5');
        report.check(octal && executable, "content: mode", || whole.clone());
    }
}
