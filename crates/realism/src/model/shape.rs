//! The forms of files and mails: what a note, a list, a draft, a program and a message must look like to be taken for one.

use std::collections::HashSet;

use super::{
    check::Rejected,
    program,
    prompt::{Exchange, bare_subject},
    tongue,
};
use crate::Class;

/// Most characters of a line that somebody typed by hand.
const MAX_LINE: usize = 160;
/// Most characters of a draft or a mail.
const MAX_TEXT: usize = 3500;
/// Most characters of a subject that is taken, and of one that we make.
const MAX_SUBJECT: usize = 120;
const SUBJECT: usize = 80;

/// A file of a class, in its form.
pub(super) fn file(class: Class, text: &str, dense: bool) -> Result<String, Rejected> {
    match class {
        Class::Note => note(text),
        Class::Todo => todo(text),
        Class::Draft => draft(text, dense),
        Class::Script => program::check(text),
        _ => Err(Rejected::Class),
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty())
}

fn joined(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// No line twice: an edit would not know which one is meant, and nobody notes a thing two times.
fn distinct(lines: &[String]) -> Result<(), Rejected> {
    let mut seen = HashSet::new();
    if lines.iter().all(|line| seen.insert(line.trim_start_matches(['-', '*', ' ']).to_lowercase())) {
        Ok(())
    } else {
        Err(Rejected::Shape("a line twice"))
    }
}

fn note(text: &str) -> Result<String, Rejected> {
    let lines: Vec<String> = lines(text).map(|line| unmarked(line).replace("\u{2022} ", "- ")).collect();
    for line in &lines {
        if heading(line) || line.starts_with("#!") {
            return Err(Rejected::Shape("a heading in a note"));
        }
        if tick_box(line).is_some() {
            return Err(Rejected::Shape("a tick box in a note"));
        }
        if subject_line(line).is_some() {
            return Err(Rejected::Headers);
        }
        if line.chars().count() > MAX_LINE {
            return Err(Rejected::TooLong);
        }
    }
    match lines.len() {
        0 => return Err(Rejected::TooShort),
        1..=10 => {}
        _ => return Err(Rejected::TooLong),
    }
    if lines.iter().map(|line| line.chars().count()).sum::<usize>() < 8 {
        return Err(Rejected::TooShort);
    }
    distinct(&lines)?;
    Ok(joined(&lines))
}

fn todo(text: &str) -> Result<String, Rejected> {
    let mut items = Vec::new();
    for line in lines(text) {
        let (done, task) = tick_box(line).ok_or(Rejected::Shape("a list of tick boxes and nothing else"))?;
        let task = unmarked(task);
        let task = task.trim().trim_end_matches(['.', ';']);
        match task.chars().count() {
            0..2 => return Err(Rejected::TooShort),
            2..=120 => {}
            _ => return Err(Rejected::TooLong),
        }
        items.push((done, task.to_owned()));
    }
    match items.len() {
        0..3 => return Err(Rejected::TooShort),
        3..=12 => {}
        _ => return Err(Rejected::TooLong),
    }
    distinct(&items.iter().map(|(_, task)| task.clone()).collect::<Vec<_>>())?;
    let lines: Vec<String> =
        items.iter().map(|(done, task)| format!("- [{}] {task}", if *done { 'x' } else { ' ' })).collect();
    Ok(joined(&lines))
}

/// A line of a list: whether it is done, and what it says. Models write boxes in many ways.
fn tick_box(line: &str) -> Option<(bool, &str)> {
    let line = line.trim();
    let line = line
        .strip_prefix(['-', '*', '+', '\u{2022}'])
        .or_else(|| line.split_once(". ").filter(|(n, _)| n.parse::<u8>().is_ok()).map(|(_, rest)| rest))
        .unwrap_or(line)
        .trim_start();
    for (mark, done) in [
        ("[ ]", false),
        ("[]", false),
        ("[x]", true),
        ("[X]", true),
        ("\u{2610}", false),
        ("\u{2611}", true),
        ("\u{2612}", true),
        ("\u{2705}", true),
        ("\u{2714}", true),
    ] {
        if let Some(task) = line.strip_prefix(mark) {
            return Some((done, task.trim_start_matches(['\u{fe0f}', ' '])));
        }
    }
    None
}

fn draft(text: &str, dense: bool) -> Result<String, Rejected> {
    if text.starts_with("#!") || text.lines().any(|line| tick_box(line).is_some()) {
        return Err(Rejected::Shape("not a letter"));
    }
    if text.lines().take(2).any(|line| subject_line(line).is_some()) {
        return Err(Rejected::Headers);
    }
    let text = paragraphs(text, dense)?;
    let count = text.split("\n\n").count();
    if !(2..=8).contains(&count) {
        return Err(Rejected::Shape("a letter has two to eight paragraphs"));
    }
    if text.chars().count() < if dense { 50 } else { 140 } {
        return Err(Rejected::TooShort);
    }
    Ok(text + "\n")
}

/// Running text, tidied: no markup, single empty lines, no trailing spaces, no newline at the end.
pub(super) fn paragraphs(text: &str, dense: bool) -> Result<String, Rejected> {
    let mut tidy = String::with_capacity(text.len());
    for line in text.trim().lines() {
        let line = unmarked(line.trim_end());
        if heading(&line) {
            return Err(Rejected::Shape("a heading in a letter"));
        }
        if line.starts_with('|') || (line.starts_with("---") && line.len() > 3) {
            return Err(Rejected::Shape("a table in a letter"));
        }
        if line.trim().is_empty() {
            if !tidy.ends_with("\n\n") {
                tidy.push('\n');
            }
            continue;
        }
        tidy.push_str(&line);
        tidy.push('\n');
    }
    let tidy = tidy.trim_end();
    match tidy.chars().count() {
        count if count < if dense { 8 } else { 20 } => Err(Rejected::TooShort),
        count if count > MAX_TEXT => Err(Rejected::TooLong),
        _ => Ok(tidy.to_owned()),
    }
}

fn heading(line: &str) -> bool {
    let bare = line.trim_start_matches('#');
    bare.len() < line.len() && (bare.is_empty() || bare.starts_with(' '))
}

/// Without the stars that make text bold on a web page and nothing in a file.
fn unmarked(line: &str) -> String {
    line.replace("**", "").replace("__", "")
}

/// What stands after `Subject:`, in any language that we know.
fn subject_line(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(['*', '#', ' ']);
    let (head, rest) = line.split_once([':', '：'])?;
    let head = head.trim_end_matches('*').trim().to_lowercase();
    tongue::ALL.iter().any(|tongue| tongue.subject == head).then(|| rest.trim_start_matches('*').trim())
}

/// Splits an answer into a subject, if it has a usable one, and the paragraphs of a body.
pub(super) fn mail(exchange: &Exchange<'_>, text: &str) -> Result<(Option<String>, String), Rejected> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (subject, body) = match subject_line(first) {
        Some(subject) => (Some(tidy_subject(subject)), rest),
        None => (None, text),
    };
    if let Some(subject) = &subject {
        if subject.contains("=?") {
            return Err(Rejected::Headers);
        }
        if subject.chars().count() > MAX_SUBJECT {
            return Err(Rejected::TooLong);
        }
    }
    let body: Vec<&str> = body.trim().lines().map(str::trim_end).collect();
    if body.iter().any(|line| is_header(line)) {
        return Err(Rejected::Headers);
    }
    let body = without_frame(exchange, &body);
    Ok((subject.filter(|subject| !subject.is_empty()), body.join("\n")))
}

/// A subject without quotation marks around it and `Re:` before it.
fn tidy_subject(subject: &str) -> String {
    const MARKS: [char; 5] = ['"', '*', ' ', '\u{201c}', '\u{201d}'];
    let mut tidy = subject;
    loop {
        let next = bare_subject(tidy.trim_matches(MARKS));
        if next == tidy {
            return one_line(&next.replace("**", ""));
        }
        tidy = next;
    }
}

/// A header, where only sentences should be. In any line: what is after an empty line is read as headers by nobody, but no
/// colleague writes `Bcc:` either.
fn is_header(line: &str) -> bool {
    const NAMES: [&str; 10] = [
        "from",
        "to",
        "cc",
        "bcc",
        "subject",
        "reply-to",
        "content-type",
        "mime-version",
        "date",
        "message-id",
    ];
    let Some((name, _)) = line.split_once(':') else { return false };
    let name = name.trim_matches(['*', ' ']).to_ascii_lowercase();
    NAMES.contains(&name.as_str()) || name.starts_with("x-")
}

/// The paragraphs between salutation and closing: those two, the name and the quotation come from the composer, always the
/// same for one person.
fn without_frame<'a>(exchange: &Exchange<'_>, body: &[&'a str]) -> Vec<&'a str> {
    let mut body = body;
    if body.first().is_some_and(|first| is_salutation(first, exchange.recipient.first_name())) {
        body = &body[1..];
    }
    if let Some(quoted) = body.iter().position(|line| line.starts_with('>')) {
        let intro = body[..quoted].iter().rposition(|line| !line.is_empty());
        let from = intro.filter(|at| body[*at].ends_with([':', '：'])).unwrap_or(quoted);
        body = &body[..from];
    }
    let sender = exchange.sender;
    let signature =
        sender.signature.as_deref().and_then(|text| text.lines().find(|line| !line.trim().is_empty()));
    let near_end = body.len().saturating_sub(7);
    let closing = body.iter().enumerate().skip(near_end.max(1)).find(|(_, line)| {
        let bare = line.trim().trim_start_matches(['-', '\u{2014}', '\u{2013}', ' ']);
        let bare = bare.trim_end_matches([',', '.', '!', '，', '。', ' ']);
        let lower = bare.to_lowercase();
        line.trim() == "--"
            || (!bare.is_empty()
                && (lower == sender.name.to_lowercase()
                    || lower == sender.first_name().to_lowercase()
                    || signature.is_some_and(|first| first.trim() == line.trim())
                    || tongue::ALL.iter().any(|tongue| tongue.closings.contains(&lower.as_str()))))
    });
    let end = closing.map_or(body.len(), |(at, _)| at);
    body[..end].to_vec()
}

fn is_salutation(line: &str, recipient: &str) -> bool {
    let words = line.split_whitespace().count();
    let greets = tongue::is_greeting(line) || (!recipient.is_empty() && line.contains(recipient));
    greets && words <= 6 && line.chars().count() <= 60 && !line.ends_with(['.', '?', '。', '？'])
}

/// One line with single spaces.
pub(super) fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A subject where the model gave none: from what the mail is about, else from its first words. Never one that is the same
/// for everybody.
pub(super) fn subject_of(hint: &str, body: &str) -> String {
    let hint = one_line(hint);
    let source = if hint.is_empty() {
        let first = body.split(['.', '!', '?', '\n', '。', '！', '？']).find(|part| !part.trim().is_empty());
        one_line(first.unwrap_or(body)).split(' ').take(7).collect::<Vec<_>>().join(" ")
    } else {
        hint
    };
    let mut cut = String::new();
    for word in source.split(' ') {
        if cut.chars().count() + 1 + word.chars().count() > SUBJECT {
            break;
        }
        if !cut.is_empty() {
            cut.push(' ');
        }
        cut.push_str(word);
    }
    if cut.is_empty() {
        cut = source.chars().take(SUBJECT).collect();
    }
    let mut chars = cut.trim_end_matches([',', ';', ':', ' ']).chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
