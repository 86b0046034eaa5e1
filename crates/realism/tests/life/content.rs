//! What gives a fleet away in texts: words of this project, typography of models, phrases that come again.

use std::collections::{HashMap, HashSet};

use crate::{Report, Run, body, text};

/// Words that nothing on a machine may hold.
const OURS: [&str; 7] = ["decnet", "decky", "deckies", "decoy", "honeypot", "synthetic", "lorem"];
/// Em dash, en dash, ellipsis.
const TYPOGRAPHY: [char; 3] = ['\u{2014}', '\u{2013}', '\u{2026}'];

pub(crate) fn check(run: &Run, report: &mut Report) {
    // The content of each file at its end, so that an edited one counts once.
    let mut files: HashMap<(&str, &str), (&str, String)> = HashMap::new();
    for line in &run.lines {
        let class = text(line, "content_class");
        let content =
            body(line).map(|content| String::from_utf8_lossy(&content).into_owned()).unwrap_or_default();
        let readable = if text(line, "kind") == "rotate" { String::new() } else { content };
        let subject = text(line, "subject");
        for part in [text(line, "path"), text(line, "to"), subject, &readable] {
            let small = part.to_lowercase();
            let ours = OURS.iter().find(|word| small.contains(**word));
            report.check(ours.is_none(), "content: a word of ours", || format!("{ours:?} in {part}"));
        }
        let heavy =
            line["persona"].as_str().and_then(|name| run.persona(name)).is_some_and(|p| p.uses_llms_heavily);
        if !heavy {
            let dash = readable.chars().chain(subject.chars()).find(|c| TYPOGRAPHY.contains(c));
            report.check(dash.is_none(), "content: typography", || format!("{dash:?} in {readable}"));
        }
        if text(line, "kind") != "rotate" && !readable.is_empty() {
            files.insert((text(line, "decky"), text(line, "path")), (class, readable));
        }
    }
    stock(&files, report);
}

/// Sentences and items that one file in twenty of their class has.
fn stock(files: &HashMap<(&str, &str), (&str, String)>, report: &mut Report) {
    let mut classes: HashMap<&str, (usize, HashMap<String, usize>)> = HashMap::new();
    for (class, content) in files.values() {
        if ["log_cron", "log_daemon", "cache_tmp"].contains(class) {
            continue;
        }
        let (count, phrases) = classes.entry(class).or_default();
        *count += 1;
        let seen: HashSet<String> = phrases_of(class, content).into_iter().collect();
        for phrase in seen {
            *phrases.entry(phrase).or_default() += 1;
        }
    }
    for (class, (count, phrases)) in classes {
        // Fewer files say nothing about habits.
        if count < 60 {
            continue;
        }
        for (phrase, seen) in phrases {
            report.check(seen * 20 <= count, "content: a stock phrase", || {
                format!("{class}: {seen} of {count}: {phrase}")
            });
        }
    }
}

fn phrases_of(class: &str, content: &str) -> Vec<String> {
    let text = if class == "email" { letter(content) } else { content.to_owned() };
    let lines: Box<dyn Iterator<Item = &str>> = match class {
        "note" | "todo" => Box::new(text.lines()),
        "script" => Box::new(text.lines().skip(1).filter(|line| line.trim_start().starts_with('#'))),
        // Lines of a paragraph are one text; sentences end in it.
        _ => Box::new(text.split_inclusive(['.', '!', '?', '\n'])),
    };
    lines
        .map(|line| {
            line.trim_start_matches("- [x]").trim_start_matches("- [ ]").trim_start_matches("- ").trim()
        })
        .filter(|line| line.split_whitespace().count() >= 3)
        .map(str::to_lowercase)
        .collect()
}

/// The text of a message without what it quotes.
fn letter(raw: &str) -> String {
    let parsed = mail_parser::MessageParser::default().parse(raw.as_bytes());
    let text =
        parsed.and_then(|message| message.body_text(0).map(std::borrow::Cow::into_owned)).unwrap_or_default();
    let own: Vec<&str> = text
        .lines()
        .take_while(|line| line.trim_end() != "--")
        .filter(|line| !line.starts_with('>') && !line.trim_end().ends_with(':'))
        .collect();
    own.join("\n")
}
